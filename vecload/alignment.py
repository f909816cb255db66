"""Vectors × vocabulary × what to do about absent words → `Aligned`: one row a word, and where each came from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from vecload import oov as oov_steps
from vecload.errors import FormatError, OptionError, VocabularyError
from vecload.loading import load
from vecload.sources import replacing
from vecload.vectors import Vectors
from vecload.vocab import Vocab
from vecload.words import Words, read_only

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import torch

    from vecload.layers import PartialEmbedding
    from vecload.loading import Progress

_FIXED = ("padding", "special", "exact")
_PADDING, _SPECIAL, _EXACT = range(3)
_FORMAT, _VERSION = "vecload-aligned", "1"


@dataclass(frozen=True)
class Count:
    """How many types of a vocabulary have rows of one origin, and how many tokens they are (None: not counted)."""

    origin: str
    types: int
    tokens: int | None


@dataclass(frozen=True)
class Coverage:
    """How much of a vocabulary a file covers; ``str()`` is a small table.

    Parameters
    ----------
    counts
        One for each origin there is.
    found
        Share of the types that the file has under some spelling, padding and specials left out.
    found_tokens
        The same share of the tokens; None where nothing was counted.
    """

    counts: tuple[Count, ...]
    found: float
    found_tokens: float | None
    _missing: tuple[tuple[str, int | None], ...] = field(repr=False)

    def missing(self, k: int = 20) -> list[tuple[str, int | None]]:
        """The `k` most frequent words that the file has under no spelling, with their counts."""
        return list(self._missing[:k])

    def __str__(self) -> str:
        types = sum(count.types for count in self.counts)
        tokens = None if self.found_tokens is None else sum(count.tokens or 0 for count in self.counts)
        lines = [f"{'origin':<14}{'types':>12}{'':>8}" + ("" if tokens is None else f"{'tokens':>14}")]
        for count in (*self.counts, Count("all", types, tokens)):
            line = f"{count.origin:<14}"
            for part, whole, width in ((count.types, types, 12), (count.tokens, tokens, 14)):
                if part is not None and whole is not None:
                    line += f"{part:>{width},}" + (f"{part / whole:>8.1%}" if whole else f"{'-':>8}")
            lines.append(line)
        return "\n".join(line.rstrip() for line in lines)


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
    """How many of the origins behind "exact" found the word in the file under another spelling."""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        matrix, count, codes = self.matrix, len(self.vocab), len(self.origins)
        if matrix.shape[:-1] != (count,) or not np.issubdtype(matrix.dtype, np.floating):
            raise OptionError(f"{count:,} words need as many rows of floats, not {matrix.shape} {matrix.dtype}")
        if self.origin.shape != (count,) or self.origin.dtype != np.uint8 or (self.origin >= codes).any():
            raise OptionError(f"{count:,} words need as many uint8 origin codes, all below {codes}")
        if not 0 <= self.spellings <= codes - len(_FIXED):
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
            if rows.any() or code == _EXACT:
                counts.append(Count(name, int(rows.sum()), None if tokens is None else int(tokens[rows].sum())))
        absent = self.origin > _EXACT + self.spellings
        found = ~absent & ~_special(self.vocab)
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
        new: npt.NDArray[np.bool_] = (self.origin > _EXACT + self.spellings) | _special(self.vocab)
        return read_only(new & (self.origin != _PADDING))

    def origin_of(self, word: str) -> str:
        """Where the row of a word came from."""
        if word not in self.vocab:
            raise VocabularyError(f"{word!r} is not in the vocabulary")
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file: `weight`, `origin`, the packed words and counts, and the rest as metadata.

        Examples
        --------
        >>> import tempfile, pathlib, numpy as np, vecload
        >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 2), dtype="float32"))
        >>> file = pathlib.Path(tempfile.mkdtemp(), "embedding.safetensors")
        >>> align(vectors, vecload.Vocab.from_words(["cat"], pad="<pad>")).save(file)
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


def _packed(data: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> Words:
    """The words of a file, whose offsets are not to be believed: compiled code would follow them anywhere."""
    flat = data.ndim == offsets.ndim == 1 and data.dtype == np.uint8 and offsets.dtype == np.int64
    ends = flat and len(offsets) and offsets[0] == 0 and offsets[-1] == len(data)
    if not ends or (offsets[1:] < offsets[:-1]).any():
        raise OptionError("words.offsets do not cut words.data into words")
    return Words(data, offsets)


def _special(vocab: Vocab) -> npt.NDArray[np.bool_]:
    """Which words stand for no text, bool, shape (n,)."""
    rows = [vocab.words.get(word) for word in (*vocab.specials, vocab.unk, vocab.pad) if word is not None]
    return np.isin(np.arange(len(vocab)), rows)


def _share(found: npt.NDArray[np.bool_], absent: npt.NDArray[np.bool_], weights: npt.NDArray[Any]) -> float:
    whole = weights[found].sum() + weights[absent].sum()
    return float(weights[found].sum() / whole) if whole else 1.0


def align(
    vectors: Vectors | str | os.PathLike[str] | IO[bytes],
    vocab: Vocab | Sequence[str],
    *,
    oov: Sequence[Any] = ("normal",),
    seed: int = 0,
    progress: Progress = None,
) -> Aligned:
    """Put the rows of `vectors` in the order of a vocabulary, and fill those that are absent.

    Parameters
    ----------
    vectors
        `Vectors`, or a source as for `load`, of which only the vocabulary's words (and the spellings `oov` asks for)
        are read.
    vocab
        A `Vocab`, or words.
    oov
        What to try for a word the file does not have; the first step that gives a row wins. Names: "casefold" (lower,
        title, upper case), "nfc", "nfkc", "digits" (each to ``#``, then to ``0``) look for another spelling, each on
        top of the spellings before it; "normal", "uniform" (matched to the rows found), "xavier", "kaiming", "zeros",
        "mean" make a row. `vecload.oov` has them with arguments. A function ``(words, dim, rng) -> rows`` may leave
        words to the next step by rows of NaN. A chain that does not end in a filling step ends in zeros.
    seed
        Of the random rows, any integer. Each number depends on the seed, the word and the column only.
    progress
        As for `load`.

    Returns
    -------
    Aligned
        The row of the padding word is zero. Other specials are looked up as they are, and filled by the last step.
        The matrix has the type of the vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from vecload import Vectors, Vocab, Words
    >>> vectors = Vectors(Words.from_strings(["cat", "Paris"]), np.eye(2, dtype="float32"))
    >>> aligned = align(vectors, Vocab.from_words(["paris", "Cat", "cow"]), oov=["casefold", "zeros"])
    >>> aligned.matrix.tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    >>> aligned.origin_of("cow"), round(aligned.coverage.found, 2)
    ('zeros', 0.67)
    """
    if isinstance(vocab, str):
        raise OptionError(f"vocab is one string: pass [{vocab!r}]")
    vocab = vocab if isinstance(vocab, Vocab) else Vocab.from_words(vocab)
    if not isinstance(seed, (int, np.integer)):
        raise OptionError(f"seed={seed!r} is not an integer")
    spellings, fillings = oov_steps.chain(oov)
    special = _special(vocab)
    if not isinstance(vectors, Vectors):
        wanted = dict.fromkeys(vocab)
        for word in vocab.words.take(np.flatnonzero(~special)):
            wanted.update((spelling, None) for spelling, _ in oov_steps.respellings(word, spellings))
        vectors = load(vectors, vocab=wanted, progress=progress)
    if not np.issubdtype(vectors.dtype, np.floating):
        raise OptionError(f"vectors of {vectors.dtype} have no room for rows between: pass floats")
    rows = vectors.words.lookup(vocab.words)
    origin = np.full(len(rows), _EXACT, dtype=np.uint8)
    if vocab.pad_idx is not None:
        rows[vocab.pad_idx], origin[vocab.pad_idx] = -1, _PADDING
    respelled = np.flatnonzero((rows < 0) & ~special)
    hits = oov_steps.find(vectors.words, vocab.words.take(respelled), spellings)
    for row, (hit, number) in zip(respelled.tolist(), hits, strict=True):
        rows[row], origin[row] = hit, _EXACT + 1 + number
    known = vectors.matrix[rows[rows >= 0]]
    matrix = np.zeros((len(vocab), vectors.dim), dtype=vectors.dtype.newbyteorder("="))
    matrix[rows >= 0] = known
    found = oov_steps.Found(known, len(vocab), vectors.dim)
    absent = (rows < 0) & (origin != _PADDING)
    for number, step in enumerate(fillings, start=len(spellings)):
        last = number >= len(oov) - 1  # with the zeros behind it, if it leaves something to them
        asked = np.flatnonzero(absent if last else absent & ~special)
        for at, made in oov_steps.rows(step, vocab.words, asked, found, seed=int(seed), number=number):
            matrix[at], absent[at] = made, False
            origin[at] = np.where(special[at], _SPECIAL, _EXACT + 1 + number)
    origins = oov_steps.names([*spellings, *fillings], taken=_FIXED)
    return Aligned(vocab, matrix, origin, origins, len(spellings), vectors.meta)
