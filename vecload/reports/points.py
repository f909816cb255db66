"""The points of a map: words, places, groups and exact neighbors, packed for the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import unit_rows
from vecload.reports.labels import label_order
from vecload.reports.layouts import place
from vecload.search import Nearest, nearest

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.reports.layouts import Layout
    from vecload.vectors import Vectors

NEIGHBORS: Final = 10
SEARCHABLE: Final = 10_000
"""Number of first words of a table that can be searched for, on the map or not."""

_NONE = -1


@dataclass(frozen=True, eq=False)
class Table:
    """One space of a page.

    Parameters
    ----------
    name
        Name for the reader.
    vectors
        All its rows, which are searched for neighbors.
    rows
        Row numbers of its words, the most frequent first, int64, shape (n,).
    groups
        Group of each of `rows`, uint8, shape (n,).
    counts
        Number of occurrences of each of `rows`, shape (n,); None if it is unknown.
    hidden
        Row numbers that are never shown as neighbors, such as those of padding and special tokens.
    """

    name: str
    vectors: Vectors
    rows: npt.NDArray[np.int64]
    groups: npt.NDArray[np.uint8]
    counts: npt.NDArray[Any] | None = None
    hidden: tuple[int, ...] = ()


def printable(text: str) -> str:
    r"""Return a word as a page can hold it: bytes that are not UTF-8 are written as escapes.

    Examples
    --------
    >>> printable("caf\udcff")
    'caf\\xff'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def points(
    tables: list[Table], limit: int, layout: Layout, seed: int, *, progress: bool | None = None
) -> dict[str, Any]:
    """Return the data of the words of a page for its script, ready for JSON.

    The words on the map come first (`mapped`), then the other words that can be searched for (`carried`), then words
    that only occur as neighbors. Arrays are in that order, and neighbors are positions in it.
    """
    share = max(1, limit // len(tables))
    mapped = [table.rows[:share] for table in tables]
    others = [table.rows[share : max(share, SEARCHABLE)] for table in tables]
    parts = [(at, rows) for group in (mapped, others) for at, rows in enumerate(group)]
    names = _Names(tables)
    for at, rows in parts:
        names.add(at, rows)
    # Words that are added from here on are only neighbors.
    carried = len(names.words)
    near = [_near(tables[at], tables[at], rows, progress=progress) for at, rows in parts]
    both = len(tables) == 2
    across = [_near(tables[at], tables[1 - at], rows, progress=progress) for at, rows in parts] if both else []
    near_rows = [names.add(at, found.rows) for (at, _), found in zip(parts, near, strict=True)]
    across_rows = [names.add(1 - parts[at][0], found.rows) for at, found in enumerate(across)]

    spread = [unit_rows(tables[at].vectors.rows_at(rows)).astype(np.float32) for at, rows in enumerate(mapped)]
    count = sum(map(len, mapped))
    ranks = np.concatenate([_positions(tables[at], rows) for at, rows in parts]) + 1
    order = label_order(
        names.words[:count],
        ranks[:count],
        np.concatenate(spread),
        np.concatenate([found.scores for found in near[: len(tables)]]),
    )
    placed = place(np.concatenate(spread), layout, seed)
    packed = {
        "mapped": count,
        "carried": carried,
        "words": names.words,
        "x": pack(placed[:, 0]),
        "y": pack(placed[:, 1]),
        "order": pack(order.astype(np.uint32)),
        "rank": pack(ranks.astype(np.uint32)),
        "group": pack(np.concatenate([_taken(tables[at], tables[at].groups, rows) for at, rows in parts])),
        "source": pack(np.concatenate([np.full(len(rows), at, dtype=np.uint8) for at, rows in parts])),
        "norm": pack(np.concatenate([tables[at].vectors.norms[rows] for at, rows in parts])),
        "near": _packed_neighbors(near_rows, [found.scores for found in near], len(names.words)),
        "sources": [table.name for table in tables],
        "sizes": [len(table.rows) for table in tables],
    }
    if across:
        packed["across"] = _packed_neighbors(across_rows, [found.scores for found in across], len(names.words))
    if all(table.counts is not None for table in tables):
        counts = [_taken(tables[at], tables[at].counts, rows) for at, rows in parts]
        packed["count"] = pack(np.concatenate(counts).astype(np.float64))
    return packed


def pack(values: npt.NDArray[Any]) -> dict[str, str]:
    """Return an array as base64 text with the name of its JavaScript class.

    Examples
    --------
    >>> pack(np.array([1, 2], dtype=np.uint8))
    {'type': 'Uint8Array', 'data': 'AQI='}
    """
    kind = {"f": "Float", "u": "Uint"}[values.dtype.kind]
    ordered = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return {
        "type": f"{kind}{8 * values.dtype.itemsize}Array",
        "data": base64.b64encode(ordered.tobytes()).decode("ascii"),
    }


class _Names:
    """Numbers of the words of a page, in the order in which they are added."""

    def __init__(self, tables: list[Table]) -> None:
        self.words: list[str] = []
        self._tables = tables
        self._numbers = [np.full(len(table.vectors), _NONE, dtype=np.int64) for table in tables]

    def add(self, at: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the number of each row of a table, -1 for row -1; rows without a number get the next ones."""
        numbers = self._numbers[at]
        wanted = rows.reshape(-1)
        wanted = wanted[wanted >= 0]
        # np.unique sorts by row; numbers are given in the order of first occurrence.
        new, first = np.unique(wanted[numbers[wanted] < 0], return_index=True)
        new = new[np.argsort(first)]
        numbers[new] = np.arange(len(new)) + len(self.words)
        self.words.extend(printable(self._tables[at].vectors.words[row]) for row in new.tolist())
        return np.where(rows >= 0, numbers[rows], _NONE)


def _near(table: Table, others: Table, rows: npt.NDArray[np.int64], *, progress: bool | None) -> Nearest:
    """Return the nearest rows in a table of some rows of another; -1 for rows of zeros and rows that are not finite."""
    norms = table.vectors.norms[rows]
    # Rows of zeros have no direction, so any ten words would be their neighbors.
    pointing = np.isfinite(norms) & (norms > 0)
    asked = rows[pointing]
    found = Nearest(
        np.full((len(rows), NEIGHBORS), _NONE, dtype=np.int64),
        np.full((len(rows), NEIGHBORS), np.nan, dtype=np.float32),
    )
    if len(asked):
        hidden = np.tile(np.array(others.hidden, dtype=np.int64), (len(asked), 1))
        exclude = np.column_stack([hidden, asked]) if others is table else hidden
        some = nearest(
            others.vectors,
            table.vectors.rows_at(asked),
            NEIGHBORS,
            exclude=exclude,
            norms=others.vectors.norms,
            progress=progress,
        )
        found.rows[pointing], found.scores[pointing] = some.rows, some.scores
    return found


def _positions(table: Table, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    where = np.zeros(len(table.vectors), dtype=np.int64)
    where[table.rows] = np.arange(len(table.rows))
    return where[rows]


def _taken(table: Table, values: Any, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    taken: npt.NDArray[Any] = np.asarray(values)[_positions(table, rows)]
    return taken


def _packed_neighbors(rows: list[npt.NDArray[np.int64]], scores: list[Any], words: int) -> dict[str, Any]:
    """Pack neighbors: positions of words in as few bytes as hold them, the greatest number for none, and cosines."""
    kind = np.uint16 if words < np.iinfo(np.uint16).max else np.uint32
    numbers = np.concatenate(rows).reshape(-1)
    numbers = np.where(numbers < 0, np.iinfo(kind).max, numbers).astype(kind)
    cosines = np.nan_to_num(np.concatenate(scores).reshape(-1), nan=0.0).astype(np.float32)
    return {"k": NEIGHBORS, "rows": pack(numbers), "cosines": pack(cosines)}
