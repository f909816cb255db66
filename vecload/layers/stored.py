"""`StoredEmbedding`: a frozen table that stays where it is, in a mapped file or in the memory of the CPU."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vecload.vectors import Vectors
    from vecload.vocab import Vocab


class StoredEmbedding(torch.nn.Module):
    """A frozen lookup whose table is neither parameter nor buffer: only the rows looked up leave it.

    The table keeps its type and place when the model goes elsewhere. So it may lie in a mapped file, shared between
    processes, in a half-precision type, or in pinned memory (``torch.Tensor.pin_memory``), beside a model on an
    accelerator.

    Parameters
    ----------
    table
        Rows of floats, shape (n, embedding_dim): an array, read-only or not, or a tensor. Not copied when its layout
        allows.
    rows
        Row of the table for each id, int64, shape (num_embeddings,), -1 for one of zeros; None when ids are rows.
    padding_idx
        An id whose row is zeros, whatever the table holds.
    dtype
        Of the output. A model's ``.to(dtype)``, ``.half()`` … change it; the table stays as it is.

    Attributes
    ----------
    found
        Which ids have a row in the table, bool, shape (num_embeddings,).

    Notes
    -----
    The state_dict is empty: the rows are in the file. Nothing may write to `table` while the layer lives: in a
    read-only map that would end the process. So it is not among ``buffers()``, to which DDP writes.

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
        self._table = as_tensor(table).detach()
        if self._table.ndim != 2:
            raise OptionError(f"a table has two dimensions, not shape {tuple(self._table.shape)}")
        if not dtype.is_floating_point:
            raise OptionError(f"dtype={dtype} is no type of real numbers")
        self._rows = None if rows is None else torch.as_tensor(rows, dtype=torch.int64).cpu()
        if self._rows is not None and not bool(((self._rows >= -1) & (self._rows < len(self._table))).all()):
            raise OptionError(f"rows are numbers from -1 to {len(self._table) - 1}, the table's last row")
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
        """The rows of a vocabulary's words, on the vectors as they lie: with a mapped file, nothing is copied.

        Words that are absent have rows of zeros; ``PartialEmbedding(layer, ~layer.found)`` trains them.

        Examples
        --------
        >>> import numpy as np, vecload
        >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 2), dtype="float16"))
        >>> vocab = vecload.Vocab.from_words(["cat", "cow"], pad="<pad>")
        >>> StoredEmbedding.from_vectors(vectors, vocab).weight.tolist()
        [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
        """
        rows = vectors.words.lookup(vocab.words)
        return cls(vectors.matrix, rows=rows, padding_idx=vocab.pad_idx, dtype=dtype)

    @property
    def weight(self) -> torch.Tensor:
        """All rows, as they are looked up: a new tensor of shape (num_embeddings, embedding_dim), on the CPU."""
        return self.forward(torch.arange(self.num_embeddings))

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Embedding calls it
        """Rows of ids (any shape, int32 or int64), on the device of the ids."""
        if input.is_meta:
            return input.new_empty((*input.shape, self.embedding_dim), dtype=self.dtype)
        ids = input.to(self._table.device)
        if self._rows is None:
            found = torch.nn.functional.embedding(ids, self._table)
        else:
            rows = self._rows.index_select(0, ids.reshape(-1)).view(ids.shape)
            if self._whole:
                found = torch.nn.functional.embedding(rows, self._table)
            elif len(self._table):
                found = torch.nn.functional.embedding(rows.clamp(min=0), self._table)
                found = found.masked_fill((rows < 0).unsqueeze(-1), 0)
            else:
                found = self._table.new_zeros((*ids.shape, self.embedding_dim))
        return found.to(device=input.device, dtype=self.dtype)

    def merged(self) -> torch.nn.Embedding:
        """A frozen plain ``torch.nn.Embedding`` with a copy of the rows."""
        layer: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            self.weight, freeze=True, padding_idx=self.padding_idx
        )
        return layer

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> StoredEmbedding:  # noqa: FBT001, FBT002 - torch's
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.dtype = fn(torch.empty(0, dtype=self.dtype)).dtype  # what .to(dtype) would make of a weight
        return self

    def extra_repr(self) -> str:
        """What print shows."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}, stored={self._table.dtype}, dtype={self.dtype}"


def as_tensor(matrix: npt.NDArray[Any] | torch.Tensor) -> torch.Tensor:
    """A tensor on an array's memory, read-only memory too; a copy only where torch cannot have its layout.

    Examples
    --------
    >>> import numpy as np
    >>> as_tensor(np.ones((1, 2), dtype=">f4"))
    tensor([[1., 1.]])
    """
    if isinstance(matrix, torch.Tensor):
        tensor = matrix
    else:
        array = np.ascontiguousarray(matrix, dtype=matrix.dtype.newbyteorder("="))
        brain = array.dtype.name == "bfloat16"  # of ml_dtypes: torch knows the bits, not the type
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)  # nobody writes to it
            tensor = torch.from_numpy(array.view(np.int16) if brain else array)
        tensor = tensor.view(torch.bfloat16) if brain else tensor
    if not tensor.dtype.is_floating_point:
        raise OptionError(f"rows of {tensor.dtype} are no rows of floats")
    return tensor


def padding_row(padding_idx: int | None, rows: int) -> int | None:
    """The row that `padding_idx` means, negative ones counted from the end.

    Raises
    ------
    OptionError
        When there is no such row.
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
