"""Test `extend_embedding` on tiny Hugging Face models of several architectures, with random weights."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from vecload import PartialEmbedding, extend_embedding
from vecload.errors import OptionError
from vecload.layers import Extension, PartialHead, TiedEmbedding, TiedHead

transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),  # PEFT's
    pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning"),  # ids have no gradients
]

ROWS = 40
IDS = torch.tensor([[2, 3, 4, 5]])
NEW = torch.tensor([[2, ROWS, 4, ROWS + 1]])
DECODER: dict[str, Any] = {
    "vocab_size": ROWS,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 8,
}
SPECIALS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
SEQ2SEQ: dict[str, Any] = {
    "vocab_size": ROWS,
    "d_model": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8,
    "decoder_ffn_dim": 8,
    "max_position_embeddings": 16,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
}


def make(kind: str) -> Any:
    torch.manual_seed(0)
    t = transformers
    if kind == "gemma":
        model = t.GemmaForCausalLM(t.GemmaConfig(**DECODER, **SPECIALS, head_dim=4))
    elif kind == "gemma2":
        model = t.Gemma2ForCausalLM(t.Gemma2Config(**DECODER, **SPECIALS, head_dim=4))
    elif kind == "gemma3":
        model = t.Gemma3ForCausalLM(t.Gemma3TextConfig(**DECODER, **SPECIALS, head_dim=4))
    elif kind == "m2m100":
        model = t.M2M100ForConditionalGeneration(t.M2M100Config(**SEQ2SEQ, scale_embedding=True))
    elif kind == "bart":
        model = t.BartForConditionalGeneration(t.BartConfig(**SEQ2SEQ, scale_embedding=True))
    elif kind == "t5":
        sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
        model = t.T5ForConditionalGeneration(t.T5Config(vocab_size=ROWS, **sizes))
    elif kind == "gpt2":
        sizes = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16, "bos_token_id": 1, "eos_token_id": 1}
        model = t.GPT2LMHeadModel(t.GPT2Config(vocab_size=ROWS, **sizes))
    elif kind == "bert":
        names = ("num_hidden_layers", "num_attention_heads", "vocab_size", "hidden_size", "intermediate_size")
        model = t.BertForMaskedLM(t.BertConfig(**{name: DECODER[name] for name in names}))
    else:
        model = t.LlamaForCausalLM(t.LlamaConfig(**DECODER, tie_word_embeddings=kind == "tied"))
    with torch.no_grad():
        # Biases differ from zero, because equal biases would hide one at the wrong row.
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return model.eval()


KINDS = ["gemma", "gemma2", "gemma3", "m2m100", "bart", "t5", "gpt2", "bert", "tied", "untied"]


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    return model(input_ids=ids, **more).logits.detach()


def train_a_step(model: Any) -> None:
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.1)
    model(input_ids=NEW, labels=NEW).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("train", ["all", "new"])
def test_extending_keeps_class_hooks_and_scores_of_old_tokens(kind: str, train: Any) -> None:
    model = make(kind)
    layer, head = model.get_input_embeddings(), model.get_output_embeddings()
    classes = type(layer), type(head)
    calls: list[str] = []
    layer.register_forward_pre_hook(lambda *_: calls.append("before"))
    layer.register_forward_hook(lambda *_: calls.append("after"))
    layer.register_full_backward_hook(lambda *_: calls.append("backward"))
    head.register_forward_hook(lambda *_: calls.append("head"))
    before = logits(model, IDS)
    vectors = layer(IDS).detach()
    calls.clear()
    extended = extend_embedding(model, ["a", "b"], train=train)
    assert extended.layer is model.get_input_embeddings()
    assert isinstance(model.get_input_embeddings(), classes[0])
    assert isinstance(model.get_output_embeddings(), classes[1])
    assert torch.equal(model.get_input_embeddings()(IDS), vectors)
    after = logits(model, IDS)
    torch.testing.assert_close(after[..., :ROWS], before)
    if train == "new":
        # Old and new rows are multiplied separately, so scores of old rows are bit identical.
        assert torch.equal(after[..., :ROWS], before)
    calls.clear()
    model(input_ids=NEW, labels=NEW).loss.backward()
    assert {"before", "after", "backward", "head"} <= set(calls)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("train", ["all", "new"])
def test_trained_rows_survive_saving_and_finishing(kind: str, train: Any, tmp_path: Path) -> None:
    model = make(kind)
    old = model.get_input_embeddings().weight.detach().clone()
    extend_embedding(model, ["a", "b"], train=train)
    model.train()
    train_a_step(model)
    model.eval()
    rows = model.get_input_embeddings().weight.detach()
    if train == "new":
        assert torch.equal(rows[:ROWS], old)
    trained = logits(model, NEW)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(again, NEW), trained)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(logits(twin, NEW), trained)
        assert type(twin.get_input_embeddings()) is type(model.get_input_embeddings())
    Extension.finish(model)
    torch.testing.assert_close(logits(model, NEW), trained)
    assert list(model.state_dict()) == list(again.state_dict())
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in again.named_parameters()]


@pytest.mark.parametrize("kind", KINDS)
def test_finished_model_has_plain_layers(kind: str, tmp_path: Path) -> None:
    plain, model = make(kind), make(kind)
    extend_embedding(model, ["a", "b"], train="new")
    Extension.finish(model)
    modules = dict(plain.named_modules())
    for name, module in model.named_modules():
        assert type(module) is type(modules[name])
        added = set(module.__dict__) - set(modules[name].__dict__)
        assert added <= {"_is_hf_initialized", "vocab_size"}  # by resize_token_embeddings
    layer, head = model.get_input_embeddings(), model.get_output_embeddings()
    assert (head.weight is layer.weight) == (kind != "untied")
    again = extend_embedding(model, ["c"], train="new")
    assert again.ids.tolist() == [ROWS + 2]
    Extension.finish(model)
    model.tie_weights()
    model.resize_token_embeddings(ROWS + 8, mean_resizing=False)
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == (kind != "untied")
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(logits(type(model).from_pretrained(tmp_path).eval(), NEW), logits(model, NEW))


def test_layers_that_share_a_weight_share_partly_trained_rows() -> None:
    model = make("m2m100")
    model.model.other = torch.nn.Embedding(1, 8)
    model.model.other.weight = model.model.shared.weight
    extend_embedding(model, ["a"], train="new")
    layers = [model.model.shared, model.model.encoder.embed_tokens, model.model.other, model.lm_head]
    assert isinstance(layers[0], PartialEmbedding)
    assert (type(layers[2]), type(layers[3])) == (TiedEmbedding, TiedHead)
    assert [name for name, _ in model.named_parameters() if "trained" in name] == ["model.shared.trained0"]
    with torch.no_grad():
        model.model.shared.trained[0].fill_(2)
    assert all((layer.weight[ROWS] == 2).all() for layer in layers)
    assert layers[2](torch.tensor([ROWS])).tolist() == [[2] * 8]


@pytest.mark.parametrize("train", ["all", "new"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_extended_model_keeps_its_type(dtype: torch.dtype, train: Any) -> None:
    model = make("gemma3").to(dtype)
    extended = extend_embedding(model, ["a"], train=train)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert extended.layer(NEW[:, :2]).dtype == dtype
    assert extended.layer.weight.dtype == dtype


def test_model_without_a_head_is_extended() -> None:
    model = make("tied").model
    before = model(IDS).last_hidden_state.detach()
    extend_embedding(model, ["a"], train="new")
    assert torch.equal(model(IDS).last_hidden_state, before)
    Extension.finish(model)
    assert type(model.get_input_embeddings()) is torch.nn.Embedding


def test_extended_model_keeps_input_gradients() -> None:
    """Register the hook of `enable_input_require_grads`, which gradient checkpointing of LoRA models needs."""
    for train in ("all", "new"):
        model = make("gemma3")
        model.requires_grad_(False)
        model.enable_input_require_grads()
        extend_embedding(model, ["a"], train=train)
        assert len(model.get_input_embeddings()._forward_hooks) == 1
        assert model.get_input_embeddings()(IDS).requires_grad


def test_extended_model_refuses_operations_that_need_plain_layers() -> None:
    model = make("tied")
    extend_embedding(model, ["a"], train="new")
    with pytest.raises(OptionError, match=r"put plain layers back first, with Extension\.finish\(model\)"):
        extend_embedding(model, ["b"])
    with pytest.raises(RuntimeError, match=r"replace it with a plain layer first \(Extension\.finish"):
        model.resize_token_embeddings(60, mean_resizing=False)


class Doubled(torch.nn.Embedding):
    """Embedding whose forward reads the weight itself."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return 2 * torch.nn.functional.embedding(ids, self.weight)


class Counting(torch.nn.Embedding):
    """Embedding that counts its lookups in a buffer, with another attribute and constructor."""

    def __init__(self, size: int) -> None:
        super().__init__(size, 4, padding_idx=1)
        self.register_buffer("calls", torch.tensor(0))
        self.limit = 3.0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(ids).clamp(max=self.limit)


@pytest.mark.parametrize("train", ["all", "new"])
@pytest.mark.parametrize("make_layer", [lambda: Doubled(5, 4), lambda: Counting(5)])
def test_extended_layer_of_another_class_keeps_its_forward(make_layer: Any, train: Any) -> None:
    layer = make_layer()
    extended = extend_embedding(layer, ["a"], train=train).layer
    assert isinstance(extended, type(layer))
    assert torch.equal(extended(torch.arange(5)), layer(torch.arange(5)))
    assert layer.num_embeddings == 5
    extended(torch.tensor([0, 5])).sum().backward()
    if train == "new":
        assert extended.trained[0].grad.shape == (1, 4)
        Extension.finish(extended)
        assert type(extended) is type(layer)
    assert torch.equal(extended(torch.arange(5)), layer(torch.arange(5)))
    assert extended.weight.shape == (6, 4)


def test_weight_shared_with_another_kind_of_layer_is_refused() -> None:
    class Scorer(torch.nn.Module):
        def __init__(self, weight: torch.nn.Parameter) -> None:
            super().__init__()
            self.weight = weight

    model = make("tied")
    model.lm_head = Scorer(model.get_input_embeddings().weight)
    with pytest.raises(OptionError, match="a Scorer cannot be extended"):
        extend_embedding(model, ["a"], train="new")
    model = make("tied")
    model.other = Scorer(model.get_input_embeddings().weight)
    with pytest.raises(OptionError, match="a Scorer shares the weight of the input layer"):
        extend_embedding(model, ["a"], train="new")
    assert model.get_input_embeddings().num_embeddings == ROWS


def test_finish_refuses_rows_that_are_parametrized() -> None:
    extended = extend_embedding(torch.nn.Embedding(5, 4), ["a"], train="new").layer
    torch.nn.utils.parametrize.register_parametrization(extended, "trained0", Doubler())
    with pytest.raises(OptionError, match="a parametrization or pruning computes trained rows: remove it first"):
        Extension.finish(extended)
    torch.nn.utils.parametrize.remove_parametrizations(extended, "trained0")
    Extension.finish(extended)
    assert type(extended) is torch.nn.Embedding


class Doubler(torch.nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * rows


def adapted(kind: str, train: str) -> Any:
    model = make(kind)
    extend_embedding(model, ["a", "b"], train=train)
    return model


@pytest.mark.parametrize("kind", ["gemma3", "tied", "untied"])
@pytest.mark.parametrize("finished", [True, False])
def test_merging_an_adapter_keeps_the_new_rows(kind: str, finished: bool, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = adapted(kind, "new")
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"])).eval()
    if finished:
        Extension.finish(wrapped)
    merged = wrapped.merge_and_unload().eval()
    expected = logits(merged, NEW)
    merged.save_pretrained(tmp_path)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(again, NEW), expected)
    assert again.config.tie_word_embeddings == (kind != "untied")


@pytest.mark.parametrize("kind", ["gemma3", "tied", "untied"])
def test_adapter_of_trainable_tokens_has_the_new_rows(kind: str, tmp_path: Path) -> None:
    """Follow docs/layers.md: plain layers, and PEFT's own trainable tokens for the new rows."""
    peft = pytest.importorskip("peft")
    model = make(kind)
    ids = extend_embedding(model, ["a", "b"]).ids.tolist()
    names = {"embed_tokens": ids} if kind != "untied" else {"embed_tokens": ids, "lm_head": ids}
    config = peft.LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"], trainable_token_indices=names)
    wrapped = peft.get_peft_model(model, config)
    old = model.get_input_embeddings().weight.detach().clone()
    wrapped.train()
    train_a_step(wrapped)
    wrapped.eval()
    expected = logits(wrapped, NEW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT looks for the base model's config on the hub
        wrapped.save_pretrained(tmp_path)
    base = make(kind)
    extend_embedding(base, ["a", "b"])
    again = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    torch.testing.assert_close(logits(again, NEW), expected)
    merged = again.merge_and_unload()
    torch.testing.assert_close(logits(merged, NEW), expected)
    rows = merged.get_input_embeddings().weight.detach()
    assert torch.equal(rows[:ROWS], old[:ROWS])
    assert not torch.equal(rows[ROWS:], old[ROWS:])
    assert isinstance(merged.get_output_embeddings(), torch.nn.Linear)
    assert not isinstance(merged.get_output_embeddings(), (TiedHead, PartialHead))
