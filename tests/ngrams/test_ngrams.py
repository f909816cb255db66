"""`NgramTable` compared with a slow reference, the official fastText and floret rules, and published values."""

import pickle
from pathlib import Path

import fasttext
import gensim
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import fasttext as slow
from tests.strategies import NGRAM_LENGTHS, raw_words
from vecload.errors import OptionError
from vecload.ngrams import DenseRows, NgramTable, QuantizedRows
from vecload.words import Words

DATA = Path(gensim.__file__).parent / "test" / "test_data"
WORDS = ["cat", "naïve", "北海道", "日", "🙂👍🏽", "e\u0301", "a", "", "</s>", "a b", "\udcff\udce3x", "x" * 300]
RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(97, 5)).astype(np.float32)


def rows_of(table: NgramTable, words: Words) -> list[list[int]]:
    rows, ends = table.find_rows(words.data, words.offsets)
    return [part.tolist() for part in np.split(rows, ends[:-1])]


def expected(table: NgramTable, matrix: np.ndarray, raws: list[bytes]) -> np.ndarray:
    kept = None if table.kept is None else dict(table.kept.tolist())
    means = []
    for raw in raws:
        rows = slow.fasttext_rows(raw, table.minn, table.maxn, table.bucket, kept)
        means.append(slow.mean([matrix[row] for row in rows]) if rows else np.zeros(matrix.shape[1]))
    return np.array(means, dtype=np.float32)


@given(raw_words(40, min_count=1, max_count=5), NGRAM_LENGTHS, st.integers(0, 97))
def test_fasttext_table_finds_rows_of_any_bytes(raws: list[bytes], sizes: tuple[int, int], bucket: int) -> None:
    minn, maxn = sizes
    table = NgramTable(MATRIX, minn=minn, maxn=maxn, bucket=bucket)
    words = Words.from_bytes(raws)
    assert rows_of(table, words) == [slow.fasttext_rows(raw, minn, maxn, bucket) for raw in raws]
    assert np.array_equal(table.vectors(words), expected(table, MATRIX, raws))
    for word, raw in zip(words, raws, strict=True):
        ngrams = [ngram.encode("utf-8", "surrogateescape") for ngram in table.ngrams(word)]
        assert ngrams == ([] if raw == b"</s>" else slow.ngrams(raw, minn, maxn))


@given(
    raw_words(40, min_count=1, max_count=4),
    NGRAM_LENGTHS,
    st.integers(1, 4),
    st.sampled_from(["<", "[", "<<", "«", ""]),
    st.integers(0, 2**32 - 1),
)
def test_floret_table_finds_rows_of_any_bytes(
    raws: list[bytes], sizes: tuple[int, int], hashes: int, mark: str, seed: int
) -> None:
    minn, maxn = sizes
    options = {"bow": mark, "eow": mark, "seed": seed}
    table = NgramTable(MATRIX, minn=minn, maxn=maxn, kind="floret", hash_count=hashes, **options)
    marks = {"bow": mark.encode(), "eow": mark.encode()}
    words = Words.from_bytes(raws)
    assert rows_of(table, words) == [slow.floret_rows(raw, minn, maxn, 97, hashes, seed=seed, **marks) for raw in raws]
    for word, raw in zip(words, raws, strict=True):
        ngrams = [ngram.encode("utf-8", "surrogateescape") for ngram in table.ngrams(word)]
        whole = [mark.encode() + raw + mark.encode()] if raw else []
        assert ngrams == whole + slow.ngrams(raw, minn, maxn, **marks)


@given(st.dictionaries(st.integers(0, 499), st.integers(0, 96), max_size=300), st.binary(max_size=30))
def test_pruned_table_uses_only_kept_buckets(kept: dict[int, int], raw: bytes) -> None:
    pairs = np.array(list(kept.items()), dtype=np.int32).reshape(-1, 2)
    table = NgramTable(MATRIX, minn=2, maxn=4, bucket=500, kept=pairs)
    words = Words.from_bytes([raw])
    assert rows_of(table, words) == [slow.fasttext_rows(raw, 2, 4, 500, kept)]
    assert np.array_equal(table.vectors(words), expected(table, MATRIX, [raw]))
    assert table.counts(words).tolist() == [len(slow.fasttext_rows(raw, 2, 4, 500, kept))]


def test_pruned_table_uses_last_row_of_duplicate_bucket() -> None:
    table = NgramTable(MATRIX, minn=3, maxn=3, bucket=1, kept=np.array([[0, 5], [0, 7]]))
    assert np.array_equal(table["a"], MATRIX[7])


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=8), st.integers(0, 5), st.integers(1, 97))
def test_sum_word_ngrams_equals_slow_reference(raws: list[bytes], length: int, bucket: int) -> None:
    table = NgramTable(MATRIX, minn=0, maxn=0, bucket=bucket)
    total, count = table.sum_word_ngrams(Words.from_bytes(raws), length)
    rows = slow.phrase_rows(raws, length, bucket)
    assert count == len(rows)
    np.testing.assert_allclose(total, sum((MATRIX[row] for row in rows), np.zeros(5)), atol=1e-5)


HASHES = {
    "команда": 1725507386,
    "маленьких": 3011324125,
    "друзей": 737001801,
    "возит": 4225261911,
    "грузы": 1301826944,
    "всех": 706328732,
    "быстрей": 1379730754,
    "mysterious": 1903186891,
    "asteroid": 1988297200,
    "odyssey": 310195777,
    "introduction": 2848265721,
    "北海道": 4096045468,
    "札幌": 3909947444,
    "西区": 3653372632,
}


def test_fasttext_hashes_equal_published_values() -> None:
    """Values of gensim's FTHashFunctionsTest; each table has exactly the row that the hash of the word selects."""
    for word, answer in HASHES.items():
        assert slow.fnv(word.encode()) == answer
        raw = word.encode()
        inside = Words.from_bytes([raw])
        bucket = 2**31 - 1
        table = NgramTable(MATRIX, minn=len(word), maxn=len(word), bucket=bucket, kept=np.array([[answer % bucket, 3]]))
        assert rows_of(table, inside) == [[3]]


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("test", "<te <tes <test tes test test> est est> st>"),
        ("テスト", "<テス <テスト <テスト> テスト テスト> スト>"),
        ("試し", "<試し <試し> 試し>"),
    ],
)
def test_ngrams_equal_published_values(word: str, answer: str) -> None:
    """Values of gensim's NgramsTest."""
    assert NgramTable(MATRIX, minn=3, maxn=5).ngrams(word) == answer.split()


def test_floret_rows_equal_published_values() -> None:
    """Values of spaCy's test_vectors.py, which orders n-grams by length; floret orders them by position."""
    ngrams = "<der> <d de er r> <de der er>".split()
    rows = np.reshape([5, 6, 7, 5, 8, 2, 8, 9, 3, 3, 4, 6, 7, 3, 0, 2], (-1, 2))
    answer = dict(zip(ngrams, rows.tolist(), strict=True))
    table = NgramTable(MATRIX[:10], minn=2, maxn=3, kind="floret", hash_count=2)
    assert table.ngrams("der") == "<der> <d <de de der er er> r>".split()
    assert rows_of(table, Words.from_strings(["der"])) == [
        [row for ngram in table.ngrams("der") for row in answer[ngram]]
    ]


def test_slow_murmur_equals_published_values() -> None:
    """Reference values of the public-domain SMHasher implementation, seed 0."""
    assert slow.murmur(b"", 0) == (0, 0)
    assert slow.murmur(b"The quick brown fox jumps over the lazy dog", 0) == (0xE34BBC7BBC071B6C, 0x7A433CA9C49A9347)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> "fasttext.FastText._FastText":
    path = tmp_path_factory.mktemp("fasttext") / "corpus.txt"
    path.write_text("the cat naïve 北海道 の 日本 🙂 sat\n" * 5)
    return fasttext.train_unsupervised(str(path), dim=7, bucket=500, minCount=1, epoch=1, minn=1, maxn=5, verbose=0)


def test_table_equals_official_fasttext(official: "fasttext.FastText._FastText") -> None:
    known = len(official.get_words())
    table = NgramTable(official.get_input_matrix()[known:], minn=1, maxn=5)
    for word in WORDS:
        if "\udcff" in word or word in official.get_words():
            continue
        texts, rows = official.get_subwords(word)
        assert table.ngrams(word) == texts
        assert rows_of(table, Words.from_strings([word])) == [(rows - known).tolist()]
        np.testing.assert_allclose(table[word], official.get_word_vector(word), atol=1e-7)


def quantized(width: int, *, norms: bool) -> tuple[QuantizedRows, np.ndarray]:
    """Quantized rows, and the same rows decoded one by one as in fastText's quantmatrix.cc."""
    dim, count = 7, 50
    parts = -(-dim // width)
    codes = RNG.integers(0, 256, (count, parts), dtype=np.uint8)
    centroids = RNG.normal(size=256 * dim).astype(np.float32)
    norm_codes = RNG.integers(0, 256, count if norms else 0, dtype=np.uint8)
    factors = RNG.normal(size=256 if norms else 0).astype(np.float32)
    rows = np.zeros((count, dim), dtype=np.float32)
    for row in range(count):
        for part in range(parts):
            size = (dim % width or width) if part == parts - 1 else width
            begin = part * 256 * width + int(codes[row, part]) * size
            rows[row, part * width : part * width + size] = centroids[begin : begin + size]
        if norms:
            rows[row] *= factors[norm_codes[row]]
    return QuantizedRows(codes, centroids, width, norm_codes, factors), rows


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 7, 9])
def test_quantized_rows_decode_as_in_fasttext(width: int, norms: bool) -> None:
    rows, dense = quantized(width, norms=norms)
    assert rows.shape == dense.shape
    np.testing.assert_array_equal(rows.take(np.array([3, 3, 49]), sparse=True), dense[[3, 3, 49]])
    with pytest.MonkeyPatch.context() as patch:  # in a process without numba, NumPy decodes
        patch.setattr("vecload.ngrams.rows.numba_loaded", lambda: False)
        np.testing.assert_array_equal(rows.take(np.array([3, -1, 3, 50, 49]), sparse=True)[::2], dense[[3, 3, 49]])
        assert not rows.take(np.array([-1, 50]), sparse=True).any()
        assert rows.take(np.empty(0, dtype=np.int64), sparse=True).shape == (0, rows.shape[1])
    words = Words.from_strings(WORDS)
    table = NgramTable(rows, minn=2, maxn=4)
    np.testing.assert_allclose(table.vectors(words), NgramTable(dense, minn=2, maxn=4).vectors(words), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_table_of_any_float_type_gives_float32_vectors(dtype: "np.typing.DTypeLike") -> None:
    stored = MATRIX.astype(dtype)
    table = NgramTable(stored, minn=3, maxn=6)
    answer = NgramTable(stored.astype(np.float32), minn=3, maxn=6).vectors(WORDS)
    np.testing.assert_array_equal(table.vectors(WORDS), answer)


def test_vectors_are_equal_whether_rows_are_read_or_mapped(tmp_path: Path) -> None:
    rows = RNG.normal(size=(70_000, 64)).astype(np.float32)
    (tmp_path / "rows").write_bytes(b"odd" + rows.tobytes())  # not aligned
    mapped = np.memmap(tmp_path / "rows", dtype=np.uint8, mode="r")[3:].view(np.float32).reshape(rows.shape)
    with (tmp_path / "rows").open("rb") as file:
        table = NgramTable(DenseRows(mapped, file=file.fileno(), offset=3), minn=3, maxn=6)
    many = Words.from_strings(f"word{number}" for number in range(3000))
    few = many[:20]
    answer = NgramTable(rows, minn=3, maxn=6).vectors(many)
    assert np.array_equal(table.vectors(few), answer[:20])
    assert np.array_equal(table.vectors(many), answer)
    assert np.array_equal(pickle.loads(pickle.dumps(table)).vectors(few), answer[:20])


def test_vectors_of_many_words_equal_vectors_of_single_words() -> None:
    words = Words.from_bytes([RNG.bytes(number % 50) for number in range(9000)])
    table = NgramTable(MATRIX, minn=3, maxn=6)
    assert table.most_ngrams(words.offsets).sum() > 3 << 17  # several blocks of n-grams
    together = table.vectors(words)
    for number in range(0, 9000, 700):
        assert np.array_equal(together[number], table[words[number]])
    assert np.array_equal(table.counts(words) > 0, together.any(axis=1))


def test_vectors_of_words_without_ngrams_are_zeros() -> None:
    table = NgramTable(MATRIX, minn=1, maxn=3)
    words = ["\ud800", "</s>", "ok"]
    assert table.counts(words).tolist() == [0, 0, 7]
    assert not table.vectors(words)[:2].any()
    assert table.vectors([]).shape == (0, 5)


def test_pickling_keeps_rows_and_settings() -> None:
    kept = np.array([[4, 0], [2, 1]], dtype=np.int32)
    table = pickle.loads(pickle.dumps(NgramTable(MATRIX, minn=2, maxn=3, bucket=9, kept=kept)))
    assert table.settings == NgramTable(MATRIX, minn=2, maxn=3, bucket=9).settings
    assert table.kept.tolist() == [[2, 1], [4, 0]]
    assert repr(table) == "<NgramTable: 97 rows × 5, fasttext, 2 to 3 characters>"


@pytest.mark.parametrize(
    "options",
    [
        {"minn": -1},
        {"maxn": -1},
        {"maxn": 1 << 20},
        {"bucket": 98},
        {"bucket": -1},
        {"bucket": 1 << 31, "kept": np.array([[0, 0]])},
        {"kept": np.array([[0, 97]])},
        {"kept": np.array([[0, -1]])},
        {"kind": "murmur"},
        {"kind": "floret", "hash_count": 5},
        {"kind": "floret", "seed": 1 << 32},
        {"kind": "floret", "kept": np.array([[0, 0]])},
    ],
)
def test_table_with_invalid_options_raises(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        NgramTable(MATRIX, **{"minn": 3, "maxn": 6, **options})
