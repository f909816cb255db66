"""Evaluation compared with gensim and scipy, under every protocol; data set files; invalid input."""

from __future__ import annotations

import json
import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.builders import small_vectors
from tests.cli.running import run
from tests.search.test_search import gensim_of
from vecload import Vectors, Words, compare, evaluate, evaluation, load
from vecload.cli import app
from vecload.errors import FormatError, OptionError, VocabularyError
from vecload.evaluation import Analogies, Pairs, Protocol
from vecload.evaluation.correlation import pearson, spearman
from vecload.ngrams import NgramTable


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2))
def test_correlations_equal_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    x, y = zip(*pairs, strict=True)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(pearson(x, y))
        assert math.isnan(spearman(x, y))
    else:
        assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# comment\nlove\tsex\t6.77\ntiger\tcat\t7.35\n", [("love", "sex", 6.77), ("tiger", "cat", 7.35)]),
        ("old new 1.58\nsmart  wise 9\n", [("old", "new", 1.58), ("smart", "wise", 9)]),
        ("word1\tword2\tPOS\tSimLex999\tconc(w1)\nold\tnew\tA\t1.58\t2.72\n", [("old", "new", 1.58)]),
        ("Word 1,Word 2,Human (mean)\r\nlove,sex,6.77\r\n", [("love", "sex", 6.77)]),
        ("sun-n sunlight-n 50\nrun-v blue-j 1\n", [("sun", "sunlight", 50), ("run", "blue", 1)]),
        ("New York\tBig Apple\t9\n", [("New York", "Big Apple", 9)]),
    ],
)
def test_read_recognizes_published_layouts_of_pairs(text: str, expected: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(text, newline="")
    pairs = evaluation.read(file)
    assert isinstance(pairs, Pairs)
    assert list(zip(pairs.left, pairs.right, pairs.gold.tolist(), strict=True)) == expected


def test_read_recognizes_published_layouts_of_analogies_and_sentences(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text(": one\na b c d\n\n  : two\ne f g h\ni j k l\n")
    found = evaluation.read(file)
    assert isinstance(found, Analogies)
    assert [(name, len(quadruples)) for name, quadruples in found.sections] == [("one", 1), ("two", 2)]
    file.write_text("a b c d\n")
    assert evaluation.read_analogies(file).sections == (("some", (("a", "b", "c", "d"),)),)
    with tarfile.open(tmp_path / "sets.tar.gz", "w:gz") as archive:
        archive.add(file, "sets/some.txt")
    member = evaluation.read_analogies(tmp_path / "sets.tar.gz" / "sets" / "some.txt")
    assert member.sections == evaluation.read_analogies(file).sections
    file.write_text("A cat.\tA dog.\t3.5\n")
    assert evaluation.read_sentences(file).gold.tolist() == [3.5]
    file.write_text("main-news\tMSRpar\t2012\t4\t2.5\tOne.\tTwo.\tsource\n")
    sts = evaluation.read_sentences(file)
    assert (sts.left, sts.right, sts.gold.tolist()) == (("One.",), ("Two.",), [2.5])


EXPECTED = "expected two columns of words, then a score."


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        ("read_pairs", "a b 1\na b\n", "some.txt, line 2: not a pair: found 'a b', " + EXPECTED),
        ("read_pairs", "a b nan\n", "some.txt, line 1: not a pair: found 'a b nan', " + EXPECTED),
        ("read_pairs", "# nothing\n", "some.txt: no pairs: expected two columns of words, then a score per line."),
        ("read_analogies", ": x\na b c\n", "some.txt, line 2: not an analogy: found 'a b c', expected four words."),
        ("read_analogies", ": x\n", "some.txt: no analogies: expected four words per line."),
        ("read_sentences", "a\tb\n", "some.txt: no pairs: expected two columns of words, then a score per line."),
    ],
)  # fmt: skip
def test_read_malformed_file_raises_with_line(
    reader: str, text: str, message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some.txt").write_text(text)
    with pytest.raises(FormatError) as caught:
        getattr(evaluation, reader)("some.txt")
    assert str(caught.value) == message


@pytest.mark.parametrize("dataset", ["wordsim353", "simlex999"])
@pytest.mark.parametrize("dummy", [False, True])
@pytest.mark.parametrize("rows", [6000, 100_000])
def test_similarity_equals_gensim(dataset: str, dummy: bool, rows: int, real_glove: Path) -> None:
    """With few rows, many words are missing."""
    vectors = load(real_glove, limit=rows)
    peer = gensim_of(vectors)
    expected = peer.evaluate_word_pairs(str(evaluation.find(dataset)), dummy4unknown=dummy)
    protocol = "gensim-dummy" if dummy else "gensim"
    found = evaluation.similarity(vectors, evaluation.read_pairs(dataset), protocol=protocol)
    assert found.pearson == pytest.approx(expected[0].statistic, abs=5e-5)
    assert found.spearman == pytest.approx(expected[1].statistic, abs=5e-5)
    assert 100 * found.missing / found.total == pytest.approx(expected[2])


@pytest.mark.parametrize("protocol", evaluation.PROTOCOLS)
def test_similarity_treats_row_with_nan_as_missing(protocol: str) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    broken = rows.copy()
    broken[5, 2] = np.nan
    pairs = Pairs("some", ("a", "b", "c", "f"), ("b", "c", "d", "a"), np.array([1.0, 4.0, 2.0, 3.0]))
    without = evaluation.similarity(Vectors(list("abcde"), rows[:5]), pairs, protocol=protocol)
    found = evaluation.similarity(Vectors(list("abcdef"), broken), pairs, protocol=protocol)
    assert found == without
    assert found.missing == 1


def test_web_protocol_equals_word_embeddings_benchmarks(real_glove: Path) -> None:
    """The rule of that package, word by word: unit vectors, dot products, and the mean vector for missing words."""
    stats = pytest.importorskip("scipy.stats")
    vectors = load(real_glove)
    pairs = evaluation.read_pairs("wordsim353")
    unit = vectors.matrix.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    sides = [[unit[vectors.words.get(word)] if word in vectors else mean for word in side]
             for side in (pairs.left, pairs.right)]  # fmt: skip
    expected = stats.spearmanr([one @ other for one, other in zip(*sides, strict=True)], pairs.gold).statistic
    found = evaluation.similarity(vectors, pairs, protocol="web")
    assert found.spearman == pytest.approx(expected, abs=1e-6)
    assert found.used == found.total
    missing = sum(word not in vectors for word in pairs.left + pairs.right)
    assert missing == 24  # as its example notebook prints for the same words with 300 values


def few(questions: Analogies, step: int) -> Analogies:
    return Analogies(questions.name, tuple((name, quadruples[::step]) for name, quadruples in questions.sections))


@pytest.mark.parametrize("dummy", [False, True])
def test_analogies_equal_gensim(dummy: bool, real_glove: Path, tmp_path: Path) -> None:
    """A sample of the questions, with words in several letter cases, so that the case rule matters."""
    loaded = load(real_glove, limit=12_000)
    # Capitalized copies of the first words, with slightly different rows; some are already words of the file.
    copies = [row for row, word in enumerate(loaded.words[:2000]) if word.title() not in loaded.words]
    words = [*loaded.words, *(loaded.words[row].title() for row in copies)]
    assert len(set(words)) == len(words) > 13_000
    vectors = Vectors(words, np.vstack([loaded.matrix, loaded.matrix[copies] + np.float32(0.01)]))
    questions = few(evaluation.read_analogies("questions-words"), 40)
    file = tmp_path / "questions.txt"
    lines = (f": {name}\n" + "".join(" ".join(one) + "\n" for one in some) for name, some in questions.sections)
    file.write_text("".join(lines))
    score, sections = gensim_of(vectors).evaluate_word_analogies(str(file), dummy4unknown=dummy)
    found = evaluation.analogies(
        vectors, evaluation.read_analogies(file), protocol="gensim-dummy" if dummy else "gensim"
    )
    assert found.accuracy == score
    assert 0.1 < score < 0.9
    for mine, theirs in zip([*found.sections, found.total], sections, strict=True):
        used = len(theirs["correct"]) + len(theirs["incorrect"])
        assert (mine.correct, mine.used) == (len(theirs["correct"]), used)


def test_protocols_treat_case_and_missing_words_differently() -> None:
    vectors = Vectors(
        Words.from_strings(["Cat", "cat", "dog", "cow"]), np.array([[1, 0], [0, 1], [1, 1], [1, -1]], "f4")
    )
    pairs = Pairs("p", ("CAT", "cat", "dog"), ("dog", "gnu", "cow"), np.array([3.0, 1.0, 2.0]))
    used = {
        name: evaluation.similarity(vectors, pairs, protocol=name).used
        for name in ("exact", "lower", "gensim", "gensim-dummy", "web")
    }
    assert used == {"exact": 1, "lower": 2, "gensim": 2, "gensim-dummy": 3, "web": 3}
    lookup = evaluation.protocols.WordLookup(vectors, Protocol("x", case="fold"))
    assert lookup.rows(["CAT", "cAt", "cow", "gnu"]).tolist() == [0, 0, 3, -1]
    assert evaluation.protocols.WordLookup(vectors, Protocol("x", limit=2)).rows(["cat", "dog"]).tolist() == [1, -1]
    mean, _, usable = evaluation.protocols.WordLookup(vectors, Protocol("x", missing="mean")).unit_vectors(["gnu"])
    np.testing.assert_allclose(mean[0], [(1 + 0 + 0.5**0.5 + 0.5**0.5) / 4, 1 / 4])  # of the four unit vectors
    assert usable.all()
    table = NgramTable(np.ones((5, 2), dtype="f4"), minn=3, maxn=3)
    with_ngrams = Vectors(vectors.words, vectors.matrix, ngrams=table)
    protocol = Protocol("composed", missing="ngrams")
    assert evaluation.similarity(with_ngrams, pairs, protocol=protocol).used == 3
    assert evaluation.similarity(vectors, pairs, protocol=protocol).used == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: evaluate(v, ["nowhere"]), OptionError, "'nowhere' is neither a file nor a data set; choose from"),
        (lambda v: evaluate(v, ["no/where"]), FileNotFoundError, "no/where"),
        (lambda v: evaluate(v, protocol="best"), OptionError, "protocol='best' is not one of exact, gensim"),
        (lambda _: Protocol("x", case="upper"), OptionError, "case='upper' is not one of 'exact', 'lower', 'fold'"),
        (lambda v: evaluate(v, ["wordsim353"]), VocabularyError, "wordsim353: no pair has both words among the 3"),
        (lambda v: evaluate(v, ["questions-words"]), VocabularyError, "no analogy has all four words among the 3"),
        (lambda v: evaluation.induction(v, v, [("x", "y")]), VocabularyError, "none of the 1 pairs has both words"),
        (lambda v: evaluation.induction(v, v, [], retrieval="l2"), OptionError, "retrieval='l2' is not one of"),
        (lambda v: evaluation.induction(v, v, [], k=[0]), OptionError, "k=(0,) needs numbers of answers, 1 or more"),
        (lambda v: evaluation.induction(v, v, [], protocol="web"), OptionError, "protocol 'web' replaces missing"),
        (lambda v: compare(v, small_vectors("de", 8)), VocabularyError, "3 and 2 words have 0 finite rows in common"),
    ],
)  # fmt: skip
def test_evaluation_with_invalid_input_raises(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call(small_vectors("abc", 8))
    assert message in str(caught.value)


def test_induction_counts_each_source_word_once() -> None:
    vectors = small_vectors("abcdef", 20)
    target = Vectors(Words.from_strings("A B C D E F".split()), vectors.matrix)
    dictionary = [("a", "A"), ("a", "F"), ("b", "C"), ("c", "x"), ("y", "A"), ("d", "D")]
    found = evaluation.induction(vectors, target, dictionary, retrieval="nn", k=[1, 6])
    assert (found.precision, found.used, found.total) == ({1: 2 / 3, 6: 1.0}, 3, 5)
    assert evaluation.induction(vectors, target, dictionary, k=[1]).precision[1] == pytest.approx(2 / 3)
    only = Protocol("two", limit=2)
    assert evaluation.induction(vectors, target, dictionary, retrieval="nn", k=[1], protocol=only).used == 1


def test_induction_by_csls_is_robust_to_hubs() -> None:
    """A target row near everything is the nearest neighbor of many words, but not by CSLS."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 10)).astype("f4") + 1
    hub = np.ones((1, 10), dtype="f4")
    words = Words.from_strings(f"w{at}" for at in range(100))
    noisy = np.vstack([rows + rng.normal(size=rows.shape) * 0.7, hub]).astype("f4")
    target = Vectors(Words.from_strings([*words, "hub"]), noisy)
    dictionary = [(word, word) for word in words]
    found = {
        retrieval: evaluation.induction(Vectors(words, rows), target, dictionary, retrieval=retrieval).precision[1]
        for retrieval in ("nn", "csls")
    }
    assert found["csls"] > found["nn"]


def test_sentence_similarity_accepts_arrays_and_tensors() -> None:
    torch = pytest.importorskip("torch")
    pairs = Pairs("s", ("aa", "ab", "b"), ("aa", "b", "a"), np.array([5.0, 3.0, 0.0]))

    def encode(texts: list[str]) -> np.ndarray:
        return np.array([[text.count("a"), text.count("b")] for text in texts])

    found = evaluation.sentence_similarity(encode, pairs)
    assert found.spearman == 1.0
    tensors = evaluation.sentence_similarity(lambda texts: torch.tensor(encode(texts) * 1.0, requires_grad=True), pairs)
    assert tensors == found
    with pytest.raises(OptionError, match=r"encode returned an array of shape \(3,\) for 3 texts"):
        evaluation.sentence_similarity(lambda texts: np.zeros(len(texts)), pairs)
    with pytest.raises(OptionError, match="encode returned NaN or infinity for 'aa'"):
        evaluation.sentence_similarity(lambda texts: np.full((len(texts), 2), np.nan), pairs)


def test_geometry_matches_its_definitions() -> None:
    vectors = small_vectors(6000, 5)
    matrix = vectors.matrix.astype(np.float64) * [3, 1, 1, 1, 0] + [2, 0, 0, 0, 4]
    matrix[7] = 0
    shape = evaluation.geometry(Vectors(vectors.words, matrix))
    norms = np.linalg.norm(matrix, axis=1)
    assert shape.norms == pytest.approx((norms.min(), norms.mean(), norms.max(), norms.std()), rel=1e-5)
    assert (shape.rows, shape.dim, shape.zeros, shape.nonfinite) == (6000, 5, 1, 0)
    spread = np.linalg.eigvalsh(np.cov(matrix.T))[::-1]
    assert shape.dominance == pytest.approx(spread[:3].sum() / spread.sum(), rel=1e-6)
    directions = np.linalg.eigh(matrix.T @ matrix)[1] / norms.mean()
    z = np.concatenate([np.exp(matrix @ directions).sum(axis=0), np.exp(-matrix @ directions).sum(axis=0)])
    assert shape.isotropy == pytest.approx(z.min() / z.max(), rel=1e-4)
    unit = np.delete(matrix, 7, 0) / np.delete(norms, 7)[:, None]
    assert shape.cosine == pytest.approx((unit.sum(axis=0) @ unit.sum(axis=0)) / 6000**2, abs=0.01)
    bad = matrix.astype("f4")
    bad[3, 1], bad[:, 2] = np.nan, 1
    shape = evaluation.geometry(Vectors(vectors.words, bad))
    assert (shape.nonfinite, shape.constant) == (1, 1 + 0)
    assert math.isfinite(shape.isotropy)
    with pytest.raises(OptionError, match="the vectors have no finite rows"):
        evaluation.geometry(Vectors(Words.from_strings(["a"]), np.full((1, 2), np.nan)))
    assert evaluation.geometry(Vectors(Words.from_strings(["a"]), np.zeros((1, 2)))).isotropy == 1


def test_compare_reports_overlap_and_cosines() -> None:
    one = small_vectors("abcdef", 6)
    same = compare(one, one, k=2)
    assert (same.words, same.mean_cosine, same.overlap, same.sampled) == ((6, 6, 6), pytest.approx(1), 1.0, 6)
    other = small_vectors("xfedc", 9, seed=3)
    found = compare(one, other, k=3)
    assert (found.words, found.cosines) == ((6, 5, 4), None)
    assert found.overlap == 1.0  # of four words, the three neighbors are all others
    assert compare(one, small_vectors("abcdef", 6, seed=5), k=2).overlap < 1
    assert "none: the dimensions differ" in str(found)


def test_compare_excludes_rows_that_are_not_finite() -> None:
    one, other = small_vectors("abcdef", 8), small_vectors("abcdef", 8, seed=5)
    rows = other.matrix.copy()
    rows[1, 2], rows[4, 0] = np.nan, np.inf
    broken = Vectors(other.words, rows)
    keep = np.array([0, 2, 3, 5])
    found = compare(one, broken, k=2)
    left = compare(Vectors(one.words.take(keep), one.matrix[keep]), Vectors(other.words.take(keep), rows[keep]), k=2)
    assert (found.cosines, found.mean_cosine, found.overlap) == (left.cosines, left.mean_cosine, left.overlap)
    assert (found.words, found.sampled) == ((6, 6, 6), 4)
    with pytest.raises(VocabularyError, match="have 0 finite rows in common"):
        compare(one, Vectors(one.words, np.full_like(one.matrix, np.nan)))


def test_commands_print_tables_and_json(tmp_path: Path) -> None:
    file = tmp_path / "v.txt"
    file.write_text("cat 1 0\ndog 1 1\ncar 0 1\n")
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("cat\tdog\t9\ncat\tcar\t1\ndog\tgnu\t5\n")

    def shown(*arguments: object) -> str:
        done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    found = json.loads(shown("evaluate", file, "--data", pairs, "--json"))
    assert found["similarities"][0]["spearman"] == 1.0
    assert found["similarities"][0]["missing"] == 1
    table = shown("evaluate", file, "--data", pairs, "--protocol", "gensim-dummy")
    assert "word similarity  Spearman  Pearson   pairs\npairs" in table
    assert "3 of 3" in table
    assert shown("neighbors", file, "cat", "dog", "-k", "1") == "cat: dog 0.7071\ndog: cat 0.7071\n"
    assert json.loads(shown("compare", file, file, "--json", "-k", "1"))["overlap"] == 1.0
    assert "100.00% of 1" in shown("compare", file, file, "-k", "1")
    code, _, err = run("neighbors", file, "cow")
    assert (code, err) == (1, "vecload: 'cow' is missing; no n-gram table to compose from\n")
