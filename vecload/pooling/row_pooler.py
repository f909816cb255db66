"""`RowPooler`: from row numbers to pooled vectors, on any embedding layer."""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal, overload

import torch
from torch.nn import functional

from vecload.errors import OptionError
from vecload.layers.tracing import assert_in_range, record_call, refuse_script
from vecload.pooling import embedding_bag, kernel_pooling, reduction
from vecload.pooling.kernel_pooling import Plan
from vecload.pooling.modes import FITTED, Mode

Tensor = torch.Tensor


class RowPooler(torch.nn.Module):
    """Pools rows of an embedding layer: the part of `SentencePooler` that knows nothing of words and texts.

    Parameters
    ----------
    embedding
        Layer that maps row numbers to vectors.
    mode
        How to pool.
    normalize
        Whether results have length 1.
    padding_idx
        Row that is passed over.
    row_weights
        Weight of each row, float32, (num_embeddings,), for modes that have weights without a corpus.
    """

    token_weights: Tensor
    unknown_weight: Tensor
    components: Tensor
    shares: Tensor

    def __init__(
        self,
        embedding: torch.nn.Module,
        mode: Mode,
        *,
        normalize: bool = False,
        padding_idx: int | None = None,
        row_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.embedding: Any = embedding
        self.mode = mode
        self.normalize = normalize
        self.padding_idx = padding_idx
        self._fitted = mode.name not in FITTED
        one = next(chain(embedding.parameters(), embedding.buffers()), torch.empty(0))
        kept: dict[str, Any] = {"device": one.device, "dtype": torch.float32}
        weighted, reduced = not self._fitted or row_weights is not None, mode.components > 0
        if row_weights is None:
            row_weights = torch.zeros(self.num_embeddings if weighted else 0)
        components = torch.zeros(mode.components, self.embedding_dim, **kept)
        # Only the buffers that the mode needs are saved, so that a mean loads the state of an nn.EmbeddingBag.
        self.register_buffer("token_weights", row_weights.to(**kept), persistent=weighted)
        # A fitted weight is never zero, so zero marks a mode that has yet to be fitted. A flag of its own would be
        # averaged by everything that averages buffers.
        self.register_buffer("unknown_weight", torch.full((), float(self._fitted), **kept), persistent=weighted)
        self.register_buffer("components", components, persistent=reduced)
        self.register_buffer("shares", torch.zeros(mode.components, **kept), persistent=reduced)
        attends = mode.name == "attention"
        self.query = torch.nn.Parameter(torch.zeros(self.embedding_dim, **kept)) if attends else None

    @property
    def num_embeddings(self) -> int:
        """Number of rows."""
        return int(self.embedding.num_embeddings)

    @property
    def embedding_dim(self) -> int:
        """Number of values in a row."""
        return int(self.embedding.embedding_dim)

    @property
    def fitted(self) -> bool:
        """Whether the mode can pool: it needs no corpus, or has been fitted on one."""
        # Weights may also come from elsewhere, as when DDP sends them to all processes. A trace cannot read values.
        if not self._fitted and not torch.compiler.is_compiling() and not self.unknown_weight.is_meta:
            self._fitted = bool(self.unknown_weight > 0)
        return self._fitted

    def set_unknown_weight(self, weight: float) -> None:
        """Set the weight of words without a row. Zero marks a mode that has yet to be fitted."""
        self.unknown_weight.fill_(weight)
        self._fitted = self.mode.name not in FITTED or weight > 0

    @property
    def output_dim(self) -> int:
        """Number of values in a result."""
        return self.embedding_dim * max(1, len(self.mode.powers))

    @overload
    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = ...,
        per_sample_weights: Tensor | None = ...,
        mask: Tensor | None = ...,
        *,
        return_empty: Literal[False] = ...,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = ...,
        per_sample_weights: Tensor | None = ...,
        mask: Tensor | None = ...,
        *,
        return_empty: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...
    def forward(
        self,
        input: Tensor,  # noqa: A002 - torch's name
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        return_empty: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Pool row numbers.

        Parameters
        ----------
        input
            int32 or int64: 1-D with `offsets`, 2-D with one bag a row, or a nested tensor. Negative numbers, as
            ``words.lookup`` gives for absent words, and `padding_idx` are passed over.
        offsets
            Where each bag begins, int32 or int64, (bags,).
        per_sample_weights
            How often each token counts, of the input's shape; not with "max", "pmeans" and "attention". Other types
            than that of the rows, integers too, are cast to it.
        mask
            Which tokens count, of the input's shape.
        return_empty
            Whether to tell which bags had nothing to pool, and so are zero: bool, (bags,).

        Returns
        -------
        torch.Tensor
            (bags, output_dim), of the layer's type; with `return_empty`, a pair.

        Raises
        ------
        OptionError
            For shapes or types that do not go together, ids out of range, and a mode that has yet to be fitted.
        """
        if isinstance(input, torch.fx.Proxy):
            options = {} if return_empty is False else {"return_empty": return_empty}
            return record_call(self, input, offsets, per_sample_weights, mask, **options)
        self.check_fitted()
        if per_sample_weights is not None and self.mode.name in ("max", "pmeans", "attention"):
            raise OptionError(f"per_sample_weights do not go with mode {self.mode.name!r}")
        bags = reduction.bags_of(input, offsets, per_sample_weights, mask)
        if torch.compiler.is_compiling():
            pooled, _ = self.reduce(bags)
        else:
            pooled = embedding_bag.fastest(self, bags)
        pooled = self.finish(pooled)
        if not return_empty:
            return pooled
        return pooled, reduction.sums(self.kept(bags).long(), bags.numbers(), bags.size) == 0

    def reduce(self, bags: reduction.Bags, extra: kernel_pooling.Extra | None = None) -> tuple[Tensor, Tensor]:
        """Pool through operations that can be traced and differentiated, on any layer."""
        keep = self.kept(bags)
        tokens = torch.where(keep, bags.tokens, 0)
        if torch.compiler.is_compiling():
            assert_in_range(tokens, self.num_embeddings)
        values = self.embedding(tokens)
        dtype = values.dtype
        if dtype in (torch.float16, torch.bfloat16):  # sums of them lose what they sum
            values = values.float()
        table = None
        if self.mode.name in FITTED or len(self.token_weights):
            table = self.token_weights[tokens]
        if extra is not None and len(extra.matrix):
            made = bags.tokens < -1
            at = torch.where(made, -2 - bags.tokens, 0)
            values = torch.where(made[:, None], torch.from_numpy(extra.matrix)[at].to(values.dtype), values)
            if table is not None:
                weights = self.unknown_weight if extra.weights is None else torch.from_numpy(extra.weights)[at]
                table = torch.where(made, weights, table)
            keep = keep | made
        values = torch.where(keep[:, None], values, 0)
        pooled, counts = reduction.pool(
            self.mode,
            values,
            bags.numbers(),
            bags.size,
            keep,
            weights=bags.weights,
            table=table,
            query=self.query,
        )
        return pooled.to(dtype), counts

    def finish(self, pooled: Tensor) -> Tensor:
        """Remove what is common, then make lengths 1."""
        if self.mode.components:
            components = self.components.to(pooled.dtype)
            scores = pooled @ components.T * self.shares.to(pooled.dtype)
            pooled = torch.addmm(pooled, scores, components, alpha=-1)
        if self.normalize:
            # torch's own eps, which bounds the gradients of rows of zeros, unless float16 would round it to zero.
            pooled = functional.normalize(pooled, dim=1, eps=max(1e-12, torch.finfo(pooled.dtype).tiny))
        return pooled

    def kept(self, bags: reduction.Bags) -> Tensor:
        """Which tokens count: rows that there are, not the padding row, not masked; bool, (n,)."""
        keep = bags.tokens >= 0
        if self.padding_idx is not None:
            keep = keep & (bags.tokens != self.padding_idx)
        return keep if bags.keep is None else keep & bags.keep

    def check_fitted(self) -> None:
        """Raise `OptionError` when the mode has still to be fitted."""
        if not self.fitted:
            raise OptionError(
                f"mode {self.mode.name!r} weighs words by a corpus: call fit(texts) first, or load a pooler"
            )

    def plan(self) -> Plan | None:
        """What the kernels need; None where they cannot serve."""
        return kernel_pooling.plan_of(self)

    def __prepare_scriptable__(self) -> None:
        refuse_script(self)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        rows = f"{prefix}embedding.weight"
        if f"{prefix}weight" in state_dict and rows not in state_dict:  # the state of an nn.EmbeddingBag
            state_dict[rows] = state_dict.pop(f"{prefix}weight")
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._fitted = self.mode.name not in FITTED
        self._fitted = self.fitted
