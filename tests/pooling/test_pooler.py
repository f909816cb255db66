"""Test `SentencePooler` as a module of a model: state dicts, tracing, dtypes and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.utils.parametrize
import torch.nn.utils.prune
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.builders import small_vectors
from vecload import SentencePooler, Vocab, align
from vecload.errors import OptionError
from vecload.layers import StoredEmbedding
from vecload.pooling import usif

ROWS, DIM = 8, 3
WORDS = list("abcdefgh")
VECTORS = small_vectors(WORDS, DIM)
MATRIX = VECTORS.matrix
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS, 4)) for at in range(24)]
IDS = torch.tensor([[1, 2], [5, 0]])
FITTED = ["sif", "usif", "tfidf"]


def fitted(mode: Any, **options: Any) -> SentencePooler:
    return SentencePooler(VECTORS, mode, **options).fit(TEXTS)


@pytest.mark.parametrize("mode", FITTED)
def test_unfitted_pooler_raises_in_eager_compiled_and_exported_code(mode: str) -> None:
    made = SentencePooler(VECTORS, mode).eval()
    torch._dynamo.reset()
    for call in (made, torch.compile(made, backend="eager"), lambda ids: torch.export.export(made, (ids,))):
        with pytest.raises(OptionError, match=f"mode '{mode}' estimates word weights from a corpus: call fit"):
            call(IDS)
    with pytest.raises(Exception, match="call fit"):
        torch.compile(made, backend="eager", fullgraph=True)(IDS)
    with pytest.raises(Exception, match="call fit"):
        torch.onnx.export(made, (IDS,), dynamo=True, verbose=False)
    quick = torch.compile(made, backend="eager")
    made.fit(TEXTS)
    torch.testing.assert_close(quick(IDS), made(IDS))


@pytest.mark.parametrize("mode", FITTED)
def test_state_dict_of_a_fitted_pooler_makes_another_one_fitted(mode: str) -> None:
    made = fitted(mode)
    for assign in (False, True):
        other = SentencePooler(VECTORS, mode)
        assert not other.fitted
        other.load_state_dict(made.state_dict(), assign=assign)
        assert other.fitted
        torch._dynamo.reset()
        torch.testing.assert_close(torch.compile(other, backend="eager", fullgraph=True)(IDS), made(IDS))
        other.load_state_dict(SentencePooler(VECTORS, mode).state_dict())
        assert not other.fitted


@pytest.mark.parametrize("mode", ["mean", "attention", *FITTED])
@pytest.mark.parametrize("averaging", ["default", "ema"])
def test_averaged_model_with_a_pooler_gives_the_same_vectors(mode: str, averaging: str) -> None:
    made = fitted(mode) if mode in FITTED else SentencePooler(VECTORS, mode)
    options = {} if averaging == "default" else {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}
    averaged = AveragedModel(made, use_buffers=True, **options)
    for _ in range(5):
        averaged.update_parameters(made)
    assert torch.equal(averaged(IDS), made(IDS))
    for name, tensor in averaged.module.state_dict().items():
        assert torch.equal(tensor, made.state_dict()[name]), name


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_state_dict_of_an_embedding_bag_is_loaded(mode: str) -> None:
    bag = nn.EmbeddingBag(ROWS, DIM, mode=mode)
    for source, options in ((VECTORS, {}), (VECTORS, {"trainable": True}), (nn.Embedding(ROWS, DIM), {})):
        made = SentencePooler(source, mode, **options)
        assert list(made.state_dict()) == ["embedding.weight"]
        made.load_state_dict(bag.state_dict())
        assert torch.equal(made(IDS), bag(IDS))
        whole, plain = nn.ModuleDict({"bag": SentencePooler(VECTORS, mode)}), nn.ModuleDict({"bag": bag})
        whole.load_state_dict(plain.state_dict())
        assert torch.equal(whole["bag"](IDS), bag(IDS))
        bag.load_state_dict(made.embedding.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*token_weights"):
        SentencePooler(VECTORS, "sif").load_state_dict(bag.state_dict())


def test_torch_fx_records_a_layer_as_one_call() -> None:
    for layer in (SentencePooler(VECTORS), StoredEmbedding(MATRIX)):
        model = nn.Sequential(layer, nn.Linear(DIM, 2))
        graph = torch.fx.symbolic_trace(model)
        assert [node.op for node in graph.graph.nodes] == ["placeholder", "call_module", "call_module", "output"]
        assert torch.equal(graph(IDS), model(IDS))
        with pytest.raises(OptionError, match=f"torch.fx cannot trace a {type(layer).__name__} by itself: trace a"):
            torch.fx.symbolic_trace(layer)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_torch_script_is_refused() -> None:
    for layer in (SentencePooler(VECTORS), StoredEmbedding(MATRIX)):
        for module in (layer, nn.Sequential(layer)):
            with pytest.raises(OptionError, match=f"torch.jit.script cannot compile a {type(layer).__name__}: use"):
                torch.jit.script(module)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_compiled_layers_refuse_ids_out_of_range(backend: str) -> None:
    stored = StoredEmbedding(MATRIX)
    for layer, wrong in ((stored, -1), (stored, ROWS), (SentencePooler(VECTORS), ROWS)):
        torch._dynamo.reset()
        quick = torch.compile(layer, backend=backend)
        assert torch.equal(quick(IDS), layer(IDS))
        with pytest.raises(RuntimeError, match=f"an id in a layer of {ROWS} rows"):
            quick(torch.tensor([[wrong, 1], [1, 1]]))
        exported = torch.export.export(layer, (IDS,)).module()
        with pytest.raises(RuntimeError, match=f"an id in a layer of {ROWS} rows"):
            exported(torch.tensor([[wrong, 1], [1, 1]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_normalize_bounds_the_gradients_of_rows_of_zeros(dtype: torch.dtype) -> None:
    aligned = align(VECTORS, ["a", "zyzzyx"], oov=["zeros"])
    made = aligned.pooler("mean", trainable=True, normalize=True).to(dtype)
    model = nn.Sequential(made, nn.Linear(DIM, 1, dtype=dtype))
    zeros = aligned.vocab["zyzzyx"]
    model(torch.tensor([[zeros, zeros], [0, 0]])).sum().backward()
    grads = [parameter.grad for parameter in model.parameters()]
    assert all(grad.isfinite().all() for grad in grads)
    if dtype != torch.float16:  # 1e12 is above the range of float16
        weight = torch.zeros(1, DIM, dtype=dtype, requires_grad=True)
        nn.functional.normalize(weight).sum().backward()
        assert grads[0].abs().max() <= weight.grad.abs().max()
    assert made(torch.tensor([[zeros]])).tolist() == [[0.0] * DIM]


@pytest.mark.parametrize(
    "offsets",
    [
        torch.zeros(2, 2, dtype=torch.long),
        torch.tensor(0),
        torch.tensor([0.0, 1.0]),
        torch.tensor([False, True]),
        torch.tensor([0, 1], dtype=torch.int16),
    ],
)
def test_invalid_offsets_raise_an_error_that_names_offsets(offsets: torch.Tensor) -> None:
    made = SentencePooler(nn.Embedding(5, 2))
    for call in (made, torch.compile(made, backend="eager")):
        with pytest.raises(OptionError, match="offsets must be 1-D, int32 or int64"):
            call(torch.tensor([1, 1]), offsets)


@pytest.mark.parametrize("given", [["cat"], "cat", [0, 1], np.array([0])])
def test_input_that_is_no_tensor_raises_an_error_that_names_encode(given: Any) -> None:
    with pytest.raises(OptionError, match=r"a tensor of row numbers, got (list|str|ndarray); .* encode\(texts\)"):
        SentencePooler(VECTORS)(given)
    with pytest.raises(OptionError, match=r"offsets must be a tensor, got (list|str|ndarray)"):
        SentencePooler(VECTORS)(torch.tensor([0, 1]), given)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool])
@pytest.mark.parametrize("trainable", [False, True])
def test_per_sample_weights_of_other_types_are_cast(dtype: torch.dtype, trainable: bool) -> None:
    weights = torch.tensor([[1, 3], [0, 2]]).to(dtype)
    for mode in ("sum", "mean", "sqrt-n", "tfidf"):
        made = SentencePooler(VECTORS, mode, trainable=trainable)
        made = made.fit(TEXTS) if mode == "tfidf" else made
        assert torch.equal(made(IDS, per_sample_weights=weights), made(IDS, per_sample_weights=weights.float()))
    with pytest.raises(OptionError, match="per_sample_weights must be real numbers"):
        made(IDS, per_sample_weights=torch.ones(2, 2, dtype=torch.complex64))


def test_per_sample_weights_of_another_type_get_gradients() -> None:
    weights = torch.tensor([[1.0, 3], [0, 2]], dtype=torch.float64, requires_grad=True)
    narrow = weights.detach().float().requires_grad_()
    SentencePooler(VECTORS, "sum")(IDS, per_sample_weights=weights).pow(2).sum().backward()
    bag = nn.EmbeddingBag.from_pretrained(torch.tensor(MATRIX), mode="sum")
    bag(IDS, per_sample_weights=narrow).pow(2).sum().backward()
    assert torch.equal(weights.grad, narrow.grad.double())


def test_error_names_a_row_out_of_range() -> None:
    with pytest.raises(OptionError, match="row 8 is not one of the 8 rows"):
        SentencePooler(VECTORS)(torch.tensor([[1, 8]]))
    with pytest.raises(IndexError, match="id -1 in a layer of 8 rows"):
        StoredEmbedding(MATRIX)(torch.tensor([[1, -1]]))


def test_trained_rows_are_float32_unless_a_dtype_is_given() -> None:
    import ml_dtypes

    for stored in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
        aligned = align(small_vectors(WORDS, DIM, stored), Vocab.from_words(WORDS))
        for source in (small_vectors(WORDS, DIM, stored), aligned):
            assert SentencePooler(source, trainable=True).embedding.weight.dtype == torch.float32
            wide = SentencePooler(source, trainable=True, dtype=torch.float64)
            assert wide.embedding.weight.dtype == torch.float64
    narrow = SentencePooler(small_vectors(WORDS, DIM, np.float16))
    assert narrow.embedding.weight.dtype == torch.float16
    assert SentencePooler(small_vectors(WORDS, DIM, np.float64)).embedding.weight.dtype == torch.float32
    assert (
        SentencePooler(small_vectors(WORDS, DIM, np.float64), dtype=torch.float64).embedding.weight.dtype
        == torch.float64
    )
    for wrong in (torch.int64, torch.bool):
        with pytest.raises(OptionError, match="dtype must be a floating-point type"):
            SentencePooler(VECTORS, dtype=wrong)
    with pytest.raises(OptionError, match="dtype= apply to Vectors and Aligned only"):
        SentencePooler(nn.Embedding(2, 2), dtype=torch.float16)
    made = align(small_vectors(WORDS, DIM, np.float16), Vocab.from_words(WORDS)).pooler(trainable=True)
    optimizer = torch.optim.AdamW(made.parameters())
    made(IDS).sum().backward()
    optimizer.step()
    assert made.embedding.weight.isfinite().all()


@pytest.mark.parametrize("change", ["hook", "prune", "parametrize"])
def test_hooks_pruning_and_parametrizations_of_the_layer_take_effect(change: str) -> None:
    layer, doubled = nn.Embedding(ROWS, DIM), nn.EmbeddingBag(ROWS, DIM)
    doubled.load_state_dict(layer.state_dict())
    mask = torch.arange(ROWS).remainder(2)[:, None].expand(ROWS, DIM)
    if change == "hook":
        layer.register_forward_hook(lambda module, given, rows: 2 * rows)
        doubled.weight.data *= 2
    elif change == "prune":
        nn.utils.prune.custom_from_mask(layer, "weight", mask)
        doubled.weight.data *= mask
    else:
        nn.utils.parametrize.register_parametrization(layer, "weight", nn.Tanh())
        doubled.weight.data.tanh_()
    torch.testing.assert_close(SentencePooler(layer)(IDS), doubled(IDS))


def test_fasttext_norms_are_updated_after_writes_through_data() -> None:
    made = SentencePooler(VECTORS, "fasttext")
    before = made(IDS)
    for _ in range(2):
        made.embedding.weight.data[1] *= -3
        after = made(IDS)
        assert not torch.allclose(after[0], before[0])
        assert after.norm(dim=1).max() <= 1 + 1e-6
        before = after


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torch_func_transforms_and_forward_mode_equal_embedding_bag() -> None:
    made, bag = SentencePooler(VECTORS, "sum", trainable=True), nn.EmbeddingBag(ROWS, DIM, mode="sum")
    bag.load_state_dict(made.embedding.state_dict())
    state = {"embedding.weight": made.embedding.weight.detach()}

    def loss(state: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(made, state, (ids[None],)).pow(2).sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(state, IDS)["embedding.weight"]
    for at, ids in enumerate(IDS):
        bag.zero_grad()
        bag(ids[None]).pow(2).sum().backward()
        torch.testing.assert_close(found[at], bag.weight.grad)
    tangent = torch.randn(ROWS, DIM)
    _, along = torch.func.jvp(
        lambda weight: torch.func.functional_call(made, {"embedding.weight": weight}, (IDS,)),
        (state["embedding.weight"],),
        (tangent,),
    )
    torch.testing.assert_close(along, tangent[IDS].sum(1))
    with torch.autograd.forward_ad.dual_level():
        weight = torch.autograd.forward_ad.make_dual(state["embedding.weight"], tangent)
        pooled = torch.func.functional_call(made, {"embedding.weight": weight}, (IDS,))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(pooled).tangent, tangent[IDS].sum(1))


def test_pooler_on_the_meta_device_loads_a_state_dict() -> None:
    state = fitted(usif(components=2)).state_dict()
    for assign in (False, True):
        made = SentencePooler(VECTORS, usif(components=2)).to("meta")
        assert not made.fitted
        made = made if assign else made.to_empty(device="cpu")
        made.load_state_dict(state, assign=assign)
        assert torch.equal(made(IDS), fitted(usif(components=2))(IDS))
