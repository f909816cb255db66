from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import vecload
from tests.builders import small_vectors
from tests.strategies import SEEDS
from vecload import Aligned, Vectors, Vocab, Words, align, oov
from vecload.errors import FormatError, MissingWordError, OptionError, VocabularyError
from vecload.formats.contract import ReadRequest
from vecload.loading import load_rows
from vecload.oov.steps import BLOCK
from vecload.provenance.origins import PADDING

# Chains are shown on words that the vectors lack; tests/alignment/test_nothing_found.py is about the warning.
pytestmark = pytest.mark.filterwarnings("ignore:.*no word of the vocabulary was found")

KNOWN = ["the", "Paris", "NASA", "café", "##", "00", "cat", "<s>", "ｘ", "dog"]

VECTORS = small_vectors(KNOWN, 4)


def reference(word: str, steps: list[str]) -> tuple[str, str] | None:
    """Return the spelling found and the step that found it, by the documented rule."""
    spell = {
        "casefold": lambda w: [w.lower(), w.title(), w.upper()],
        "nfc": lambda w: [unicodedata.normalize("NFC", w)],
        "nfkc": lambda w: [unicodedata.normalize("NFKC", w)],
        "digits": lambda w: [
            "".join("#" if c.isdecimal() else c for c in w),
            "".join("0" if c.isdecimal() else c for c in w),
        ],
    }
    if word in KNOWN:
        return word, "exact"
    tried = [word]
    for step in steps:
        tried += [new for known in list(tried) for new in spell[step](known)]
        found = [new for new in tried if new in KNOWN]
        if found:
            return found[0], step
    return None


pieces = st.sampled_from(
    ["The", "PARIS", "nasa", "cafe\u0301", "42", "99", "Ｃａｔ", "cow", "CAFE\u0301", "ＤＯＧ", "the", "x1"]
)


@given(
    st.lists(pieces, unique=True, min_size=1),
    st.lists(st.sampled_from(["casefold", "nfc", "nfkc", "digits"]), unique=True),
)
def test_spelling_steps_equal_a_slow_reference(words: list[str], steps: list[str]) -> None:
    source = VECTORS
    aligned = align(source, words, oov=[*steps, "zeros"])
    for row, word in enumerate(words):
        expected = reference(word, steps)
        assert aligned.origin_of(word) == (expected[1] if expected else "zeros")
        assert aligned.matrix[row].tolist() == (source[expected[0]].tolist() if expected else [0] * 4)


def write_glove(folder: Path, source: Vectors) -> Path:
    file = folder / "v.txt"
    lines = (f"{word} " + " ".join(map(str, source[word].tolist())) for word in source)
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "steps", [["casefold", "digits", "normal"], ["nfkc", "casefold"], ["uniform"], ["mean"], ["xavier"], []]
)
def test_align_of_a_path_equals_align_of_its_vectors(tmp_path: Path, steps: list[str]) -> None:
    rng = np.random.default_rng(2)
    known = [*KNOWN, *(f"word{at}" for at in range(700)), "###rd", "ＷＯＲＤ"]
    file = write_glove(tmp_path, Vectors(Words.from_strings(known), rng.normal(size=(len(known), 6)).astype("f4")))
    tokens = [f"{case}{at}" for at in range(500, 900) for case in ("word", "WORD", "Ｗord")]
    vocab = Vocab.from_tokens(
        [*tokens, *"The cat PARIS 42 unknown cow cow".split()], specials=["<pad>", "<unk>", "<s>"]
    )
    one, other = align(file, vocab, oov=steps, seed=3), align(vecload.load(file), vocab, oov=steps, seed=3)
    assert one.matrix.tobytes() == other.matrix.tobytes()
    assert one.origin.tolist() == other.origin.tolist()
    assert str(one.coverage) == str(other.coverage)


def test_align_reads_only_rows_of_the_vocabulary_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Vectors] = []

    def spy(source: Path, request: ReadRequest, **options: Any) -> Vectors:
        read.append(load_rows(source, request, **options))
        return read[0]

    monkeypatch.setattr("vecload.alignment.aligning.load_rows", spy)
    vocab = Vocab.from_words(["PARIS", "cow", "CAT"], unk_token="CAT")  # a special is read as it is
    align(write_glove(tmp_path, VECTORS), vocab, oov=["casefold", "zeros"])
    assert list(read[0]) == ["Paris"]


def test_align_reports_origins_and_coverage() -> None:
    vocab = Vocab.from_counter({"the": 60, "PARIS": 30, "cow": 7, "elk": 3}, specials=["<pad>", "<unk>", "<s>"])
    aligned = align(VECTORS, vocab, oov=["casefold", "normal"])
    assert [(aligned.origins[code].name, aligned.origins[code].kind) for code in aligned.origin] == [
        ("padding", "padding"),
        ("special", "special"),
        ("exact", "found"),
        ("exact", "found"),
        ("casefold", "found"),
        ("normal", "drawn"),
        ("normal", "drawn"),
    ]
    coverage = aligned.coverage
    assert (coverage.found, coverage.found_tokens) == (2 / 4, 0.9)  # without special tokens
    assert aligned.coverage is coverage
    assert coverage.missing(1) == [("cow", 7)]
    assert coverage.missing() == [("cow", 7), ("elk", 3)]
    assert str(coverage).splitlines() == [
        "origin               types                tokens",
        "padding                  1   14.3%             0    0.0%",
        "special                  1   14.3%             0    0.0%",
        "exact                    2   28.6%            60   60.0%",
        "casefold                 1   14.3%            30   30.0%",
        "normal                   2   28.6%            10   10.0%",
        "all                      7  100.0%           100  100.0%",
    ]
    assert aligned.matrix[0].tolist() == [0] * 4
    assert repr(aligned) == "<Aligned: 7 rows × 4 float32, 50.0% of the types found>"


@given(st.permutations(["cow", "elk", "yak", "gnu"]), SEEDS)
def test_drawn_row_depends_only_on_seed_word_and_column(words: list[str], seed: int) -> None:
    for step in (oov.normal(0, 1), oov.uniform(-1, 1)):
        together = align(VECTORS, words, oov=[step], seed=seed)
        for row, word in enumerate(words):
            alone = align(small_vectors(KNOWN, 2), [word], oov=[step], seed=seed)
            assert alone.matrix[0].tolist() == together.matrix[row, :2].tolist()
    assert not np.array_equal(together.matrix, align(VECTORS, words, oov=[step], seed=seed + 1).matrix)


def test_drawn_rows_do_not_depend_on_block_size() -> None:
    words = [f"w{at}" for at in range(2 * BLOCK + 7)]
    step = oov.normal(0, 1)
    together = align(VECTORS, words, oov=[step]).matrix
    assert np.array_equal(together[::-1], align(VECTORS, words[::-1], oov=[step]).matrix)
    for some in (slice(0, 1), slice(BLOCK - 1, BLOCK + 1), slice(-3, None)):
        assert np.array_equal(together[some], align(VECTORS, words[some], oov=[step]).matrix)


@pytest.mark.filterwarnings("ignore:.*only 10 of 4,010 words:vecload.VecloadWarning")
def test_drawn_rows_have_the_deviation_of_the_found_rows() -> None:
    words = [f"w{at}" for at in range(4000)]
    vocab = [*KNOWN, *words]
    found = small_vectors(KNOWN, 25).matrix
    for step, mean, std in (
        ("normal", found.mean(), found.std()),
        ("uniform", found.mean(), found.std()),
        (oov.normal(-1, 0.5), -1, 0.5),
        ("xavier", 0, (2 / (len(vocab) + 25)) ** 0.5),
        ("kaiming", 0, (2 / 25) ** 0.5),
    ):
        drawn = align(small_vectors(KNOWN, 25), vocab, oov=[step]).matrix[len(KNOWN) :]
        assert abs(drawn.mean() - mean) < 0.02 * max(std, 0.1)
        assert abs(drawn.std() / std - 1) < 0.02
    bound = 0.1
    drawn = align(small_vectors(KNOWN, 25), words, oov=[oov.uniform(-bound, bound)]).matrix
    assert -bound <= drawn.min() < -0.99 * bound
    assert 0.99 * bound < drawn.max() <= bound
    alone = align(small_vectors(KNOWN, 25), words, oov=["normal"]).matrix  # nothing found to match
    assert abs(alone.std() - 0.2) < 0.01


def test_mean_zeros_and_missing_last_step_make_constant_rows() -> None:
    source = VECTORS
    mean = align(source, ["cow", "cat", "the"], oov=["mean"]).matrix[0]
    np.testing.assert_allclose(mean, source[["cat", "the"]].mean(axis=0), rtol=1e-6)
    assert align(source, ["cow"], oov=["casefold"]).origin_of("cow") == "zeros"
    assert align(source, ["cow"], oov=[]).matrix.tolist() == [[0] * 4]


def test_function_as_step_makes_rows() -> None:
    def lengths(words: list[str], dim: int, rng: np.random.Generator) -> np.ndarray:
        assert rng.random() == np.random.default_rng([5, 1]).random()
        rows = np.full((len(words), dim), np.nan)
        for row, word in enumerate(words):
            if word != "skip":
                rows[row] = len(word)
        return rows

    vocab = Vocab.from_words(["horse", "skip", "cat"], unk_token="<unk>")
    aligned = align(VECTORS, vocab, oov=["casefold", lengths, "zeros"], seed=5)
    assert aligned.matrix[1].tolist() == [5] * 4
    assert [aligned.origin_of(word) for word in vocab] == ["special", "lengths", "zeros", "exact"]

    def bad(words: list[str], dim: int, rng: np.random.Generator) -> np.ndarray:
        return np.zeros(3)

    with pytest.raises(OptionError, match=r"oov: bad returned rows of shape \(3,\), expected \(2, 4\)"):
        align(VECTORS, ["cow", "elk"], oov=[bad])


def test_specials_are_made_by_the_last_step_and_never_respelled() -> None:
    def ones(words: list[str], dim: int, rng: np.random.Generator) -> np.ndarray:
        return np.ones((len(words), dim))

    vocab = Vocab(Words.from_strings(["CAT", "DOG", "<pad>", "dog"]), None, ("DOG",), "CAT", "<pad>")
    for steps, value in ((["casefold", ones], 1), (["casefold", ones, "zeros"], 0)):
        aligned = align(VECTORS, vocab, oov=steps)
        assert [aligned.origin_of(word) for word in vocab] == ["special", "special", "padding", "exact"]
        assert aligned.matrix[:3].tolist() == [[value] * 4, [value] * 4, [0] * 4]


def test_padding_row_is_zero_if_the_file_has_the_word() -> None:
    aligned = align(VECTORS, Vocab.from_words(["cat", "the"], pad_token="cat"))
    assert (aligned.origin_of("cat"), aligned.matrix[0].tolist()) == ("padding", [0] * 4)


def test_nan_in_a_found_row_does_not_change_other_rows() -> None:
    matrix = np.array([[1, 2], [np.nan, 1], [3, 6]], dtype=np.float32)
    source = Vectors(Words.from_strings(["cat", "bad", "dog"]), matrix)
    aligned = align(source, ["bad", "dog", "cow", "cat"], oov=["mean"])
    assert [aligned.origin_of(word) for word in aligned.vocab] == ["exact", "exact", "mean", "exact"]
    assert aligned.matrix[2].tolist() == [2, 4]
    assert np.isfinite(align(source, ["bad", "dog", "cow"]).matrix[2]).all()


@pytest.mark.parametrize(("given", "kept"), [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), (">f4", "f4")])
def test_matrix_has_the_dtype_of_the_vectors_in_native_byte_order(given: str, kept: str) -> None:
    source = Vectors(Words.from_strings(["cat"]), np.asfortranarray(np.ones((1, 3), dtype=given)))
    aligned = align(source, ["cat", "cow"])
    assert aligned.matrix.dtype == np.dtype(kept)
    assert aligned.matrix.dtype.isnative
    assert aligned.matrix.flags.c_contiguous


def test_steps_with_equal_names_get_unique_names() -> None:
    leave = lambda words, dim, rng: np.full((len(words), dim), np.nan)  # noqa: E731
    take = lambda words, dim, rng: np.ones((len(words), dim))  # noqa: E731
    aligned = align(VECTORS, ["cow"], oov=[leave, take])
    assert [(one.name, one.kind) for one in aligned.origins] == [
        ("padding", "padding"),
        ("special", "special"),
        ("exact", "found"),
        ("<lambda>", "composed"),
        ("<lambda> 2", "composed"),
        ("zeros", "drawn"),
    ]
    assert aligned.origin_of("cow") == "<lambda> 2"


def test_align_of_empty_vocabulary_or_vectors_works() -> None:
    aligned = align(VECTORS, [])
    assert (aligned.matrix.shape, aligned.coverage.found, aligned.coverage.missing()) == ((0, 4), 1.0, [])
    nothing = align(Vectors(Words.from_strings([]), np.empty((0, 4), dtype=np.float32)), ["a"], oov=["mean"])
    assert nothing.matrix.tolist() == [[0] * 4]
    assert str(nothing.coverage).splitlines() == [
        "origin               types",
        "exact                    0    0.0%",
        "mean                     1  100.0%",
        "all                      1  100.0%",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: align(VECTORS, "cat"), "vocab must be a list of strings, not one string: found 'cat'; pass ['cat']"),
        (lambda: align(VECTORS, ["cat"], seed=1.0), "seed=1.0 is not an integer"),  # type: ignore[arg-type]
        (
            lambda: align(Vectors(Words.from_strings(["a"]), np.ones((1, 2), dtype=int)), ["a"]),
            "vectors must be floating point, got int64",
        ),
        (
            lambda: Aligned(Vocab.from_words(["a"]), np.ones((2, 2)), np.zeros(1, np.uint8), (PADDING,)),
            "1 words need a floating-point matrix of 1 rows, got shape (2, 2) float64",
        ),
    ],
)
def test_align_with_invalid_arguments_raises(call: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == message


def test_origin_of_missing_word_raises() -> None:
    with pytest.raises(VocabularyError, match=r"^'cow' is not in the vocabulary$"):
        align(VECTORS, Vocab.from_words(["cat"], unk_token="<unk>")).origin_of("cow")


def test_aligned_is_equal_after_saving_and_loading(tmp_path: Path) -> None:
    vocab = Vocab.from_counter({"the": 6, "\udcff": 3, "cow": 1}, specials=["<pad>", "<unk>"])
    aligned = align(VECTORS, vocab, oov=["casefold", "normal"])
    file = tmp_path / "e.safetensors"
    aligned.save(file)
    again = Aligned.load(file)
    assert again.matrix.tobytes() == aligned.matrix.tobytes()
    assert again.origin.tolist() == aligned.origin.tolist()
    assert again.vocab == vocab
    assert str(again.coverage) == str(aligned.coverage)
    with safetensors.safe_open(file, framework="pt") as plain:  # readable without vecload
        assert plain.get_tensor("weight").tolist() == aligned.matrix.tolist()
        assert plain.metadata()["format"] == "vecload-aligned"
        kept = json.loads(plain.metadata()["vecload"])
    assert (kept["padding_idx"], kept["origins"]) == (0, [one.name for one in aligned.origins])
    assert kept["coverage"]["normal"] == {"types": 2, "tokens": 4}
    for cut in (0, 7, 100, -1):
        (tmp_path / "cut").write_bytes(file.read_bytes()[:cut])
        with pytest.raises(vecload.errors.FormatError):
            Aligned.load(tmp_path / "cut")


def test_load_of_a_file_without_kinds_derives_them_from_the_order(tmp_path: Path) -> None:
    vocab = Vocab.from_words(["the", "PARIS", "new-york", "cow"], pad_token="<pad>")
    aligned = align(VECTORS, vocab, oov=["casefold", "mean-of-parts", "zeros"])
    file = tmp_path / "e.safetensors"
    aligned.save(file)
    with safetensors.safe_open(file, framework="numpy") as plain:
        header = plain.metadata()
        tensors = {key: plain.get_tensor(key) for key in plain.keys()}  # noqa: SIM118
    settings = json.loads(header["vecload"])
    del settings["kinds"]
    settings["spellings"] = 1
    safetensors.numpy.save_file(tensors, file, {**header, "vecload": json.dumps(settings)})
    again = Aligned.load(file)
    assert again.origins == aligned.origins
    assert again.new.tolist() == aligned.new.tolist()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"words.offsets": np.array([0, -(2**40), 8, 11])}, "'words.offsets' do not split 'words.data' into words"),
        ({"words.offsets": np.array([0, 2**62, 8, 11])}, "'words.offsets' do not split 'words.data' into words"),
        ({"words.offsets": np.array([0, 5])}, "invalid tensor 'words.offsets'"),
        ({"words.offsets": np.array([[0, 5, 8, 11]])}, "invalid tensor 'words.offsets'"),
        ({"words.data": np.zeros(11, np.int8)}, "invalid tensor 'words.data'"),
        ({"words.data": np.zeros(11, np.uint8)}, "occurs more than once in the vocabulary"),
        ({"origin": np.array([0, 2, 9], np.uint8)}, "'origin' has codes without a name in 'origins'"),
        ({"origin": np.array([0, 2, 2])}, "invalid tensor 'origin'"),
        ({"weight": np.ones(3, np.float32)}, "invalid tensor 'weight'"),
        ({"weight": np.ones((3, 2), np.int32)}, "invalid tensor 'weight'"),
        (
            {"counts": np.zeros(3, np.float32)},
            "invalid tensor 'counts': found float32 of shape (3,), expected int64 of shape (3,)",
        ),
        (
            {"counts": np.zeros(4, np.int64)},
            "invalid tensor 'counts': found int64 of shape (4,), expected int64 of shape (3,)",
        ),
        ({"specials": ["<s>"]}, "the special word '<s>' is not in the vocabulary"),
        ({"specials": 3}, "invalid setting 'specials'"),
        ({"meta": 3}, "invalid setting 'meta': found 3, expected dict"),
        ({"spellings": 2}, "more 'spellings' than 'origins'"),
        ({"kinds": ["padding", "special", "found"]}, "there must be a kind for each of the 'origins'"),
        ({"kinds": ["padding", "special", "found", "made"]}, "invalid setting 'kinds'"),
        ({"origins": None}, "invalid setting 'origins'"),
        ({"vecload": "{"}, "Expecting property name"),
        ({"vecload": "[]"}, "the settings are not a JSON object"),
        ({"version": "99"}, "the file was saved by another version of vecload: found version 99"),
        ({"format": "pt"}, "not an aligned matrix that vecload saved."),
    ],
)
def test_load_of_damaged_file_raises_format_error(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    file = tmp_path / "e.safetensors"
    align(VECTORS, Vocab.from_counter({"cat": 3, "cow": 1}, specials=["<pad>"])).save(file)
    with safetensors.safe_open(file, framework="numpy") as plain:
        header = plain.metadata()
        tensors = {key: plain.get_tensor(key) for key in plain.keys()}  # noqa: SIM118
    kept = json.loads(header["vecload"])
    for key, value in change.items():
        (tensors if key in tensors else header if key in header else kept)[key] = value
    if "vecload" not in change:
        header["vecload"] = json.dumps(kept)
    save_file(tensors, file, metadata=header)
    with pytest.raises(FormatError, match=re.escape(problem)) as caught:
        Aligned.load(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_load_of_another_file_raises_format_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        Aligned.load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: not an aligned matrix that vecload saved: found a folder."
    with pytest.raises(FileNotFoundError):
        Aligned.load(tmp_path / "none")


def test_meta_with_any_values_is_saved(tmp_path: Path) -> None:
    source = Vectors(
        Words.from_strings(["cat"]), np.ones((1, 2), dtype=np.float32), {"source": tmp_path, "skipped": {}}
    )
    align(source, ["cat"]).save(tmp_path / "e.safetensors")
    assert Aligned.load(tmp_path / "e.safetensors").meta == {"source": str(tmp_path), "skipped": {}}


def test_load_checks_word_offsets(tmp_path: Path) -> None:
    """Compiled code would follow them anywhere."""
    file = tmp_path / "e.safetensors"
    align(VECTORS, ["cat", "dog"]).save(file)
    tensors = load_file(file)
    with safetensors.safe_open(file, framework="numpy") as opened:
        header = opened.metadata()
    for offsets in ([0, 3, 7], [0, 9, 6], [1, 3, 6], [0, -3, 6], [], [0, 2**60, 6]):
        save_file(tensors | {"words.offsets": np.array(offsets, dtype=np.int64)}, file, metadata=header)
        with pytest.raises(vecload.errors.FormatError, match=r"words\.offsets"):
            Aligned.load(file)


def test_found_rows_with_nan_do_not_change_drawn_rows() -> None:
    matrix = np.array([[1, np.nan], [2, 4], [4, 6]], dtype=np.float32)
    source = Vectors(Words.from_strings(["a", "b", "c"]), matrix)
    assert align(source, ["a", "b", "c", "x"], oov=["mean"]).matrix[3].tolist() == [3, 5]
    assert np.isfinite(align(source, ["a", "b", "c", "x"]).matrix[3]).all()


def test_aligned_is_read_only() -> None:
    aligned = align(VECTORS, ["cat"])
    for array in (aligned.matrix, aligned.origin):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_aligned_returns_rows_by_word_and_has_the_shape_of_its_matrix() -> None:
    vectors = Vectors(["cat", "dog"], np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))
    aligned = align(vectors, Vocab.from_words(["dog", "cat"], pad_token="<pad>", unk_token="<unk>"), oov=["zeros"])
    assert (len(aligned), aligned.shape, aligned.dim) == (4, (4, 3), 3)
    assert aligned.weight is aligned.matrix
    assert np.asarray(aligned) is aligned.matrix
    assert list(aligned) == ["<pad>", "<unk>", "dog", "cat"]
    assert "dog" in aligned
    assert "cow" not in aligned
    assert aligned["dog"].tolist() == [4, 5, 6]
    assert aligned[["cat", "<pad>"]].tolist() == [[1, 2, 3], [0, 0, 0]]
    assert aligned["cow"].tolist() == aligned["<unk>"].tolist()
    for row in (0, slice(1)):
        with pytest.raises(OptionError, match=r"aligned rows are looked up by word, got .*; use matrix\[\.\.\.\]"):
            aligned[row]  # type: ignore[index]
    with pytest.raises(MissingWordError, match="near words: 'dog'"):
        align(vectors, ["dog"])["dogs"]
