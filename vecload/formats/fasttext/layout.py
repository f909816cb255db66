"""What lies in a fastText ``.bin`` or ``.ftz`` file, and where: sizes are checked before anything is made of them.

::

    magic, version   int32 each; absent in files from before May 2017
    arguments        twelve int32 and a float64
    dictionary       sizes; entries (a word, NUL, its count, its kind); which buckets a pruned table kept
    input            uint8, whether quantised (absent in old files); rows of the words, then of the n-grams
    output           the same; only its size is looked at

Sources: fastText's ``fasttext.cc``, ``args.cc``, ``dictionary.cc``, ``densematrix.cc``, ``quantmatrix.cc``,
``productquantizer.cc`` and their history.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.errors import FormatError
from vecload.ngrams import LONGEST_NGRAM, DenseRows, NgramTable, QuantizedRows, Rows
from vecload.saved import MAX_DIM
from vecload.words import pack, read_only

if TYPE_CHECKING:
    import numpy.typing as npt

MAGIC: Final = b"\xba\x16\x4f\x2f"
VERSIONS: Final = (11, 12)
MODELS: Final = {1: "cbow", 2: "skipgram", 3: "supervised"}
LOSSES: Final = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
ARGUMENTS: Final = struct.Struct("<12id")
SIZES: Final = struct.Struct("<3iq")

_FLORET_ARGUMENTS = struct.Struct("<14id")  # two more, of which the first is 2 in its own mode
LONGEST_WORD: Final = 1 << 16
"""Bytes in the longest word of a dictionary, as in word2vec's files."""
_MOST_NGRAMS = 1 << 22  # of one word: a model of n-grams of 6 characters has 400,000 for the longest word
_NGRAMS_PER_BYTE = 64  # of the file: real models have a few for each byte
_CENTROIDS = 256


class Arguments(NamedTuple):
    """What the model was trained with, by fastText's names for it."""

    dim: int
    ws: int
    epoch: int
    minCount: int  # noqa: N815 - fastText's name
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
        """What cannot be, or None."""
        if not 0 < self.dim <= MAX_DIM:
            return f"a dimension of {self.dim}"
        if self.model not in MODELS or self.loss not in LOSSES:
            return f"model {self.model} with loss {self.loss}"
        if not (0 <= self.minn <= LONGEST_NGRAM and 0 <= self.maxn <= LONGEST_NGRAM and self.bucket >= 0):
            return f"n-grams of {self.minn} to {self.maxn} characters in {self.bucket} buckets"
        return None


class Sizes(NamedTuple):
    """Numbers of entries in the dictionary, and of words read in training."""

    entries: int
    words: int
    labels: int
    tokens: int

    def possible(self) -> bool:
        """Whether they can belong to a dictionary."""
        return min(self) >= 0 and self.words + self.labels == self.entries


@dataclass(frozen=True, eq=False)
class Model:
    """A model's parts. `data`, `offsets` are its packed words, `counts` (int64) how often each came in training."""

    version: int | None
    arguments: Arguments
    tokens: int
    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    labels: list[str]
    quantised: bool
    rows: Rows
    """Of the words, without their n-grams."""
    ngrams: NgramTable
    end: int
    """Bytes in all; what lies behind is no part of it."""
    output: bool
    """Whether the output matrix is there; some writers leave it out."""


class Cursor:
    """Takes things from mapped bytes, one behind the other, and never more than there are."""

    def __init__(self, data: npt.NDArray[np.uint8], name: str) -> None:
        self.data = data
        self.name = name
        self.at = 0

    def error(self, problem: str, *, byte: int | None = None, **sides: Any) -> FormatError:
        """A `FormatError` at this place."""
        return FormatError(problem, file=self.name, byte=self.at if byte is None else byte, **sides)

    def need(self, count: int, what: str) -> None:
        """Raise if there are not so many bytes to come."""
        left = len(self.data) - self.at
        if count > left:
            hint = "Download or copy the file again."
            raise self.error(
                f"the file is shorter than its {what}", found=f"{left:,} bytes", expected=f"{count:,}", hint=hint
            )

    def array(self, dtype: str, count: int, what: str) -> npt.NDArray[Any]:
        """So many values, where they lie."""
        size = np.dtype(dtype).itemsize * count
        self.need(size, what)
        values = self.data[self.at : self.at + size].view(dtype)
        self.at += size
        return values

    def unpack(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        """A few numbers."""
        return layout.unpack(self.array("u1", layout.size, what).tobytes())

    def number(self, code: str, what: str) -> int:
        """One whole number."""
        (number,) = self.unpack(struct.Struct("<" + code), what)
        return int(number)


def looks_old(head: bytes) -> bool:
    """Whether a file begins with the arguments and sizes of a model from before there was a magic number."""
    if len(head) < ARGUMENTS.size + SIZES.size:
        return False
    arguments = Arguments(*ARGUMENTS.unpack_from(head))
    sizes = Sizes(*SIZES.unpack_from(head, ARGUMENTS.size))
    small = all(0 <= value < 1 << 20 for value in (arguments.ws, arguments.epoch, arguments.neg, arguments.wordNgrams))
    return small and 0 < arguments.t < 1 and arguments.problem() is None and sizes.possible() and sizes.entries > 0


def parse(data: npt.NDArray[np.uint8], name: str, *, file: int | None = None) -> Model:
    """Find the parts of a model.

    Parameters
    ----------
    data
        All its bytes, mapped: uint8.
    name
        For error messages.
    file
        Descriptor of the file itself, where it is a plain one: see `DenseRows`.

    Raises
    ------
    FormatError
        When it is none, is cut short, or says of itself what cannot be.
    """
    cursor = Cursor(data, name)
    version = None
    if data[:4].tobytes() == MAGIC:
        cursor.at = 4
        version = cursor.number("i", "header")
        if version not in VERSIONS:
            hint = "Load it with the program that wrote it, and save it anew."
            raise cursor.error(
                "a version of fastText's format that is not known", found=version, expected="11 or 12", hint=hint
            )
    arguments, sizes = _header(cursor)
    if version == 11 and MODELS[arguments.model] == "supervised":
        arguments = arguments._replace(maxn=0)  # trained without n-grams, whatever they say
    pruned = -1 if version is None else cursor.number("q", "dictionary")
    if pruned < -1:
        raise cursor.error("the map of the pruned table cannot be", byte=cursor.at - 8, found=f"{pruned} entries")
    starts, stops, counts = _entries(cursor, sizes)
    kept = cursor.array("<i4", 2 * max(0, pruned), "map of the pruned table").reshape(-1, 2)
    quantised = version is not None and bool(cursor.number("B", "input matrix"))
    rows = (_quantised if quantised else _dense)(cursor, "input matrix", file)
    ngrams = _table(cursor, arguments, sizes.words, rows, kept if pruned >= 0 else None, eos_ngrams=version is None)
    output = cursor.at < len(data)
    if output:
        flat = version is None or not (cursor.number("B", "output matrix") and quantised)
        (_dense if flat else _quantised)(cursor, "output matrix", None)
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
        quantised=quantised,
        rows=rows[: sizes.words],
        ngrams=ngrams,
        end=cursor.at,
        output=output,
    )


def _check_ngrams(cursor: Cursor, ngrams: NgramTable, offsets: npt.NDArray[np.int64]) -> None:
    """Refuse a model whose words ask for more n-grams than any training would make.

    The work for a word grows with its length times `maxn`, and a file controls both.
    """
    most = ngrams.most_ngrams(offsets)
    total = int(most.sum())
    if not len(most) or (
        most.max() <= _MOST_NGRAMS and total <= max(_MOST_NGRAMS, _NGRAMS_PER_BYTE * len(cursor.data))
    ):
        return
    found = f"{int(most.max()):,} for one word and {total:,} for all, with n-grams of up to {ngrams.maxn} characters"
    raise cursor.error("too many n-grams", byte=0, found=found, hint="The file is damaged, or made to exhaust memory.")


def _header(cursor: Cursor) -> tuple[Arguments, Sizes]:
    """Arguments and sizes; a floret model, which begins alike, is told by having neither in their places."""
    begin = cursor.at
    arguments = Arguments(*cursor.unpack(ARGUMENTS, "arguments"))
    sizes = Sizes(*cursor.unpack(SIZES, "dictionary"))
    problem = arguments.problem()
    if problem is None and sizes.possible():
        return arguments, sizes
    head = cursor.data[begin : begin + _FLORET_ARGUMENTS.size + SIZES.size].tobytes()
    if len(head) == _FLORET_ARGUMENTS.size + SIZES.size:
        numbers = _FLORET_ARGUMENTS.unpack_from(head)
        longer = Arguments(*numbers[:11], *numbers[13:])
        if longer.problem() is None and Sizes(*SIZES.unpack_from(head, _FLORET_ARGUMENTS.size)).possible():
            hint = "Load the table floret writes beside it (.floret)."
            raise FormatError("not a fastText model", file=cursor.name, found="a floret model (.bin)", hint=hint)
    found = problem or f"{sizes.entries} entries, {sizes.words} words, {sizes.labels} labels, {sizes.tokens} tokens"
    hint = "The file is damaged, or no fastText model."
    raise cursor.error("numbers that cannot be", byte=begin, found=found, hint=hint)


def _entries(cursor: Cursor, sizes: Sizes) -> tuple[npt.NDArray[Any], ...]:
    """Starts, stops and counts of the dictionary's entries: words first, then labels."""
    from vecload.kernels import fasttext_entries

    cursor.need(sizes.entries * fasttext_entries.ENTRY_OVERHEAD, "dictionary")
    starts, stops, counts = np.empty((3, sizes.entries), dtype=np.int64)
    kinds = np.empty(sizes.entries, dtype=np.uint8)
    bytes_of = read_only(cursor.data)
    whole, behind = fasttext_entries.find_entries(bytes_of, cursor.at, LONGEST_WORD, starts, stops, counts, kinds)
    rest = cursor.data[behind : behind + LONGEST_WORD + 1]
    if whole < sizes.entries and len(rest) > LONGEST_WORD and rest.all():
        found = f"no NUL in {LONGEST_WORD:,} bytes"
        raise cursor.error("a word without end", byte=behind, found=found, hint="The file is damaged.")
    if whole < sizes.entries:
        hint = "Download or copy the file again."
        raise cursor.error(
            "the dictionary is cut short",
            byte=behind,
            found=f"{whole:,} entries",
            expected=f"{sizes.entries:,}",
            hint=hint,
        )
    cursor.at = behind
    if kinds[: sizes.words].any() or not (kinds[sizes.words :] == 1).all():
        raise cursor.error(
            "words and labels are not where the dictionary says", expected=f"{sizes.words:,} words first"
        )
    return starts, stops, counts


def _dense(cursor: Cursor, what: str, file: int | None) -> DenseRows:
    rows, dim = (cursor.number("q", what) for _ in range(2))
    if rows < 0 or not 0 < dim <= MAX_DIM:
        raise cursor.error(f"the {what} cannot be", found=f"{rows} rows of {dim} values")
    begin = cursor.at
    values = cursor.array("<f4", rows * dim, what)
    return DenseRows(values.reshape(rows, dim), file=file, offset=begin)


def _quantised(cursor: Cursor, what: str, file: int | None) -> QuantizedRows:  # noqa: ARG001 - as `_dense`
    norms = bool(cursor.number("B", what))
    rows, dim, size = cursor.number("q", what), cursor.number("q", what), cursor.number("i", what)
    if rows < 0 or not 0 < dim <= MAX_DIM:
        raise cursor.error(f"the {what} cannot be", found=f"{rows} rows of {dim} values")
    begin = cursor.at
    codes = cursor.array("u1", max(0, size), what)
    width, centroids = _quantiser(cursor, what, dim)
    parts = -(-dim // width)
    if size != rows * parts:
        raise cursor.error(f"the {what} cannot be", byte=begin, found=f"{size} codes", expected=f"{rows} times {parts}")
    norm_codes, norm_centroids = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.float32)
    if norms:
        norm_codes = cursor.array("u1", rows, what)
        _, norm_centroids = _quantiser(cursor, what, 1)
    return QuantizedRows(codes.reshape(rows, parts), centroids, width, norm_codes, norm_centroids)


def _quantiser(cursor: Cursor, what: str, dim: int) -> tuple[int, npt.NDArray[np.float32]]:
    """Width of a stretch, and all centroids."""
    begin = cursor.at
    numbers = cursor.unpack(struct.Struct("<4i"), what)
    width = numbers[2]
    if width <= 0 or numbers != (dim, -(-dim // width), width, dim % width or width):
        found = "dim {}, {} parts of {}, the last of {}".format(*numbers)
        raise cursor.error(f"a quantiser that does not fit the {what}", byte=begin, found=found, expected=f"dim {dim}")
    return width, cursor.array("<f4", _CENTROIDS * dim, what).copy()  # aligned, and small


def _table(
    cursor: Cursor,
    arguments: Arguments,
    words: int,
    rows: DenseRows | QuantizedRows,
    kept: npt.NDArray[Any] | None,
    *,
    eos_ngrams: bool,
) -> NgramTable:
    """Return the rows after those of the words, with the rule that finds them.

    `eos_ngrams` holds for files without a version: fastText gave ``</s>`` n-grams when it wrote them, as their ``.vec``
    files show.
    """
    count, dim = rows.shape
    if dim != arguments.dim:
        raise cursor.error("the input matrix does not fit", found=f"{dim} values in a row", expected=arguments.dim)
    if count < words:
        raise cursor.error("the input matrix does not fit", found=f"{count:,} rows", expected=f"{words:,} words")
    behind = count - words
    bucket = arguments.bucket
    if kept is not None and len(kept) == 0 and isinstance(rows, DenseRows) and behind == bucket:
        kept = None  # some files of May 2017 say 0, "pruned to nothing", for "not pruned"
    if kept is None and behind < bucket:
        if behind or arguments.maxn or arguments.wordNgrams > 1:
            raise cursor.error(
                "the input matrix does not fit", found=f"{behind:,} rows of n-grams", expected=f"{bucket:,}"
            )
        bucket = 0
    if kept is not None and len(kept) and not (kept[:, 1].min() >= 0 and kept[:, 1].max() < behind):
        raise cursor.error(
            "the map of the pruned table does not fit", found=f"row {kept[:, 1].max()}", expected=f"{behind:,} rows"
        )
    minn, maxn = arguments.minn, arguments.maxn
    return NgramTable(rows[words:], minn=minn, maxn=maxn, bucket=bucket, kept=kept, eos_ngrams=eos_ngrams)
