"""`Aligned`: a matrix in the order of a vocabulary, and the origin of each row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vecload.alignment.explaining import explain_seen
from vecload.arrays import as_array, row_norms
from vecload.catalog.hugging_face import ALIGNED as FILE_NAME
from vecload.catalog.hugging_face import local_path
from vecload.errors import OptionError
from vecload.lazy import LazyModule
from vecload.notebook import HEAD, Bar, grid, table
from vecload.provenance.coverage import Coverage, coverage_of
from vecload.provenance.origins import Origin, rows_of_kind, special_rows
from vecload.reading import SeenWords
from vecload.saved import open_saved, write_saved
from vecload.saved.schemas import ALIGNED
from vecload.tokenizers import Tokenize
from vecload.vocab import Vocab
from vecload.words import Words, missing_word, read_only

if TYPE_CHECKING:
    import torch

    from vecload import layers, pooling
else:
    layers, pooling = LazyModule("vecload.layers"), LazyModule("vecload.pooling")
    torch = LazyModule("torch")


@dataclass(frozen=True, eq=False, repr=False)
class Aligned:
    """A matrix in the order of a vocabulary, and the origin of each row; made by `align`.

    Parameters
    ----------
    vocab
        The words.
    matrix
        Their rows, shape (len(vocab), dim), read-only.
    origin
        Position in `origins` for each row, uint8, shape (len(vocab),).
    origins
        The origins a row can have: `Origin` values, each with the name of a step and its kind.
    meta
        Description of the vectors, as in `Vectors`.
    """

    vocab: Vocab
    matrix: npt.NDArray[Any]
    origin: npt.NDArray[np.uint8]
    origins: tuple[Origin, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    seen: Callable[[], SeenWords | None] | None = field(default=None, compare=False)
    """Function that returns the words of the vectors, to explain the coverage. Not saved."""

    def __post_init__(self) -> None:
        matrix, count, codes = self.matrix, len(self.vocab), len(self.origins)
        if matrix.shape[:-1] != (count,) or not is_float(matrix.dtype):
            found = f"got shape {matrix.shape} {matrix.dtype}"
            raise OptionError(f"{count:,} words need a floating-point matrix of {count:,} rows, {found}")
        if self.origin.shape != (count,) or self.origin.dtype != np.uint8 or (self.origin >= codes).any():
            raise OptionError(f"{count:,} words need {count:,} origins: uint8 positions below {codes}")
        object.__setattr__(self, "matrix", read_only(matrix))
        object.__setattr__(self, "origin", read_only(self.origin))
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))

    @property
    def weight(self) -> npt.NDArray[Any]:
        """The matrix, by its name in an embedding layer and in saved files."""
        return self.matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of values in a row."""
        return len(self), self.dim

    @property
    def dim(self) -> int:
        """Number of values in a row."""
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.vocab)

    def __iter__(self) -> Iterator[str]:
        return iter(self.vocab)

    def __contains__(self, word: object) -> bool:
        return word in self.vocab

    def __getitem__(self, word: str | Iterable[str]) -> npt.NDArray[Any]:
        """Return the row of a word, shape (dim,), or of several words, shape (k, dim).

        A word outside the vocabulary has the row of the unknown token, if there is one, as in `Vocab.encode`.

        Raises
        ------
        MissingWordError
            If a word is unknown and the vocabulary has no unknown token.
        OptionError
            For anything but strings.

        Examples
        --------
        >>> from vecload import Vectors, align
        >>> aligned = align(Vectors(["cat", "dog"], np.eye(2)), ["dog", "cat"])
        >>> aligned["cat"].tolist(), aligned.shape
        ([1.0, 0.0], (2, 2))
        """
        if isinstance(word, (int, np.integer, slice)):
            raise OptionError(f"aligned rows are looked up by word, got {word!r}; use matrix[...] for rows by number")
        rows: npt.NDArray[Any] = self.matrix[self.vocab.encode([word] if isinstance(word, str) else word)]
        return rows[0] if isinstance(word, str) else rows

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001
        """Return the matrix, so that ``numpy.asarray(aligned)`` does not collect the words."""
        return as_array(self.matrix, dtype, copy=copy)

    @cached_property
    def coverage(self) -> Coverage:
        """Counts of the words that each step found, and reasons why other words were not found."""
        found = ~rows_of_kind(self.origin, self.origins, "composed", "drawn")
        names = [one.name for one in self.origins]
        steps = [one.name for one in self.origins if one.kind in ("found", "composed", "drawn")]
        explain = None if self.seen is None else partial(explain_seen, self.seen, steps)
        return coverage_of(self.vocab, self.origin, names, found, explain)

    @cached_property
    def new(self) -> npt.NDArray[np.bool_]:
        """Rows that ``mode="new-rows"`` trains, bool, shape (n,): special tokens and words that were not found.

        The padding row is not among them.
        """
        new = rows_of_kind(self.origin, self.origins, "composed", "drawn") | special_rows(self.vocab)
        return read_only(new & ~rows_of_kind(self.origin, self.origins, "padding"))

    def origin_of(self, word: str) -> str:
        """Return the name of the origin of a word's row, such as "exact" or "normal"."""
        if word not in self.vocab:
            raise missing_word(self.vocab.words, [word], f"{word!r} is not in the vocabulary")
        return self.origins[int(self.origin[self.vocab[word]])].name

    def embedding(
        self,
        mode: Literal["freeze", "finetune", "new-rows"] = "finetune",
        *,
        rows: npt.NDArray[Any] | torch.Tensor | None = None,
        padding_idx: int | Literal["vocab"] | None = "vocab",
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> torch.nn.Embedding | layers.PartialEmbedding:
        """Make an embedding layer with these rows.

        Parameters
        ----------
        mode
            "finetune" trains all rows, "freeze" none, and "new-rows" the rows of special tokens and of words that were
            not found under any spelling, but never the padding row.
        rows
            Rows that "finetune" trains instead of all, as in `PartialEmbedding`.
        padding_idx
            Row that is zero and gets no gradient: "vocab" for the row of the padding token of the vocabulary, if there
            is one; a row number, which may be negative; None for no padding row.
        max_norm, norm_type, scale_grad_by_freq, sparse
            As in torch.
        device
            Device of the weight; None for the CPU.
        dtype
            Type of the weight. None keeps float32, and float16 and bfloat16 if no row is trained; otherwise it is
            float32.

        Returns
        -------
        torch.nn.Embedding
            An ``nn.Embedding`` if all rows are trained, or none; otherwise a `PartialEmbedding`. Its rows are a copy,
            and the padding row is zero, unlike that of ``nn.Embedding.from_pretrained``.

        Raises
        ------
        OptionError
            For options that cannot be combined.

        Examples
        --------
        >>> from vecload import Vectors, Vocab, align
        >>> aligned = align(Vectors(["cat"], np.ones((1, 3))), Vocab.from_words(["cat", "cow"], pad_token="<pad>"))
        >>> aligned.embedding("freeze")
        Embedding(3, 3, padding_idx=0)
        """
        from vecload.layers.from_matrix import embedding_from_matrix

        return embedding_from_matrix(
            self.matrix,
            mode,
            new_rows=self.new,
            rows=rows,
            padding_idx=self.vocab.padding_idx if padding_idx == "vocab" else padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            device=device,
            dtype=dtype,
        )

    def pooler(
        self,
        mode: str | pooling.Mode = "mean",
        *,
        unknown: Literal["skip", "unk"] = "skip",
        normalize: bool = False,
        trainable: bool = False,
        dtype: torch.dtype | None = None,
        tokenize: Tokenize = None,
        lowercase: bool = False,
    ) -> pooling.SentencePooler:
        """Make a `vecload.SentencePooler` with these rows.

        Parameters
        ----------
        mode
            "mean", "sum", "max", "sqrt-n", "sif", "usif", "tfidf", "pmeans", "attention" or "fasttext"; or a mode with
            arguments, made by `vecload.pooling.sif` and others.
        unknown
            Words outside the vocabulary: "skip" them, or use the row of the unknown token ("unk").
        normalize
            Whether to divide results by their Euclidean norm.
        trainable
            Whether to train the rows, on a copy. Frozen rows share the memory of the matrix.
        dtype
            Type of the rows. None keeps the type of frozen rows; trained rows and float64 rows become float32.
        tokenize, lowercase
            How texts are split; pass the values that were passed to `Vocab.from_texts`.

        Raises
        ------
        OptionError
            For options that cannot be combined.

        Examples
        --------
        >>> from vecload import Vectors, align
        >>> align(Vectors(["cat", "dog"], np.eye(2, dtype="float32")), ["cat", "dog"]).pooler("sum").encode(["cat dog"])
        array([[1., 1.]], dtype=float32)
        """
        from vecload.pooling import SentencePooler

        return SentencePooler(
            self,
            mode,
            unknown=unknown,
            normalize=normalize,
            trainable=trainable,
            dtype=dtype,
            tokenize=tokenize,
            lowercase=lowercase,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The mapping proxy of `meta` cannot be pickled.
        return Aligned, (self.vocab, self.matrix, self.origin, self.origins, dict(self.meta))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: `weight`, `origin`, the packed words and counts, and the rest as metadata.

        Examples
        --------
        >>> import tempfile, pathlib, numpy as np, vecload
        >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 2), dtype="float32"))
        >>> file = pathlib.Path(tempfile.mkdtemp(), "embedding.safetensors")
        >>> vecload.align(vectors, vecload.Vocab.from_words(["cat"], pad_token="<pad>")).save(file)
        >>> Aligned.load(file).matrix.tolist()
        [[0.0, 0.0], [1.0, 1.0]]
        """
        words = self.vocab.words
        tensors = {
            "weight": self.matrix,
            "origin": self.origin,
            "words.data": words.data,
            "words.offsets": words.offsets,
        }
        if self.vocab.counts is not None:
            tensors["counts"] = self.vocab.counts
        counts = self.coverage.counts
        kept = {
            "origins": [one.name for one in self.origins],
            "kinds": [one.kind for one in self.origins],
            "specials": self.vocab.specials,
            "unk_token": self.vocab.unk_token,
            "pad_token": self.vocab.pad_token,
            "padding_idx": self.vocab.padding_idx,
            "coverage": {count.origin: {"types": count.types, "tokens": count.tokens} for count in counts},
            "meta": dict(self.meta),
        }
        write_saved(path, ALIGNED, tensors, kept)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Aligned:
        """Read a file that `save` wrote.

        Raises
        ------
        FormatError
            If the file is damaged, or of another kind, which the error names if it is known.
        """
        with open_saved(local_path(path, prefer=FILE_NAME), ALIGNED) as (tensors, kept):
            words = Words(tensors["words.data"], tensors["words.offsets"])
            tokens = kept["unk_token"], kept["pad_token"]
            vocab = Vocab(words, tensors.get("counts"), tuple(kept["specials"]), *tokens)
            return cls(vocab, tensors["weight"], tensors["origin"], _saved_origins(kept), kept["meta"])

    def _repr_html_(self) -> str:
        norms = row_norms(self.matrix[:HEAD])
        longest = norms.max(initial=0.0) or 1.0
        bars = [Bar(norm / longest, f"{norm:.3g}") for norm in norms]
        origins = [self.origins[code].name for code in self.origin[:HEAD].tolist()]
        rows = list(zip(self.vocab.words[:HEAD], origins, bars, strict=True))
        return grid(table(repr(self).strip("<>"), ["word", "origin", "norm"], rows), self.coverage._repr_html_())

    def __repr__(self) -> str:
        found = f"{100 * self.coverage.found:.1f}% of the types found"
        return f"<Aligned: {len(self.matrix):,} rows × {self.matrix.shape[1]} {self.matrix.dtype}, {found}>"


def _saved_origins(kept: Mapping[str, Any]) -> tuple[Origin, ...]:
    """Return the origins that a file names.

    The first files stored no kinds. Their origins are in a fixed order: padding, special tokens, "exact" and the
    `spellings` after it, steps that compose, and at the end the step that fills all remaining rows.
    """
    names = kept["origins"]
    if "kinds" in kept:
        kinds = kept["kinds"]
    else:
        kinds = ["padding", "special", *["found"] * (1 + kept["spellings"])]
        kinds += ["composed"] * (len(names) - len(kinds) - 1) + ["drawn"]
    return tuple(Origin(name, kind) for name, kind in zip(names, kinds, strict=False))


def is_float(dtype: np.dtype[Any]) -> bool:
    """Return whether a type is a floating-point type; NumPy does not count bfloat16, which is not its own."""
    return np.issubdtype(dtype, np.floating) or dtype.name == "bfloat16"
