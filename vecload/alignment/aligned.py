"""`Aligned`: a matrix in a vocabulary's order, and where each row came from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecload.alignment.coverage import Count, Coverage
from vecload.errors import FormatError, MissingWordError, OptionError
from vecload.sources import replacing
from vecload.vocab import Vocab
from vecload.words import Words, read_only

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import torch

    from vecload.layers import PartialEmbedding
    from vecload.pooling import Mode, SentencePooler

FIXED = ("padding", "special", "exact")
PADDING, SPECIAL, EXACT = range(3)
_FORMAT, _VERSION = "vecload-aligned", "1"


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
        """How much of the vocabulary was found, and by what."""
        tokens = self.vocab.counts
        counts = []
        for code, name in enumerate(self.origins):
            rows = self.origin == code
            if rows.any() or code == EXACT:
                counts.append(Count(name, int(rows.sum()), None if tokens is None else int(tokens[rows].sum())))
        absent = self.origin > EXACT + self.spellings
        found = ~absent & ~special_rows(self.vocab)
        missing = np.flatnonzero(absent)
        if tokens is not None:
            missing = missing[np.argsort(-tokens[missing], kind="stable")]
        return Coverage(
            tuple(counts),
            _share(found, absent, np.ones(len(found))),
            None if tokens is None else _share(found, absent, tokens),
            tuple((self.vocab.words[row], None if tokens is None else int(tokens[row])) for row in missing.tolist()),
        )

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
            raise MissingWordError(f"{word!r} is not in the vocabulary", [word])
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
        >>> vecload.align(vectors, vecload.Vocab.from_words(["cat"], pad="<pad>")).save(file)
        >>> Aligned.load(file).matrix.tolist()
        [[0.0, 0.0], [1.0, 1.0]]
        """
        from safetensors.numpy import save_file

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
            "unk": self.vocab.unk,
            "pad": self.vocab.pad,
            "padding_idx": self.vocab.pad_idx,
            "coverage": {count.origin: {"types": count.types, "tokens": count.tokens} for count in counts},
            "meta": dict(self.meta),
        }
        header = {"format": _FORMAT, "version": _VERSION, "vecload": json.dumps(kept, default=str)}
        with replacing(path) as part:
            save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, part, metadata=header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Aligned:
        """Read what `save` wrote.

        Raises
        ------
        FormatError
            When the file is something else.
        """
        from safetensors import SafetensorError, safe_open

        name = os.fspath(path)
        if Path(path).is_dir():
            raise FormatError("a directory", file=name, expected="a file that Aligned.save wrote")
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                if header.get("format") != _FORMAT:
                    raise FormatError("not an aligned matrix that vecload saved", file=name, hint="Use vecload.align.")
                if header.get("version") != _VERSION:
                    raise FormatError("another vecload saved it", file=name, found=f"version {header.get('version')}")
                kept = json.loads(header["vecload"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            words, counts = _packed(tensors["words.data"], tensors["words.offsets"]), tensors.get("counts")
            if counts is not None and counts.dtype != np.int64:
                raise OptionError(f"counts are {counts.dtype}, not int64")
            vocab = Vocab(words, counts, tuple(kept["specials"]), kept["unk"], kept["pad"])
            return cls(
                vocab, tensors["weight"], tensors["origin"], tuple(kept["origins"]), kept["spellings"], kept["meta"]
            )
        except FormatError:
            raise
        except (SafetensorError, LookupError, TypeError, ValueError) as error:
            raise FormatError(f"a damaged file ({error})", file=name) from error

    def __repr__(self) -> str:
        found = f"{100 * self.coverage.found:.1f}% of the types found"
        return f"<Aligned: {len(self.matrix):,} rows × {self.matrix.shape[1]} {self.matrix.dtype}, {found}>"


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a type holds real numbers; numpy does not count bfloat16 among its own."""
    return np.issubdtype(dtype, np.floating) or dtype.name == "bfloat16"


def _packed(data: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> Words:
    """The words of a file, whose offsets are not to be believed: compiled code would follow them anywhere."""
    flat = data.ndim == offsets.ndim == 1 and data.dtype == np.uint8 and offsets.dtype == np.int64
    ends = flat and len(offsets) and offsets[0] == 0 and offsets[-1] == len(data)
    if not ends or (offsets[1:] < offsets[:-1]).any():
        raise OptionError("words.offsets do not cut words.data into words")
    return Words(data, offsets)


def special_rows(vocab: Vocab) -> npt.NDArray[np.bool_]:
    """Which words stand for no text, bool, shape (n,)."""
    rows = [vocab.words.get(word) for word in (*vocab.specials, vocab.unk, vocab.pad) if word is not None]
    return np.isin(np.arange(len(vocab)), rows)


def _share(found: npt.NDArray[np.bool_], absent: npt.NDArray[np.bool_], weights: npt.NDArray[Any]) -> float:
    whole = weights[found].sum() + weights[absent].sum()
    return float(weights[found].sum() / whole) if whole else 1.0
