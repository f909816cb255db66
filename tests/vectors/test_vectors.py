"""`Vectors` as a value: construction, lookup, conversion to arrays."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
import torch

import vecload
from vecload import VecloadError, Vectors, Vocab, Words, align
from vecload.errors import MissingWordError, OptionError, VocabularyError


def pets() -> Vectors:
    return Vectors(["cat", "dog", "cow"], np.arange(6, dtype=np.float32).reshape(3, 2))


@pytest.mark.parametrize(
    "words",
    [
        ["cat", "dog"],
        ("cat", "dog"),
        iter(["cat", "dog"]),
        np.array(["cat", "dog"]),
        {"cat": 1, "dog": 2},
        Words.from_strings(["cat", "dog"]),
    ],
)
def test_vectors_accept_any_iterable_of_strings(words: object) -> None:
    vectors = Vectors(words, np.eye(2))  # type: ignore[arg-type]
    assert isinstance(vectors.words, Words)
    assert (list(vectors), "cat" in vectors, vectors["dog"].tolist()) == (["cat", "dog"], True, [0, 1])


@pytest.mark.parametrize("count", [2, 70, 5000])
def test_vectors_with_duplicate_words_raise(count: int) -> None:
    words = [f"w{at}" for at in range(count)]
    Vectors(words, np.ones((count, 1)))
    words[-1] = "w0"
    for given in (words, Words.from_strings(words)):
        with pytest.raises(VocabularyError, match="'w0' occurs twice among the words"):
            Vectors(given, np.ones((count, 1)))


@pytest.mark.parametrize(
    ("words", "matrix", "error", "message"),
    [
        ("cat", np.eye(3), OptionError, "words must be a list of strings, not one string: found 'cat'; pass ['cat']"),
        (["cat", 3], np.eye(2), OptionError, "words must be strings: found int at position 1"),
        ([b"cat"], np.eye(1), OptionError, "words must be strings: found bytes at position 0"),
        (["cat"], np.eye(2), OptionError, "1 words need a matrix of 1 rows, got shape (2, 2)"),
        (["cat"], np.ones(1), OptionError, "the matrix must have two dimensions (words, values), got shape (1,)"),
        (["cat"], [["x"]], OptionError, "the matrix must hold numbers, got <U1"),
        (["cat"], np.ones((1, 1), dtype=complex), OptionError, "the matrix must hold numbers, got complex128"),
        (["cat"], [[1], [1, 2]], OptionError, "the matrix cannot be converted to a NumPy array"),
        (["cat"], torch.ones(1, 1, requires_grad=True), OptionError, "the matrix cannot be converted"),
    ],
)
def test_vectors_with_invalid_arguments_raise(
    words: object, matrix: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        Vectors(words, matrix)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_matrix_is_shared_where_possible_and_always_read_only() -> None:
    matrix = np.eye(2, dtype=np.float32)
    vectors = Vectors(["a", "b"], matrix)
    assert np.shares_memory(vectors.matrix, matrix)
    assert matrix.flags.writeable
    assert not vectors.matrix.flags.writeable
    for given in (matrix.T[:, ::-1], matrix.astype(">f4"), matrix.tolist(), torch.eye(2)):
        stored = Vectors(["a", "b"], given).matrix
        assert stored.flags.c_contiguous
        assert stored.dtype.isnative
        assert np.array_equal(stored, np.asarray(given))


def test_asarray_returns_the_matrix_and_not_the_words() -> None:
    vectors = Vectors(["1", "2"], np.eye(2, dtype=np.float32))
    assert np.asarray(vectors).tolist() == [[1, 0], [0, 1]]
    assert np.asarray(vectors).dtype == np.float32
    assert np.shares_memory(np.asarray(vectors), vectors.matrix)
    assert np.asarray(vectors, dtype=float).dtype == np.float64
    copied = np.array(vectors)
    assert not np.shares_memory(copied, vectors.matrix)
    copied[0] = 5
    assert np.mean(vectors, axis=0).tolist() == [0.5, 0.5]  # type: ignore[call-overload]
    assert torch.from_numpy(np.array(vectors)).tolist() == [[1, 0], [0, 1]]


def test_asarray_obeys_copy_of_numpy_2() -> None:
    vectors = Vectors(["1", "2"], np.eye(2, dtype=np.float32))
    assert vectors.__array__(copy=False) is vectors.matrix
    assert not np.shares_memory(vectors.__array__(copy=True), vectors.matrix)
    with pytest.raises(ValueError, match="cannot convert float32 vectors to float64 without a copy"):
        vectors.__array__(np.dtype(np.float64), copy=False)
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        assert np.shares_memory(np.asarray(vectors, copy=False), vectors.matrix)
        with pytest.raises(ValueError, match="without a copy"):
            np.asarray(vectors, dtype=np.float16, copy=False)


def test_asarray_of_bfloat16_keeps_the_type_and_rounds_once() -> None:
    vectors = Vectors(["a"], np.array([[1.5, 2]], dtype=ml_dtypes.bfloat16))
    assert np.asarray(vectors).dtype == ml_dtypes.bfloat16
    assert np.asarray(vectors, dtype=np.float32).tolist() == [[1.5, 2]]
    # Rounding to float32 first would give 1.0.
    value = 1 + 2**-8 + 2**-30
    narrowed = np.asarray(Vectors(["a"], [[value]]), dtype=ml_dtypes.bfloat16)
    assert float(narrowed[0, 0]) == 1.0078125


@pytest.mark.parametrize(
    "look_up",
    [
        lambda v: v["horse"],
        lambda v: v[["cat", "horse"]],
        lambda v: v.select(["horse"]),
        lambda v: v.neighbors("horse", 1),
        lambda v: v.analogy("cat", "dog", "horse", 1),
        lambda v: Vocab.from_words(v)["horse"],
        lambda v: Vocab.from_words(v).encode(["cat", "horse"]),
        lambda v: align(v, ["cat"]).origin_of("horse"),
    ],
)
def test_missing_word_raises_a_key_error_with_a_readable_message(look_up: Callable[[Vectors], object]) -> None:
    with pytest.raises(KeyError) as caught:
        look_up(pets())
    assert isinstance(caught.value, VecloadError)
    assert isinstance(caught.value, VocabularyError)
    assert isinstance(caught.value, MissingWordError)
    assert caught.value.words == ("horse",)
    # KeyError would show the repr of its message, in quotes.
    assert "'horse'" in str(caught.value)
    assert not str(caught.value).startswith('"')


@pytest.mark.parametrize("key", [0, np.int64(1), [0], ["cat", None]])
def test_lookup_by_row_number_raises(key: object) -> None:
    with pytest.raises(OptionError, match="vectors are looked up by word, got"):
        pets()[key]  # type: ignore[index]


def test_select_of_a_repeated_word_raises() -> None:
    with pytest.raises(VocabularyError, match="'cat' occurs twice"):
        pets().select(["cat", "dog", "cat"])
    assert pets()[["cat", "dog", "cat"]].tolist() == [[0, 1], [2, 3], [0, 1]]


def test_opened_native_file_is_not_scanned_for_duplicates(tmp_path: object) -> None:
    path = f"{tmp_path}/v.safetensors"
    pets().save(path)
    assert vecload.load(path).words.distinct
