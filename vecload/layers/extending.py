"""`extend_embedding`: rows for new tokens in a layer or a Hugging Face model that exists already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vecload.errors import OptionError
from vecload.layers.heads import PartialHead, TiedHead
from vecload.layers.partial import PartialEmbedding
from vecload.oov import Found, normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vecload.vectors import Vectors
    from vecload.vocab import Vocab

_WORD_STARTS = ("Ġ", "▁")  # byte-level BPE and SentencePiece mark the beginning of a word, WordPiece what goes on


@dataclass(frozen=True)
class Extension:
    """What `extend_embedding` did.

    Parameters
    ----------
    layer
        The input layer with the new rows.
    ids
        The new tokens' rows, int64, shape (k,).
    mapped
        New tokens whose rows were mapped from the vectors.
    averaged
        New tokens whose rows are the mean of the old ones.
    shared
        How many tokens, known to both, the map was learned on. Unless they are more than the vectors have dimensions,
        it says little.
    """

    layer: torch.nn.Embedding | PartialEmbedding
    ids: npt.NDArray[np.int64]
    mapped: tuple[str, ...]
    averaged: tuple[str, ...]
    shared: int


def extend_embedding(
    model: Any,
    new_tokens: Sequence[str],
    vectors: Vectors | None = None,
    *,
    vocab: Vocab | Sequence[str] | Any = None,
    noise: float = 0.0,
    train: Literal["all", "new"] = "all",
    seed: int = 0,
) -> Extension:
    """Give new tokens rows that fit a trained model.

    Parameters
    ----------
    model
        A ``torch.nn.Embedding``, which is left as it is and copied, or a Hugging Face model, which is changed.
    new_tokens
        The tokens.
    vectors
        Pretrained vectors for them. A linear map (least squares, with a constant) from these to the model's rows is
        learned on the tokens both know. A token without a vector, or every token without this, gets the mean of the old
        rows.
    vocab
        What the old rows stand for: words in row order, or the tokenizer of a Hugging Face model, to which the new
        tokens were added by ``tokenizer.add_tokens(new_tokens)``. Needed with `vectors`.
    noise
        Added to mean rows, normal, in deviations of the old rows in each dimension: so that new tokens are told apart.
    train
        "new" leaves only the new rows of the embedding to be trained, and those of the output head, tied or not. Other
        parameters of the model stay as they are.
    seed
        Of the noise. A row depends on the seed and the token only.

    Returns
    -------
    Extension

    Raises
    ------
    OptionError
        For tokens that are there already, or when there is nothing to learn the map on.

    Notes
    -----
    A Hugging Face model is resized by its own ``resize_token_embeddings``, and heads that were tied stay so. After
    ``train="new"`` it is saved as ever, and ``from_pretrained`` reads it back with plain layers. Save and load it so
    before it is resized or its ``tie_weights()`` is called: transformers asks the layers for a parameter named weight.

    Examples
    --------
    >>> import vecload
    >>> layer = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0, 3.0], [3.0, 5.0]]))
    >>> known = vecload.Vectors(vecload.Words.from_strings(["a", "b", "c"]), np.array([[0.0], [1.0], [2.0]]))
    >>> extended = extend_embedding(layer, ["c", "d"], known, vocab=["a", "b"], train="new")
    >>> extended.layer.weight.detach().round(decimals=3).tolist()[2:], extended.mapped, extended.averaged
    ([[5.0, 7.0], [2.0, 4.0]], ('c',), ('d',))
    """
    if isinstance(new_tokens, str) or len(set(new_tokens)) != len(new_tokens):
        raise OptionError("new_tokens is a list of tokens, each once")
    if train not in ("all", "new"):
        raise OptionError(f"train={train!r} is not one of 'all', 'new'")
    whole = hasattr(model, "resize_token_embeddings")
    layer = model.get_input_embeddings() if whole else model
    if not isinstance(layer, torch.nn.Embedding) or isinstance(layer, PartialEmbedding):
        raise OptionError(f"a {type(layer).__name__} cannot be extended: pass a torch.nn.Embedding, perhaps .merged()")
    if train == "new" and layer.max_norm is not None:
        raise OptionError("train='new' cannot go with max_norm: torch would shorten the frozen rows in place")
    tokens = list(new_tokens)
    ids, known = _known(tokens, vocab, layer.num_embeddings)
    if vectors is not None and not known:
        raise OptionError("vectors need vocab: what the old rows stand for, to learn the map on")
    anew = _New(tokens, ids, vectors, known, noise, seed)
    if whole:
        extended = _extend_model(model, anew, train)
    else:
        weight = torch.cat([layer.weight.detach(), anew.rows_for(layer)])
        extended = _partial(layer, weight, ids) if train == "new" else _plain(layer, weight)
    told = anew.found >= 0
    return Extension(
        extended,
        ids,
        tuple(token for token, there in zip(tokens, told, strict=True) if there),
        tuple(token for token, there in zip(tokens, told, strict=True) if not there),
        len(anew.shared),
    )


class _New:
    """New tokens and the way to their rows in any table that has the old ones."""

    def __init__(
        self,
        tokens: list[str],
        ids: npt.NDArray[np.int64],
        vectors: Vectors | None,
        known: dict[str, int],
        noise: float,
        seed: int,
    ) -> None:
        self.tokens, self.ids, self._vectors, self._noise, self._seed = tokens, ids, vectors, noise, seed
        self.found = np.full(len(tokens), -1)
        self.shared = self._at = np.empty(0, dtype=np.int64)  # rows of the table and of the vectors
        if vectors is not None:
            self.found = _finite(vectors, tokens)
            at = _finite(vectors, list(known))
            self.shared, self._at = np.fromiter(known.values(), dtype=np.int64)[at >= 0], at[at >= 0]
            if not len(self.shared):
                raise OptionError("vectors and vocab have no token in common, so there is nothing to learn the map on")

    def rows_for(self, table: torch.nn.Embedding | torch.nn.Linear) -> torch.Tensor:
        """Rows for the new tokens, shape (k, dim), as a table of old ones wants them."""
        old = table.weight.detach().float().cpu().numpy()
        old = np.delete(old, [*self.ids[self.ids < len(old)], *_padding(table)], axis=0)
        seen = Found(old, len(old), old.shape[1])
        draws = normal(0.0, 1.0).fill(self.tokens, seen, self._seed)
        rows = seen.mean + self._noise * seen.deviation * draws
        if self._vectors is not None:
            source = self._vectors.matrix
            target = table.weight.detach()[torch.from_numpy(self.shared)].double().cpu().numpy()
            mapping = np.linalg.lstsq(_with_constant(source[self._at]), target, rcond=None)[0]
            told = self.found >= 0
            rows[told] = _with_constant(source[self.found[told]]) @ mapping
        return torch.from_numpy(rows).to(table.weight)


def _finite(vectors: Vectors, words: list[str]) -> npt.NDArray[np.int64]:
    """Rows of words, -1 where there is none without NaN or infinity: one such would spoil the whole map."""
    rows = vectors.words.lookup(words)
    there = np.flatnonzero(rows >= 0)
    rows[there[~np.isfinite(vectors.matrix[rows[there]]).all(axis=1)]] = -1
    return rows


def _with_constant(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.concatenate([rows.astype(np.float64), np.ones((len(rows), 1))], axis=1)


def _padding(table: torch.nn.Embedding | torch.nn.Linear) -> list[int]:
    row = getattr(table, "padding_idx", None)
    return [] if row is None else [row]


def _partial(layer: torch.nn.Embedding, weight: torch.Tensor, ids: npt.NDArray[np.int64]) -> PartialEmbedding:
    partial = PartialEmbedding(
        weight,
        np.isin(np.arange(len(weight)), ids),
        padding_idx=layer.padding_idx,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        sparse=layer.sparse,
    )
    partial.load_state_dict({"weight": weight})  # BERT's padding row is not zero, and some models pad with </s>
    return partial


def _plain(layer: torch.nn.Embedding, weight: torch.Tensor) -> torch.nn.Embedding:
    extended: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        weight,
        freeze=not layer.weight.requires_grad,
        padding_idx=layer.padding_idx,
        max_norm=layer.max_norm,
        norm_type=layer.norm_type,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        sparse=layer.sparse,
    )
    return extended


def _extend_model(model: Any, anew: _New, train: str) -> torch.nn.Embedding | PartialEmbedding:
    """Resize a Hugging Face model and set its new rows, of the input and of the head."""
    head = model.get_output_embeddings()
    tied = head is not None and head.weight is model.get_input_embeddings().weight
    rows = anew.rows_for(model.get_input_embeddings())
    scores = None if head is None or tied else anew.rows_for(head)
    size = max(int(anew.ids.max(initial=-1)) + 1, model.get_input_embeddings().num_embeddings)
    model.resize_token_embeddings(size, mean_resizing=False)
    layer, head = model.get_input_embeddings(), model.get_output_embeddings()
    at = torch.from_numpy(anew.ids).to(layer.weight.device)
    with torch.no_grad():
        layer.weight[at] = rows
        if scores is not None:
            head.weight[at.to(head.weight.device)] = scores
    if train == "all":
        plain: torch.nn.Embedding = layer
        return plain
    partial = _partial(layer, layer.weight, anew.ids)
    model.set_input_embeddings(partial)
    if tied:
        model.set_output_embeddings(TiedHead(partial, head.bias))
    elif head is not None:
        trained = np.isin(np.arange(len(head.weight)), anew.ids)
        model.set_output_embeddings(PartialHead(head.weight, trained, head.bias))
    return partial


def _known(tokens: list[str], vocab: Any, rows: int) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """Rows of the new tokens, and the words that old rows stand for."""
    if hasattr(vocab, "get_added_vocab"):
        added = vocab.get_added_vocab()
        for token in tokens:
            if token not in added:
                raise OptionError(f"{token!r} was not added to the tokenizer: tokenizer.add_tokens(new_tokens) first")
        ids = np.array([added[token] for token in tokens], dtype=np.int64)
        old = {token: row for token, row in vocab.get_vocab().items() if token not in added and row < rows}
        return ids, _surfaces(old, vocab)
    words = list(vocab or ())
    if words and len(words) != rows:
        raise OptionError(f"vocab has {len(words):,} words for the {rows:,} old rows")
    there = set(words)
    if twice := [token for token in tokens if token in there]:
        raise OptionError(f"{twice[0]!r} has a row already")
    return np.arange(rows, rows + len(tokens)), {word: row for row, word in enumerate(words)}


def _surfaces(vocab: dict[str, int], tokenizer: Any) -> dict[str, int]:
    """The whole words among a tokenizer's tokens, as they are written; the first row of each."""
    marked = any(token.startswith(_WORD_STARTS) and len(token) > 1 for token in vocab)
    words: dict[str, int] = {}
    for token, row in sorted(vocab.items(), key=lambda item: item[1]):
        if token.startswith(_WORD_STARTS) if marked else not token.startswith("##"):
            words.setdefault(tokenizer.convert_tokens_to_string([token]).strip(), row)
    words.pop("", None)
    return words
