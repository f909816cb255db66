"""Vectors of spaCy: the folder of a pipeline, its ``vocab`` folder, or a folder written by ``Vectors.to_disk``.

::

    vectors        a .npy file of float32, shape (rows, dim), without the suffix
    key2row        msgpack map of uint64 keys to row numbers; keys may share a row, and rows may have no key
    strings.json   list of strings, whose hashes are the keys
    vectors.cfg    {"mode": "default"}, or "floret" with the settings of its n-grams; absent from old folders
    meta.json      the pipeline's description: its license and url become those of the vectors
    keys           in place of key2row in old folders: a .npy file of uint64, the key of each row

The key of a string is its MurmurHash64A with seed 1. The empty string (0) and the names of spaCy's symbols (`NOUN`,
`dep`, `X`) are exceptions: their keys are small numbers, which are looked up in spaCy if a file has such keys. Words
are recovered by hashing ``strings.json``; keys without a string are skipped and counted. Words have the order of
their keys in the file. In floret mode there are no words, and the rows belong to hashed n-grams.

Sources: spaCy's ``vectors.pyx``, ``strings.pyx`` and ``vocab.pyx``.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import IndexedRows
from vecload.attribution import LICENSE, SOURCE, attribution
from vecload.errors import FormatError, OptionError, VocabularyError, require
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.history import History
from vecload.formats.writing.counted import CountedFile
from vecload.formats.writing.stored_rows import stored_form
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
# Keys below this number belong to symbols. The hash of a string is that small once in 2**48 strings.
_SYMBOLS: Final = 1 << 16
_ITEMS: Final = 1 << 14  # of a msgpack map that are Python objects at a time
_ORTH: Final = 65  # spaCy's attribute ID for the text of a token, whose hash is the key
# An item of a msgpack map: a marker and a big-endian number, twice.
_ENTRY: Final = [("u64", "u1"), ("key", ">u8"), ("u32", "u1"), ("row", ">u4")]


def detect_folder(path: Path) -> int:
    """Return 95 for a folder with vectors and their keys."""
    return 95 if _folder(path) is not None else 0


def _folder(path: Path) -> Path | None:
    """Return the folder with the vectors, which is the given one or ``vocab`` in it, or None."""
    for folder in (path, path / "vocab"):
        others = ("key2row", "keys", "vectors.cfg")
        if (folder / "vectors").is_file() and any((folder / name).is_file() for name in others):
            return folder
    return None


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read spaCy's vectors.

    Raises
    ------
    FormatError
        If a file is missing or invalid.
    MissingDependencyError
        If a word is the name of a symbol and spaCy, which knows its number, is not installed; ``errors="skip"`` skips
        such words.
    """
    folder = None if source.path is None else _folder(source.path)
    if folder is None:
        hint = "Pass the folder of a pipeline, its vocab folder, or a folder with the files vectors and key2row."
        raise FormatError("not a folder of spaCy vectors", file=source.name, hint=hint)
    stated = _stated(source.path)
    matrix = open_npy(folder / "vectors")
    settings = _json(folder / "vectors.cfg", dict) if (folder / "vectors.cfg").is_file() else {"mode": "default"}
    if settings.get("mode") == "floret":
        if not len(matrix):
            raise FormatError("a floret table without rows", file=str(folder / "vectors"))
        ngrams = _floret(folder, matrix, settings)
        meta, history = {"format": "spaCy floret", **stated}, History(attr=settings.get("attr"))
        none = Words.from_bytes([])
        return ArrayReader(source.name, none, matrix[:0], request, meta=meta, ngrams=ngrams, history=history)
    if settings.get("mode") != "default":
        found = repr(settings.get("mode"))[:80]
        raise FormatError("unknown mode", file=str(folder / "vectors.cfg"), found=found, expected="default or floret")
    keys, rows = _keys(folder, len(matrix))
    words, rows, skipped = _words(_strings(folder / "strings.json"), keys, rows, lenient=request.errors == "skip")
    values = matrix[: len(rows)] if np.array_equal(rows, np.arange(len(rows))) else IndexedRows(matrix, rows)
    return ArrayReader(source.name, words, values, request, meta={"format": NAME, **stated}, skipped=skipped)


def _stated(folder: Path | None) -> dict[str, str]:
    """Return the license and address that the description of a pipeline states."""
    try:
        meta = {} if folder is None else _json(folder / "meta.json", dict)
    except FormatError:  # a folder without a description, or with one of another program
        return {}
    return attribution({LICENSE: meta.get("license"), SOURCE: meta.get("url")})


def _json(path: Path, kind: type[Any]) -> Any:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"invalid JSON ({error})", file=str(path)) from error
    if not isinstance(value, kind):
        raise FormatError(
            "wrong type of JSON value", file=str(path), found=type(value).__name__, expected=kind.__name__
        )
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
        raise FormatError(f"invalid settings of n-grams ({error})", file=str(folder / "vectors.cfg")) from error


def _keys(folder: Path, count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the keys and their rows, in the order of the file.

    Keys are in the order in which they were added: usually, frequent words come first. Rows are not: spaCy sorts them
    when it removes duplicates, and its pruning gives each word the row of a similar word.
    """
    if (folder / "key2row").is_file():
        path = folder / "key2row"
        msgpack = require("msgpack", "spacy")
        try:
            keys, rows = _integer_map(msgpack, path.read_bytes())
        except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
            raise FormatError(f"invalid map of keys to rows ({error})", file=str(path)) from error
    else:
        path = folder / "keys"
        keys = open_npy(path, dims=1, kinds="u")
        rows = np.arange(len(keys))
    if len(rows) and not 0 <= rows.min() <= rows.max() < count:
        raise FormatError("row number out of range", file=str(path), found=str(rows.max()), expected=f"below {count}")
    return keys, rows


def _integer_map(msgpack: Any, raw: bytes) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return keys and values of a msgpack map of integers, in the order of the file.

    A dict would lose the order, need ten times the memory, and hash keys that a file may have chosen to collide.
    """
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=max(1, len(raw)))
    unpacker.feed(raw)
    count = 2 * unpacker.read_map_header()
    keys, values = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    for begin in range(0, count, _ITEMS):
        items = list(islice(unpacker, min(_ITEMS, count - begin)))
        if len(items) < min(_ITEMS, count - begin):
            raise ValueError("the file ends within it")
        if not all(type(item) is int for item in items):
            raise TypeError("a key or row number that is not an integer")
        keys.append(np.array(items[::2], dtype=np.uint64))
        values.append(np.array(items[1::2], dtype=np.int64))
    if unpacker.tell() < len(raw):
        raise ValueError(f"{len(raw) - unpacker.tell():,} bytes after it")
    return np.concatenate(keys), np.concatenate(values)


def _strings(path: Path) -> Words:
    try:
        return Words.from_strings(_json(path, list))
    except (VocabularyError, OptionError) as error:
        raise FormatError(f"not a list of strings ({error})", file=str(path)) from error


def _words(
    strings: Words, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], *, lenient: bool
) -> tuple[Words, npt.NDArray[np.int64], Counter[str]]:
    """Return the words of the keys, their rows, and the number of keys without a word, by cause."""
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
    # Look up each key among the hashes of all strings. Symbols precede other strings, and the sort is stable, so the
    # name of a symbol wins if both have the same key.
    hashes = np.concatenate([np.fromiter(numbers.values(), np.uint64, len(numbers)), hash_words(strings)])
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
    """Return the numbers of spaCy's symbols, by name."""
    return dict(require("spacy.symbols", "spacy").IDS)


def hash_words(words: Words) -> npt.NDArray[np.uint64]:
    """Return the keys of words that are not names of symbols: uint64, shape (number of words,)."""
    from vecload.kernels import murmur

    hashes = np.empty(len(words), dtype=np.uint64)
    murmur.murmur64(read_only(words.data), read_only(words.offsets), _SEED, hashes)
    hashes[np.diff(words.offsets) == 0] = 0
    return hashes


def check_options(options: WriteOptions) -> None:  # noqa: ARG001 - all formats share this signature
    """Raise MissingDependencyError if spaCy is not installed."""
    _symbols()


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write a folder for spaCy's ``Vocab.from_disk`` and ``Vectors.from_disk``, in single precision.

    Parameters
    ----------
    path
        The folder to create.
    table
        Words and vectors; without words, the rows of its floret table are written.
    options
        `unencodable` applies to words that are not UTF-8, which cannot be escaped.
    """
    path.mkdir(exist_ok=True)
    policy = WordPolicy(NAME, b"", options.unencodable, empty=True, utf8=True)
    keys: list[npt.NDArray[np.uint64]] = []
    ids: list[npt.NDArray[np.int64]] = []
    form = stored_form(table)
    numbers = _symbols()
    symbols = Words.from_strings(numbers)
    codes = np.fromiter(numbers.values(), np.uint64, len(numbers))

    def header(rows: int) -> bytes:
        return npy_header((rows, table.dim), np.dtype("<f4"))

    with CountedFile(path / "vectors", table.expected, header) as file, (path / "strings.json").open("wb") as strings:
        separator = b"["
        if form is not None:
            for batch in form.rows.batches():
                file.write(as_bytes(to_float32(batch, NAME)), len(batch.rows))
        count = 0
        for given in table.batches() if form is None else [form.batch]:
            batch = policy.apply(given)
            some = batch.words
            if form is None:
                file.write(as_bytes(to_float32(batch, NAME)), len(some))
            ids.append(np.arange(count, count + len(some)) if form is None else batch.rows)
            count += len(some)
            known = symbols.lookup(some)
            keys.append(np.where(known >= 0, codes[known], hash_words(some)))
            for word in some:
                strings.write(separator + json.dumps(word, ensure_ascii=False).encode())
                separator = b",\n"
        floret: NgramTable | None = None if keys else table.ngrams
        if floret is not None and floret.kind == "floret" and isinstance(floret.rows, DenseRows):
            file.write(as_bytes(floret.rows.matrix.astype("<f4")), floret.bucket)
        else:
            floret = None
        strings.write(b"[]" if separator == b"[" else b"]")
    empty = np.empty(0, dtype=np.int64)
    _write_keys(path / "key2row", np.concatenate([*keys, empty.view(np.uint64)]), np.concatenate([*ids, empty]))
    settings = {"mode": "default"} if floret is None else _settings(floret, table.history.attr or _ORTH)
    stated = attribution(table.meta)
    if stated:  # by the names in the meta.json of a pipeline
        described = {{SOURCE: "url"}.get(key, key): value for key, value in stated.items()}
        (path / "meta.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    (path / "vectors.cfg").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return policy.dropped


def _settings(ngrams: NgramTable, attr: int | str) -> dict[str, Any]:
    given = {name: ngrams.settings[name] for name in ("minn", "maxn", "hash_count", "bow", "eow")}
    return {"mode": "floret", **given, "hash_seed": ngrams.seed, "attr": attr}


def _write_keys(path: Path, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64]) -> None:
    """Write a msgpack map of each key to its row; all items have equal length, so NumPy can assemble them."""
    if len(np.unique(keys)) < len(keys):
        raise FormatError("two words have the same key", hint="spaCy cannot distinguish them: remove one.")
    entries = np.empty(len(keys), dtype=_ENTRY)
    entries["u64"], entries["u32"] = 0xCF, 0xCE
    entries["key"], entries["row"] = keys, rows
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
