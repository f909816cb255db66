"""spaCy's vectors on disk: a pipeline's folder, its ``vocab`` folder, or what ``Vectors.to_disk`` writes.

::

    vectors        a .npy file of float32, shape (rows, dim), without the suffix
    key2row        msgpack: a map of uint64 keys to rows; several keys may share one, and rows may have none
    strings.json   the strings whose hashes the keys are
    vectors.cfg    {"mode": "default"}, or "floret" with the settings of its n-grams; absent from old folders
    keys           instead of key2row in old folders: a .npy file of uint64, the key of each row

A key is the string's MurmurHash64A with seed 1, but for the empty string (0) and the names of spaCy's symbols (`NOUN`,
`dep`, `X`), whose keys are their small numbers. Which numbers only spaCy knows: it is asked when there are such keys.
Words are recovered by hashing ``strings.json``; a key whose string is not in it is left out and counted. They come in
the order of their keys in the file. In floret's mode there are no words: the rows are those of hashed n-grams.

Sources: spaCy's ``vectors.pyx``, ``strings.pyx`` and ``vocab.pyx``.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, OptionError, VocabularyError, require
from vecload.formats.array_reader import ArrayReader, PickedRows
from vecload.formats.format import Format
from vecload.formats.writing.counted import CountedFile
from vecload.formats.writing.values import as_bytes, to_float32
from vecload.formats.writing.word_policy import WordPolicy
from vecload.ngrams import DenseRows, NgramTable
from vecload.saved.npy import npy_header, open_npy
from vecload.words import Words, read_only

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source

NAME: Final = "spaCy"

_SEED: Final = 1
_SYMBOLS: Final = 1 << 16  # keys below are numbers of symbols: a hash is so small once in 2**48
_ORTH: Final = 65  # the attribute whose keys words are
_ENTRY: Final = [("u64", "u1"), ("key", ">u8"), ("u32", "u1"), ("row", ">u4")]


def detect_folder(path: Path) -> int:
    """95 when there are vectors and their keys."""
    return 95 if _folder(path) is not None else 0


def _folder(path: Path) -> Path | None:
    """Where the vectors are: in the folder, or in the pipeline's vocabulary."""
    for folder in (path, path / "vocab"):
        beside = ("key2row", "keys", "vectors.cfg")
        if (folder / "vectors").is_file() and any((folder / name).is_file() for name in beside):
            return folder
    return None


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read spaCy's vectors.

    Raises
    ------
    FormatError
        When the files are not what they should be.
    MissingDependencyError
        When a word is the name of a symbol and spaCy is not there to tell its number; ``errors="skip"`` leaves such
        words out.
    """
    folder = None if source.path is None else _folder(source.path)
    if folder is None:
        hint = "Name the folder of a pipeline, its vocab folder, or one with the files vectors and key2row."
        raise FormatError("not a folder of spaCy's vectors", file=source.name, hint=hint)
    matrix = open_npy(folder / "vectors")
    settings = _json(folder / "vectors.cfg", dict) if (folder / "vectors.cfg").is_file() else {"mode": "default"}
    if settings.get("mode") == "floret":
        if not len(matrix):
            raise FormatError("a floret table without rows", file=str(folder / "vectors"))
        ngrams = _floret(folder, matrix, settings)
        meta = {"format": "spaCy floret", "attr": settings.get("attr")}
        return ArrayReader(source.name, Words.from_bytes([]), matrix[:0], request, meta=meta, ngrams=ngrams)
    if settings.get("mode") != "default":
        found = repr(settings.get("mode"))[:80]
        raise FormatError(
            "an unknown mode", file=str(folder / "vectors.cfg"), found=found, expected="default or floret"
        )
    keys, rows = _keys(folder, len(matrix))
    words, rows, skipped = _words(folder, keys, rows, lenient=request.errors == "skip")
    values = matrix[: len(rows)] if np.array_equal(rows, np.arange(len(rows))) else PickedRows(matrix, rows)
    return ArrayReader(source.name, words, values, request, meta={"format": NAME}, skipped=skipped)


def _json(path: Path, kind: type[Any]) -> Any:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"not a JSON file ({error})", file=str(path)) from error
    if not isinstance(value, kind):
        raise FormatError("JSON of another kind", file=str(path), found=type(value).__name__, expected=kind.__name__)
    return value


def _floret(folder: Path, matrix: npt.NDArray[Any], settings: dict[str, Any]) -> NgramTable:
    try:
        return NgramTable(
            matrix,
            minn=settings["minn"],
            maxn=settings["maxn"],
            kind="floret",
            hash_count=settings["hash_count"],
            seed=settings["hash_seed"],
            bow=settings["bow"],
            eow=settings["eow"],
        )
    except (KeyError, TypeError, OptionError) as error:
        raise FormatError(f"settings that cannot be ({error})", file=str(folder / "vectors.cfg")) from error


def _keys(folder: Path, count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the keys and their rows, in the order of the file.

    That order is the one in which keys were added: the most frequent words first. The order of the rows is not: spaCy
    sorts them when it removes duplicates, and pruning puts every word on the row of a similar one.
    """
    if (folder / "key2row").is_file():
        path = folder / "key2row"
        msgpack = require("msgpack", "spacy")
        try:
            pairs = msgpack.unpackb(path.read_bytes(), strict_map_key=False, object_pairs_hook=list)
            if not all(type(key) is int and type(row) is int for key, row in pairs):
                raise TypeError("a key or a row that is not a whole number")
            keys = np.array([key for key, _ in pairs], dtype=np.uint64)
            rows = np.array([row for _, row in pairs], dtype=np.int64)
        except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
            raise FormatError(f"not a map of keys to rows ({error})", file=str(path)) from error
    else:
        path = folder / "keys"
        keys = open_npy(path, dims=1, kinds="u")
        rows = np.arange(len(keys))
    if len(rows) and not 0 <= rows.min() <= rows.max() < count:
        raise FormatError("a row that is not there", file=str(path), found=str(rows.max()), expected=f"below {count}")
    return keys, rows


def _words(
    folder: Path, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], *, lenient: bool
) -> tuple[Words, npt.NDArray[np.int64], Counter[str]]:
    """The words of the keys, with their rows, and what could not be named."""
    skipped: Counter[str] = Counter()
    numbers = {"": 0}
    small = (keys > 0) & (keys < _SYMBOLS)
    if small.any():
        try:
            numbers |= _symbols()
        except ImportError:
            if not lenient:
                raise
            skipped["a symbol's name"] = int(np.count_nonzero(small))
    try:
        strings = Words.from_strings(_json(folder / "strings.json", list))
    except (VocabularyError, OptionError) as error:
        raise FormatError(f"not a list of strings ({error})", file=str(folder / "strings.json")) from error
    hashes = np.concatenate([np.fromiter(numbers.values(), np.uint64, len(numbers)), _hashes(strings)])
    named = Words.from_strings(numbers)
    strings = Words(
        np.concatenate([named.data, strings.data]),
        np.concatenate([named.offsets, named.offsets[-1] + strings.offsets[1:]]),
    )
    order = np.argsort(hashes, kind="stable")
    at = order[np.minimum(np.searchsorted(hashes, keys, sorter=order), len(hashes) - 1)]
    found = hashes[at] == keys
    lost = len(keys) - int(np.count_nonzero(found)) - skipped.total()
    if lost:
        skipped["a key without its string"] = lost
    return strings.take(at[found]), rows[found], skipped


def _symbols() -> dict[str, int]:
    """SpaCy's symbols, by name."""
    return dict(require("spacy.symbols", "spacy").IDS)


def _hashes(words: Words) -> npt.NDArray[np.uint64]:
    """Their keys, if none is a symbol."""
    from vecload.kernels import murmur

    hashes = np.empty(len(words), dtype=np.uint64)
    murmur.murmur64(read_only(words.data), read_only(words.offsets), _SEED, hashes)
    hashes[np.diff(words.offsets) == 0] = 0
    return hashes


def check_options(options: WriteOptions) -> None:  # noqa: ARG001 - every format is asked the same way
    """Raise MissingDependencyError if spaCy is not installed."""
    _symbols()


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write a folder that spaCy's ``Vocab.from_disk`` and ``Vectors.from_disk`` read, in single precision.

    Parameters
    ----------
    path
        The folder to make.
    table
        What to write: its words, or if it has none the rows of its floret table.
    options
        `unencodable` applies to words that are not UTF-8, which cannot be escaped.
    """
    path.mkdir(exist_ok=True)
    policy = WordPolicy(NAME, b"", options.unencodable, empty=True, utf8=True)
    keys: list[npt.NDArray[np.uint64]] = []
    numbers = _symbols()
    symbols = Words.from_strings(numbers)
    codes = np.fromiter(numbers.values(), np.uint64, len(numbers))

    def header(rows: int) -> bytes:
        return npy_header((rows, table.dim), np.dtype("<f4"))

    with CountedFile(path / "vectors", table.expected, header) as file, (path / "strings.json").open("wb") as strings:
        separator = b"["
        for given in table.batches():
            batch = policy.apply(given)
            some = Words(batch.data, batch.offsets)
            file.write(as_bytes(to_float32(batch, NAME)), len(some))
            known = symbols.lookup(some)
            keys.append(np.where(known >= 0, codes[known], _hashes(some)))
            for word in some:
                strings.write(separator + json.dumps(word, ensure_ascii=False).encode())
                separator = b",\n"
        floret: NgramTable | None = None if keys else table.ngrams
        if floret is not None and floret.kind == "floret" and isinstance(floret.rows, DenseRows):
            file.write(as_bytes(floret.rows.matrix.astype("<f4")), floret.bucket)
        else:
            floret = None
        strings.write(b"[]" if separator == b"[" else b"]")
    _write_keys(path / "key2row", np.concatenate([*keys, np.empty(0, dtype=np.uint64)]))
    settings = {"mode": "default"} if floret is None else _settings(floret, table.meta.get("attr") or _ORTH)
    (path / "vectors.cfg").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return policy.dropped


def _settings(ngrams: NgramTable, attr: int) -> dict[str, Any]:
    given = {name: ngrams.settings[name] for name in ("minn", "maxn", "hash_count", "bow", "eow")}
    return {"mode": "floret", **given, "hash_seed": ngrams.seed, "attr": attr}


def _write_keys(path: Path, keys: npt.NDArray[np.uint64]) -> None:
    """A msgpack map of each key to its place; all entries as long."""
    if len(np.unique(keys)) < len(keys):
        raise FormatError("two words with one key", hint="spaCy cannot tell them apart: leave one out.")
    entries = np.empty(len(keys), dtype=_ENTRY)
    entries["u64"], entries["u32"] = 0xCF, 0xCE
    entries["key"], entries["row"] = keys, np.arange(len(keys))
    path.write_bytes(b"\xdf" + len(keys).to_bytes(4, "big") + entries.tobytes())


FORMAT: Final = Format(
    name=NAME,
    detect_folder=detect_folder,
    read=read,
    write=write,
    check_options=check_options,
    writes_folder=True,
    ngram_kinds=("floret",),
    options=("unencodable",),
)
