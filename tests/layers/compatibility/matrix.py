"""The matrix: columns with their titles, and the reasons for cells that are refused or impossible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.layers.compatibility import columns, processes, tools
from tests.layers.compatibility.rows import ROWS, Row


@dataclass(frozen=True)
class Column:
    """Use of a layer; `usual` is the row whose cell runs in `make test`."""

    name: str
    title: str
    check: Callable[[Row, Path], None]
    usual: str = "partial-some"
    needs_gpu: bool = False


COLUMNS = [
    Column("deepcopy", "`copy.deepcopy`", columns.use_deepcopy),
    Column("pickle", "`pickle`", columns.use_pickle, "pooler-mapped"),
    Column("torch-save", "`torch.save`, `weights_only=True`", columns.use_torch_save),
    Column("from-plain", "load a plain layer's state dict", columns.use_state_from_plain, "pooler-trained"),
    Column("to-plain", "a plain layer loads the state dict", columns.use_state_to_plain),
    Column("assign", "`load_state_dict(assign=True)`", columns.use_assign),
    Column("meta", "meta device, then `assign=True`", columns.use_meta),
    Column("to-empty", "meta device, then `to_empty`", columns.use_to_empty, "partial-stored"),
    Column("dtypes", "`.half()`, `.bfloat16()`, `.double()`", columns.use_dtypes),
    Column("apply", "`model.apply(init)`", columns.use_apply_init, "pooler-mapped"),
    Column("writes", "writes to `weight`", columns.use_writes),
    Column("swa", "`AveragedModel(use_buffers=True)`", columns.use_swa),
    Column("ema", "the same with `get_ema_multi_avg_fn`", columns.use_ema, "pooler-trained"),
    Column("averaging", "Lightning's `WeightAveraging`", columns.use_weight_averaging),
    Column("timm-ema", "timm's `ModelEmaV2`", columns.use_timm_ema),
    Column("yolo-ema", "YOLO's `ModelEMA`", columns.use_yolo_ema),
    Column("functional-call", "`torch.func.functional_call`", columns.use_functional_call),
    Column("vmap", "`vmap(grad(...))`", columns.use_vmap),
    Column("parametrize", "`parametrize` the trained rows", columns.use_parametrize),
    Column("hooks", "forward and backward hooks", columns.use_hooks),
    Column("sparse-adam", "`SparseAdam`", columns.use_sparse_adam),
    Column("autocast", "autocast", columns.use_autocast),
    Column("cuda", "CUDA", columns.use_cuda, needs_gpu=True),
    Column("compile", "`torch.compile`", tools.use_compile, "pooler-trained"),
    Column("export", "`torch.export`, dynamic shapes", tools.use_export),
    Column("onnx", "ONNX Runtime", tools.use_onnx),
    Column("script", "`torch.jit.script`", tools.use_script),
    Column("fx", "`torch.fx`", tools.use_fx),
    Column("lightning", "Lightning checkpoint and resume", tools.use_lightning),
    Column("trainer", "Hugging Face `Trainer`, resume", tools.use_trainer),
    Column("peft", "PEFT LoRA, save and merge", tools.use_peft, "extended-tied"),
    Column("accelerate", "Accelerate, save and load", tools.use_accelerate),
    Column("ddp", "DDP", processes.in_team("ddp"), "pooler-mapped"),
    Column("ddp-sparse", "DDP, `sparse=True`", processes.in_team("ddp-sparse")),
    Column("fsdp1", "FSDP1", processes.in_team("fsdp1")),
    Column("fsdp2", "FSDP2", processes.in_team("fsdp2")),
]


@dataclass(frozen=True)
class Refusal:
    """Cell that raises an error: a pattern of its message, and the reason, for the documentation."""

    words: str
    reason: str


IN_THE_FILE = "the frozen rows are in the stored table, not in the state dict"
NEVER_WRITTEN = "the table of a `StoredEmbedding` is never written to; use `layer.merged()`"
USE_EXPORT = "use `torch.export`, `torch.compile` or `torch.jit.trace`"

REFUSED: dict[tuple[str, str], Refusal] = {
    **{(row, "to-plain"): Refusal("Missing key", IN_THE_FILE) for row in ("stored", "partial-stored")},
    ("partial-stored", "from-plain"): Refusal("Unexpected key", IN_THE_FILE),
    **{
        (row, column): Refusal("is never written to", NEVER_WRITTEN)
        for row, column in [("stored", "writes"), ("partial-stored", "writes"), ("partial-stored", "apply")]
    },
    **{
        (row.name, "script"): Refusal("torch.jit.script cannot compile a .*: use torch.export", USE_EXPORT)
        for row in ROWS
    },
}
"""Cells that raise an error instead of returning the plain layer's result."""

_UNTRAINED = "no trained rows"
_NO_OPTION = "no `sparse=` option of its own; pass a layer that has it"

ABSENT: dict[tuple[str, str], str] = {
    **{
        (row, column): _UNTRAINED
        for row in ("partial-none", "stored", "pooler-frozen", "pooler-mapped")
        for column in ("sparse-adam", "ddp-sparse")
    },
    ("stored", "apply"): "functions that initialize embeddings skip it, because it is not an `nn.Embedding`",
    **{(row, "parametrize"): _UNTRAINED for row in ("partial-none", "stored")},
    **{
        (row, column): _NO_OPTION
        for row in ("pooler-trained", "extended-tied", "extended-untied")
        for column in ("sparse-adam", "ddp-sparse")
    },
}
"""Cells that have no meaning, with the reason."""


def cells() -> list[tuple[Row, Column]]:
    return [(row, column) for column in COLUMNS for row in ROWS if (row.name, column.name) not in ABSENT]
