"""`ExportedRows`: rows that other libraries take, without a copy where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecload.arrays import IndexedRows, as_tensor, export_dlpack, narrowed, numpy_dtype
from vecload.errors import require
from vecload.formats.table import Table
from vecload.lazy import LazyModule
from vecload.vectors.rows import WordRows

if TYPE_CHECKING:
    import torch

    from vecload.formats.arrow import exchange
else:
    exchange = LazyModule("vecload.formats.arrow.exchange")
    torch = LazyModule("torch")

_CPU = (1, 0)  # kDLCPU, and the number of the device


class ExportedRows(WordRows):
    """Base class of `Vectors`, which documents it: rows as arrays, tensors and tables of other libraries."""

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export the matrix: ``numpy.from_dlpack(vectors)`` and ``torch.from_dlpack(vectors)`` share its memory.

        The array is read-only. torch ignores that, so do not write to such a tensor: it would change the vectors, or
        end the process if they are mapped from a file. `to_torch` makes a copy. bfloat16 is copied, because only torch
        can export it, and never as read-only.

        Raises
        ------
        BufferError
            If the consumer requests another device or a bfloat16 matrix without a copy, or is too old for DLPack 1.0,
            which introduced read-only arrays.

        Examples
        --------
        >>> import numpy as np
        >>> from vecload import Vectors
        >>> vectors = Vectors(["cat", "dog"], np.eye(2, dtype="float32"))
        >>> np.shares_memory(np.from_dlpack(vectors), vectors.matrix)
        True
        """
        if stream is not None or dl_device not in (None, _CPU):
            raise BufferError("the matrix is on the CPU; use to_torch(device=...) for a tensor on another device")
        return export_dlpack(self.matrix, max_version, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the device of the matrix: the CPU."""
        return _CPU

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Export a table of the columns "word" and "vector" for pyarrow, polars, pandas and DuckDB.

        Words are strings, or bytes if a word is not valid UTF-8; vectors are lists of fixed size. Both share the memory
        of the vectors, except that bfloat16 becomes float32 and rows that several words share are gathered. `ngrams`
        and `history` are not exported.

        Raises
        ------
        MissingDependencyError
            If pyarrow is not installed.

        Examples
        --------
        >>> import pyarrow
        >>> from vecload import Vectors
        >>> pyarrow.table(Vectors(["cat", "dog"], [[0.1, 0.2], [0.3, 0.4]])).schema
        word: large_string
        vector: fixed_size_list<item: double>[2]
          child 0, item: double
        """
        rows = self.unique_rows if self.row_ids is None else IndexedRows(self.unique_rows, self.row_ids)
        return exchange.to_arrow(Table(self.words, rows, self.meta)).__arrow_c_stream__(requested_schema)

    def to_gensim(self) -> Any:
        """Return gensim's ``KeyedVectors``, sharing the matrix (bfloat16, which gensim does not support, is copied).

        The matrix is read-only. `ngrams` and `history` are dropped.

        Raises
        ------
        MissingDependencyError
            If gensim is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from vecload import Vectors
        >>> vectors = Vectors(["cat", "dog"], np.eye(2, dtype="float32"))
        >>> kept = vectors.to_gensim()
        >>> kept.index_to_key, np.shares_memory(kept.vectors, vectors.matrix)
        (['cat', 'dog'], True)
        """
        keyedvectors = require("gensim.models.keyedvectors", "gensim")
        matrix = narrowed(self.matrix, numpy_dtype(self.dtype))
        kept = keyedvectors.KeyedVectors(self.dim, dtype=matrix.dtype)
        kept.index_to_key = list(self)
        kept.key_to_index = {word: row for row, word in enumerate(kept.index_to_key)}
        kept.vectors = matrix
        return kept

    def to_torch(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> torch.Tensor:
        """Return a copy of the matrix as a tensor, shape (n, dim).

        It is a copy because a tensor cannot be read-only. `vecload.layers.StoredEmbedding` uses the matrix without one.

        Parameters
        ----------
        dtype
            Type of the values; None keeps the type of the vectors.
        device
            Device of the tensor; None for the CPU.

        Examples
        --------
        >>> from vecload import Vectors
        >>> Vectors(["cat", "dog"], [[1.0, 0.0], [0.0, 1.0]]).to_torch(dtype=torch.float32)
        tensor([[1., 0.],
                [0., 1.]])
        """
        return as_tensor(self.matrix).to(dtype=dtype, device=device, copy=True)

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` with one row for each word, indexed by word (bfloat16 becomes float32).

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.

        Examples
        --------
        >>> from vecload import Vectors
        >>> Vectors(["cat", "dog"], [[1.0, 0.0], [0.0, 1.0]]).to_pandas().loc["dog"].tolist()
        [0.0, 1.0]
        """
        pandas = require("pandas", "pandas")
        matrix = narrowed(self.matrix, numpy_dtype(self.dtype))
        # Words that are not valid UTF-8 contain surrogates, which only an index of Python objects can hold.
        return pandas.DataFrame(matrix.copy(), index=pandas.Index(list(self), name="word", dtype=object))
