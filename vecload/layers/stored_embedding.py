"""`StoredEmbedding`: a frozen layer on a table that is not moved, cast or saved with the model.

The table is deliberately neither parameter nor buffer. torch moves, casts, averages, broadcasts and saves everything
that is registered; for a mapped file of gigabytes each of these would read the whole file into memory.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vecload import arrays
from vecload.errors import OptionError
from vecload.layers.assembled_weight import AssembledWeight, WeightProperty
from vecload.layers.tracing import assert_in_range, out_of_range, record_call
from vecload.sources import MappedRange
from vecload.vectors import Vectors
from vecload.vocab import Vocab

if TYPE_CHECKING:
    from collections.abc import Callable


class StoredEmbedding(WeightProperty):
    """Frozen embedding layer on a table that is neither parameter nor buffer; only looked-up rows are copied.

    The table keeps its type and device when the model is moved or cast. So it may be in a mapped file, shared between
    processes, in a half-precision type, or in pinned memory (``torch.Tensor.pin_memory``), next to a model on an
    accelerator.

    Parameters
    ----------
    table
        Floating-point rows, shape (n, embedding_dim): an array, read-only or not, or a tensor. It is not copied unless
        torch does not know its layout.
    rows
        Row of the table for each id, int64, shape (num_embeddings,); -1 means a row of zeros. None if ids are rows.
    padding_idx
        An id whose row is zero, whatever the table holds.
    dtype
        Type of the output. ``.to(dtype)``, ``.half()`` and the like change it; the table keeps its own.

    Attributes
    ----------
    found
        Which ids have a row in the table, bool, shape (num_embeddings,).

    Raises
    ------
    IndexError
        When called with an id out of range, which the message names. A compiled layer raises RuntimeError.

    Notes
    -----
    The state_dict is empty, because the rows are in the file. A deep copy shares the table. A pickle holds the path of
    a mapped file, and unpickling maps it again after comparing its size and first bytes; a table in memory, or
    in a file that is gone, is part of the pickle.

    Examples
    --------
    >>> import numpy as np
    >>> layer = StoredEmbedding(np.eye(2, 3, dtype="float16"), rows=np.array([-1, 1, 0]))
    >>> layer(torch.tensor([1, 0])), list(layer.buffers())
    (tensor([[0., 1., 0.],
            [0., 0., 0.]]), [])
    """

    found: torch.Tensor

    def __init__(
        self,
        table: npt.NDArray[Any] | torch.Tensor,
        *,
        rows: npt.NDArray[np.int64] | torch.Tensor | None = None,
        padding_idx: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._table = float_tensor(table).detach()
        self._place = MappedRange.of(table) if isinstance(table, np.ndarray) else None
        if self._table.ndim != 2:
            raise OptionError(f"a table must have two dimensions, got shape {tuple(self._table.shape)}")
        if not dtype.is_floating_point:
            raise OptionError(f"dtype must be a floating-point type, got {dtype}")
        self._rows = None if rows is None else torch.as_tensor(rows, dtype=torch.int64).cpu()
        if self._rows is not None and not bool(((self._rows >= -1) & (self._rows < len(self._table))).all()):
            raise OptionError(f"rows must be numbers from -1 to {len(self._table) - 1}, the last row of the table")
        self.num_embeddings = len(self._table if self._rows is None else self._rows)
        self.embedding_dim = self._table.shape[1]
        self.padding_idx = padding_row(padding_idx, self.num_embeddings)
        if self.padding_idx is not None:
            self._rows = torch.arange(self.num_embeddings) if self._rows is None else self._rows.clone()
            self._rows[self.padding_idx] = -1
        self.found = torch.ones(self.num_embeddings, dtype=torch.bool) if self._rows is None else self._rows >= 0
        self._whole = bool(self.found.all())
        self.dtype = dtype

    @classmethod
    def from_vectors(cls, vectors: Vectors, vocab: Vocab, *, dtype: torch.dtype = torch.float32) -> StoredEmbedding:
        """Return a layer of a vocabulary's words on the matrix of the vectors, without copying it.

        Words that are missing have rows of zeros; ``PartialEmbedding(layer, ~layer.found)`` trains them.

        Examples
        --------
        >>> import numpy as np, vecload
        >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 2), dtype="float16"))
        >>> vocab = vecload.Vocab.from_words(["cat", "cow"], pad_token="<pad>")
        >>> StoredEmbedding.from_vectors(vectors, vocab).weight.tolist()
        [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
        """
        rows = vectors.words.lookup(vocab.words)
        if vectors.row_ids is not None:
            rows[rows >= 0] = vectors.row_ids[rows[rows >= 0]]
        return cls(vectors.unique_rows, rows=rows, padding_idx=vocab.padding_idx, dtype=dtype)

    @property
    def weight(self) -> torch.Tensor:
        """All rows as they are looked up: shape (num_embeddings, embedding_dim), on the CPU, read-only."""
        return self._assemble() if torch.compiler.is_compiling() else AssembledWeight.lazy(self)

    @weight.setter
    def weight(self, value: torch.Tensor) -> None:
        self._store(value)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Embedding calls it
        """Return the rows of ids (any shape, int32 or int64), on the device of the ids."""
        if isinstance(input, torch.fx.Proxy):
            return record_call(self, input)
        if not isinstance(input, torch.Tensor):
            raise OptionError(f"input must be a tensor of row numbers, got {type(input).__name__}")
        if input.is_meta:
            return input.new_empty((*input.shape, self.embedding_dim), dtype=self.dtype)
        if torch.compiler.is_compiling():
            assert_in_range(input, self.num_embeddings)
        try:
            return self._look_up(input)
        except IndexError as error:
            raise out_of_range(input, self.num_embeddings) from error

    def _look_up(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        # Row numbers are much smaller than rows, so move them to the table and the found rows back.
        ids = input.to(self._table.device)
        if not self.num_embeddings:
            if ids.numel():
                raise IndexError("no rows")
            found = self._table.new_zeros((*ids.shape, self.embedding_dim))
        elif self._rows is None:
            found = torch.nn.functional.embedding(ids, self._table)
        else:
            rows = self._rows.index_select(0, ids.reshape(-1)).view(ids.shape)
            if self._whole:
                found = torch.nn.functional.embedding(rows, self._table)
            elif len(self._table):
                # Missing rows read row 0 and are cleared, so that shapes do not depend on values.
                found = torch.nn.functional.embedding(rows.clamp(min=0), self._table)
                found = found.masked_fill((rows < 0).unsqueeze(-1), 0)
            else:
                found = self._table.new_zeros((*ids.shape, self.embedding_dim))
        return found.to(device=input.device, dtype=self.dtype)

    def _assemble(self) -> torch.Tensor:
        return self._look_up(torch.arange(self.num_embeddings))

    def _store(self, rows: torch.Tensor) -> None:
        own = self._assemble()
        if not torch.equal(rows.detach().to(own), own):
            raise OptionError(
                "the table of a StoredEmbedding is never written to: write to layer.merged(), or train rows of their "
                "own with PartialEmbedding(layer, rows)"
            )

    def _stand_in(self) -> torch.Tensor:
        return torch.empty((), dtype=self.dtype).expand(self.num_embeddings, self.embedding_dim)

    def _own(self) -> tuple[torch.nn.Parameter, ...]:
        return ()

    def _gradient(self) -> None:
        return None

    def _store_gradient(self, gradient: torch.Tensor) -> None:
        """Do nothing: no row is trained."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # A plain layer's checkpoint is accepted if there is nothing to load.
        weight = state_dict.get(f"{prefix}weight")
        state = {key: value for key, value in state_dict.items() if key != f"{prefix}weight"}
        super()._load_from_state_dict(state, prefix, *rest)
        own = None if weight is None else self._assemble()
        if weight is not None and (own is None or not torch.equal(weight.to(own), own)):
            rest[-1].append(
                f"the rows of {prefix}weight differ from the table of the StoredEmbedding, which is never written to: "
                "put layer.merged() in its place first"
            )

    def merged(self) -> torch.nn.Embedding:
        """Return a frozen plain ``torch.nn.Embedding`` with a copy of the rows."""
        layer: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            self._assemble(), freeze=True, padding_idx=self.padding_idx
        )
        return layer

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> StoredEmbedding:  # noqa: FBT001, FBT002 - torch's
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # The table does not change, so apply the function to an empty weight to see which type it asks for.
        self.dtype = fn(torch.empty(0, dtype=self.dtype)).dtype
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> StoredEmbedding:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        memo[id(self._table)] = self._table
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        if self._place is None:
            return self.__dict__
        try:
            self._place.open()
        except (OSError, ValueError):
            # The map stays valid after its file was deleted or replaced, but the path cannot be opened again.
            return self.__dict__ | {"_place": None}
        return self.__dict__ | {"_table": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self._place is not None:
            self._table = float_tensor(self._place.open())

    def extra_repr(self) -> str:
        """Return the text that ``print`` shows."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}, stored={self._table.dtype}, dtype={self.dtype}"


def float_tensor(matrix: npt.NDArray[Any] | torch.Tensor) -> torch.Tensor:
    """Return a tensor on an array's memory, also if it is read-only; a copy only if torch does not know the layout.

    Raises
    ------
    OptionError
        If the values are not floating-point numbers.

    Examples
    --------
    >>> import numpy as np
    >>> float_tensor(np.ones((1, 2), dtype=">f4"))
    tensor([[1., 1.]])
    """
    tensor = matrix if isinstance(matrix, torch.Tensor) else arrays.as_tensor(matrix)
    if not tensor.dtype.is_floating_point:
        raise OptionError(f"rows must be floating-point numbers, got {tensor.dtype}")
    return tensor


def padding_row(padding_idx: int | None, rows: int) -> int | None:
    """Return the row of a `padding_idx`; negative numbers count from the end.

    Raises
    ------
    OptionError
        If it is out of range.
    """
    if padding_idx is None:
        return None
    if isinstance(padding_idx, (bool, np.bool_)) or not hasattr(padding_idx, "__index__"):
        row = rows
    else:
        row = padding_idx.__index__()
    if not -rows <= row < rows:
        raise OptionError(f"padding_idx={padding_idx!r} is not one of the {rows:,} rows")
    return row % rows
