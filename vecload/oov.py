"""What to do about words a file does not have: the steps of `align`'s chain.

Spelling steps try another spelling of the word; filling steps make a row without the file. Random rows are functions
of the seed, the word's bytes and the column alone, so neither order nor threads nor other words change them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Custom = Callable[[list[str], int, np.random.Generator], Any]
"""A step of the caller's own: rows for words, shape (k, dim); a row of NaN leaves a word to the next step."""

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_MAX_UNIT = 2.0**-53


@dataclass(frozen=True)
class Spelling:
    """Looks the word up under other spellings, in their order."""

    name: str
    respell: Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Found:
    """What a filling step may look at.

    `rows` are those the file had, float64 (n, dim); `num_embeddings` and `dim` the shape of the whole matrix.
    """

    rows: npt.NDArray[Any]
    num_embeddings: int
    dim: int

    def spread(self) -> tuple[float, float]:
        """Mean and standard deviation of all values found; 0 and 1/sqrt(dim) when there are none."""
        if not len(self.rows):
            return 0.0, self.dim**-0.5
        return float(self.rows.mean(dtype=np.float64)), float(self.rows.std(dtype=np.float64))


@dataclass(frozen=True)
class Filling:
    """Makes a row for every word: ``fill(words, found, seed)`` gives float64 rows, shape (len(words), dim)."""

    name: str
    fill: Callable[[list[str], Found, int], npt.NDArray[np.float64]]


def uniform_draws(words: Sequence[str], columns: int, seed: int) -> npt.NDArray[np.float64]:
    """Draws from (0, 1), one row a word, each a function of seed, word and column.

    Parameters
    ----------
    words
        Which rows.
    columns
        Numbers in a row.
    seed
        Any integer.

    Returns
    -------
    float64, shape (len(words), columns)

    Notes
    -----
    A row's stream is SplitMix64 (Steele, Lea and Flood 2014) from the BLAKE2b hash of the word, keyed with the seed.

    Examples
    --------
    >>> uniform_draws(["cat"], 3, 0).tolist() == uniform_draws(["dog", "cat"], 3, 0)[1:].tolist()
    True
    """
    key = str(seed).encode()
    raw = b"".join(
        hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest() for word in words
    )
    start = np.frombuffer(raw, dtype="<u8").astype(np.uint64)
    state = start[:, None] + np.arange(1, columns + 1, dtype=np.uint64) * _GAMMA
    state = (state ^ (state >> np.uint64(30))) * _MIX1
    state = (state ^ (state >> np.uint64(27))) * _MIX2
    state ^= state >> np.uint64(31)
    draws: npt.NDArray[np.float64] = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * _MAX_UNIT
    return draws


def normal(mean: float | None = None, std: float | None = None) -> Filling:
    """Rows from a normal distribution.

    Parameters
    ----------
    mean, std
        Of the values; None for those of the rows that were found.

    Examples
    --------
    >>> normal(0.0, 0.1).fill(["cat"], Found(np.empty((0, 2)), 1, 2), 0).shape
    (1, 2)
    """

    def fill(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
        draws = uniform_draws(words, 2 * found.dim, seed)
        radius = np.sqrt(-2.0 * np.log(draws[:, : found.dim]))  # Box and Muller 1958
        middle, spread = found.spread()
        unit = radius * np.cos(2.0 * np.pi * draws[:, found.dim :])
        rows: npt.NDArray[np.float64] = (middle if mean is None else mean) + (spread if std is None else std) * unit
        return rows

    if std is not None and std < 0:
        raise OptionError(f"normal: std={std} is negative")
    return Filling("normal", fill)


def uniform(low: float | None = None, high: float | None = None) -> Filling:
    """Rows from a uniform distribution.

    Parameters
    ----------
    low, high
        Its ends; None for those that give mean and deviation of the rows that were found.

    Examples
    --------
    >>> uniform(-0.1, 0.1).fill(["cat"], Found(np.empty((0, 2)), 1, 2), 0).max() < 0.1
    np.True_
    """

    def fill(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
        middle, spread = found.spread()
        least = middle - 3**0.5 * spread if low is None else low
        most = middle + 3**0.5 * spread if high is None else high
        return least + (most - least) * uniform_draws(words, found.dim, seed)

    if low is not None and high is not None and low > high:
        raise OptionError(f"uniform: low={low} is above high={high}")
    return Filling("uniform", fill)


def _within(bound: float, words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
    rows: npt.NDArray[np.float64] = bound * (2.0 * uniform_draws(words, found.dim, seed) - 1.0)
    return rows


def xavier() -> Filling:
    """Rows as ``torch.nn.init.xavier_uniform_`` draws them for the whole matrix (Glorot and Bengio 2010)."""

    def fill(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
        bound = (6.0 / (found.num_embeddings + found.dim)) ** 0.5
        return _within(bound, words, found, seed)

    return Filling("xavier", fill)


def kaiming() -> Filling:
    """Rows as ``torch.nn.init.kaiming_uniform_`` draws them for the whole matrix (He et al. 2015)."""

    def fill(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
        return _within((6.0 / found.dim) ** 0.5, words, found, seed)

    return Filling("kaiming", fill)


def zeros() -> Filling:
    """Rows of zeros."""
    return Filling("zeros", lambda words, found, _seed: np.zeros((len(words), found.dim)))


def mean() -> Filling:
    """The mean of the rows that were found; zeros when there are none."""

    def fill(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:  # noqa: ARG001 - as all do
        row = found.rows.mean(axis=0, dtype=np.float64) if len(found.rows) else np.zeros(found.dim)
        return np.tile(row, (len(words), 1))

    return Filling("mean", fill)


def _digits(word: str) -> Sequence[str]:
    return re.sub(r"\d", "#", word), re.sub(r"\d", "0", word)


_SPELLINGS = {
    "casefold": Spelling("casefold", lambda word: (word.lower(), word.title(), word.upper())),
    "nfc": Spelling("nfc", lambda word: (unicodedata.normalize("NFC", word),)),
    "nfkc": Spelling("nfkc", lambda word: (unicodedata.normalize("NFKC", word),)),
    "digits": Spelling("digits", _digits),
}
_FILLINGS = {
    "normal": normal,
    "uniform": uniform,
    "xavier": xavier,
    "kaiming": kaiming,
    "zeros": zeros,
    "mean": mean,
}


def chain(steps: Sequence[Any]) -> tuple[Spelling | Filling | Custom, ...]:
    """The steps that names stand for, ending in one that fills every row.

    Raises
    ------
    OptionError
        For a name that is none, or a step behind one that leaves nothing to it.

    Examples
    --------
    >>> [step.name for step in chain(["casefold", "normal"])]
    ['casefold', 'normal']
    """
    if isinstance(steps, str):
        raise OptionError(f"oov is a list of steps: [{steps!r}]")
    resolved: list[Spelling | Filling | Custom] = []
    for step in steps:
        if resolved and isinstance(resolved[-1], Filling):
            raise OptionError(f"oov: {resolved[-1].name!r} fills every row, so nothing is left for {step!r} behind it")
        if isinstance(step, str):
            if step not in _SPELLINGS and step not in _FILLINGS:
                known = ", ".join([*_SPELLINGS, *_FILLINGS])
                raise OptionError(f"oov: there is no step {step!r}; there are {known}, or a function of your own")
            resolved.append(_SPELLINGS[step] if step in _SPELLINGS else _FILLINGS[step]())
        elif isinstance(step, (Spelling, Filling)) or callable(step):
            resolved.append(step)
        else:
            raise OptionError(f"oov: {step!r} is neither a name nor a step nor a function")
    if not resolved or not isinstance(resolved[-1], Filling):
        resolved.append(zeros())
    return tuple(resolved)


def name_of(step: Spelling | Filling | Custom) -> str:
    """What coverage calls a step."""
    return step.name if isinstance(step, (Spelling, Filling)) else getattr(step, "__name__", type(step).__name__)
