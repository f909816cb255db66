"""Explanations why words of a vocabulary were not found: causes, advice, and the places that show them."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecload import Coverage, NgramTable, VecloadWarning, Vectors, Vocab, Words, align, check, load
from vecload.alignment import checking
from vecload.alignment.causes import CAUSES, spellings
from vecload.errors import FormatError, OptionError
from vecload.provenance import Explanation
from vecload.provenance.coverage import Count
from vecload.reading import read_words

THERE = [
    "the",
    "Of",
    "cat",
    "paris",
    "ice_cream",
    "new-york",
    "####",
    "café",
    "naïve",
    "東京",
    "データ",
    "が",
    "привет",
    "fi",
]


def table(words: list[str] = THERE) -> Vectors:
    return Vectors(words, np.ones((len(words), 2), dtype=np.float32))


def explained(words: list[str], there: list[str] = THERE) -> Explanation:
    explanation = check(table(there), words).explanation
    assert explanation is not None
    return explanation


@pytest.mark.parametrize(
    ("missing", "there", "cause", "step"),
    [
        ("The", "the", "case", "casefold"),
        ("of", "Of", "case", "casefold"),
        ("cat,", "cat", "punctuation", "strip"),
        ("「東京」", "東京", "punctuation", "strip"),
        ("##cat", "cat", "punctuation", "strip"),
        ("▁cat", "cat", "punctuation", "strip"),
        ("cat\r", "cat", "punctuation", "strip"),
        (unicodedata.normalize("NFD", "が"), "が", "Unicode form (NFC)", "nfc"),
        (unicodedata.normalize("NFD", "データ"), "データ", "Unicode form (NFC)", "nfc"),
        ("ﾃﾞｰﾀ", "データ", "Unicode form (NFKC)", "nfkc"),
        ("ﬁ", "fi", "Unicode form (NFKC)", "nfkc"),
        ("1984", "####", "digits", "digits"),
        ("ice cream", "ice_cream", "hyphen/underscore/space", "separators"),
        ("new york", "new-york", "hyphen/underscore/space", "separators"),
        ("(Paris)", "paris", "punctuation + case", "strip"),
        ("\ufeffthe", "the", "byte order mark", None),
        ("ï»¿the", "the", "byte order mark", None),
        ("the 1061396", "the", "count column", None),
        ("the\t1.5e+3", "the", "count column", None),
        ("   12 the", "the", "count column", None),
    ],
)
def test_explanation_names_cause_and_step(missing: str, there: str, cause: str, step: str | None) -> None:
    explanation = explained([missing])
    reason = explanation.reasons[missing]
    assert (reason.spelling, " + ".join(reason.causes)) == (there, cause)
    assert [(one.name, one.words) for one in explanation.differences] == [(cause, 1)]
    if step is None:
        assert explanation.oov == ()
        assert explanation.remedies
    else:
        assert step in explanation.oov
        assert align(table(), [missing], oov=explanation.oov).coverage.found == 1


@pytest.mark.parametrize(
    ("word", "written", "read"),
    [
        ("café", "utf-8", "cp1252"),
        ("naïve", "utf-8", "mac_roman"),
        ("привет", "utf-8", "cp1251"),
        ("東京", "utf-8", "cp1252"),
        ("東京", "utf-8", "latin-1"),
        ("привет", "cp1251", "latin-1"),
        ("東京", "cp932", "latin-1"),
        ("データ", "euc_jp", "latin-1"),
        ("café", "cp1252", "utf-8"),
        ("東京", "cp932", "utf-8"),
        ("привет", "cp1251", "utf-8"),
    ],
)
def test_explanation_finds_the_encoding_of_a_vocabulary(word: str, written: str, read: str) -> None:
    errors = "surrogateescape" if read == "utf-8" else "strict"
    decoded = "latin-1" if read == "cp1252" else read
    wrong = word.encode(written).decode(decoded, errors)
    explanation = explained([wrong])
    assert explanation.reasons[wrong].spelling == word
    assert explanation.reasons[wrong].causes == (f"{written} read as {read.replace('latin-1', 'cp1252')}",)
    assert f"encoding={written!r}" in explanation.headline


def test_windows_1252_and_latin_1_are_both_undone() -> None:
    for wrong in ("â€™s", "â\x80\x99s"):
        assert explained([wrong], ["’s"]).reasons[wrong].spelling == "’s"


@pytest.mark.parametrize(
    ("words", "there", "remedy"),
    [
        (["café"], [b"caf\xe9".decode("utf-8", "surrogateescape")], "iconv -f cp1252 -t utf-8"),
        (["東京"], ["東京".encode("euc_jp").decode("utf-8", "surrogateescape")], "iconv -f euc-jp -t utf-8"),
        (["café"], ["cafÃ©"], "the words of the vectors were read as cp1252"),
    ],
)
def test_explanation_finds_the_encoding_of_the_vectors(words: list[str], there: list[str], remedy: str) -> None:
    explanation = explained(words, [*there, "x"])
    assert explanation.reasons[words[0]].spelling == there[0]
    assert remedy in explanation.headline


def test_vectors_in_nfd_are_found_by_nfd() -> None:
    there = unicodedata.normalize("NFD", "Việt")
    explanation = explained(["việt"], [there])
    assert explanation.oov == ("casefold", "nfd", "normal")
    same = explained(["Việt"], [there])
    assert str(same.reasons["Việt"]) == r"'Vi\u1ec7t' is in the vectors as 'Vie\u0323\u0302t' (Unicode form (NFD))"


def test_one_name_with_a_number_is_not_a_count_column() -> None:
    explanation = explained(["the 66", "dog", "cow"])
    assert explanation.found == 0
    assert explanation.headline == "none of 3 words not found would be found under another spelling"


def test_differences_are_counted_once_per_word_and_by_tokens() -> None:
    vocab = Vocab.from_counter({"The": 5, "Cat": 3, "Cat,": 2, "zyzzyx": 1, "the": 7})
    coverage = check(table(), vocab)
    explanation = coverage.explanation
    assert explanation is not None
    assert [(one.name, one.words, one.tokens) for one in explanation.differences] == [
        ("case", 2, 8),
        ("punctuation + case", 1, 2),
    ]
    assert (explanation.missing, explanation.found, explanation.unexplained) == (4, 3, ("zyzzyx",))
    assert coverage.found == 0.2
    assert str(explanation) == (
        "3 of 4 words not found would be found under another spelling: case 2, punctuation + case 1; "
        'use oov=["strip", "casefold", "normal"] (--oov strip,casefold,normal)\n'
        "\n"
        "difference             words          examples\n"
        "case                       2   50.0%  'The' → 'the', 'Cat' → 'cat'\n"
        "punctuation + case         1   25.0%  'Cat,' → 'cat'\n"
        "not explained              1   25.0%  'zyzzyx'\n"
        "\n"
        'oov=["strip", "casefold", "normal"], or --oov strip,casefold,normal\n'
        """for texts: tokenize=re.compile(r"\\w+(?:['’-]\\w+)*|[^\\w\\s]")"""
    )


def test_advice_keeps_the_steps_that_were_tried() -> None:
    coverage = align(table(), ["the", "The", "1984,"], oov=["casefold", "mean-of-parts", "zeros"]).coverage
    assert coverage.explanation is not None
    assert coverage.explanation.oov == ("strip", "casefold", "digits", "mean-of-parts", "zeros")


@given(
    st.lists(st.text(alphabet="aB,-_ 1é\u0301Ａ\ufeff", min_size=1, max_size=5), min_size=1, max_size=20, unique=True),
    st.lists(st.text(alphabet="ab-_0#é", min_size=1, max_size=4), min_size=1, max_size=20, unique=True),
)
def test_recommended_chain_finds_as_many_words_as_the_explanation_says(words: list[str], there: list[str]) -> None:
    explanation = explained(words, there)
    steps = {cause.name for cause in CAUSES if cause.step}
    promised = {word for word, reason in explanation.reasons.items() if set(reason.causes) <= steps}
    for reason in explanation.reasons.values():
        assert reason.spelling in there
        assert reason.word not in there
    found = check(table(there), words, oov=explanation.oov[:-1])
    assert promised.isdisjoint(word for word, _ in found.missing(len(words)))
    assert explanation.found + len(set(words) & set(there)) <= len(words)


@given(st.text(max_size=30))
def test_spellings_differ_from_the_word_and_are_few(word: str) -> None:
    tried = spellings(word, CAUSES)
    assert word not in {spelling for spelling, _ in tried}
    assert len(tried) < 10_000
    assert all(path for _, path in tried)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    table().save(tmp_path / "words.txt")
    return tmp_path / "words.txt"


@pytest.mark.parametrize("form", ["txt", "npz", "safetensors", "bin"])
def test_explanation_of_a_file_equals_that_of_its_vectors(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"words.{form}"
    table(["the", "cat", "dog"]).save(path)
    words = ["the", "The", "CAT", "cow"]
    expected = align(table(["the", "cat", "dog"]), words).coverage
    for coverage in (align(path, words).coverage, align([path], words).coverage, check(path, words)):
        assert str(coverage.explanation) == str(expected.explanation)
    assert str(align(path, words).coverage) == str(expected)


@pytest.mark.parametrize("form", ["text", "native"])
def test_check_warns_about_doubtful_words_as_load_does(form: str, tmp_path: Path) -> None:
    source = tmp_path / "commas.vec"
    source.write_text("the, 1\ncat, 2\ndog, 3\n")
    if form == "native":
        with pytest.warns(VecloadWarning, match="words end in a comma"):
            load(source).save(tmp_path / "commas.safetensors")
        source = tmp_path / "commas.safetensors"
    with pytest.warns(VecloadWarning, match="words end in a comma"):
        check(source, ["the", "cat"])


def test_check_with_limit_ignores_later_words(file: Path) -> None:
    first = THERE[:2]
    words = [*first, THERE[-1], first[0].upper()]
    coverage = check(file, words, limit=2)
    assert coverage.found == 0.5
    assert coverage.explanation is not None
    assert coverage.explanation.seen == 2
    aligned = align(file, words, oov=["casefold", "zeros"], limit=2, dtype="float16")
    assert aligned.matrix.dtype == np.float16
    assert [aligned.origin_of(word) for word in words] == ["exact", "exact", "zeros", "casefold"]
    assert aligned.coverage.explanation is not None
    assert not aligned.coverage.explanation.found


def test_align_skips_malformed_rows_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("cat 1 2\ndog 1 x\nfox 3 4\n")
    with pytest.raises(FormatError, match="line 2"):
        align(path, ["dog", "fox"])
    aligned = align(path, ["dog", "fox"], oov=["zeros"], errors="skip")
    assert aligned.matrix.tolist() == [[0, 0], [3, 4]]


@pytest.mark.parametrize(
    ("phrase", "first"),
    [
        ("今日はいい天気です", "今日"),
        ("今日はいい天気ですね。", "今日"),
        ("我喜欢吃苹果和香蕉", "我"),
        ("コンピューターシステム", "コンピューター"),
        ("วันนี้อากาศดีมาก", "วันนี้"),
    ],
)
def test_explanation_says_that_words_are_not_separated(phrase: str, first: str) -> None:
    explanation = explained([phrase], ["今日", "我", "コ", "コンピューター", "วันนี้", *THERE])
    assert str(explanation.reasons[phrase]) == f"{phrase!r} begins with {first!r} (not separated)"
    assert explanation.oov == ()
    assert 'tokenize="sudachi"' in explanation.advice


@pytest.mark.parametrize("word", ["今日は", "コロンボジョン", "Donaudampfschifffahrt", "今日 and many other words"])
def test_words_that_are_not_phrases_stay_unexplained(word: str) -> None:
    assert explained([word], ["今日", "コ", "Donau", *THERE]).reasons == {}


def test_align_looks_at_the_first_words_of_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "FIRST_WORDS", 3)
    explanation = align(file, ["the", "The", "Paris"]).coverage.explanation
    assert explanation is not None
    assert not explanation.complete
    said = (
        "at least 1 of 2 words not found would be found under another spelling (among the first 3 words of the vectors)"
    )
    assert explanation.headline == f'{said}: case 1; use oov=["casefold", "normal"] (--oov casefold,normal)'
    whole = check(file, ["the", "The", "Paris"]).explanation
    assert whole is not None
    assert whole.found == 2


def test_several_sources_are_explained_together(file: Path) -> None:
    more = table(["dog"])
    explanation = align([file, more], ["the", "The", "Dog"], combine="first").coverage.explanation
    assert explanation is not None
    assert explanation.complete
    assert set(explanation.reasons) == {"The", "Dog"}


def test_coverage_of_a_stream_has_no_explanation(file: Path) -> None:
    coverage = align(io.BytesIO(file.read_bytes()), ["the", "The"]).coverage
    assert coverage.explanation is None
    assert str(coverage) == coverage.table


def test_coverage_of_a_deleted_file_has_no_explanation(file: Path) -> None:
    coverage = align(file, ["the", "The"]).coverage
    file.unlink()
    assert coverage.explanation is None
    assert str(coverage) == coverage.table


def test_saved_and_pickled_coverage_needs_no_vectors(tmp_path: Path) -> None:
    aligned = align(table(), ["the", "The"])
    aligned.save(tmp_path / "a.safetensors")
    assert type(aligned).load(tmp_path / "a.safetensors").coverage.explanation is None
    fresh: Coverage = pickle.loads(pickle.dumps(aligned.coverage))
    assert fresh.explanation is None
    assert aligned.coverage.explanation is not None
    kept: Coverage = pickle.loads(pickle.dumps(aligned.coverage))
    assert kept.explanation == aligned.coverage.explanation
    assert pickle.loads(pickle.dumps(aligned)).coverage.table == aligned.coverage.table


def test_str_of_coverage_shows_advice_only_if_another_spelling_is_found() -> None:
    helped = align(table(), ["the", "The"]).coverage
    assert str(helped).splitlines()[-1].startswith("1 of 1 words not found would be found under another spelling")
    for words in (["the"], ["the", "zyzzyx"]):
        coverage = align(table(), words).coverage
        assert str(coverage) == coverage.table


def warning_of(call: Callable[[], object]) -> str:
    with pytest.warns(VecloadWarning) as caught:
        call()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return str(caught[0].message)


def test_align_warns_below_five_percent_with_cause_and_both_sides(file: Path) -> None:
    words = ["the", *(f"Cat{'!' * count}" for count in range(1, 40))]
    for source in (table(), file):
        said = warning_of(lambda source=source: align(source, words))  # type: ignore[misc]
        assert "only 1 of 40 words of the vocabulary were found: the words not found begin with 'Cat!', 'Cat!!'" in said
        assert "the words of the vectors begin with 'the', 'Of', 'cat'" in said
        assert said.endswith(
            'punctuation + case 39; use oov=["strip", "casefold", "normal"] (--oov strip,casefold,normal)'
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(table(), ["the", *words[1:20]])


def test_align_gives_the_general_hint_if_most_words_are_unexplained() -> None:
    said = warning_of(lambda: align(table(), ["The", "eins", "zwei", "drei"]))
    assert said.endswith("check the language, the case and how the vocabulary was read")


def test_explanation_recommends_ngrams_where_the_vectors_have_them(tmp_path: Path) -> None:
    ngrams = NgramTable(np.ones((10, 2), dtype=np.float32), minn=1, maxn=3, bucket=10)
    model = Vectors(["the", "cat"], np.ones((2, 2), dtype=np.float32), {}, ngrams)
    model.save(tmp_path / "model.bin", format="fasttext")
    for source in (model, tmp_path / "model.bin"):
        for coverage in (check(source, ["the", "The", "cow"]), align(source, ["the", "The", "cow"]).coverage):
            assert coverage.explanation is not None
            assert coverage.explanation.ngrams
            assert coverage.explanation.oov == ("casefold", "ngrams", "normal")
            composed = align(source, ["the", "The", "cow"], oov=coverage.explanation.oov)
            assert [composed.origin_of(word) for word in ("the", "The", "cow")] == ["exact", "casefold", "ngrams"]
        only = check(source, ["the", "cow"])
        advice = 'compose their rows from n-grams: use oov=["ngrams", "normal"] (--oov ngrams,normal)'
        assert str(only).splitlines()[-1].endswith(advice)
        tried = align(source, ["the", "cow"], oov=["ngrams"]).coverage
        assert tried.explanation is not None
        assert not tried.explanation.ngrams
        assert str(tried) == tried.table
        said = warning_of(lambda source=source: align(source, ["cow"]))  # type: ignore[misc]
        assert said.endswith('use oov=["ngrams", "normal"] (--oov ngrams,normal)')


def test_check_counts_origins_and_takes_spelling_steps_only() -> None:
    vocab = Vocab.from_words(["The", "the", "cow"], pad_token="<pad>", unk_token="<unk>")
    coverage = check(table(), vocab, oov=["casefold"])
    assert [(one.origin, one.types) for one in coverage.counts] == [
        ("padding", 1),
        ("special", 1),
        ("exact", 1),
        ("casefold", 1),
        ("not found", 1),
    ]
    for wrong in (["normal"], ["ngrams"], ["lemma"], "casefold"):
        with pytest.raises(OptionError):
            check(table(), ["the"], oov=wrong)
    with pytest.raises(OptionError, match="vocab must be a list of strings"):
        check(table(), "the")


def test_check_agrees_with_align(file: Path) -> None:
    words = ["the", "The", "(cat)", "1984", "zyzzyx", "ice cream"]
    for steps in ([], ["casefold"], ["strip", "digits"]):
        checked, aligned = check(file, words, oov=steps), align(table(), words, oov=[*steps, "normal"]).coverage
        assert checked.found == aligned.found
        assert checked.missing() == aligned.missing()
        assert checked.explanation is not None
        assert checked.explanation.reasons == aligned.explanation.reasons  # type: ignore[union-attr]


def test_read_words_skips_malformed_rows_and_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("the 1 2\ncat 1\nthe 3 4\ndog nan 1\n")
    words, complete, ngrams = read_words(path)
    assert (list(words), complete, ngrams) == (["the", "dog"], True, False)
    assert read_words(path, limit=1) == (Words.from_strings(["the"]), False, False)
    assert read_words(path, limit=100).complete


def test_load_with_a_vocabulary_still_warns(file: Path) -> None:
    said = warning_of(lambda: load(file, vocab=["zyzzyx"]))
    assert "no word of the vocabulary was found (1 requested)" in said


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vecload.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def test_check_command_explains_a_vocabulary(file: Path, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("The\nParis\nzyzzyx\n")
    done = run("check", file, "--vocab", tmp_path / "v.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'case 2; use oov=["casefold", "normal"]' in done.stdout
    assert "--oov casefold,normal" in done.stdout
    as_json = json.loads(run("check", file, "--vocab", tmp_path / "v.txt", "--json").stdout)
    assert as_json["found"] == 0
    assert as_json["explanation"]["oov"] == ["casefold", "normal"]
    assert as_json["explanation"]["differences"][0]["examples"][0] == {"word": "The", "spelling": "the"}
    again = run("check", file, "--vocab", tmp_path / "v.txt", "--oov", "casefold")
    assert "none of 1 words not found would be found under another spelling" in again.stdout


def test_check_command_explains_texts(file: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat, the cat, in (Paris).\n")
    done = run("check", file, "--texts", tmp_path / "t.txt")
    assert done.returncode == 0
    assert "'cat,' → 'cat'" in done.stdout
    assert "for texts: tokenize=re.compile(" in done.stdout
    assert "tokens" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name the words to check by either --vocab WORDS or --texts TEXTS"),
        (["--vocab", "v.txt", "--texts", "v.txt"], "name the words to check by either --vocab WORDS or --texts TEXTS"),
        (["--vocab", "v.txt", "--oov", "lemma"], "unknown oov step 'lemma'"),
        (
            ["--vocab", "v.txt", "--oov", "normal"],
            "oov must be steps for other spellings, got 'normal'",
        ),
        (["--vocab", "v.txt", "--tokenize", "mecab"], "mecab"),
    ],
)
def test_check_command_refuses_wrong_use(file: Path, options: list[str], said: str) -> None:
    (file.parent / "v.txt").write_text("The\n")
    done = run("check", file, *[file.parent / "v.txt" if option == "v.txt" else option for option in options])
    assert done.returncode == 2
    assert said in done.stderr


def test_embed_prints_the_first_line(file: Path, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("the\nThe\n")
    done = run("embed", file, "--vocab", tmp_path / "v.txt", "-o", tmp_path / "e.safetensors")
    assert done.returncode == 0
    expected = "1 of 1 words not found would be found under another spelling: case 1;"
    assert f'{expected} use oov=["casefold", "normal"] (--oov casefold,normal)' in done.stdout


def test_table_of_coverage_counts_types_and_tokens() -> None:
    counts = [Count("exact", 12, 3_000), Count("zeros", 4, 0)]
    assert Coverage(tuple(counts), 0.75, 1.0, ()).table.splitlines() == [
        "origin               types                tokens",
        "exact                   12   75.0%         3,000  100.0%",
        "zeros                    4   25.0%             0    0.0%",
        "all                     16  100.0%         3,000  100.0%",
    ]


def test_repr_of_coverage_has_no_function() -> None:
    assert "_explain" not in repr(align(table(), ["the", "The"]).coverage)
