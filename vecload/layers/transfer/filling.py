"""Fill a table with rows that are copied, combined or drawn from those of another one, in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from vecload.arrays import row_blocks
from vecload.errors import OptionError
from vecload.layers.transfer.entries import without_unused
from vecload.oov import Found, normal
from vecload.progress import progress_bar
from vecload.provenance import Origin

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]

COPIED: Final = Origin("copied", "found")
COMBINED: Final = Origin("combined", "composed")
PIECES: Final = Origin("pieces", "composed")
DRAWN: Final = Origin("drawn", "drawn")
MEAN: Final = Origin("mean", "drawn")
SPARE: Final = Origin("spare", "drawn")
PADDING: Final = Origin("padding", "padding")
ORIGINS: Final = (COPIED, COMBINED, PIECES, DRAWN, MEAN, SPARE, PADDING)
"""Origins of the rows of a transferred table; the code of an origin is its place."""

# Rows, and columns, that are converted to float32 at a time. A table of bfloat16 is never converted as a whole.
_ROWS: Final = 1 << 13
_COLUMNS: Final = 1 << 7
_DRAWS: Final = 1 << 10


@dataclass(frozen=True, eq=False)
class Plan:
    """Rule by which each row of a new table is made from the rows of an old one.

    Parameters
    ----------
    weights
        Weights of the old rows in each new row: CSR, float32, shape (new rows, old rows). A copied row has one weight
        of 1. Rows that are drawn, and means of all rows, have none.
    origin
        Place of each row's origin in `ORIGINS`, uint8, shape (new rows,).
    names
        Names of the new rows, by which random numbers are drawn.
    known
        Old rows that belong to a token: int64, shape (k,). Their distribution is that of drawn rows.
    noise
        Noise of mean rows, in standard deviations.
    seed
        Seed of random numbers.
    """

    weights: Any
    origin: npt.NDArray[np.uint8]
    names: Sequence[str]
    known: Ids
    noise: float
    seed: int

    def rows(self, *origins: Origin) -> Ids:
        """Return the new rows of some origins."""
        return np.flatnonzero(np.isin(self.origin, [ORIGINS.index(one) for one in origins]))

    @cached_property
    def combined(self) -> tuple[Ids, Any, Ids]:
        """New rows that are combined, their weights, and the old rows that the columns of the weights stand for."""
        rows = self.rows(COMBINED, PIECES)
        return rows, *without_unused(self.weights[rows])


def check_finite(table: torch.Tensor, rows: Ids, names: Sequence[str], label: str) -> None:
    """Raise OptionError if one of the rows has NaN or infinity."""
    for some in row_blocks(len(rows), _ROWS):
        finite = torch.isfinite(_take(table, rows[some])).all(dim=1)
        if not finite.all():
            row = int(rows[some][int(finite.int().argmin())])
            raise OptionError(
                f"row {row:,} ({names[row]!r}) of the {label} contains NaN or infinity; repair the model, since new "
                "rows are made from all rows"
            )


def fill_table(new: torch.Tensor, old: torch.Tensor, plan: Plan, *, label: str, progress: bool | None) -> None:
    """Fill a table in place.

    Parameters
    ----------
    new
        Shape (new rows, dim), or (new rows,) for a bias.
    old
        The same with the old rows.
    plan
        Rule for each row.
    label
        Name of the table, for the bar.
    progress
        Whether to show a bar; None shows it if standard error is a terminal.
    """
    if new.ndim == 1:
        new, old = new[:, None], old[:, None]
    copied = plan.rows(COPIED)
    sources = plan.weights[copied].indices
    with torch.no_grad(), progress_bar(new.shape[1], unit="columns", name=label, shown=progress) as bar:
        for some in row_blocks(len(copied), _ROWS):
            _put(new, copied[some], _take(old, sources[some]))
        rows, weights, used = plan.combined
        wide = np.float64 if old.dtype == torch.float64 else np.float32
        weights = weights.astype(wide)
        for columns in row_blocks(new.shape[1], _COLUMNS):
            if len(rows):
                strip = _take(old[:, columns], used).to("cpu", torch.float64 if wide is np.float64 else torch.float32)
                _put(new[:, columns], rows, torch.from_numpy(weights @ strip.numpy()))
            bar.advance(columns.stop - columns.start)
        _fill_drawn(new, old, plan)
        _put(new, plan.rows(PADDING), torch.zeros(1, 1))


def _fill_drawn(new: torch.Tensor, old: torch.Tensor, plan: Plan) -> None:
    drawn, means, spare = plan.rows(DRAWN), plan.rows(MEAN), plan.rows(SPARE)
    if not len(drawn) + len(means) + len(spare):
        return
    mean, deviation = distribution(old, plan.known)
    # A bias of one value per row has no direction, so its new values are the mean.
    spread = deviation if new.shape[1] > 1 else 0 * deviation
    for rows, factor in ((drawn, 1.0), (means, plan.noise), (spare, 0.0)):
        for some in row_blocks(len(rows), _DRAWS):
            names = [plan.names[row] for row in rows[some].tolist()]
            values = mean + factor * spread * unit_normal(names, new.shape[1], plan.seed) if factor else mean[None]
            _put(new, rows[some], torch.from_numpy(values))


def unit_normal(names: list[str], dim: int, seed: int) -> npt.NDArray[np.float64]:
    """Return standard normal numbers, shape (len(names), dim); each row depends on the seed and the name only."""
    return normal(0.0, 1.0).fill(names, Found(np.empty((0, dim)), 1, dim), seed)


def distribution(table: torch.Tensor, rows: Ids) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean and the standard deviation of rows in each dimension."""
    total = torch.zeros(table.shape[1], dtype=torch.float64)
    for some in row_blocks(len(rows), _ROWS):
        total += _take(table, rows[some]).cpu().double().sum(dim=0)
    mean = total / max(len(rows), 1)
    squares = torch.zeros_like(mean)
    for some in row_blocks(len(rows), _ROWS):
        squares += (_take(table, rows[some]).cpu().double() - mean).square().sum(dim=0)
    return mean.numpy(), (squares / max(len(rows), 1)).sqrt().numpy()


def _take(table: torch.Tensor, rows: Ids) -> torch.Tensor:
    return table.detach()[torch.from_numpy(rows.astype(np.int64)).to(table.device)]


def _put(table: torch.Tensor, rows: Ids, values: torch.Tensor) -> None:
    if len(rows):
        table[torch.from_numpy(rows).to(table.device)] = values.to(table.device, table.dtype)
