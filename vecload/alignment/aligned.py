"""`Aligned`: a matrix in a vocabulary's order, and where each row came from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecload.alignment.coverage import EXACT, FIXED, PADDING, Coverage, coverage_of, special_rows
from vecload.errors import FormatError, OptionError, VocabularyError, as_format_errors
from vecload.saved import read_saved, write_saved
from vecload.saved.kinds import ALIGNED
from vecload.vocab import Vocab
from vecload.words import Words, missing_word, read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import torch

    from vecload.alignment.explaining import Seen
    from vecload.layers import PartialEmbedding
    from vecload.pooling import Mode, SentencePooler


@dataclass(frozen=True, eq=False, repr=False)
class Aligned:
    """A matrix in a vocabulary's order, and where each row came from; made by `align`.

    Parameters
    ----------
    vocab
        The words.
    matrix
        Their rows, shape (len(vocab), dim), read-only.
    origin
        Code of each row's origin, uint8, shape (len(vocab),).
    origins
        What the codes mean: "padding", "special", "exact", then the steps of the chain.
    meta
        Of the vectors, as in `Vectors`.
    """

    vocab: Vocab
    matrix: npt.NDArray[Any]
    origin: npt.NDArray[np.uint8]
    origins: tuple[str, ...]
    spellings: int
    """How many of the origins behind "exact" found the word under another spelling, or in another file."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    seen: Callable[[], Seen | None] | None = field(default=None, compare=False)
    """Returns the words of the vectors, to explain the coverage. Not saved."""

    def __post_init__(self) -> None:
        matrix, count, codes = self.matrix, len(self.vocab), len(self.origins)
        if matrix.shape[:-1] != (count,) or not is_float(matrix.dtype):
            raise OptionError(f"{count:,} words need as many rows of floats, not {matrix.shape} {matrix.dtype}")
        if self.origin.shape != (count,) or self.origin.dtype != np.uint8 or (self.origin >= codes).any():
            raise OptionError(f"{count:,} words need as many uint8 origin codes, all below {codes}")
        if not 0 <= self.spellings <= codes - len(FIXED):
            raise OptionError(f"spellings={self.spellings} does not go with {codes} origins")
        object.__setattr__(self, "matrix", read_only(matrix))
        object.__setattr__(self, "origin", read_only(self.origin))
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))

    @cached_property
    def coverage(self) -> Coverage:
        """How much of the vocabulary was found, by which step, and why other words were not found."""
        return coverage_of(self.vocab, self.origin, self.origins, self.spellings, self.seen)

    @cached_property
    def new(self) -> npt.NDArray[np.bool_]:
        """Rows that ``mode="new-rows"`` trains, bool, shape (n,): of words the file did not have, and specials.

        Not the padding row.
        """
        new: npt.NDArray[np.bool_] = (self.origin > EXACT + self.spellings) | special_rows(self.vocab)
        return read_only(new & (self.origin != PADDING))

    def origin_of(self, word: str) -> str:
        """Return where the row of a word came from."""
        if word not in self.vocab:
            raise missing_word(self.vocab.words, [word], f"{word!r} is not in the vocabulary")
        return self.origins[int(self.origin[self.vocab[word]])]

    def embedding(
        self,
        *,
        mode: Literal["freeze", "finetune", "new-rows"] = "finetune",
        rows: npt.NDArray[Any] | torch.Tensor | None = None,
        padding_idx: int | Literal["vocab"] | None = "vocab",
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> torch.nn.Embedding | PartialEmbedding:
        """A layer with these rows: `vecload.layers.embedding`."""
        from vecload.layers import embedding

        return embedding(
            self,
            mode=mode,
            rows=rows,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            device=device,
            dtype=dtype,
        )

    def pooler(
        self,
        mode: str | Mode = "mean",
        *,
        unknown: Literal["skip", "unk"] = "skip",
        normalize: bool = False,
        trainable: bool = False,
        dtype: torch.dtype | None = None,
        tokenize: Any = None,
        lowercase: bool = False,
    ) -> SentencePooler:
        """A `vecload.SentencePooler` with these rows, which says what the options are."""
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
        return Aligned, (self.vocab, self.matrix, self.origin, self.origins, self.spellings, dict(self.meta))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file: `weight`, `origin`, the packed words and counts, and the rest as metadata.

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
            "origins": self.origins,
            "spellings": self.spellings,
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
        """Read what `save` wrote.

        Raises
        ------
        FormatError
            When the file is of another kind, which is named where it is known, or damaged.
        """
        with as_format_errors(os.fspath(path)):
            tensors, kept = read_saved(path, ALIGNED)
            try:
                words = Words(tensors["words.data"], tensors["words.offsets"])
                vocab = Vocab(
                    words, tensors.get("counts"), tuple(kept["specials"]), kept["unk_token"], kept["pad_token"]
                )
                return cls(
                    vocab, tensors["weight"], tensors["origin"], tuple(kept["origins"]), kept["spellings"], kept["meta"]
                )
            except (OptionError, VocabularyError) as error:
                raise FormatError(
                    f"the parts of the file do not fit each other: {error}", file=os.fspath(path)
                ) from error

    def __repr__(self) -> str:
        found = f"{100 * self.coverage.found:.1f}% of the types found"
        return f"<Aligned: {len(self.matrix):,} rows × {self.matrix.shape[1]} {self.matrix.dtype}, {found}>"


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a type holds real numbers; numpy does not count bfloat16 among its own."""
    return np.issubdtype(dtype, np.floating) or dtype.name == "bfloat16"
