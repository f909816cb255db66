"""`transfer_embedding`: give a model the rows of a new tokenizer's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.model_tables import check_tables, is_whole_model, resize, tables_of, train_rows, with_weight
from vecload.layers.transfer.arguments import check_given
from vecload.layers.transfer.entries import Entries
from vecload.layers.transfer.filling import (
    COMBINED,
    COPIED,
    DRAWN,
    MEAN,
    ORIGINS,
    PADDING,
    PIECES,
    SPARE,
    Plan,
    check_finite,
    fill_table,
)
from vecload.layers.transfer.methods import Move, by_focus, by_pieces, by_pursuit, by_wechsel
from vecload.layers.transfer.model_ids import update_ids
from vecload.loading import load
from vecload.mapping import SpaceMap
from vecload.provenance import Count, Coverage, Origin
from vecload.tokenizers.token_alignment import Overlap, align_tokens, check_overlap
from vecload.tokenizers.token_forms import token_forms
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from vecload.tokenizers.token_forms import TokenForms

    Ids = npt.NDArray[np.int64]

Method = Literal["focus", "wechsel", "omp", "subwords", "mean", "normal"]
"""Method by which the rows of new tokens are made: see `transfer_embedding`."""

# The arguments that a method needs, and those that it can use.
_ARGUMENTS: Final = {
    "focus": (("vectors",), ()),
    "wechsel": (("vectors",), ("source_vectors", "space_map")),
    "omp": (("donor",), ("donor_tokenizer",)),
}


@dataclass(frozen=True, eq=False)
class Transfer:
    """Result of `transfer_embedding`.

    Parameters
    ----------
    layer
        Input layer with a row for each token of the target tokenizer: of the model, which was changed, or a new one.
    head
        Output head of the model; None for an embedding layer and for models without one.
    weights
        ``scipy.sparse.csr_array`` of float32, shape (target rows, source rows): the weight of each old row in each new
        one. Rows that were drawn, are spare, or are the mean of all rows have none.
    origin
        Code of the origin of each row, uint8, shape (target rows,).
    origins
        Origin of each code: "copied"; "combined" from other rows by the method; "pieces", the mean of the source
        tokenizer's pieces; "drawn" at random; "mean" of all; "spare" for rows without a token; "padding".
    coverage
        Number of rows of each origin; ``print(moved.coverage)`` shows a table. `found` is the share of copied ones.
    """

    layer: torch.nn.Embedding
    head: torch.nn.Module | None
    weights: Any
    origin: npt.NDArray[np.uint8]
    origins: tuple[Origin, ...]
    coverage: Coverage


def transfer_embedding(
    model: Any,
    source_tokenizer: Any,
    target_tokenizer: Any,
    method: Method = "focus",
    *,
    vectors: Any = None,
    source_vectors: Any = None,
    space_map: SpaceMap | None = None,
    donor: Any = None,
    donor_tokenizer: Any = None,
    overlap: Overlap = "exact",
    k: int | None = None,
    temperature: float = 0.1,
    noise: float = 0.0,
    seed: int = 0,
    train: Literal["all", "new"] = "all",
    pad_to_multiple_of: int = 1,
    progress: bool | None = None,
) -> Transfer:
    """Replace the tokenizer of a model: make a row for each token of another one from the rows of the old tokens.

    Rows of tokens that both tokenizers have are copied bit for bit. The output head, if it is not tied to the input
    layer, and its bias are made by the same weights.

    Parameters
    ----------
    model
        A ``torch.nn.Embedding``, which is left unchanged and copied, or a Hugging Face model, which is changed.
    source_tokenizer, target_tokenizer
        Tokenizers of *tokenizers* or *transformers*, or folders with ``tokenizer.json``.
    method
        How the rows of other tokens are made:

        - "focus": sparsemax of the cosines with all shared tokens, in the space of `vectors`.
        - "wechsel": softmax of the cosines with the `k` nearest source tokens, in a space of both languages.
        - "omp": orthogonal matching pursuit over the shared tokens in a `donor` model, with at most `k` of them.
        - "subwords": the mean of the pieces that the source tokenizer cuts the token into.
        - "mean": the mean of all rows.
        - "normal": drawn from a normal distribution with the mean and deviation of each dimension.

        A token that "focus", "wechsel" or "omp" cannot make a row for gets that of "subwords", or else of "normal".
    vectors
        For "focus" and "wechsel": `Vectors`, or a source that `vecload.load` takes, of the target language. Vectors of
        words need n-grams for "focus"; `token_vectors` makes vectors of tokens.
    source_vectors, space_map
        For "wechsel": vectors of the source language, and the map ``vecload.map_spaces(source_vectors, vectors)``. By
        default both are in the space of `vectors`.
    donor, donor_tokenizer
        For "omp": a model, layer or matrix that has rows for the target tokens, and its tokenizer if it is another one
        than `target_tokenizer`.
    overlap
        Which tokens are the same: "exact", equal text, and a word's beginning or not; "fuzzy", up to case and the
        beginning of a word; "symbols", only tokens without letters; "spelling", as they are spelled; or a function
        ``(source_texts, target_texts) -> ids``. Special tokens are the same if they have the same role.
    k
        Number of nearest tokens in "wechsel" (10), of atoms in "omp" (64), or of tokens that "focus" compares (all).
    temperature
        For "wechsel": what cosines are divided by.
    noise
        For "mean": normal noise in standard deviations of each dimension.
    seed
        Seed of random numbers. A row depends on the seed and the token only.
    train
        "new" leaves only rows that were not copied trainable in the embedding and the head, tied or not. Other
        parameters are not changed.
    pad_to_multiple_of
        Round the number of rows up to a multiple.
    progress
        Whether to show bars; None shows them if standard error is a terminal.

    Returns
    -------
    Transfer

    Raises
    ------
    OptionError
        If tokenizers, vectors, the map or the donor do not fit, nothing is shared where the method needs it, or rows of
        the model are not finite. Nothing is changed then.
    MissingDependencyError
        If the *tokenizers* library is not installed.

    Notes
    -----
    The model's ``vocab_size`` and the ids of special tokens in its configurations become those of the target tokenizer.
    Tables of bfloat16 are computed in float32 in blocks. ``docs/transfer.md`` compares the methods.

    Source: Minixhofer et al., "WECHSEL", NAACL 2022; Dobler and de Melo, "FOCUS", EMNLP 2023; Goddard and Fernandes
    Neto, "Training-Free Tokenizer Transplantation via Orthogonal Matching Pursuit", 2025; Gee et al., "Fast Vocabulary
    Transfer for Language Model Compression", EMNLP 2022.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models
    >>> old, new = (Tokenizer(models.WordLevel(vocab)) for vocab in ({"a": 0, "b": 1}, {"b": 0, "c": 1}))
    >>> layer = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0, 3.0], [3.0, 5.0]]))
    >>> moved = transfer_embedding(layer, old, new, method="mean")
    >>> moved.layer.weight.tolist(), [str(moved.origins[code]) for code in moved.origin]
    ([[3.0, 5.0], [2.0, 4.0]], ['copied', 'mean'])
    """
    check_arguments(
        method=method,
        overlap=overlap,
        k=k,
        temperature=temperature,
        noise=noise,
        pad_to_multiple_of=pad_to_multiple_of,
        vectors=vectors,
        source_vectors=source_vectors,
        space_map=space_map,
        donor=donor,
        donor_tokenizer=donor_tokenizer,
    )
    check_tables(model, train)
    source = token_forms(source_tokenizer, "source_tokenizer")
    target = token_forms(target_tokenizer, "target_tokenizer")
    layer, head = tables_of(model)
    _check_rows(layer, head, source)
    at = align_tokens(source, target, overlap)
    absent = target.ids[at[target.ids] < 0]
    new = absent[~np.isin(absent, list(target.special))]
    move = Move(source, target, at, new, progress)

    def made() -> Entries:
        if method == "focus":
            return by_focus(move, _loaded(vectors), k)
        if method == "wechsel":
            space = _loaded(vectors)
            return by_wechsel(move, space, _loaded(source_vectors, space), space_map, k, temperature)
        if method == "omp":
            return by_pursuit(move, donor, donor_tokenizer, k)
        return by_pieces(move, new if method == "subwords" else new[:0])

    size = -(-max(len(target), 1) // pad_to_multiple_of) * pad_to_multiple_of
    # The entries are an argument only, because they are among the largest arrays and are not needed afterwards.
    plan = _plan(move, method, made(), layer, size, noise, seed)
    moved, head = _apply(model, plan, move)
    if train == "new":
        rows = np.flatnonzero(plan.origin != ORIGINS.index(COPIED))
        train_rows(model if is_whole_model(model) else moved, moved, rows)
        _, own = tables_of(model)
        if own is not None:
            train_rows(model, own, rows)
    return Transfer(moved, head, plan.weights, plan.origin, ORIGINS, _coverage(plan, target))


def check_arguments(
    *,
    method: str = "focus",
    overlap: Any = "exact",
    k: Any = None,
    temperature: float = 0.1,
    noise: float = 0.0,
    pad_to_multiple_of: int = 1,
    **given: Any,
) -> None:
    """Check the arguments of `transfer_embedding` that need no model.

    Raises
    ------
    OptionError
        For values out of range, and arguments that the method needs and does not have, or does not use.
    """
    if method not in get_args(Method):
        raise OptionError(f"unknown method {method!r}; choose from: {', '.join(get_args(Method))}")
    check_overlap(overlap)
    if k is not None and (not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1):
        raise OptionError(f"k must be 1 or more, or None for the default of the method, got {k!r}")
    if not 0 < temperature < np.inf:
        raise OptionError(f"temperature must be above 0, got {temperature}")
    if not 0 <= noise < np.inf:
        raise OptionError(f"noise must be 0 or more, got {noise}")
    if pad_to_multiple_of < 1:
        raise OptionError(f"pad_to_multiple_of must be 1 or more, got {pad_to_multiple_of}")
    needed, optional = _ARGUMENTS.get(method, ((), ()))
    names = ("vectors", "source_vectors", "space_map", "donor", "donor_tokenizer")
    check_given(f"method={method!r}", needed, optional, {name: given.get(name) for name in names})


def _check_rows(layer: Any, head: Any, source: TokenForms) -> None:
    """Raise OptionError if a tokenizer does not fit the tables, or their rows are not finite."""
    rows = source.ids
    names = [source.name(row) for row in range(len(source))]
    for table, label in ((layer, "input embedding"), (head, "output head")):
        if table is None:
            continue
        if not len(rows) or len(source) > len(table.weight):
            raise OptionError(
                f"source_tokenizer has {len(rows):,} tokens with ids up to {len(source) - 1:,}, and the {label} has "
                f"{len(table.weight):,} rows: pass the tokenizer that the model was trained with"
            )
        check_finite(table.weight, rows, names, label)


def _loaded(source: Any, default: Any = None) -> Vectors:
    source = default if source is None else source
    return source if isinstance(source, Vectors) else load(source)


def _plan(move: Move, method: str, made: Entries, layer: Any, size: int, noise: float, seed: int) -> Plan:
    """Return how each row is made, those that the method could not make included."""
    source, target, at = move.source, move.target, move.at
    origin = np.full(size, ORIGINS.index(SPARE), dtype=np.uint8)
    origin[target.ids] = ORIGINS.index(MEAN if method == "mean" else DRAWN)
    copied = np.flatnonzero(at >= 0)
    origin[copied] = ORIGINS.index(COPIED)
    origin[made.rows] = ORIGINS.index(PIECES if method == "subwords" else COMBINED)
    entries = made | Entries.of(copied, at[copied], np.ones(len(copied)))
    if method in ("focus", "wechsel", "omp"):
        pieces = by_pieces(move, move.new[origin[move.new] == ORIGINS.index(DRAWN)])
        origin[pieces.rows] = ORIGINS.index(PIECES)
        entries |= pieces
    padding = target.roles.get("pad", -1)
    if layer.padding_idx is not None and padding >= 0 and at[padding] < 0:
        origin[padding] = ORIGINS.index(PADDING)
    names = [target.name(row) for row in range(len(target))] + [f"<row {row}>" for row in range(len(target), size)]
    return Plan(entries.csr((size, layer.num_embeddings)), origin, names, source.ids, noise, seed)


def _apply(model: Any, plan: Plan, move: Move) -> tuple[torch.nn.Embedding, Any]:
    """Put the new rows into a model, or into a copy of a layer; return the layer and the head."""
    source, target, at, progress = move.source, move.target, move.at, move.progress
    layer, head = tables_of(model)
    size = len(plan.origin)
    old, scores = layer.weight.detach(), None if head is None else head.weight.detach()
    padding = _new_padding(layer, target, at)
    if not is_whole_model(model):
        moved = with_weight(layer, old.new_empty((size, old.shape[1])))
        moved.padding_idx = padding
        fill_table(moved.weight, old, plan, label="embedding", progress=progress)
        return moved, None
    output = model.get_output_embeddings()
    bias = None if getattr(output, "bias", None) is None else output.bias.detach()
    # The old tables are referenced here, so resizing does not free them.
    resize(model, size)
    layer.padding_idx = padding
    fill_table(layer.weight, old, plan, label="input embedding", progress=progress)
    if scores is not None:
        fill_table(output.weight, scores, plan, label="output head", progress=progress)
    if bias is not None:
        fill_table(output.bias, bias, plan, label="bias", progress=False)
    update_ids(model, source, target, at)
    return layer, output


def _new_padding(layer: Any, target: TokenForms, at: Ids) -> int | None:
    if layer.padding_idx is None:
        return None
    if "pad" in target.roles:
        return target.roles["pad"]
    rows = np.flatnonzero(at == layer.padding_idx)
    return int(rows[0]) if len(rows) else None


def _coverage(plan: Plan, target: TokenForms) -> Coverage:
    counts = [Count(one.name, int((plan.origin == code).sum()), None) for code, one in enumerate(ORIGINS)]
    ordinary = [row for row, token in enumerate(target.tokens) if token is not None and row not in target.special]
    copied = plan.origin[ordinary] == ORIGINS.index(COPIED)
    missing = tuple((target.name(row), None) for row, found in zip(ordinary, copied, strict=True) if not found)
    kept = tuple(count for count in counts if count.types or count.origin == COPIED.name)
    return Coverage(kept, float(copied.mean()) if ordinary else 1.0, None, missing)
