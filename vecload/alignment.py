"""Vectors × vocabulary × what to do about absent words → `Aligned`: one row a word, and where each came from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from vecload import oov as oov_steps
from vecload.errors import FormatError, OptionError
from vecload.loading import load
from vecload.sources import replacing
from vecload.vectors import Vectors
from vecload.vocab import Vocab
from vecload.words import Words, read_only

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import torch

    from vecload.loading import Progress

_FIXED = ("padding", "special", "exact")
_PADDING, _SPECIAL, _EXACT = range(3)
_FORMAT = "vecload-aligned"


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
        head = f"{'origin':<14}{'types':>12}{'':>8}" + ("" if tokens is None else f"{'tokens':>14}")
        lines = [head]
        for count in (*self.counts, Count("all", types, tokens)):
            line = f"{count.origin:<14}{count.types:>12,}{_percent(count.types, types):>8}"
            if tokens is not None and count.tokens is not None:
                line += f"{count.tokens:>14,}{_percent(count.tokens, tokens):>8}"
            lines.append(line)
        return "\n".join(line.rstrip() for line in lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


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
        if len(self.matrix) != len(self.vocab) or self.origin.shape != (len(self.vocab),):
            raise OptionError(f"{len(self.vocab):,} words do not go with a matrix of shape {self.matrix.shape}")
        object.__setattr__(self, "matrix", read_only(self.matrix))
        object.__setattr__(self, "origin", read_only(self.origin))
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))

    @property
    def coverage(self) -> Coverage:
        """How much of the vocabulary was found, and by what."""
        tokens = self.vocab.counts
        counts = []
        for code, name in enumerate(self.origins):
            rows = self.origin == code
            if rows.any() or code == _EXACT:
                counts.append(Count(name, int(rows.sum()), None if tokens is None else int(tokens[rows].sum())))
        found = (self.origin >= _EXACT) & (self.origin <= _EXACT + self.spellings)
        absent = self.origin > _EXACT + self.spellings
        missing = np.flatnonzero(absent)
        if tokens is not None:
            missing = missing[np.argsort(-tokens[missing], kind="stable")]
        return Coverage(
            tuple(counts),
            _share(found, absent, np.ones(len(found))),
            None if tokens is None else _share(found, absent, tokens),
            tuple((self.vocab.words[row], None if tokens is None else int(tokens[row])) for row in missing.tolist()),
        )

    def origin_of(self, word: str) -> str:
        """Where the row of a word came from."""
        return self.origins[int(self.origin[self.vocab.words.index(word)])]

    def embedding(
        self,
        *,
        mode: Literal["freeze", "finetune"] = "finetune",
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> torch.nn.Embedding:
        """A ``torch.nn.Embedding`` with these rows: `vecload.layers.embedding`."""
        from vecload.layers import embedding

        return embedding(
            self,
            mode=mode,
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

        tensors = {
            "weight": np.ascontiguousarray(self.matrix),
            "origin": np.ascontiguousarray(self.origin),
            "words.data": np.ascontiguousarray(self.vocab.words.data),
            "words.offsets": np.ascontiguousarray(self.vocab.words.offsets),
        }
        if self.vocab.counts is not None:
            tensors["counts"] = np.ascontiguousarray(self.vocab.counts)
        coverage = self.coverage
        kept = {
            "origins": self.origins,
            "spellings": self.spellings,
            "specials": self.vocab.specials,
            "unk": self.vocab.unk,
            "pad": self.vocab.pad,
            "padding_idx": self.vocab.pad_idx,
            "coverage": {count.origin: {"types": count.types, "tokens": count.tokens} for count in coverage.counts},
            "meta": dict(self.meta),
        }
        with replacing(path) as part:
            save_file(tensors, part, metadata={"format": _FORMAT, "version": "1", "vecload": json.dumps(kept)})

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
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                if header.get("format") != _FORMAT:
                    raise FormatError("not an aligned matrix that vecload saved", file=name, hint="Use vecload.align.")
                kept = json.loads(header["vecload"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            words = Words(tensors["words.data"], tensors["words.offsets"])
            vocab = Vocab(words, tensors.get("counts"), tuple(kept["specials"]), kept["unk"], kept["pad"])
            return cls(
                vocab, tensors["weight"], tensors["origin"], tuple(kept["origins"]), kept["spellings"], kept["meta"]
            )
        except (SafetensorError, KeyError, OptionError) as error:
            raise FormatError(f"a damaged file ({error})", file=name) from error

    def __repr__(self) -> str:
        found = f"{100 * self.coverage.found:.1f}% of the types found"
        return f"<Aligned: {len(self.matrix):,} rows × {self.matrix.shape[1]} {self.matrix.dtype}, {found}>"


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
        Of the random rows. Each depends on the seed, the word and the column only.
    progress
        As for `load`.

    Returns
    -------
    Aligned
        The row of the padding word is zero. Other specials are looked up as they are, and filled by the last step.

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
    vocab = vocab if isinstance(vocab, Vocab) else Vocab.from_words(vocab)
    steps = oov_steps.chain(oov)
    spellings = [step for step in steps if isinstance(step, oov_steps.Spelling)]
    if any(isinstance(step, oov_steps.Spelling) for step in steps[len(spellings) :]):
        raise OptionError("oov: spelling steps come first, before steps that make rows")
    words = list(vocab)
    specials = set(vocab.specials)
    candidates = [[(word, _EXACT)] if word in specials else _spellings(word, spellings) for word in words]
    if not isinstance(vectors, Vectors):
        wanted = dict.fromkeys(spelling for tried in candidates for spelling, _ in tried)
        vectors = load(vectors, vocab=list(wanted), progress=progress)
    rows, origin = _find(vectors, candidates)
    if vocab.pad_idx is not None:
        rows[vocab.pad_idx] = -1
    there = rows >= 0
    matrix = np.zeros((len(words), vectors.dim), dtype=vectors.dtype)
    matrix[there] = vectors.matrix[rows[there]]
    special = np.array([word in specials for word in words], dtype=np.bool_)
    origin[special & ~there] = _SPECIAL
    absent = ~there
    if vocab.pad_idx is not None:
        origin[vocab.pad_idx], absent[vocab.pad_idx] = _PADDING, False
    found = oov_steps.Found(matrix[there], len(words), vectors.dim)
    for number, step in enumerate(steps):
        if isinstance(step, oov_steps.Spelling):
            continue
        asked = np.flatnonzero(absent if isinstance(step, oov_steps.Filling) else absent & ~special)
        if not len(asked):
            continue
        made = _make(step, [words[row] for row in asked], found, seed, number)
        filled = asked[~np.isnan(made).any(axis=1)]
        matrix[filled] = made[~np.isnan(made).any(axis=1)]
        absent[filled] = False
        origin[filled] = np.where(special[filled], _SPECIAL, _EXACT + 1 + number)
    names = (*_FIXED, *(oov_steps.name_of(step) for step in steps))
    return Aligned(vocab, matrix, origin, names, len(spellings), vectors.meta)


def _spellings(word: str, steps: Sequence[oov_steps.Spelling]) -> list[tuple[str, int]]:
    """The spellings to look for, in order, each with the origin code it gives: steps build on those before them."""
    tried = {word: _EXACT}
    for code, step in enumerate(steps, start=_EXACT + 1):
        for known in list(tried):
            for spelling in step.respell(known):
                tried.setdefault(spelling, code)
    return list(tried.items())


def _find(
    vectors: Vectors, candidates: list[list[tuple[str, int]]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Row of each word's first spelling that is there (-1: none), and the origin code of that spelling."""
    looked_up = vectors.words.lookup([spelling for tried in candidates for spelling, _ in tried]).tolist()
    rows = np.full(len(candidates), -1, dtype=np.int64)
    origin = np.zeros(len(candidates), dtype=np.uint8)
    at = 0
    for number, tried in enumerate(candidates):
        for row, (_, code) in zip(looked_up[at : at + len(tried)], tried, strict=True):
            if row >= 0:
                rows[number], origin[number] = row, code
                break
        at += len(tried)
    return rows, origin


def _make(
    step: oov_steps.Filling | oov_steps.Custom, words: list[str], found: oov_steps.Found, seed: int, number: int
) -> npt.NDArray[np.float64]:
    """The rows a step gives for some words."""
    if isinstance(step, oov_steps.Filling):
        return step.fill(words, found, seed)
    made = np.asarray(step(words, found.dim, np.random.default_rng([seed, number])), dtype=np.float64)
    if made.shape != (len(words), found.dim):
        name = oov_steps.name_of(step)
        raise OptionError(f"oov: {name} gave rows of shape {made.shape}, expected {(len(words), found.dim)}")
    return made
