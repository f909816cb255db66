"""Columns of the matrix for compilers, exporters and trainers."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.layers.compatibility.columns import both, of
from tests.layers.compatibility.rows import BATCH, COUNT, LABELS, Row, WithLoss, assert_same, scores_of, train


class Scores(nn.Module):
    """A model of either kind with a tensor as its answer, as exporters want it."""

    def __init__(self, model: nn.Module, *, hugging_face: bool) -> None:
        super().__init__()
        self.model, self.options = model, {"use_cache": False} if hugging_face else {}

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return of(self.model(input_ids=input_ids, **self.options))


def scores_module(row: Row, model: nn.Module) -> nn.Module:
    return Scores(model, hugging_face=row.kind == "model").eval()


def use_compile(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    torch._dynamo.reset()
    results = []
    for model in (ours, plain):
        model.zero_grad()
        quick = torch.compile(scores_module(row, model), backend="aot_eager", fullgraph=True)
        scores = quick(BATCH)
        scores.pow(2).sum().backward()
        row.freeze(model)
        results.append(scores.detach())
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    for model in (ours, plain):
        torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1).step()
    assert_same(row, ours, plain)
    if row.kind != "model":
        quick = torch.compile(ours, backend="aot_eager")
        with pytest.raises((RuntimeError, IndexError), match="index out of range"):
            quick(torch.tensor([[1, 2, COUNT]]))


def use_export(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    free = torch.export.Dim.DYNAMIC
    shapes = {"input_ids": {0: free, 1: free}}
    program = torch.export.export(scores_module(row, ours), (BATCH,), dynamic_shapes=shapes)
    for ids in (BATCH, BATCH[:2, :2].repeat(3, 3)):
        torch.testing.assert_close(program.module()(ids), scores_of(plain, ids), rtol=1e-4, atol=1e-5)


def use_onnx(row: Row, folder: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    ours, plain = both(row, folder)
    free = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            scores_module(row, ours),
            (BATCH,),
            folder / "model.onnx",
            dynamic_shapes={"input_ids": {0: free, 1: free}},
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for ids in (BATCH, BATCH[:2, :2].repeat(3, 3)):
        found = session.run(None, {session.get_inputs()[0].name: ids.numpy()})[0]
        np.testing.assert_allclose(found, scores_of(plain, ids).detach().numpy(), rtol=1e-4, atol=1e-5)


def use_script(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(ours.get_input_embeddings() if row.kind == "model" else ours)
    torch.testing.assert_close(script(BATCH), plain(BATCH))


def use_fx(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    if row.kind == "model":  # torch.fx cannot trace transformers' attention masks, so trace the input layer
        ours, plain = (nn.Sequential(model.get_input_embeddings()) for model in (ours, plain))
    graph = torch.fx.symbolic_trace(ours)
    torch.testing.assert_close(graph(BATCH), plain(BATCH))
    graph(BATCH).sum().backward() if row.trained.any() else None


def use_lightning(row: Row, folder: Path) -> None:
    """Save and resume like Lightning: restore the model first, then the optimizers."""
    ours, plain = both(row, folder)
    resumed = []
    for model, make in ((ours, row.make), (plain, row.plain)):
        optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.1, weight_decay=0)
        train(row, model, 2, optimizer)
        checkpoint = {
            "epoch": 1,
            "global_step": 2,
            "pytorch-lightning_version": "2.5.0",
            "state_dict": model.state_dict(),
            "optimizer_states": [optimizer.state_dict()],
            "lr_schedulers": [],
        }
        file = folder / f"{len(resumed)}.ckpt"
        torch.save(checkpoint, file)
        loaded = torch.load(file, weights_only=True)
        fresh = make(folder)
        fresh.load_state_dict(loaded["state_dict"], strict=True)
        again = torch.optim.AdamW([one for one in fresh.parameters() if one.requires_grad], lr=0.1, weight_decay=0)
        again.load_state_dict(loaded["optimizer_states"][0])
        train(row, fresh, 2, again)
        train(row, model, 2, optimizer)
        resumed.append(fresh)
        torch.testing.assert_close(row.table(fresh), row.table(model))
    assert_same(row, ours, plain)
    assert_same(row, *resumed)


class Examples(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __init__(self, labels: torch.Tensor) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(BATCH)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        return {"input_ids": BATCH[at], "labels": self.labels[at]}


def use_trainer(row: Row, folder: Path) -> None:
    """Hugging Face's Trainer: train, save, and resume from the checkpoint."""
    transformers = pytest.importorskip("transformers")

    def fit(model: nn.Module, out: Path, steps: int, resume: str | None = None) -> None:
        options = transformers.TrainingArguments(
            output_dir=str(out), max_steps=steps, save_steps=1, per_device_train_batch_size=4, learning_rate=0.1,
            weight_decay=0.0, lr_scheduler_type="constant", report_to=[], disable_tqdm=True, use_cpu=True,
            save_strategy="steps", logging_strategy="no", max_grad_norm=0.0, seed=0,
        )  # fmt: skip

        class Frozen(transformers.TrainerCallback):
            def on_pre_optimizer_step(self, *arguments: Any, **options: Any) -> None:
                row.freeze(model)

        whole = row.kind == "model"  # which has a loss of its own
        examples = Examples(BATCH if whole else LABELS)
        trained = model if whole else WithLoss(model)
        trainer = transformers.Trainer(trained, options, train_dataset=examples, callbacks=[Frozen()])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.train(resume_from_checkpoint=resume)

    ours, plain = both(row, folder)
    fit(ours, folder / "ours", 4)
    fit(plain, folder / "plain", 4)
    assert_same(row, ours, plain)
    resumed = row.make(folder)
    fit(resumed, folder / "resumed", 4, str(folder / "ours" / "checkpoint-2"))
    assert_same(row, resumed, plain)


def use_peft(row: Row, folder: Path) -> None:
    """LoRA next to the layer: train, save the adapter, load it on a fresh model, merge."""
    peft = pytest.importorskip("peft")

    def adapted(model: nn.Module) -> Any:
        torch.manual_seed(0)
        target = ["q_proj"] if row.kind == "model" else ["linear"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=target, init_lora_weights=False))

    ours, plain = both(row, folder)
    frozen = row.table(ours)
    made = [adapted(ours), adapted(plain)]
    for wrapped in made:
        optimizer = torch.optim.SGD([one for one in wrapped.parameters() if one.requires_grad], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            scores_of(wrapped, BATCH).pow(2).mean().backward()
            optimizer.step()
    expected = scores_of(made[1], BATCH)
    torch.testing.assert_close(scores_of(made[0], BATCH), expected, rtol=1e-4, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made[0].save_pretrained(folder / "adapter")
        loaded = peft.PeftModel.from_pretrained(row.make(folder), folder / "adapter")
    torch.testing.assert_close(scores_of(loaded, BATCH), expected, rtol=1e-4, atol=1e-5)
    merged = loaded.merge_and_unload()
    torch.testing.assert_close(scores_of(merged, BATCH), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(row.table(merged), frozen)


def use_accelerate(row: Row, folder: Path) -> None:
    """Accelerate: prepare, train, `save_state` and `load_state`."""
    accelerate = pytest.importorskip("accelerate")
    ours, plain = both(row, folder)
    accelerator = accelerate.Accelerator(cpu=True)
    for model in (ours, plain):
        optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=0.1)
        prepared, stepping = accelerator.prepare(model, optimizer)
        for _ in range(2):
            stepping.zero_grad()
            accelerator.backward(scores_of(prepared, BATCH).pow(2).mean())
            row.freeze(model)
            stepping.step()
    assert_same(row, ours, plain)
    accelerator.free_memory()
    kept = copy.deepcopy(ours)
    prepared = accelerator.prepare(ours)
    accelerator.save_state(str(folder / "state"))
    if row.trained.any():
        train(row, ours)
    accelerator.load_state(str(folder / "state"))
    assert_same(row, ours, kept)
    accelerator.free_memory()
