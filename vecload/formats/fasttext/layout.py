"""Layout of a fastText ``.bin`` or ``.ftz`` file: find the parts of a model and check their sizes.

All numbers are little-endian and not aligned::

    magic, version   int32 each; absent from files written before May 2017
    arguments        12 int32 and a float64
    dictionary       sizes: int32 entries, words, labels; int64 tokens
                     int64 number of kept buckets, -1 for a table that is not pruned (absent from old files)
                     entries: the bytes of a word, NUL, int64 count, uint8 kind (0 word, 1 label)
                     kept buckets: int32 bucket, int32 row
    input matrix     uint8, whether quantized (absent from old files); rows of the words, then of the n-grams
    output matrix    the same; only classifiers read it
    dense matrix     int64 rows, int64 columns, float32 values
    quantized        uint8, whether norms are quantized separately; int64 rows, int64 columns, int32 number of codes,
                     codes, quantizer; then norm codes and their quantizer
    quantizer        int32 dim, parts, values per part, values in the last part; 256 × dim float32 centroids

Sizes in the file are compared with the number of bytes left before anything is allocated.

Sources: fastText's ``fasttext.cc``, ``args.cc``, ``dictionary.cc``, ``densematrix.cc``, ``quantmatrix.cc``,
``productquantizer.cc`` and their history.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import FormatError
from vecload.formats.fasttext.entries import OVERHEAD, Entries, find_entries
from vecload.ngrams import LONGEST_NGRAM, DenseRows, NgramTable, QuantizedRows, Rows
from vecload.saved import MAX_DIM
from vecload.words import pack

if TYPE_CHECKING:
    import numpy.typing as npt

MAGIC: Final = b"\xba\x16\x4f\x2f"
VERSIONS: Final = (11, 12)
MODELS: Final = {1: "cbow", 2: "skipgram", 3: "supervised", 4: "sent2vec"}
"""Kinds of models. sent2vec adds its own to those of fastText; its words have no character n-grams."""
_SENT2VEC_CHARACTERS: Final = 5  # sent2vec's cbow with n-grams of words and of characters in two tables
LOSSES: Final = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
ARGUMENTS: Final = struct.Struct("<12id")
SIZES: Final = struct.Struct("<3iq")

# floret's args.cc has two more numbers, "mode" and "hashCount", before lrUpdateRate; magic and version are fastText's.
_FLORET_ARGUMENTS = struct.Struct("<14id")
LONGEST_WORD: Final = 1 << 16
"""Maximum number of bytes in a word, as in word2vec's files."""
# Composing a word takes time and memory for each of its n-grams. With a long word and a large maxn, a small file could
# make their number huge. With maxn = 6, the longest word has 400,000, and real models have a few per byte of the file.
_MOST_NGRAMS = 1 << 22
_NGRAMS_PER_BYTE = 64
_CENTROIDS = 256


class Arguments(NamedTuple):
    """Training arguments of a model, by fastText's names."""

    dim: int
    ws: int
    epoch: int
    minCount: int  # noqa: N815 - fastText's spelling
    neg: int
    wordNgrams: int  # noqa: N815
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lrUpdateRate: int  # noqa: N815
    t: float

    def problem(self) -> str | None:
        """Return why the arguments are invalid, or None."""
        if not 0 < self.dim <= MAX_DIM:
            return f"a dimension of {self.dim}"
        if self.model not in MODELS or self.loss not in LOSSES:
            return f"model {self.model} with loss {self.loss}"
        if not (0 <= self.minn <= LONGEST_NGRAM and 0 <= self.maxn <= LONGEST_NGRAM and self.bucket >= 0):
            return f"n-grams of {self.minn} to {self.maxn} characters in {self.bucket} buckets"
        return None


class Sizes(NamedTuple):
    """Number of entries in the dictionary, of words and labels among them, and of tokens in the training text."""

    entries: int
    words: int
    labels: int
    tokens: int

    def valid(self) -> bool:
        """Return whether the numbers are consistent."""
        return min(self) >= 0 and self.words + self.labels == self.entries


@dataclass(frozen=True, eq=False)
class Model:
    """Parts of a model: `data` and `offsets` are the packed words, `counts` (int64) their counts in training."""

    version: int | None
    arguments: Arguments
    tokens: int
    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    labels: list[str]
    label_counts: npt.NDArray[np.int64]
    quantized: bool
    matrix: Rows
    """Input matrix: the rows of words, then those of n-grams."""
    rows: Rows
    """Rows of the words themselves, to be averaged with the rows of their n-grams."""
    ngrams: NgramTable
    end: int
    """Number of bytes of the model. Further bytes in the file do not belong to it."""
    output: Rows | None
    """Output matrix; None if the file has none: finalfusion, for example, does not write one."""

    @property
    def longest_phrase(self) -> int:
        """Number of words in the longest n-gram of words."""
        return max(self.arguments.wordNgrams, 1) if self.ngrams.bucket > 0 else 1


class Cursor:
    """Read values from mapped bytes one after the other, after checking that the bytes exist."""

    def __init__(self, data: npt.NDArray[np.uint8], name: str) -> None:
        self.data = data
        self.name = name
        self.at = 0

    def error(self, problem: str, *, byte: int | None = None, **facts: Any) -> FormatError:
        """Return a `FormatError` at the current or given byte."""
        return FormatError(problem, file=self.name, byte=self.at if byte is None else byte, **facts)

    def need(self, count: int, what: str) -> None:
        """Raise an error if fewer than `count` bytes are left."""
        left = len(self.data) - self.at
        if count > left:
            hint = "Download or copy the file again."
            raise self.error(
                f"the file is shorter than its {what}", found=f"{left:,} bytes", expected=f"{count:,}", hint=hint
            )

    def array(self, dtype: str, count: int, what: str) -> npt.NDArray[Any]:
        """Return the next `count` values, as a view of the file."""
        size = np.dtype(dtype).itemsize * count
        self.need(size, what)
        values = self.data[self.at : self.at + size].view(dtype)
        self.at += size
        return values

    def unpack(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        """Unpack the next numbers."""
        return layout.unpack(self.array("u1", layout.size, what).tobytes())

    def number(self, code: str, what: str) -> int:
        """Read one integer of the given `struct` code."""
        (number,) = self.unpack(struct.Struct("<" + code), what)
        return int(number)


def looks_old(head: bytes) -> bool:
    """Return whether a file begins with the arguments and sizes of a model that has no magic number.

    Models written before May 2017 begin with 13 arguments and 4 sizes, all of which have to be plausible.
    """
    if len(head) < ARGUMENTS.size + SIZES.size:
        return False
    arguments = Arguments(*ARGUMENTS.unpack_from(head))
    sizes = Sizes(*SIZES.unpack_from(head, ARGUMENTS.size))
    small = all(0 <= value < 1 << 20 for value in (arguments.ws, arguments.epoch, arguments.neg, arguments.wordNgrams))
    return small and 0 < arguments.t < 1 and arguments.problem() is None and sizes.valid() and sizes.entries > 0


def parse(data: npt.NDArray[np.uint8], name: str, *, file: int | None = None) -> Model:
    """Find the parts of a model.

    Parameters
    ----------
    data
        All bytes of the file, mapped: uint8.
    name
        Name of the file, for error messages.
    file
        Descriptor of the file, if it is a plain one: see `DenseRows`.

    Raises
    ------
    FormatError
        If the file is not a fastText model, is cut short, or contains invalid sizes.
    """
    cursor = Cursor(data, name)
    version = None
    if data[:4].tobytes() == MAGIC:
        cursor.at = 4
        version = cursor.number("i", "header")
        if version not in VERSIONS:
            hint = "Load it with the program that wrote it, and save it again."
            raise cursor.error("unknown version of fastText's format", found=version, expected="11 or 12", hint=hint)
    arguments, sizes = _header(cursor)
    if version == 11 and MODELS[arguments.model] == "supervised":
        # Supervised models of version 11 were trained without character n-grams, whatever their arguments say
        # (`FastText::loadModel`).
        arguments = arguments._replace(maxn=0)
    pruned = -1 if version is None else cursor.number("q", "dictionary")
    if pruned < -1:
        raise cursor.error("invalid number of kept buckets", byte=cursor.at - 8, found=f"{pruned}")
    starts, stops, counts, _ = _entries(cursor, sizes)
    kept = cursor.array("<i4", 2 * max(0, pruned), "list of kept buckets").reshape(-1, 2)
    quantized = version is not None and bool(cursor.number("B", "input matrix"))
    rows = (_quantized if quantized else _dense)(cursor, "input matrix", file)
    ngrams = _table(cursor, arguments, sizes.words, rows, kept if pruned >= 0 else None, eos_ngrams=version is None)
    output: DenseRows | QuantizedRows | None = None
    if cursor.at < len(data):
        # Vectors do not use the output matrix, but it shows whether a file is cut short.
        flat = version is None or not (cursor.number("B", "output matrix") and quantized)
        output = (_dense if flat else _quantized)(cursor, "output matrix", None)
    packed, offsets = pack(data, starts[: sizes.words], stops[: sizes.words])
    _check_ngrams(cursor, ngrams, offsets)
    labels = [
        data[start:stop].tobytes().decode("utf-8", "surrogateescape")
        for start, stop in zip(starts[sizes.words :].tolist(), stops[sizes.words :].tolist(), strict=True)
    ]
    return Model(
        version=version,
        arguments=arguments,
        tokens=sizes.tokens,
        data=packed,
        offsets=offsets,
        counts=counts[: sizes.words],
        labels=labels,
        label_counts=counts[sizes.words :],
        quantized=quantized,
        matrix=rows,
        rows=rows[: sizes.words],
        ngrams=ngrams,
        end=cursor.at,
        output=output,
    )


def _check_ngrams(cursor: Cursor, ngrams: NgramTable, offsets: npt.NDArray[np.int64]) -> None:
    """Refuse a model whose words have more n-grams than any trained model: see `_MOST_NGRAMS`."""
    largest = total = 0
    for at in row_blocks(len(offsets) - 1):
        most = ngrams.most_ngrams(offsets[at.start : at.stop + 1])
        largest, total = max(largest, int(most.max())), total + int(most.sum())
    if largest <= _MOST_NGRAMS and total <= max(_MOST_NGRAMS, _NGRAMS_PER_BYTE * len(cursor.data)):
        return
    found = f"{largest:,} for one word and {total:,} for all, with n-grams of up to {ngrams.maxn} characters"
    hint = "The file is damaged, or was made to exhaust memory."
    raise cursor.error("too many n-grams", byte=0, found=found, hint=hint)


def _header(cursor: Cursor) -> tuple[Arguments, Sizes]:
    """Read arguments and sizes; recognize floret models by their longer arguments.

    floret models share magic and version with fastText, but two more arguments move all later fields by 8 bytes, so
    their sizes are invalid at fastText's offsets and valid at floret's.
    """
    begin = cursor.at
    arguments = Arguments(*cursor.unpack(ARGUMENTS, "arguments"))
    sizes = Sizes(*cursor.unpack(SIZES, "dictionary"))
    problem = arguments.problem()
    if problem is None and sizes.valid():
        return arguments, sizes
    head = cursor.data[begin : begin + _FLORET_ARGUMENTS.size + SIZES.size].tobytes()
    if len(head) == _FLORET_ARGUMENTS.size + SIZES.size:
        numbers = _FLORET_ARGUMENTS.unpack_from(head)
        longer = Arguments(*numbers[:11], *numbers[13:])
        if longer.problem() is None and Sizes(*SIZES.unpack_from(head, _FLORET_ARGUMENTS.size)).valid():
            hint = "Load the table that floret writes with it (.floret)."
            raise FormatError("not a fastText model", file=cursor.name, found="a floret model (.bin)", hint=hint)
    if arguments.model == _SENT2VEC_CHARACTERS:
        hint = "Export its word vectors as text with the program that trained it: ./fasttext print-word-vectors MODEL."
        found = "a sent2vec model with character n-grams"
        raise FormatError("not a fastText model", file=cursor.name, found=found, hint=hint)
    found = problem or f"{sizes.entries} entries, {sizes.words} words, {sizes.labels} labels, {sizes.tokens} tokens"
    hint = "The file is damaged, or is not a fastText model."
    raise cursor.error("invalid header", byte=begin, found=found, hint=hint)


def _entries(cursor: Cursor, sizes: Sizes) -> Entries:
    """Return the dictionary entries: words first, then labels."""
    # Every entry takes at least these bytes, so its arrays are at most as large as the file.
    cursor.need(sizes.entries * OVERHEAD, "dictionary")
    entries, whole, end = find_entries(cursor.data, cursor.at, sizes.entries, LONGEST_WORD)
    rest = cursor.data[end : end + LONGEST_WORD + 1]
    if whole < sizes.entries and len(rest) > LONGEST_WORD and rest.all():
        found = f"no NUL in {LONGEST_WORD:,} bytes"
        raise cursor.error("unterminated word", byte=end, found=found, hint="The file is damaged.")
    if whole < sizes.entries:
        hint = "Download or copy the file again."
        raise cursor.error(
            "the dictionary is cut short",
            byte=end,
            found=f"{whole:,} entries",
            expected=f"{sizes.entries:,}",
            hint=hint,
        )
    cursor.at = end
    if entries.kinds[: sizes.words].any() or not (entries.kinds[sizes.words :] == 1).all():
        raise cursor.error(
            "the dictionary does not have all words before all labels", expected=f"{sizes.words:,} words first"
        )
    return entries


def _dense(cursor: Cursor, what: str, file: int | None) -> DenseRows:
    rows, dim = (cursor.number("q", what) for _ in range(2))
    if rows < 0 or not 0 < dim <= MAX_DIM:
        raise cursor.error(f"invalid {what}", found=f"{rows} rows of {dim} values")
    begin = cursor.at
    values = cursor.array("<f4", rows * dim, what)
    return DenseRows(values.reshape(rows, dim), file=file, offset=begin)


def _quantized(cursor: Cursor, what: str, file: int | None) -> QuantizedRows:  # noqa: ARG001 - called like `_dense`
    norms = bool(cursor.number("B", what))
    rows, dim, size = cursor.number("q", what), cursor.number("q", what), cursor.number("i", what)
    if rows < 0 or not 0 < dim <= MAX_DIM:
        raise cursor.error(f"invalid {what}", found=f"{rows} rows of {dim} values")
    begin = cursor.at
    codes = cursor.array("u1", max(0, size), what)
    width, centroids = _quantizer(cursor, what, dim)
    parts = -(-dim // width)
    if size != rows * parts:
        raise cursor.error(f"invalid {what}", byte=begin, found=f"{size} codes", expected=f"{rows} times {parts}")
    norm_codes, norm_centroids = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.float32)
    if norms:
        norm_codes = cursor.array("u1", rows, what)
        _, norm_centroids = _quantizer(cursor, what, 1)
    return QuantizedRows(codes.reshape(rows, parts), centroids, width, norm_codes, norm_centroids)


def _quantizer(cursor: Cursor, what: str, dim: int) -> tuple[int, npt.NDArray[np.float32]]:
    """Return the number of values in a part, and all centroids."""
    begin = cursor.at
    numbers = cursor.unpack(struct.Struct("<4i"), what)
    width = numbers[2]
    if width <= 0 or numbers != (dim, -(-dim // width), width, dim % width or width):
        found = "dim {}, {} parts of {}, the last of {}".format(*numbers)
        raise cursor.error(f"the quantizer does not match the {what}", byte=begin, found=found, expected=f"dim {dim}")
    # A copy is aligned, as kernels require, and small.
    return width, cursor.array("<f4", _CENTROIDS * dim, what).copy()


def _table(
    cursor: Cursor,
    arguments: Arguments,
    words: int,
    rows: DenseRows | QuantizedRows,
    kept: npt.NDArray[Any] | None,
    *,
    eos_ngrams: bool,
) -> NgramTable:
    """Return the n-gram table: the rows after those of the words, with the rule that selects them.

    `eos_ngrams` is True for files without a version. fastText gave ``</s>`` n-grams when it wrote them (before its
    commits ebbd3bf and c9de932 of 2017), and the ``.vec`` files published with them contain these vectors.
    """
    count, dim = rows.shape
    if dim != arguments.dim:
        raise cursor.error("wrong dimension of the input matrix", found=f"{dim}", expected=arguments.dim)
    if count < words:
        raise cursor.error("too few rows in the input matrix", found=f"{count:,}", expected=f"{words:,} words")
    ngram_rows = count - words
    bucket = arguments.bucket
    if kept is not None and len(kept) == 0 and isinstance(rows, DenseRows) and ngram_rows == bucket:
        # 0 kept buckets means "pruned to nothing", but some files of May 2017 have it for "not pruned", which fastText
        # fixed in its commit b17497c. Only the latter files have the rows of all buckets.
        kept = None
    if kept is None and ngram_rows < bucket:
        # A model without any n-grams may state a number of buckets that it does not have.
        if ngram_rows or arguments.maxn or arguments.wordNgrams > 1:
            raise cursor.error(
                "too few n-gram rows in the input matrix", found=f"{ngram_rows:,}", expected=f"{bucket:,}"
            )
        bucket = 0
    if kept is not None and len(kept) and not (kept[:, 1].min() >= 0 and kept[:, 1].max() < ngram_rows):
        raise cursor.error("a kept bucket has no row", found=f"row {kept[:, 1].max()}", expected=f"{ngram_rows:,} rows")
    minn, maxn = arguments.minn, arguments.maxn
    return NgramTable(rows[words:], minn=minn, maxn=maxn, bucket=bucket, kept=kept, eos_ngrams=eos_ngrams)
