"""Each layer in each situation, beside the plain layer of torch: the matrix of docs/layers.md.

``make test`` runs one cell of each column, ``make test-all`` all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.layers.compatibility.matrix import REFUSED, Column, cells
from tests.layers.compatibility.processes import processes as processes
from tests.layers.compatibility.rows import Row

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
def test_a_layer_does_what_the_plain_layer_does(row: Row, column: Column, tmp_path: Path) -> None:
    torch.manual_seed(0)
    refusal = REFUSED.get((row.name, column.name))
    if refusal is None:
        column.check(row, tmp_path)
    else:
        with pytest.raises(Exception, match=refusal.words):
            column.check(row, tmp_path)
