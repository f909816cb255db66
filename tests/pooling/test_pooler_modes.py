"""Compare pooling of row numbers with nn.EmbeddingBag and plain loops: eager, compiled, exported and in onnxruntime."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import embedding_bag

from tests.builders import small_vectors
from vecload import Vectors, Vocab, Words, align
from vecload.errors import OptionError
from vecload.pooling import Mode, SentencePooler, pmeans, sif, usif

ROWS, DIM = 40, 7
VECTORS = small_vectors(ROWS, DIM)
WORDS, MATRIX = list(VECTORS), VECTORS.matrix
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS[: at + 5], at % 7)) for at in range(30)]
ALL = ["mean", "sum", "max", "sqrt-n", "sif", "usif", "tfidf", "pmeans", "attention", "fasttext"]


def pooler(mode: Any = "mean", **options: Any) -> SentencePooler:
    made = SentencePooler(VECTORS, mode, **options)
    if made.mode.name in ("sif", "usif", "tfidf"):
        made.fit(TEXTS)
    if made.query is not None:
        with torch.no_grad():
            made.query.copy_(torch.linspace(-1, 1, DIM))
    return made


def ragged(seed: int = 0, bags: int = 25, longest: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, longest, (bags,), generator=generator)
    tokens = torch.randint(0, ROWS, (int(lengths.sum()),), generator=generator)
    return tokens, lengths.cumsum(0) - lengths


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("dim", [1, 7, 16, 50])
def test_vectors_equal_embedding_bag_bit_for_bit(mode: str, trainable: bool, dim: int) -> None:
    matrix = np.random.default_rng(dim).normal(size=(ROWS, dim)).astype(np.float32)
    tokens, offsets = ragged(dim)
    ours = SentencePooler(Vectors(Words.from_strings(WORDS), matrix), mode, trainable=trainable)
    assert torch.equal(ours(tokens, offsets), embedding_bag(tokens, torch.tensor(matrix), offsets, mode=mode))
    square = tokens[:24].reshape(6, 4)
    assert torch.equal(ours(square), embedding_bag(square, torch.tensor(matrix), mode=mode))


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_vectors_equal_embedding_bag_bit_for_bit_on_threads(mode: str) -> None:
    tokens, offsets = ragged(1, bags=30_000, longest=20)
    assert len(tokens) > 200_000
    assert torch.equal(pooler(mode)(tokens, offsets), embedding_bag(tokens, torch.tensor(MATRIX), offsets, mode=mode))


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_padding_is_skipped_as_in_embedding_bag(mode: str) -> None:
    aligned = align(VECTORS, Vocab.from_words(WORDS, pad_token="<pad>"))
    weight = torch.tensor(aligned.matrix)
    tokens = torch.randint(0, 3, (12, 5), generator=torch.Generator().manual_seed(0))
    tokens[3] = 0
    expected = embedding_bag(tokens, weight, mode=mode, padding_idx=0)
    for trainable in (False, True):
        ours = SentencePooler(aligned, mode, trainable=trainable)
        assert ours.padding_idx == 0
        assert torch.equal(ours(tokens), expected)
        found, empty = ours(tokens, return_empty=True)
        assert torch.equal(found, expected)
        assert empty.tolist() == [not row.any() for row in tokens]


def test_gradients_equal_embedding_bag() -> None:
    tokens, offsets = ragged(2)
    for mode in ("mean", "sum", "max"):
        ours = pooler(mode, trainable=True)
        weight = torch.tensor(MATRIX, requires_grad=True)
        ours(tokens, offsets).pow(2).sum().backward()
        embedding_bag(tokens, weight, offsets, mode=mode).pow(2).sum().backward()
        assert torch.equal(ours.embedding.weight.grad, weight.grad)


def slow(mode: Mode, rows: list[int], made: SentencePooler) -> np.ndarray:
    """Pool one bag by the definition."""
    found = MATRIX[rows].astype(np.float64)
    if not rows:
        return np.zeros(made.output_dim)
    weights = made.token_weights.numpy()[rows].astype(np.float64) if len(made.token_weights) else None
    if mode.name == "attention":
        scores = np.exp(found @ np.linspace(-1, 1, DIM))
        return (scores / scores.sum()) @ found
    if mode.name == "pmeans":
        means = {1: found.mean(0), math.inf: found.max(0), -math.inf: found.min(0), 2: np.sqrt((found**2).mean(0))}
        means[3] = np.cbrt((found**3).mean(0))
        return np.concatenate([means[power] for power in mode.powers])
    if mode.name == "fasttext":
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).mean(0)
    if mode.name == "tfidf":
        return weights @ found / weights.sum()
    if mode.name in ("sif", "usif"):
        mean = weights @ found / len(rows)
        components = made.components.double().numpy()
        return mean - (components @ mean * made.shares.double().numpy()) @ components
    return {
        "mean": found.mean(0),
        "sum": found.sum(0),
        "max": found.max(0),
        "sqrt-n": found.sum(0) / np.sqrt(len(rows)),
    }[mode.name]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("mode", [*ALL, pmeans([1, 2, 3]), sif(components=3), usif(length=4, components=2)])
def test_every_mode_equals_its_definition_for_every_form_of_input(mode: Any) -> None:
    frozen, trained = pooler(mode), pooler(mode, trainable=True)
    tokens, offsets = ragged(3)
    bags = [bag.tolist() for bag in torch.tensor_split(tokens, offsets[1:])]
    expected = np.array([slow(frozen.mode, bag, frozen) for bag in bags])
    padded = torch.full((len(bags), 9), -1)
    for at, bag in enumerate(bags):
        padded[at, : len(bag)] = torch.tensor(bag)
    texts = [" ".join(WORDS[row] for row in bag) for bag in bags]
    nested = torch.nested.nested_tensor([torch.tensor(bag, dtype=torch.int64) for bag in bags])
    jagged = torch.nested.nested_tensor([torch.tensor(b, dtype=torch.int64) for b in bags], layout=torch.jagged)
    for made in (frozen, trained):
        forms = [
            made(tokens, offsets),
            made(tokens.int(), offsets.int()),
            made(padded),
            made(padded.clamp(min=0), mask=padded >= 0),
            made(nested),
            made(jagged),
            made.encode(texts, as_numpy=False),
        ]
        for form in forms:
            assert form.dtype == torch.float32
            np.testing.assert_allclose(form.detach().numpy(), expected, atol=2e-6)
    assert frozen.output_dim == expected.shape[1]


@pytest.mark.parametrize("mode", ALL)
def test_bags_without_tokens_are_zero(mode: str) -> None:
    for trainable in (False, True):
        made = pooler(mode, trainable=trainable, normalize=True)
        found, empty = made(torch.tensor([[-1, -1], [3, -1]]), return_empty=True)
        assert found[0].tolist() == [0] * made.output_dim
        assert found[1].norm().item() == pytest.approx(1, abs=1e-6)
        assert empty.tolist() == [True, False]
        made(torch.tensor([[-1, -1]])).sum().backward() if trainable else None
        if trainable:
            assert torch.isfinite(made.embedding.weight.grad).all()
        assert made(torch.empty((0, 3), dtype=torch.int64)).shape == (0, made.output_dim)
        assert made(torch.tensor([], dtype=torch.int64), torch.tensor([0, 0])).tolist() == [[0.0] * made.output_dim] * 2


def test_per_sample_weight_of_two_equals_the_token_twice() -> None:
    tokens = torch.tensor([1, 2, 2, 2, 5])
    twice = torch.tensor([1.0, 3.0, 1.0])
    for mode in ("mean", "sum", "sif", "usif", "tfidf"):
        made = pooler(mode)
        once = made(torch.tensor([1, 2, 5]), torch.tensor([0]), per_sample_weights=twice)
        torch.testing.assert_close(once, made(tokens, torch.tensor([0])))
    whole = embedding_bag(
        torch.tensor([1, 2, 5]), torch.tensor(MATRIX), torch.tensor([0]), mode="sum", per_sample_weights=twice
    )
    assert torch.equal(pooler("sum")(torch.tensor([1, 2, 5]), torch.tensor([0]), twice), whole)
    with pytest.raises(OptionError, match="per_sample_weights cannot be combined with mode 'max'"):
        pooler("max")(tokens, torch.tensor([0]), torch.ones(5))


@pytest.mark.parametrize("mode", [*ALL, pmeans([1, 2, 3])])
def test_gradients_of_every_mode_equal_finite_differences(mode: Any) -> None:
    made = pooler(mode, trainable=True).double()
    tokens = torch.tensor([[1, 2, 2, 5], [7, -1, 9, 0], [-1, -1, -1, -1]])
    inputs = [parameter for parameter in made.parameters() if parameter.requires_grad]

    def call(*_: torch.Tensor) -> torch.Tensor:
        return made(tokens)

    assert len(inputs) == (2 if made.query is not None else 1)
    assert torch.autograd.gradcheck(call, inputs)
    if made.mode.name in ("mean", "sum", "sif", "sqrt-n", "tfidf"):
        weights = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda w: made(tokens, per_sample_weights=w), [weights])


@pytest.mark.parametrize("mode", ALL)
def test_every_mode_pools_the_rows_of_any_layer(mode: str) -> None:
    class Doubled(torch.nn.Module):
        num_embeddings, embedding_dim = ROWS, DIM

        def __init__(self) -> None:
            super().__init__()
            self.part = torch.nn.Parameter(torch.tensor(MATRIX) / 2)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return 2 * self.part[rows]

    layer = Doubled()
    made = SentencePooler(layer, mode, words=Words.from_strings(WORDS))
    reference = pooler(mode)
    made.load_state_dict(reference.state_dict(), strict=False)
    tokens, offsets = ragged(4)
    torch.testing.assert_close(made(tokens, offsets).detach(), reference(tokens, offsets).detach())
    np.testing.assert_allclose(made.encode(TEXTS), reference.encode(TEXTS), atol=1e-6)
    made(tokens, offsets).sum().backward()
    assert layer.part.grad is not None


def test_writes_to_a_pooler_do_not_change_the_vectors() -> None:
    source = VECTORS
    made = SentencePooler(source, "sif").fit(TEXTS)
    assert made.embedding.weight.data_ptr() == source.matrix.ctypes.data
    state = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    state["embedding.weight"] += 1
    made.load_state_dict(state)
    assert np.array_equal(source.matrix, MATRIX)
    assert torch.equal(made.embedding.weight, torch.tensor(MATRIX) + 1)
    other = SentencePooler(source, "sif")
    other.requires_grad_(True)
    with torch.no_grad():
        other.embedding.weight += 1
    assert np.array_equal(source.matrix, MATRIX)
    parent = torch.nn.Sequential(SentencePooler(source)).requires_grad_(True)
    optimizer = torch.optim.SGD(parent.parameters(), lr=1.0)
    parent(torch.tensor([[1]])).sum().backward()
    optimizer.step()
    assert torch.equal(parent[0].embedding.weight[:3], torch.tensor(MATRIX[:3]) - torch.tensor([[0.0], [1], [0]]))
    assert np.array_equal(source.matrix, MATRIX)
    with pytest.raises(OptionError, match="call fit"):
        other(torch.tensor([[1]]))


@pytest.mark.parametrize("mode", ALL)
def test_bfloat16_pooler_is_close_to_float32(mode: str) -> None:
    made, whole = pooler(mode).to(torch.bfloat16), pooler(mode)
    tokens, offsets = ragged(5)
    found = made(tokens, offsets)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), whole(tokens, offsets), atol=0.05, rtol=0.05)
    import ml_dtypes

    narrow = Vectors(Words.from_strings(WORDS), MATRIX.astype(ml_dtypes.bfloat16))
    assert SentencePooler(narrow).embedding.weight.dtype == torch.bfloat16
    np.testing.assert_allclose(SentencePooler(narrow).encode(TEXTS), pooler().encode(TEXTS), atol=0.02)


def test_pooler_made_in_inference_mode() -> None:
    with torch.inference_mode():
        made = pooler("fasttext", trainable=True)
        assert torch.equal(made(torch.tensor([[1, 2]])), pooler("fasttext")(torch.tensor([[1, 2]])))


@pytest.mark.parametrize("mode", ALL)
def test_compiled_pooler_equals_eager_pooler(mode: str) -> None:
    made = pooler(mode)
    torch._dynamo.reset()
    quick = torch.compile(made, backend="eager", fullgraph=True)
    tokens, offsets = ragged(6)
    torch.testing.assert_close(quick(tokens, offsets), made(tokens, offsets))
    torch.testing.assert_close(quick(tokens[:12].reshape(3, 4)), made(tokens[:12].reshape(3, 4)))


@pytest.mark.parametrize("mode", ["sum", "tfidf", "fasttext", "attention"])
def test_exported_pooler_takes_other_shapes(mode: str) -> None:
    made = pooler(mode).eval()
    tokens, offsets = ragged(7)
    shapes = {"input": {0: torch.export.Dim.DYNAMIC}, "offsets": {0: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(made, (tokens, offsets), dynamic_shapes=shapes)
    other = ragged(8, bags=11)
    torch.testing.assert_close(program.module()(*other), made(*other))


@pytest.mark.parametrize("mode", ALL)
def test_onnx_model_equals_the_pooler(mode: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    made = pooler(mode, normalize=True).eval()
    free = torch.export.Dim.DYNAMIC
    padded = torch.tensor([[1, 2, 5], [-1, -1, -1], [7, 7, -1]]), None
    others = (ragged(9)[0][:20].reshape(4, 5), None), ragged(8, bags=11)
    inputs: list[Any] = [(padded, others[0], {0: free, 1: free}, None)]
    if mode in ("mean", "tfidf"):
        inputs.append((ragged(7), others[1], {0: free}, {0: free}))
    for first, other, rows, offsets in inputs:
        file = tmp_path / f"{len(rows)}.onnx"
        shapes = {"input": rows, "offsets": offsets}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(made, first, file, dynamic_shapes=shapes, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file)
        for given in (first, other):
            named = zip(session.get_inputs(), given, strict=False)
            found = session.run(None, {to.name: tensor.numpy() for to, tensor in named})[0]
            np.testing.assert_allclose(found, made(*given).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SentencePooler(VECTORS, "mode"), "unknown mode 'mode'; choose from: mean, sum"),
        (lambda: SentencePooler(VECTORS, unknown="drop"), "unknown='drop' is not an option; choose from: skip"),
        (lambda: SentencePooler(VECTORS, unknown="unk"), "needs an unknown token"),
        (lambda: SentencePooler(VECTORS, unknown="ngrams"), "needs Vectors with an n-gram table"),
        (lambda: SentencePooler(VECTORS, words=Words.from_strings(WORDS)), "words= applies to layers only"),
        (lambda: SentencePooler(torch.nn.Embedding(3, 2), words=Words.from_strings(WORDS)), "40 words do not match"),
        (lambda: SentencePooler(torch.nn.Embedding(3, 2), trainable=True), "apply to Vectors and Aligned only"),
        (lambda: SentencePooler(torch.nn.Embedding(3, 2)).encode(["a"]), "this pooler has no words"),
        (lambda: pooler()(torch.tensor([1])), "1-D input needs offsets"),
        (lambda: pooler()(torch.tensor([1]), torch.tensor([1])), "offsets must begin at 0"),
        (lambda: pooler()(torch.tensor([1, 2, 3]), torch.tensor([0, 2, 1])), "offsets must begin at 0"),
        (lambda: pooler()(torch.tensor([1]), torch.tensor([], dtype=torch.int64)), "offsets is empty"),
        (lambda: pooler()(torch.tensor([[ROWS]])), "row 40 is not one of the 40 rows"),
        (lambda: pooler()(torch.tensor([[1.0]])), "input must be row numbers .* got torch.float32"),
        (lambda: pooler()(torch.tensor([[[1]]])), "got 3 dimensions"),
        (lambda: pooler()(torch.tensor([[1]]), torch.tensor([0])), "offsets need 1-D input"),
        (lambda: pooler()(torch.tensor([[1, 2]]), mask=torch.tensor([[True]])), "mask has shape"),
        (lambda: sif(a=0), "a must be positive, got 0"),
        (lambda: pmeans([]), "at least one power"),
        (lambda: pmeans([0.5]), "powers must be positive integers, inf or -inf, got 0.5"),
    ],
)
def test_pooler_refuses_invalid_arguments(call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call()


def test_state_dict_is_pickled_and_repr_names_the_mode() -> None:
    made = pooler("sif")
    buffer = io.BytesIO()
    torch.save(made.state_dict(), buffer)
    assert "mode='sif'" in repr(made)
