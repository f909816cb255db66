"""Control when and how fast rows are trained: frequency bands, unfreezing, learning rates, an anchor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.output_layers import SharedRows
from vecload.layers.partial_rows import PartialRows
from vecload.provenance.origins import special_rows
from vecload.vocab import Vocab


def frequency_bands(vocab: Vocab, edges: Sequence[int]) -> npt.NDArray[np.int64]:
    """Split words into bands by frequency, for the `rows` of a `PartialEmbedding`.

    Parameters
    ----------
    vocab
        Words, ordered by their counts, or in their own order if there are no counts.
    edges
        ``[1000, 10_000]`` makes three bands: the 1,000 most frequent words, the next 9,000, and the rest.

    Returns
    -------
    int64, shape (len(vocab),)
        1 for the first band, 2 for the second and so on; 0 for the padding row. Special tokens are in the first band.

    Examples
    --------
    >>> import vecload
    >>> vocab = vecload.Vocab.from_counter({"cow": 1, "cat": 9, "dog": 5}, pad_token="<pad>", unk_token="<unk>")
    >>> list(vocab), frequency_bands(vocab, [1]).tolist()
    (['<pad>', '<unk>', 'cat', 'dog', 'cow'], [0, 1, 1, 2, 2])
    """
    if not all(edge < after for edge, after in pairwise([0, *edges])):
        raise OptionError(f"edges must increase and be at least 1, got {list(edges)}")
    order = np.flatnonzero(~special_rows(vocab))
    if vocab.counts is not None:
        order = order[np.argsort(-vocab.counts[order], kind="stable")]
    # Special tokens have no count in most vocabularies but occur in every text, so they join the first band.
    bands = np.ones(len(vocab), dtype=np.int64)
    bands[order] = 1 + np.searchsorted(np.asarray(edges), np.arange(len(order)), side="right")
    if vocab.padding_idx is not None:
        bands[vocab.padding_idx] = 0
    return bands


class UnfreezeAfter:
    """Schedule returned by `unfreeze_after`. Call `step` after each optimizer step, as for torch's schedulers."""

    def __init__(self, bands: Sequence[tuple[torch.nn.Parameter, int]]) -> None:
        self._bands = tuple(bands)
        self.load_state_dict({"step": 0})

    def step(self) -> None:
        """Count a step, and unfreeze the bands that start at it."""
        self.load_state_dict({"step": self._step + 1})

    def state_dict(self) -> dict[str, int]:
        """Return the number of steps counted."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume from a state that `state_dict` returned."""
        # A parameter without gradient is skipped by optimizers, including its weight decay and momentum.
        self._step = state["step"]
        for rows, begin in self._bands:
            rows.requires_grad_(self._step >= begin)


def unfreeze_after(layer: torch.nn.Module, step: int | Sequence[int]) -> UnfreezeAfter:
    """Keep the rows of a layer frozen for a number of steps, while the rest of the model learns to use them.

    Parameters
    ----------
    layer
        An embedding layer. Frozen rows stay frozen.
    step
        Step from which rows are trained. For a `PartialEmbedding`, one for each band, so that frequent words can start
        first (gradual unfreezing, which Howard and Ruder 2018 do layer by layer).

    Returns
    -------
    UnfreezeAfter
        Call its ``step()`` after the optimizer's. Give the optimizer all parameters from the beginning: it skips
        parameters without gradient, including their weight decay.

    Notes
    -----
    DistributedDataParallel checks which parameters have gradients only when it wraps the model: wrap the model again
    after each of these steps.

    Examples
    --------
    >>> from vecload import PartialEmbedding
    >>> layer = PartialEmbedding(torch.eye(3), torch.tensor([1, 2, 0]))
    >>> schedule = unfreeze_after(layer, [0, 2])
    >>> schedule.step(), [rows.requires_grad for rows in layer.trained]
    (None, [True, False])
    >>> schedule.step(), [rows.requires_grad for rows in layer.trained]
    (None, [True, True])
    """
    bands = _bands(layer)
    steps = [step] * len(bands) if isinstance(step, int) else list(step)
    return UnfreezeAfter(list(zip(bands, _one_each(steps, bands, "step"), strict=True)))


def anchor(layer: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """Make a penalty on changes of pretrained values: the squared distance (L2) of rows from their present values.

    Parameters
    ----------
    layer
        An embedding layer before training. Its trained rows are copied.

    Returns
    -------
    function
        ``penalty()`` returns the sum over all trained rows. ``penalty(ids)`` returns the sum over the rows of a batch,
        each counted once, which is much cheaper. Both are scalars, to be weighted and added to a loss.

    Examples
    --------
    >>> from vecload import PartialEmbedding
    >>> layer = PartialEmbedding(torch.eye(3), torch.tensor([True, True, False]))
    >>> penalty = anchor(layer)
    >>> _ = layer.trained[0].data.add_(1)
    >>> penalty().item(), penalty(torch.tensor([[0, 0, 2]])).item()
    (6.0, 3.0)
    """
    # Frozen rows cannot change, so only parameters are copied: a few rows of a large table.
    then = {name: rows.detach().clone() for name, rows in layer.named_parameters()}

    def penalty(ids: torch.Tensor | None = None) -> torch.Tensor:
        if ids is None:
            squares = [(rows - then[name].to(rows.device)).square().sum() for name, rows in layer.named_parameters()]
            return torch.stack(squares).sum()
        rows = torch.unique(ids)
        now: torch.Tensor = layer(rows)
        # Looking the ids up in the layer with its old parameters finds the old rows wherever the layer has them, and
        # includes a forward() that scales rows.
        before = {name: values.to(now) for name, values in then.items()}
        start: torch.Tensor = torch.func.functional_call(layer, before, (rows,))
        return (now - start).square().sum()

    return penalty


def param_groups(model: torch.nn.Module, *, lr: float, embedding_lr: float | Sequence[float]) -> list[dict[str, Any]]:
    """Make parameter groups for an optimizer, with learning rates for embeddings or for each band of their rows.

    Parameters
    ----------
    model
        The model, or a layer.
    lr
        Learning rate of all other parameters.
    embedding_lr
        Learning rate of the embeddings, or one for each band.

    Examples
    --------
    >>> from vecload import PartialEmbedding
    >>> layer = PartialEmbedding(torch.eye(3), torch.tensor([1, 2, 0]))
    >>> groups = param_groups(torch.nn.Sequential(layer, torch.nn.Linear(3, 1)), lr=0.1, embedding_lr=[0.01, 0.001])
    >>> [(len(group["params"]), group["lr"]) for group in torch.optim.Adam(groups).param_groups]
    [(2, 0.1), (1, 0.01), (1, 0.001)]
    """
    rates: dict[torch.nn.Parameter, float] = {}
    for layer in model.modules():
        # A tied layer has no parameters of its own: its rows are in the layer that it shares.
        if isinstance(layer, (torch.nn.Embedding, PartialRows)) and not isinstance(layer, SharedRows):
            bands = _bands(layer)
            given = list(embedding_lr) if isinstance(embedding_lr, (list, tuple)) else [embedding_lr] * len(bands)
            rates.update(zip(bands, _one_each(given, bands, "embedding_lr"), strict=True))
    others = [parameter for parameter in model.parameters() if parameter not in rates]
    own = [
        {"params": [rows for rows, one in rates.items() if one == rate], "lr": rate}
        for rate in dict.fromkeys(rates.values())
    ]
    return [*([{"params": others, "lr": lr}] if others else []), *own]


def _bands(layer: torch.nn.Module) -> tuple[torch.nn.Parameter, ...]:
    return layer.trained if isinstance(layer, PartialRows) else tuple(layer.parameters())


def _one_each(given: list[Any], bands: Sequence[torch.nn.Parameter], name: str) -> list[Any]:
    if len(given) != len(bands):
        raise OptionError(f"{name} must have one value for each of the {len(bands)} bands, got {len(given)}")
    return given
