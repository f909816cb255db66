"""Test `transfer_embedding` on plain layers and on tiny Hugging Face models with random weights."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tokenizer_builders import OTHER, TEXTS, from_json, json_of, wrapped
from vecload import Vectors, map_spaces, transfer_embedding
from vecload.errors import OptionError
from vecload.layers import PartialEmbedding, PartialHead, TiedHead, reshape_embedding, token_vectors
from vecload.tokenizers.pieces import Pieces
from vecload.tokenizers.token_alignment import align_tokens
from vecload.tokenizers.token_forms import token_forms

transformers = pytest.importorskip("transformers")

RNG = np.random.default_rng(0)
SIZES: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SOURCE, TARGET = wrapped("bytes"), wrapped("unigram", texts="second", size=330)
ROWS = 448
"""Rows of a table for the source tokenizer, rounded up to a multiple of 64."""
NEW_ROWS = -(-len(TARGET) // 64) * 64


def model_of(kind: str, dtype: torch.dtype = torch.float32) -> Any:
    """Return a model for the source tokenizer: "tied", "untied", or "bert", whose head has a bias."""
    torch.manual_seed(0)
    if kind == "bert":
        made = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=ROWS, pad_token_id=0, **SIZES))
    else:
        config = transformers.LlamaConfig(
            vocab_size=ROWS,
            num_key_value_heads=2,
            tie_word_embeddings=kind == "tied",
            bos_token_id=0,
            eos_token_id=[0],
            pad_token_id=None,
            **SIZES,
        )
        made = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return made.to(dtype).eval()


def layer_of(rows: int = ROWS, dim: int = 12, **options: Any) -> torch.nn.Embedding:
    torch.manual_seed(1)
    return torch.nn.Embedding(rows, dim, **options)


def auxiliary() -> Vectors:
    """Return vectors of the target tokens."""
    names = [token for token in token_forms(TARGET).tokens if token]
    return Vectors(names, np.random.default_rng(3).normal(size=(len(names), 10)).astype(np.float32))


def origins(moved: Any) -> list[str]:
    return [moved.origins[code].name for code in moved.origin]


ARGUMENTS: dict[str, dict[str, Any]] = {
    "focus": {"vectors": auxiliary()},
    "wechsel": {"vectors": auxiliary(), "source_vectors": token_vectors(TEXTS, SOURCE, 10, min_count=1, bucket=500)},
    "omp": {"donor": layer_of(len(TARGET), 24)},
    "subwords": {},
    "mean": {},
    "normal": {},
}


@pytest.mark.parametrize("method", list(ARGUMENTS))
@pytest.mark.parametrize("overlap", ["exact", "fuzzy", "symbols"])
def test_shared_tokens_are_copied_bit_for_bit(method: Any, overlap: Any) -> None:
    layer = layer_of()
    before = layer.weight.detach().clone()
    moved = transfer_embedding(layer, SOURCE, TARGET, method, overlap=overlap, **ARGUMENTS[method])
    at = align_tokens(token_forms(SOURCE), token_forms(TARGET), overlap)
    assert torch.equal(layer.weight, before)
    assert torch.equal(moved.layer.weight[at >= 0], before[at[at >= 0]])
    assert [name == "copied" for name in origins(moved)] == (at >= 0).tolist()
    assert moved.weights.shape == (len(TARGET), ROWS)
    assert (moved.weights[at >= 0].indices == at[at >= 0]).all()
    made = np.isin(origins(moved), ["copied", "combined", "pieces"])
    expected = moved.weights @ before.numpy()
    np.testing.assert_allclose(moved.layer.weight.detach()[made], expected[made], atol=1e-5)
    assert (np.diff(moved.weights.indptr)[~made] == 0).all()
    table = str(moved.coverage)
    assert all(f"{name} " in table for name in set(origins(moved)))


def test_focus_equals_its_formula() -> None:
    layer, vectors = layer_of(), auxiliary()
    moved = transfer_embedding(layer, SOURCE, TARGET, "focus", vectors=vectors)
    forms = token_forms(TARGET)
    at = align_tokens(token_forms(SOURCE), forms)
    anchors = [row for row in np.flatnonzero(at >= 0) if row not in forms.special]
    rows = vectors.matrix.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    checked = 0
    for row in np.flatnonzero(at < 0).tolist():
        if row in forms.special:
            continue
        scores = rows[anchors] @ rows[row]
        best = np.sort(scores)[::-1]
        size = max(j for j in range(1, len(best) + 1) if 1 + j * best[j - 1] > best[:j].sum())
        weights = np.maximum(scores - (best[:size].sum() - 1) / size, 0)
        expected = weights @ layer.weight.detach().numpy()[at[anchors]]
        np.testing.assert_allclose(moved.layer.weight.detach()[row], expected, atol=1e-5)
        assert set(moved.weights[[row]].indices) == set(at[anchors][weights > 1e-9])
        checked += 1
    assert checked > 10


def test_wechsel_equals_its_formula_in_two_spaces() -> None:
    """Words of two languages, a map between them, and tokens as means of the words that contain them."""
    words = sorted({word for text in TEXTS for word in text.split()})
    others = sorted({word for text in OTHER for word in text.split()})
    one = Vectors(words, RNG.normal(size=(len(words), 6)).astype(np.float32))
    two = Vectors(others, RNG.normal(size=(len(others), 6)).astype(np.float32))
    space = map_spaces(one, two, pairs="identical", method="procrustes")
    layer = layer_of()
    moved = transfer_embedding(
        layer, SOURCE, TARGET, "wechsel", vectors=two, source_vectors=one, space_map=space, k=1000, temperature=0.2
    )

    def means(vectors: Vectors, wrapped_tokenizer: Any) -> dict[int, Any]:
        sums: dict[int, list[Any]] = {}
        for word in vectors:
            spelled = (wrapped_tokenizer.encode(text, add_special_tokens=False) for text in (word, f" {word}"))
            for row in {row for ids in spelled for row in ids}:
                sums.setdefault(row, []).append(vectors[word])
        special = token_forms(wrapped_tokenizer).special
        return {row: np.mean(rows, axis=0) for row, rows in sums.items() if row not in special}

    source, target = means(one, SOURCE), means(two, TARGET)
    here = space.apply_target(Vectors([str(row) for row in target], np.array([*target.values()])))
    there = space.apply(Vectors([str(row) for row in source], np.array([*source.values()])))
    new = [row for row, name in enumerate(origins(moved)) if name == "combined"]
    at = align_tokens(token_forms(SOURCE), token_forms(TARGET))
    assert new == sorted(row for row in target if at[row] < 0)
    rows = there.matrix.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for row in new:
        query = here[str(row)].astype(np.float64)
        cosines = rows @ (query / np.linalg.norm(query))
        # All of them, because tokens that are in the same words have equal cosines.
        weights = np.exp(cosines / 0.2)
        ids = np.array([int(word) for word in there])
        expected = weights / weights.sum() @ layer.weight.detach().numpy()[ids]
        np.testing.assert_allclose(moved.layer.weight.detach()[row], expected, atol=1e-5)


def test_counts_weigh_the_words_of_a_token() -> None:
    from vecload.formats.history import History

    words = sorted({word for text in OTHER for word in text.split()})
    matrix = np.eye(len(words), dtype=np.float32)
    counted = Vectors(words, matrix, history=History(counts=np.arange(len(words))))
    layer = layer_of()
    plain = transfer_embedding(layer, SOURCE, TARGET, "wechsel", vectors=Vectors(words, matrix))
    weighted = transfer_embedding(layer, SOURCE, TARGET, "wechsel", vectors=counted)
    assert not torch.equal(plain.layer.weight, weighted.layer.weight)


def test_pursuit_is_exact_if_the_donor_is_a_linear_image() -> None:
    forms = token_forms(TARGET)
    at = align_tokens(token_forms(SOURCE), forms)
    latent, mapping = RNG.normal(size=(len(forms), 6)), RNG.normal(size=(6, 12))
    rows = np.zeros((ROWS, 12))
    ordinary = (at >= 0) & ~np.isin(np.arange(len(forms)), list(forms.special))
    rows[at[ordinary]] = latent[ordinary] @ mapping
    layer = torch.nn.Embedding.from_pretrained(torch.from_numpy(rows).float())
    donor = torch.from_numpy(latent @ RNG.normal(size=(6, 20))).float()
    moved = transfer_embedding(layer, SOURCE, TARGET, "omp", donor=donor)
    made = np.array([name == "combined" for name in origins(moved)])
    assert made.sum() > 10
    np.testing.assert_allclose(moved.layer.weight[made], (latent @ mapping)[made], atol=1e-3)


def test_donor_with_its_own_tokenizer() -> None:
    donor_tokenizer = wrapped("bytes", texts="second")
    donor = layer_of(len(donor_tokenizer), 24)
    moved = transfer_embedding(layer_of(), SOURCE, TARGET, "omp", donor=donor, donor_tokenizer=donor_tokenizer, k=5)
    names = origins(moved)
    assert {"combined", "pieces"} <= set(names)
    known = align_tokens(token_forms(donor_tokenizer), token_forms(TARGET))
    assert all(known[row] >= 0 for row, name in enumerate(names) if name == "combined")
    assert np.diff(moved.weights.indptr).max() <= max(
        5, np.diff(moved.weights.indptr).max(where=np.array([name == "pieces" for name in names]), initial=0)
    )


def test_subwords_are_the_mean_of_the_pieces() -> None:
    layer = layer_of()
    moved = transfer_embedding(layer, SOURCE, TARGET, "subwords")
    forms, pieces = token_forms(TARGET), Pieces(token_forms(SOURCE))
    for row, name in enumerate(origins(moved)):
        if name == "pieces":
            ids = pieces.of_text(forms.texts[row] or b"")
            torch.testing.assert_close(moved.layer.weight[row], layer.weight[ids].mean(0))


@pytest.mark.parametrize("method", ["normal", "mean"])
def test_drawn_rows_depend_on_the_token_and_the_seed_only(method: Any) -> None:
    layer = layer_of()
    moved = transfer_embedding(layer, SOURCE, TARGET, method, noise=0.5 if method == "mean" else 0)
    state = json_of(TARGET.backend_tokenizer)
    state["model"]["vocab"] = state["model"]["vocab"][:-5]
    fewer = transfer_embedding(layer, SOURCE, from_json(state), method, noise=0.5 if method == "mean" else 0)
    same = fewer.layer.num_embeddings
    assert same == len(TARGET) - 5
    torch.testing.assert_close(fewer.layer.weight, moved.layer.weight[:same])
    other = transfer_embedding(layer, SOURCE, TARGET, method, seed=1, noise=0.5 if method == "mean" else 0)
    drawn = [row for row, name in enumerate(origins(moved)) if name in ("drawn", "mean")]
    assert len(drawn) > 20
    assert not torch.equal(other.layer.weight[drawn], moved.layer.weight[drawn])
    known = layer.weight.detach()[: len(SOURCE)]
    torch.testing.assert_close(moved.layer.weight[drawn].mean(0), known.mean(0), atol=0.6, rtol=0)


@pytest.mark.parametrize("kind", ["tied", "untied", "bert"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("train", ["all", "new"])
def test_models_get_rows_heads_biases_and_ids(kind: str, dtype: torch.dtype, train: Any, tmp_path: Path) -> None:
    model = model_of(kind, dtype)
    layer, head = model.get_input_embeddings(), model.get_output_embeddings()
    old = [one.detach().clone() for one in (layer.weight, head.weight)]
    bias = None if head.bias is None else head.bias.detach().clone()
    moved = transfer_embedding(model, SOURCE, TARGET, "focus", vectors=auxiliary(), train=train, pad_to_multiple_of=64)
    assert (moved.layer, moved.head) == (model.get_input_embeddings(), model.get_output_embeddings())
    assert moved.layer is layer
    assert moved.layer.num_embeddings == model.config.vocab_size == NEW_ROWS
    copied = np.array([name == "copied" for name in origins(moved)])
    made = np.isin(origins(moved), ["copied", "combined", "pieces"])
    at = moved.weights[copied].indices.astype(np.int64)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for table, rows in zip((moved.layer, moved.head), old, strict=True):
        weight = table.weight.detach()
        assert weight.dtype == dtype
        assert torch.equal(weight[copied], rows[at])
        expected = torch.from_numpy(moved.weights @ rows.float().numpy())
        torch.testing.assert_close(weight[made].float(), expected[made], atol=tolerance, rtol=tolerance)
        spare = rows[: len(SOURCE)].float().mean(0)
        torch.testing.assert_close(weight[-1].float(), spare, atol=tolerance, rtol=tolerance)
    if bias is not None:
        assert torch.equal(moved.head.bias.detach()[copied], bias[at])
        expected = torch.from_numpy(moved.weights @ bias.float().numpy())
        torch.testing.assert_close(moved.head.bias.detach()[made].float(), expected[made], atol=tolerance, rtol=0.1)
    if kind != "bert":
        ids = (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id)
        assert ids == (TARGET.bos_token_id, [TARGET.eos_token_id], None)
        assert model.generation_config.bos_token_id == TARGET.bos_token_id
    trained = [tuple(one.shape) for one in layer.parameters()]
    if train == "new":
        assert isinstance(layer, PartialEmbedding)
        assert type(moved.head) is (PartialHead if kind == "untied" else TiedHead)
        assert trained == [(int((~copied).sum()), 16)]
    else:
        assert (moved.head.weight is layer.weight) == (kind != "untied")
        assert trained == [(NEW_ROWS, 16)]
    text = torch.tensor([TARGET.encode("The cats ran to the mats.", add_special_tokens=False)])
    logits = model(text).logits
    assert logits.shape[-1] == NEW_ROWS
    logits.float().logsumexp(-1).sum().backward()
    if kind != "bert":
        assert model.generate(text, max_new_tokens=3, do_sample=False).shape == (1, text.shape[1] + 3)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path, dtype="auto").eval()
    torch.testing.assert_close(again(text).logits, logits, atol=1e-5 if dtype == torch.float32 else 0.05, rtol=1e-3)


def test_padding_token_of_the_target_becomes_the_padding_row() -> None:
    layer = layer_of(padding_idx=7)
    moved = transfer_embedding(layer, SOURCE, wrapped("wordpiece"), "subwords")
    assert moved.layer.padding_idx == token_forms(wrapped("wordpiece")).roles["pad"] == 3
    assert origins(moved)[3] == "padding"
    assert moved.layer.weight[3].tolist() == [0] * 12
    assert transfer_embedding(layer, SOURCE, TARGET, "subwords").layer.padding_idx is None or layer.padding_idx == 7


def test_ids_of_end_tokens_follow_their_tokens() -> None:
    model = model_of("untied")
    at = align_tokens(token_forms(SOURCE), token_forms(TARGET))
    row = int(np.flatnonzero(at > 100)[0])
    model.generation_config.eos_token_id = [0, int(at[row])]
    model.generation_config.pad_token_id = int(at[row])
    transfer_embedding(model, SOURCE, TARGET, "subwords")
    assert model.generation_config.eos_token_id == sorted([2, row])
    assert model.generation_config.pad_token_id == row


def test_nothing_is_lost_in_a_transfer_to_the_same_tokenizer() -> None:
    model = model_of("bert")
    ids = torch.tensor([[5, 6, 7]])
    before = model(ids).logits.detach()
    moved = transfer_embedding(model, SOURCE, SOURCE, "subwords", pad_to_multiple_of=64)
    assert set(origins(moved)) == {"copied", "spare"}
    count = len(SOURCE)
    assert torch.equal(model(ids).logits[..., :count], before[..., :count])


@pytest.mark.parametrize("kind", ["tied", "untied", "bert"])
def test_reshape_drops_reorders_and_merges_tokens(kind: str) -> None:
    state = json_of(wrapped("wordpiece").backend_tokenizer)
    names = sorted(state["model"]["vocab"], key=state["model"]["vocab"].get)
    kept = [*names[:5], *reversed(names[40:]), "catdog"]
    state["model"]["vocab"] = {name: row for row, name in enumerate(kept)}
    edited, old = from_json(state), wrapped("wordpiece")
    model = model_of(kind)
    weights = [table.weight.detach().clone() for table in (model.get_input_embeddings(), model.get_output_embeddings())]
    bias = model.get_output_embeddings().bias
    bias = None if bias is None else bias.detach().clone()
    moved = reshape_embedding(model, old, edited)
    at = [names.index(name) for name in kept[:-1]]
    for table, before in zip((moved.layer, moved.head), weights, strict=True):
        assert torch.equal(table.weight[:-1], before[at])
        pieces = [names.index(name) for name in ("cat", "##d", "##o", "##g") if name in names]
        assert origins(moved)[-1] == "pieces"
        assert set(moved.weights[[len(kept) - 1]].indices) <= set(range(len(names)))
        assert pieces
    if bias is not None:
        assert torch.equal(moved.head.bias[:-1], bias[at])
    assert model.config.vocab_size == len(kept)


def broken(row: int, head: bool = False) -> Any:
    model = model_of("untied")
    with torch.no_grad():
        (model.lm_head if head else model.get_input_embeddings()).weight[row, 3] = np.nan
    return model


WORDS = Vectors(["xyzzy"], np.ones((1, 4), dtype=np.float32))
LETTERS = from_json(
    {**json_of(wrapped("suffix").backend_tokenizer), "added_tokens": []}
    | {"model": {"type": "WordLevel", "vocab": {"ψ": 0, "ω": 1}, "unk_token": "ψ"}, "pre_tokenizer": None}
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "fokus"}, "unknown method 'fokus'; choose from: focus, wechsel, omp, subwords, mean, normal"),
        ({"method": "focus"}, "method='focus' needs vectors="),
        ({"method": "omp"}, "method='omp' needs donor="),
        ({"method": "mean", "vectors": WORDS}, "method='mean' does not use vectors=; leave it out"),
        ({"method": "focus", "vectors": WORDS, "donor": 1}, "method='focus' does not use donor=; leave it out"),
        ({"overlap": "none"}, "unknown overlap 'none'"),
        ({"k": 0}, "k must be 1 or more, or None for the default of the method, got 0"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"noise": -1.0}, "noise must be 0 or more"),
        ({"pad_to_multiple_of": 0}, "pad_to_multiple_of must be 1 or more"),
        ({"train": "head"}, "unknown train 'head'; choose from: all, new"),
        (
            {"model": layer_of(10)},
            "the input embedding has 10 rows: pass the tokenizer that the model was trained",
        ),
        ({"model": broken(5)}, r"row 5 \('.'\) of the input embedding contains NaN or infinity"),
        ({"model": broken(5, head=True)}, r"row 5 \('.'\) of the output head contains NaN or infinity"),
        ({"model": PartialEmbedding(torch.eye(2), torch.tensor([True, False]))}, "already partly trained"),
        ({"model": torch.nn.Linear(2, 2)}, "a Linear cannot be extended: it must be an nn.Embedding with a weight"),
        ({"method": "focus", "vectors": WORDS}, "the vectors of words have no n-grams, and rows for only 0 of the"),
        (
            {"method": "wechsel", "vectors": Vectors(["ψ"], np.eye(1))},
            "no token of the target tokenizer has",
        ),
        (
            {"method": "wechsel", "vectors": auxiliary(), "source_vectors": ARGUMENTS["wechsel"]["source_vectors"]}
            | {"space_map": map_spaces(WORDS, WORDS, pairs="identical", method="procrustes", normalize=())},
            "this side of the map has 4 dimensions, the vectors have 10",
        ),
        (
            {"method": "wechsel", "vectors": auxiliary(), "source_vectors": Vectors(["The"], np.ones((1, 3)))},
            "vectors of 10 values cannot be compared with source_vectors of 3: pass space_map=",
        ),
        ({"method": "omp", "donor": layer_of(20, 4)}, "the donor has 20 rows, and its tokenizer has ids up to"),
        ({"method": "omp", "donor": "gpt2"}, "donor must be a model, an embedding layer or a matrix, got str"),
        (
            {"method": "omp", "donor": torch.zeros(900, 4)},
            "the donor has none of the tokens that both tokenizers",
        ),
        (
            {"method": "omp", "donor": layer_of(2, 4), "target_tokenizer": LETTERS},
            "the tokenizers share no ordinary token",
        ),
        ({"source_tokenizer": 3}, "source_tokenizer must be a tokenizer of tokenizers or transformers"),
        ({"target_tokenizer": "no-such-folder"}, "target_tokenizer: no-such-folder/?.* does not exist"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_changed(arguments: dict[str, Any], message: str) -> None:
    given = {"model": model_of("untied"), "source_tokenizer": SOURCE, "target_tokenizer": TARGET, "method": "subwords"}
    given |= arguments
    before = copy.deepcopy(given["model"].state_dict())
    with pytest.raises(OptionError, match=message):
        transfer_embedding(**given)
    after = given["model"].state_dict()
    assert list(before) == list(after)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, equal_nan=True)


def test_rows_of_vectors_that_are_not_finite_count_as_missing() -> None:
    vectors = auxiliary()
    matrix = vectors.matrix.copy()
    matrix[300] = np.nan
    matrix[310] = 0
    moved = transfer_embedding(layer_of(), SOURCE, TARGET, "focus", vectors=Vectors(vectors.words, matrix))
    names = np.array(origins(moved))
    assert not np.isin(names[[300, 310]], ["combined"]).any()
    assert torch.isfinite(moved.layer.weight).all()


def test_token_vectors_train_and_compose(tmp_path: Path) -> None:
    vectors = token_vectors(OTHER, TARGET, 8, min_count=2, epochs=2, bucket=300)
    again = token_vectors(OTHER, TARGET, 8, min_count=2, epochs=2, bucket=300)
    assert vectors.dim == 8
    assert any(token.startswith("▁") and len(token) > 1 for token in vectors)
    assert vectors.ngrams is not None
    np.testing.assert_array_equal(vectors.matrix, again.matrix)
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(OTHER), encoding="utf-8")
    np.testing.assert_array_equal(
        token_vectors(file, TARGET, 8, min_count=2, epochs=2, bucket=300).matrix, vectors.matrix
    )
    moved = transfer_embedding(layer_of(), SOURCE, TARGET, "focus", vectors=vectors)
    assert "combined" in origins(moved)
    assert "pieces" not in origins(moved)  # n-grams compose the vectors of rare tokens
    with pytest.raises(OptionError, match="no token occurs 9 times in the texts"):
        token_vectors(["a b c"], TARGET, min_count=9)
    with pytest.raises(OptionError, match="texts"):
        token_vectors("a b c", TARGET)


def test_tokens_longer_than_a_sentence_of_gensim_are_all_used() -> None:
    long = " ".join(["cat mat"] * 15_000)
    vectors = token_vectors([long, "a dog"], TARGET, 2, min_count=1, epochs=1, bucket=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(vectors) >= 3


def test_vectors_can_be_a_file(tmp_path: Path) -> None:
    auxiliary().save(tmp_path / "aux.safetensors")
    layer = layer_of()
    moved = transfer_embedding(layer, SOURCE, TARGET, "focus", vectors=tmp_path / "aux.safetensors")
    expected = transfer_embedding(layer, SOURCE, TARGET, "focus", vectors=auxiliary())
    assert torch.equal(moved.layer.weight, expected.layer.weight)
