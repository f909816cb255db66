"""Test `extend_embedding` on plain layers and on tiny Hugging Face models with random weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vecload import PartialEmbedding, Vectors, Vocab, Words, extend_embedding
from vecload.errors import OptionError
from vecload.layers import PartialHead, TiedHead

WORDS = ["<pad>", *(f"w{at}" for at in range(30))]
NEW = ["new", "newer", "unheard"]
RNG = np.random.default_rng(0)
SOURCE = Vectors(Words.from_strings([*WORDS[1:], "new", "newer", "other"]), RNG.normal(size=(33, 4)))
MAP, CONSTANT = RNG.normal(size=(4, 8)), RNG.normal(size=8)


def in_model_space(words: list[str]) -> torch.Tensor:
    return torch.from_numpy(SOURCE[words] @ MAP + CONSTANT).float()


def layer(**options: Any) -> torch.nn.Embedding:
    weight = torch.cat([torch.zeros(1, 8), in_model_space(WORDS[1:])])
    return torch.nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=0, **options)


def test_extend_embedding_learns_a_linear_map() -> None:
    old = layer()
    extended = extend_embedding(old, NEW, SOURCE, vocab=Vocab.from_words(WORDS, pad_token="<pad>"))
    assert (extended.mapped, extended.averaged, extended.shared) == (("new", "newer"), ("unheard",), 30)
    assert extended.ids.tolist() == [31, 32, 33]
    weight = extended.layer.weight
    assert type(extended.layer) is torch.nn.Embedding
    assert extended.layer.padding_idx == 0
    assert torch.equal(weight[:31], old.weight)
    torch.testing.assert_close(weight[31:33], in_model_space(["new", "newer"]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(weight[33], old.weight[1:].mean(0))
    assert weight.requires_grad
    assert old.num_embeddings == 31


def test_vectors_with_nan_count_as_missing() -> None:
    matrix = SOURCE.matrix.copy()
    matrix[3], matrix[31] = np.nan, np.inf  # a shared word, and "newer"
    extended = extend_embedding(layer(), NEW, Vectors(SOURCE.words, matrix), vocab=WORDS)
    assert (extended.mapped, extended.averaged, extended.shared) == (("new",), ("newer", "unheard"), 29)
    torch.testing.assert_close(extended.layer.weight[31:32], in_model_space(["new"]), atol=1e-4, rtol=1e-4)


def test_train_new_trains_the_new_rows_only() -> None:
    extended = extend_embedding(layer(sparse=True), NEW, SOURCE, vocab=WORDS, train="new").layer
    assert isinstance(extended, PartialEmbedding)
    assert (extended.padding_idx, extended.sparse) == (0, True)
    assert [tuple(rows.shape) for rows in extended.trained] == [(3, 8)]
    assert extended.place[-3:].tolist() == [~0, ~1, ~2]


@pytest.mark.parametrize("train", ["all", "new"])
def test_extending_keeps_the_padding_row(train: Any) -> None:
    old = layer()
    with torch.no_grad():
        old.weight[0] = 5  # as in models that use an ordinary token for padding
    extended = extend_embedding(old, NEW, train=train).layer
    assert extended.padding_idx == 0
    extended(torch.tensor([0, 1, 31])).sum().backward()
    torch.optim.SGD(extended.parameters(), lr=1).step()
    assert torch.equal(extended.weight[0], old.weight[0])


def test_noise_depends_on_seed_and_token() -> None:
    old = layer()
    one, same, other = (extend_embedding(old, NEW, noise=0.1, seed=seed).layer.weight[31:] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    deviation = old.weight[1:].std(0, correction=0)
    assert ((one - old.weight[1:].mean(0)).abs() < 0.5 * deviation).all()
    alone = extend_embedding(old, NEW[1:2], noise=0.1).layer.weight[31]
    assert torch.equal(alone, one[1])
    assert extend_embedding(old, ["a"]).averaged == ("a",)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: extend_embedding(layer(), "new"), "new_tokens must be a list of tokens without duplicates"),
        (lambda: extend_embedding(layer(), ["a", "a"]), "new_tokens must be a list of tokens without duplicates"),
        (
            lambda: extend_embedding(layer(), ["w1"], vocab=WORDS),
            "the model knows 'w1' already, and its row 2 would be overwritten: remove the token from the list, or pass "
            "known='skip'",
        ),
        (lambda: extend_embedding(layer(), ["a"], vocab=["b"]), "vocab has 1 words for the 31 old rows"),
        (
            lambda: extend_embedding(layer(), ["a"], SOURCE),
            "vectors need vocab, the tokens of the old rows, to learn the map on",
        ),
        (
            lambda: extend_embedding(layer(), ["a"], SOURCE.select(["new"]), vocab=WORDS),
            "vectors and vocab have no token in common, so there is nothing to learn the map on",
        ),
        (
            lambda: extend_embedding(layer(), ["a"], train="head"),  # type: ignore[arg-type]
            "unknown train 'head'; choose from: all, new",
        ),
        (
            lambda: extend_embedding(layer(max_norm=1.0), ["a"], train="new"),
            "train='new' cannot be combined with max_norm: torch would shorten frozen rows in place",
        ),
        (
            lambda: extend_embedding(PartialEmbedding(torch.eye(2), torch.tensor([True, False])), ["a"]),
            "this PartialEmbedding is already partly trained: put plain layers back first, with "
            "Extension.finish(model), or pass layer.merged()",
        ),
    ],
)
def test_extend_embedding_refuses_invalid_arguments(call: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == message


def tiny(kind: str) -> tuple[Any, Any]:
    """Return a model with random weights and a tokenizer for its 40 rows, the last of which have no token."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    if kind == "bert":
        config = transformers.BertConfig(
            vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
        )
        model = transformers.BertForMaskedLM(config)
        names = ["[UNK]", "##s", *WORDS[1:]]
    else:
        config = transformers.LlamaConfig(
            vocab_size=40,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            intermediate_size=8,
            tie_word_embeddings=kind == "tied",
        )
        model = transformers.LlamaForCausalLM(config)
        names = ["[UNK]", "w0", *(f"Ġ{word}" for word in WORDS[1:])]
    backend = Tokenizer(models.WordLevel({name: row for row, name in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if kind != "bert":
        from tokenizers import decoders

        backend.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    with torch.no_grad():
        model.get_input_embeddings().weight[2:32] = in_model_space(WORDS[1:])
    return model.eval(), tokenizer


@pytest.mark.parametrize("kind", ["bert", "tied", "untied"])
@pytest.mark.parametrize("train", ["all", "new"])
def test_extend_embedding_on_a_hugging_face_model(kind: str, train: Any, tmp_path: Path) -> None:
    model, tokenizer = tiny(kind)
    new = [*NEW, *(f"n{at}" for at in range(10))]
    with pytest.raises(OptionError, match="'new' was not added to the tokenizer"):
        extend_embedding(model, new, SOURCE, vocab=tokenizer)
    tokenizer.add_tokens(new)
    ids = torch.tensor([[2, 3, 4]])
    before = model(ids).logits.detach()
    extended = extend_embedding(model, new, SOURCE, vocab=tokenizer, train=train)
    assert extended.layer is model.get_input_embeddings()
    assert model.config.vocab_size == 45  # 32 tokens and 13 new ones: more than 40 rows
    assert extended.ids.tolist() == list(range(32, 45))
    assert (extended.mapped, extended.shared) == (("new", "newer"), 30)
    torch.testing.assert_close(extended.layer.weight[32:34], in_model_space(["new", "newer"]), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(model(ids).logits[..., :32], before[..., :32])
    both = torch.tensor([[2, 32, 44]])
    model(both, labels=both).loss.backward()
    head = model.get_output_embeddings()
    if train == "all":
        assert (head.weight is extended.layer.weight) == (kind != "untied")
    else:
        assert type(head) is (PartialHead if kind == "untied" else TiedHead)
        names = [name for name, _ in model.named_parameters() if "trained0" in name]
        assert len(names) == (2 if kind == "untied" else 1)
        assert extended.layer.trained[0].grad.shape == (13, 8)
        assert torch.equal(head.weight, extended.layer.weight) == (kind != "untied")
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    assert type(again.get_input_embeddings()) is torch.nn.Embedding
    torch.testing.assert_close(again(both).logits, model(both).logits)


@pytest.mark.parametrize("train", ["all", "new"])
def test_known_token_of_a_model_is_refused_or_skipped(train: Any) -> None:
    model, tokenizer = tiny("untied")
    tokenizer.add_tokens(["earlier"])
    extend_embedding(model, ["earlier"], vocab=tokenizer)  # has row 32 from now on
    old, scores = (layer.weight.detach().clone() for layer in (model.get_input_embeddings(), model.lm_head))
    tokenizer.add_tokens(["w0", "new"])
    assert tokenizer.get_added_vocab()["w0"] == 1  # an existing token keeps its id
    given = ["new", "w0", "[UNK]"]
    for token in given[1:]:
        with pytest.raises(OptionError, match=re.escape(f"the model knows {token!r} already, and its row ")):
            extend_embedding(model, ["new", token], SOURCE, vocab=tokenizer, train=train)
    extended = extend_embedding(model, given, SOURCE, vocab=tokenizer, train=train, known="skip")
    assert extended.skipped == ("w0", "[UNK]")
    assert extended.mapped == ("new",)
    (row,) = extended.ids.tolist()
    rest = [one for one in range(40) if one != row]
    assert torch.equal(extended.layer.weight[rest], old[rest])
    assert torch.equal(model.lm_head.weight[rest], scores[rest])


def test_known_word_of_a_plain_vocabulary_is_skipped() -> None:
    old = layer()
    extended = extend_embedding(old, ["w1", "new"], SOURCE, vocab=WORDS, known="skip")
    assert (extended.skipped, extended.mapped, extended.ids.tolist()) == (("w1",), ("new",), [31])
    assert torch.equal(extended.layer.weight[:31], old.weight)
    nothing = extend_embedding(old, ["w1"], vocab=WORDS, known="skip", train="new")
    assert len(nothing.ids) == 0
    assert torch.equal(nothing.layer.weight, old.weight)


def test_spare_rows_of_a_model_are_used() -> None:
    model, tokenizer = tiny("tied")
    tokenizer.add_tokens(["new"])
    extended = extend_embedding(model, ["new"], SOURCE, vocab=tokenizer)
    assert (model.config.vocab_size, extended.ids.tolist()) == (40, [32])
    torch.testing.assert_close(extended.layer.weight[32], in_model_space(["new"])[0], atol=1e-3, rtol=1e-3)


def test_extend_embedding_on_a_model_without_a_tokenizer() -> None:
    model, _ = tiny("untied")
    old = model.lm_head.weight.detach().clone()
    extended = extend_embedding(model, ["a", "b"])
    assert extended.ids.tolist() == [40, 41]
    torch.testing.assert_close(model.lm_head.weight[40:], old.mean(0).expand(2, 8))


def with_pieces() -> tuple[Any, Any]:
    """Return a model of a byte-level tokenizer, and the tokenizer with three new tokens."""
    transformers = pytest.importorskip("transformers")
    from tests.tokenizer_builders import wrapped

    tokenizer = wrapped("bytes")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=len(tokenizer), **sizes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    tokenizer.add_tokens(["catdog", "東京都", "\N{PILE OF POO}"])
    return model, tokenizer


PIECED = ["catdog", "東京都", "\N{PILE OF POO}"]


@pytest.mark.parametrize("init", ["subwords", "description", "mean"])
@pytest.mark.parametrize("train", ["all", "new"])
def test_new_tokens_are_means_of_pieces_or_descriptions(init: Any, train: Any) -> None:
    model, tokenizer = with_pieces()
    old = model.get_input_embeddings().weight.detach().clone()
    bias = model.get_output_embeddings().bias.detach().clone()
    count = len(old)
    descriptions = {"catdog": " cat dog", "東京都": "東京 catdog", "\N{PILE OF POO}": "mat"}
    plain = tokenizer.backend_tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    given = {"descriptions": descriptions} if init == "description" else {}
    extended = extend_embedding(model, PIECED, vocab=tokenizer, init=init, train=train, **given)
    assert extended.combined == (() if init == "mean" else tuple(PIECED))
    assert extended.averaged == (tuple(PIECED) if init == "mean" else ())
    for row, token in zip(extended.ids.tolist(), PIECED, strict=True):
        if init == "mean":
            pieces = list(range(count))
        elif init == "subwords":
            # With a space before it, an added token is still found, so its pieces are those of the text of the word.
            text = f" {token}" if token.isalnum() else token
            pieces = [piece.id for piece in plain.model.tokenize(spelled(text))]
        else:
            ids = plain.encode(descriptions[token], add_special_tokens=False).ids
            pieces = [one for one in ids if one < count]
        torch.testing.assert_close(extended.layer.weight[row], old[pieces].mean(0))
        torch.testing.assert_close(model.get_output_embeddings().bias[row], bias[pieces].mean())
    assert torch.equal(extended.layer.weight[:count], old)
    assert torch.equal(model.get_output_embeddings().bias[:count], bias)


def spelled(text: str) -> str:
    from tokenizers import pre_tokenizers

    return "".join(part for part, _ in pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text))


def test_new_tokens_by_focus_and_pursuit_are_combinations_of_old_rows() -> None:
    model, tokenizer = with_pieces()
    old = model.get_input_embeddings().weight.detach().clone()
    words = ["the", "cat", "dog", "mat", "ran", "catdog"]
    vectors = Vectors(words, np.eye(6, dtype=np.float32)[:, :5] + 0.1)
    known = [row for token, row in tokenizer.get_vocab().items() if token.lstrip("Ġ") in words and row < len(old)]
    with pytest.raises(OptionError, match="no n-grams, and rows for only 1 of the 3 new tokens"):
        extend_embedding(model, PIECED, vectors, vocab=tokenizer, init="focus")
    extended = extend_embedding(model, ["catdog"], vectors, vocab=tokenizer, init="focus")
    assert extended.combined == ("catdog",)
    row = extended.layer.weight[extended.ids[0]].detach()
    weights = torch.linalg.lstsq(old[known].T.double(), row[:, None].double()).solution
    torch.testing.assert_close(old[known].T.double() @ weights, row[:, None].double(), atol=1e-5, rtol=1e-5)

    from tests.tokenizer_builders import wrapped

    model, tokenizer = with_pieces()
    donor_tokenizer = wrapped("wordpiece")
    donor_tokenizer.add_tokens(["catdog"])
    torch.manual_seed(1)
    donor = torch.nn.Embedding(len(donor_tokenizer), 4)
    donor_text = donor_tokenizer.convert_tokens_to_ids("catdog")
    with torch.no_grad():
        # Atoms are not normalized, so the longest one is chosen first.
        donor.weight[donor_tokenizer.convert_tokens_to_ids("cat")] *= 100
        donor.weight[donor_text] = 2 * donor.weight[donor_tokenizer.convert_tokens_to_ids("cat")]
    extended = extend_embedding(
        model, PIECED, vocab=tokenizer, init="omp", donor=donor, donor_tokenizer=donor_tokenizer
    )
    assert extended.averaged == ("東京都", "\N{PILE OF POO}")
    torch.testing.assert_close(
        extended.layer.weight[extended.ids[0]], 2 * old[tokenizer.convert_tokens_to_ids("Ġcat")], atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"init": "best"}, "unknown init 'best'; choose from: subwords, focus, omp, mean, description"),
        ({"init": "focus"}, "init='focus' needs vectors="),
        ({"init": "omp"}, "init='omp' needs donor="),
        ({"init": "description"}, "init='description' needs descriptions="),
        ({"init": "subwords", "vectors": SOURCE}, "init='subwords' does not use vectors=; leave it out"),
        ({"donor": 3}, "init=None does not use donor=; leave it out"),
        ({"init": "description", "descriptions": {}}, "descriptions has no text for 'catdog'"),
        ({"init": "subwords", "vocab": None}, "init='subwords' needs vocab=, the tokenizer of the model"),
    ],
)
def test_arguments_that_an_initializer_does_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    model, tokenizer = with_pieces()
    with pytest.raises(OptionError, match=re.escape(message)):
        extend_embedding(model, PIECED, **({"vocab": tokenizer} | arguments))
    assert model.get_input_embeddings().num_embeddings == len(tokenizer) - 3
