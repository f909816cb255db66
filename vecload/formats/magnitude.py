"""Magnitude files (``.magnitude``): an SQLite database of words and vectors, light, medium or heavy.

::

    magnitude           key (text), dim_0, dim_1, … (integers), magnitude (real): a vector of unit length, multiplied by
                        10 ** precision and rounded, and the length that it had
    magnitude_format    key and value: size, dim, precision, elmo …
    magnitude_subword, magnitude_approx, …      indexes of medium and heavy files, which are not used

Vectors get their lengths back. pymagnitude composes vectors of other words from similar keys, which vecload does not.

The database is read as data: opened read-only, without extensions or triggers, and only from ordinary tables.

Source: pymagnitude's ``converter.py``.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote as quote_url

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError
from vecload.formats.contract import BaseReader, skip_nonfinite
from vecload.formats.format import Format
from vecload.formats.table import Batch
from vecload.saved import MAX_DIM
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "Magnitude"

_MAGIC: Final = b"SQLite format 3\0"
_VALUES: Final = 1 << 18  # in the rows of a batch
_LONGEST: Final = 1 << 24  # bytes of a string, row or statement
_MOST_PRECISION: Final = 18


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for an SQLite database."""
    return 95 if head.startswith(_MAGIC) else 0


def read(source: Source, request: ReadRequest) -> Reader:
    """Return a reader of the words and vectors. A database that is not a plain file is read into memory.

    Raises
    ------
    FormatError
        If the file is another database, or damaged.
    """
    return Reader(source, request)


class Reader(BaseReader):
    """Reader of a Magnitude file; `read` makes it."""

    ngrams = None

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._source = source
        self._name = source.name
        self._request = request
        self.skipped: Counter[str] = Counter()
        try:
            self._database = _open(source)
            settings = self._check_tables()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._damaged(error) from error
        self.dim = self._whole(settings, "dim", 1, MAX_DIM)
        self._scale = 10.0 ** self._whole(settings, "precision", 0, _MOST_PRECISION)
        self._check_columns()
        self.declared = self._whole(settings, "size", 0, 1 << 62)
        # Each integer takes a byte of the record at least.
        most = (source.size or 0) // self.dim + 1
        self.expected = min(self.declared, most)
        self.dtype = type_of(request.dtype or "float32")

    def _damaged(self, error: Exception) -> FormatError:
        return FormatError(f"cannot read the database ({error})", file=self._name)

    def _check_tables(self) -> dict[str, Any]:
        """Return the settings of the file.

        Raises
        ------
        FormatError
            If the tables are missing or not ordinary ones.
        """
        kinds = {
            name: (kind, sql or "") for name, kind, sql in self._query("SELECT name, type, sql FROM sqlite_master")
        }
        for table in ("magnitude", "magnitude_format"):
            kind, sql = kinds.get(table, ("", ""))
            # A view or virtual table could run any query.
            if kind != "table" or "VIRTUAL" in sql.upper().split("(", 1)[0]:
                found = ", ".join(sorted(kinds))[:200] or "no tables"
                raise FormatError("an SQLite database that is not a Magnitude file", file=self._name, found=found)
        settings = dict(self._query("SELECT key, value FROM magnitude_format"))
        if settings.get("elmo"):
            raise FormatError(
                "an ELMo model, whose vectors depend on the text around a word", file=self._name, found="elmo"
            )
        return settings

    def _whole(self, settings: dict[str, Any], key: str, low: int, high: int) -> int:
        value = settings.get(key)
        if type(value) is not int or not low <= value <= high:
            found = f"{value!r:.40}"
            raise FormatError(
                f"invalid {key} in the table magnitude_format", file=self._name, found=found, expected=f"{low} or more"
            )
        return value

    def _check_columns(self) -> None:
        # "hidden" is not 0 for generated columns, which are expressions.
        columns = {name: hidden for _, name, _, _, _, _, hidden in self._query("PRAGMA table_xinfo(magnitude)")}
        wanted = ["key", *(f"dim_{at}" for at in range(self.dim)), "magnitude"]
        missing = [name for name in wanted if columns.get(name) != 0]
        if missing:
            found = f"no column {missing[0]}"
            raise FormatError("the table of vectors is not complete", file=self._name, found=found)

    def _query(self, sql: str) -> list[Any]:
        return self._database.execute(sql).fetchmany(_LONGEST)

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, and the number of skipped rows by cause."""
        meta: dict[str, Any] = {"format": NAME}
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    def __iter__(self) -> Iterator[Batch]:
        columns = ", ".join(f"dim_{at}" for at in range(self.dim))
        # Keys that are not UTF-8 are kept as bytes.
        sql = f"SELECT CAST(key AS BLOB), magnitude, {columns} FROM magnitude ORDER BY rowid"
        limit, done = self._request.limit, 0
        step = max(1, _VALUES // self.dim)
        try:
            cursor = self._database.execute(sql)
            while rows := cursor.fetchmany(step if limit is None else min(step, limit - done)):
                done += len(rows)
                batch = self._batch(rows, done - len(rows))
                if len(batch.rows):
                    yield batch
                self._source.position = (self._source.size or 0) * done // max(done, self.declared)
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def _batch(self, rows: list[tuple[Any, ...]], first: int) -> Batch:
        """Return the requested ones of some rows, which are those from number `first` on."""
        keys = [row[0] for row in rows]
        if not all(type(key) is bytes for key in keys):
            raise self._row_error("a row without a key", first + next(i for i, key in enumerate(keys) if key is None))
        words = Words.from_bytes(keys)
        at = np.arange(len(rows))
        if self._request.only is not None:
            at = np.flatnonzero(self._request.only.lookup(words) >= 0)
        values = np.array([rows[row][2:] for row in at.tolist()]).reshape(len(at), self.dim)
        lengths = np.array([rows[row][1] for row in at.tolist()])
        if len(at) and (values.dtype.kind != "i" or lengths.dtype.kind not in "if"):
            kinds = (all(type(value) is int for value in rows[row][2:]) for row in at.tolist())
            bad = next((row for row, fine in zip(at.tolist(), kinds, strict=True) if not fine), 0)
            raise self._row_error("a value that is not a number", first + int(bad))
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = narrowed(values * (lengths.astype(np.float64) / self._scale)[:, None], self.dtype)
        fine = np.isfinite(vectors).all(axis=1)
        if not self._request.allow_nonfinite and not fine.all():
            word = words.bytes(int(at[np.argmin(fine)]))
            count = int(np.count_nonzero(~fine))
            skip_nonfinite(self._request, self.skipped, self.dtype, word=word, count=count, file=self._name)
            at, vectors = at[fine], vectors[fine]
        some = words.take(at)
        return Batch(some.data, some.offsets, vectors)

    def _row_error(self, problem: str, row: int) -> FormatError:
        return FormatError(problem, file=self._name, found=f"in row {row + 1:,} of the table magnitude")


def _open(source: Source) -> sqlite3.Connection:
    """Open the database read-only."""
    if source.path is not None:
        # An immutable file needs no locks, journals or write-ahead logs beside it.
        place = f"file:{quote_url(str(source.path.absolute()))}?mode=ro&immutable=1"
        database = sqlite3.connect(place, uri=True, check_same_thread=False)
    else:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.deserialize(source.mapped().tobytes())
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    return database


FORMAT: Final = Format(name=NAME, detect=detect, read=read)
