"""`stored_form`: distinct rows and the row of each word, for formats in which words may share rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vecload.arrays import IndexedRows
from vecload.formats.table import Batch, Table
from vecload.words import Words

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.contract import RowStream


class StoredForm(NamedTuple):
    """Words that share rows, as formats store them."""

    rows: Table
    """The rows, each under the first of its words, in the order of these words."""
    words: Words
    """All words."""
    ids: npt.NDArray[np.int64]
    """Number of each word's row, shape (number of words,)."""

    @property
    def batch(self) -> Batch:
        """All words with row numbers in place of rows, for `WordPolicy.apply`."""
        return Batch(self.words.data, self.words.offsets, self.ids)


def stored_form(table: RowStream) -> StoredForm | None:
    """Return the distinct rows of a table; None if each word has a row of its own.

    Rows that no word has are left out.

    Examples
    --------
    >>> rows = IndexedRows(np.array([[1.0], [2.0], [3.0]]), np.array([2, 0, 2]))
    >>> form = stored_form(Table(Words.from_strings(["cat", "dog", "cats"]), rows))
    >>> [batch.rows.tolist() for batch in form.rows.batches()], form.ids.tolist()
    ([[[3.0], [1.0]]], [0, 1, 0])
    """
    shared = table.shared
    if shared is None:
        return None
    used, first, ids = np.unique(shared.ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rows = Table(table.words.take(first[order]), IndexedRows(shared.matrix, used[order]))
    return StoredForm(rows, table.words, rank[ids])
