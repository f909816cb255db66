"""Read and write trained rows that FSDP has split over processes.

FSDP2 makes every parameter a ``DTensor``, which can collect itself (``full_tensor``) and can be made from rows that
every process has. FSDP1 replaces parameters by views of one flat parameter, which only FSDP1 can collect.
"""

from __future__ import annotations

import sys
from typing import Any

import torch


def whole_rows(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Return all rows of a parameter, collected from the other processes if FSDP2 has split them.

    Raises
    ------
    RuntimeError
        For rows split by FSDP1, which can only be collected by FSDP1.
    """
    if hasattr(rows, "full_tensor"):
        collected: torch.Tensor = rows.full_tensor()
        return collected
    if rows.ndim != 2 or len(rows) != count:
        raise RuntimeError(
            f"the {count:,} trained rows are split over processes (FSDP1): read them within "
            "FullyShardedDataParallel.summon_full_params(model), or from a full state dict"
        )
    return rows


def like_parameter(rows: torch.Tensor, parameter: Any) -> torch.Tensor:
    """Return rows split as FSDP2 has split a parameter. Every process has all rows, so nothing is sent."""
    if parameter is None or not hasattr(parameter, "full_tensor"):
        return rows
    from torch.distributed.tensor import distribute_tensor

    # src_data_rank=None: every process cuts its part out of its own rows. The default would broadcast the rows of rank
    # 0.
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(rows.to(parameter), mesh, placements, src_data_rank=None)


def write_rows(parameter: torch.Tensor, rows: torch.Tensor) -> None:
    """Copy rows to a parameter. This process may have only a part of it."""
    if not hasattr(parameter, "full_tensor"):
        whole_rows(parameter, len(rows))
    parameter.copy_(like_parameter(rows, parameter))


def fsdp_module_above() -> Any:
    """Return the outermost module whose state dict is being made, if it contains an FSDP1 module.

    FSDP1 collects the parameters of the modules below it and checks, after their state has been saved, that every
    parameter is there under its own name. So rows can be joined to one `weight` only after FSDP1 is done, which takes
    a hook on a module above. A module does not know the modules above it; the call stack does.
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is None or not torch.distributed.is_initialized():
        return None
    # Modules whose state_dict() is running are the `self` of its frames; the outermost frame is the last.
    code = torch.nn.Module.state_dict.__code__
    frame = sys._getframe(1)
    above = [frame.f_locals["self"] for frame in _callers(frame) if frame.f_code is code]
    return above[-1] if any(isinstance(module, fsdp.FullyShardedDataParallel) for module in above) else None


def _callers(frame: Any) -> Any:
    while frame is not None:
        yield frame
        frame = frame.f_back
