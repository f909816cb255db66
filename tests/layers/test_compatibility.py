"""Compare each layer in each situation with the plain layer of torch: the matrix of docs/layers.md.

``make test`` runs one cell of each column, ``make test-all`` all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.layers.compatibility.matrix import COLUMNS, REFUSED, Column, cells
from tests.layers.compatibility.processes import processes as processes
from tests.layers.compatibility.rows import Row
from tests.layers.compatibility.table import PAGE, page_with, table

CELLS = [
    pytest.param(
        row, column, id=f"{column.name}-{row.name}", marks=[] if row.name == column.usual else [pytest.mark.campaign]
    )
    for row, column in cells()
]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:There is a performance drop because:UserWarning")  # the plain bag under vmap
@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
@pytest.mark.parametrize(("row", "column"), CELLS)
def test_layer_behaves_like_the_plain_layer(row: Row, column: Column, tmp_path: Path) -> None:
    torch.manual_seed(0)
    refusal = REFUSED.get((row.name, column.name))
    if refusal is None:
        column.check(row, tmp_path)
    else:
        with pytest.raises(Exception, match=refusal.words):
            column.check(row, tmp_path)


def test_table_in_the_documentation_is_up_to_date() -> None:
    if not PAGE.exists():
        pytest.skip("not a checkout")
    text = PAGE.read_text(encoding="utf-8")
    assert page_with(text, table()) == text, "run: python -m tests.layers.compatibility.table"


def test_every_column_has_a_cell_that_works() -> None:
    present = {(row.name, column.name) for row, column in cells()}
    assert all((column.usual, column.name) in present for column in COLUMNS)
    assert set(REFUSED) <= present
