"""`RowPooler`: the module that pools rows of any embedding layer into sentence vectors."""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vecload.errors import OptionError
from vecload.layers.tracing import assert_in_range, record_call, refuse_script
from vecload.pooling import reduction
from vecload.pooling.embedding_bag import has_bag, pool_in_torch, weighted_means
from vecload.pooling.kernel_pooling import ComposedRows, KernelPlan, kernel_plan
from vecload.pooling.modes import FITTED, Mode

Tensor = torch.Tensor


class RowPooler(torch.nn.Module):
    """Module that pools rows of an embedding layer: the part of `SentencePooler` without words and texts.

    There are three implementations, and each call uses the fastest one that supports its arguments: torch's
    ``embedding_bag``, the kernels, and plain torch operations, which can compute everything. Compiled and exported
    graphs have the plain operations only.

    Parameters
    ----------
    embedding
        Layer that maps row numbers to vectors.
    mode
        Pooling mode.
    normalize
        Whether results have length 1.
    padding_idx
        Row that is skipped.
    row_weights
        Weight of each row, float32, shape (num_embeddings,), for modes whose weights need no corpus.
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
        # Buffers are made on the device of the layer. A layer without tensors, such as StoredEmbedding, is on the CPU.
        one = next(chain(embedding.parameters(), embedding.buffers()), torch.empty(0))
        kept: dict[str, Any] = {"device": one.device, "dtype": torch.float32}
        weighted, reduced = not self._fitted or row_weights is not None, mode.components > 0
        if row_weights is None:
            row_weights = torch.zeros(self.num_embeddings if weighted else 0)
        components = torch.zeros(mode.components, self.embedding_dim, **kept)
        # Only the buffers that the mode needs are in the state dict, so that a mean loads that of an nn.EmbeddingBag.
        self.register_buffer("token_weights", row_weights.to(**kept), persistent=weighted)
        # A fitted weight is never zero, so zero marks a mode that is not fitted yet. A separate flag would be averaged
        # by everything that averages buffers (AveragedModel), and be neither true nor false.
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
        """Number of values per row."""
        return int(self.embedding.embedding_dim)

    @property
    def fitted(self) -> bool:
        """Whether the mode is ready to pool: it needs no corpus, or was fitted on one."""
        # Weights can also change without a call of fit(): DDP sends them to all processes. A trace cannot read values.
        if not self._fitted and not torch.compiler.is_compiling() and not self.unknown_weight.is_meta:
            self._fitted = bool(self.unknown_weight > 0)
        return self._fitted

    def set_unknown_weight(self, weight: float) -> None:
        """Set the weight of words without a row. Zero marks a mode that is not fitted yet."""
        self.unknown_weight.fill_(weight)
        self._fitted = self.mode.name not in FITTED or weight > 0

    @property
    def output_dim(self) -> int:
        """Number of values per sentence vector."""
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
            Row numbers, int32 or int64: 1-D with `offsets`, 2-D with one bag per row, or a nested tensor. `padding_idx`
            and negative numbers, which ``words.lookup`` returns for missing words, are skipped.
        offsets
            Where each bag begins, int32 or int64, shape (bags,).
        per_sample_weights
            How often each token counts, in the shape of the input; not for "max", "pmeans" and "attention". They are
            cast to the dtype of the rows.
        mask
            Which tokens count, in the shape of the input.
        return_empty
            Whether to also return which bags had nothing to pool, and so are zero.

        Returns
        -------
        torch.Tensor
            Shape (bags, output_dim), with the dtype of the layer; with `return_empty`, a pair with a bool mask, shape
            (bags,).

        Raises
        ------
        OptionError
            For shapes or types that do not match, row numbers out of range, and a mode that is not fitted.
        """
        # torch.fx cannot trace into this module, whose implementation depends on values, so it is recorded as one call.
        if isinstance(input, torch.fx.Proxy):
            options = {} if return_empty is False else {"return_empty": return_empty}
            return record_call(self, input, offsets, per_sample_weights, mask, **options)
        self.check_fitted()
        if per_sample_weights is not None and self.mode.name in ("max", "pmeans", "attention"):
            raise OptionError(f"per_sample_weights cannot be combined with mode {self.mode.name!r}")
        bags = reduction.bags_of(input, offsets, per_sample_weights, mask)
        if torch.compiler.is_compiling():
            pooled, _ = self.reduce(bags)
        else:
            pooled = self._pool_fastest(bags)
        pooled = self.finish(pooled)
        if not return_empty:
            return pooled
        return pooled, reduction.sums(self.kept(bags).long(), bags.numbers(), bags.size) == 0

    def pool_rows(
        self,
        rows: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        composed: ComposedRows | None,
        plan: KernelPlan | None,
    ) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Pool the bags ``rows[offsets[k]:offsets[k + 1]]`` without gradients, on any thread.

        Parameters
        ----------
        rows
            Row numbers, int64: -1 is skipped, and -2, -3, … are rows of `composed`.
        offsets
            int64, shape (bags + 1,).
        composed
            Vectors of words without a row.
        plan
            Returned by `plan`.

        Returns
        -------
        pooled, counts
            Vectors before `finish`, shape (bags, output_dim), and the number of pooled tokens, int64, shape (bags,).
        """
        if plan is not None:
            out, counts = plan.pool(rows, offsets, composed)
            return torch.from_numpy(out), counts
        begins = torch.from_numpy(offsets[:-1])
        with torch.no_grad():
            bags = reduction.Bags(torch.from_numpy(rows), begins, len(begins), None, None)
            pooled, tokens = self.reduce(bags, composed)
        return pooled, tokens.numpy().astype(np.int64)

    def _pool_fastest(self, bags: reduction.Bags) -> Tensor:
        """Pool outside of a trace, by the fastest implementation that supports the arguments."""
        if reduction.transformed():
            return self.reduce(bags)[0]
        plan = self.plan() if bags.weights is None and bags.tokens.device.type == "cpu" else None
        bag = has_bag(self.embedding, self.mode, bags)
        means = self.mode.name in ("sif", "usif") and plan is not None and self.padding_idx is None
        # torch's sums and means are as fast as memory. Its maximum is about ten times slower than the kernel.
        if bags.keep is None and (means or (bag and (plan is None or self.mode.name != "max"))):
            # Row numbers are checked by torch itself. A check of ours would take longer than small batches.
            try:
                if means:
                    return weighted_means(self.embedding, self.token_weights, bags)
                return self._pool_in_torch(bags.tokens, bags.offsets, bags.weights, padding_idx=self.padding_idx)
            except (RuntimeError, IndexError):
                # Out of range, which may be a -1 that has to be skipped, or an error that is raised below.
                pass
        low, high = (int(end) for end in bags.tokens.aminmax()) if len(bags.tokens) else (0, -1)
        if high >= self.num_embeddings:
            raise OptionError(f"row {high} is not one of the {self.num_embeddings:,} rows")
        padded = self.padding_idx is not None and bool((bags.tokens == self.padding_idx).any())
        keep = self.kept(bags) if padded or bags.keep is not None or low < 0 else None
        if plan is not None:
            rows = bags.tokens if keep is None else torch.where(keep, bags.tokens, -1)
            offsets = torch.cat([bags.offsets, torch.tensor([len(rows)])])
            return torch.from_numpy(plan.pool_in_threads(rows.contiguous().numpy(), offsets.numpy())[0])
        if not bag:
            return self.reduce(bags)[0]
        tokens, begins, weights = bags.tokens, bags.offsets, bags.weights
        if keep is not None:
            kept = reduction.sums(keep.long(), bags.numbers(), bags.size)
            tokens, begins = tokens[keep], kept.cumsum(0) - kept
            weights = None if weights is None else weights[keep]
        return self._pool_in_torch(tokens, begins, weights)

    def _pool_in_torch(
        self, tokens: Tensor, offsets: Tensor, weights: Tensor | None, *, padding_idx: int | None = None
    ) -> Tensor:
        return pool_in_torch(self.embedding, self.mode, tokens, offsets, weights, padding_idx=padding_idx)

    def reduce(self, bags: reduction.Bags, composed: ComposedRows | None = None) -> tuple[Tensor, Tensor]:
        """Pool by operations that can be traced and differentiated, on any layer; return vectors and token counts."""
        # Skipped tokens look up row 0, and their values become zero below. Removing them would make shapes depend on
        # values, which traces and ONNX cannot express.
        keep = self.kept(bags)
        tokens = torch.where(keep, bags.tokens, 0)
        if torch.compiler.is_compiling():
            assert_in_range(tokens, self.num_embeddings)
        values = self.embedding(tokens)
        dtype = values.dtype
        if dtype in (torch.float16, torch.bfloat16):
            # A sum in half precision stops growing once it is 2048 or 256 times as large as its terms.
            values = values.float()
        table = None
        if self.mode.name in FITTED or len(self.token_weights):
            table = self.token_weights[tokens]
        if composed is not None and len(composed.matrix):
            made = bags.tokens < -1
            at = torch.where(made, -2 - bags.tokens, 0)
            values = torch.where(made[:, None], torch.from_numpy(composed.matrix)[at].to(values.dtype), values)
            if table is not None:
                weights = self.unknown_weight if composed.weights is None else torch.from_numpy(composed.weights)[at]
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
        """Remove the common components, then divide by the length if vectors are normalized."""
        if self.mode.components:
            # v - Σ share · (v · c) c for orthonormal components c.
            components = self.components.to(pooled.dtype)
            scores = pooled @ components.T * self.shares.to(pooled.dtype)
            pooled = torch.addmm(pooled, scores, components, alpha=-1)
        if self.normalize:
            # torch's own eps bounds the gradients of rows of zeros. float16 would round it to zero.
            pooled = functional.normalize(pooled, dim=1, eps=max(1e-12, torch.finfo(pooled.dtype).tiny))
        return pooled

    def kept(self, bags: reduction.Bags) -> Tensor:
        """Return which tokens count, bool, shape (n,): those with a row that is not padding, and not masked."""
        keep = bags.tokens >= 0
        if self.padding_idx is not None:
            keep = keep & (bags.tokens != self.padding_idx)
        return keep if bags.keep is None else keep & bags.keep

    def check_fitted(self) -> None:
        """Raise `OptionError` if the mode has to be fitted first."""
        if not self.fitted:
            raise OptionError(
                f"mode {self.mode.name!r} estimates word weights from a corpus: call fit(texts) first, or load a pooler"
            )

    def plan(self) -> KernelPlan | None:
        """Return the arguments of the kernels, or None if the kernels cannot pool this layer and mode."""
        return kernel_plan(self.embedding, self.mode, self.token_weights, self.unknown_weight)

    def __prepare_scriptable__(self) -> None:
        refuse_script(self)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        rows = f"{prefix}embedding.weight"
        if f"{prefix}weight" in state_dict and rows not in state_dict:
            # The state dict of an nn.EmbeddingBag.
            state_dict[rows] = state_dict.pop(f"{prefix}weight")
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._fitted = self.mode.name not in FITTED
        self._fitted = self.fitted
