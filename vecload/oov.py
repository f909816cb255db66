"""What to do about words a file does not have: the steps of `align`'s chain.

Spelling steps try another spelling of the word; filling steps make a row without the file. Random rows are functions
of the seed, the word's bytes and the column alone, so neither order nor threads nor other words change them.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from vecload.words import Words

Custom = Callable[[list[str], int, np.random.Generator], Any]
"""A step of the caller's own: rows for words, shape (k, dim); a row of NaN leaves a word to the next step."""

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_MAX_UNIT = 2.0**-53
_SEEDS = 1 << 64  # numpy's generators and BLAKE2b's key take no negative or endless numbers
BLOCK = 1024  # rows worked on together: a fill of a million rows needs little more memory than the rows


@dataclass(frozen=True)
class Spelling:
    """Looks the word up under other spellings, in their order."""

    name: str
    respell: Callable[[str], Sequence[str]]


@dataclass(frozen=True, eq=False)
class Found:
    """What a filling step may look at.

    `rows` are those the file had, shape (n, dim); `num_embeddings` and `dim` the shape of the whole matrix. Rows with
    NaN or infinity, which a caller may have allowed, count for nothing.
    """

    rows: npt.NDArray[Any]
    num_embeddings: int
    dim: int

    def _finite(self) -> Iterator[npt.NDArray[np.float64]]:
        for begin in range(0, len(self.rows), BLOCK):
            block = self.rows[begin : begin + BLOCK].astype(np.float64)
            yield block[np.isfinite(block).all(axis=1)]

    @cached_property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean row, shape (dim,); zeros when there are none."""
        total, count = np.zeros(self.dim), 0
        for block in self._finite():
            total += block.sum(axis=0)
            count += len(block)
        return total / max(count, 1)

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Mean and standard deviation of all values found; 0 and 1/sqrt(dim) when there are none."""
        middle = float(self.mean.mean())
        squares, count = 0.0, 0
        for block in self._finite():
            squares += float(np.square(block - middle).sum())
            count += block.size
        return (middle, math.sqrt(squares / count)) if count else (0.0, self.dim**-0.5)


@dataclass(frozen=True)
class Filling:
    """Makes a row for every word: ``fill(words, found, seed)`` gives float64 rows, shape (len(words), dim)."""

    name: str
    fill: Callable[[list[str], Found, int], npt.NDArray[np.float64]]


def uniform_draws(words: Sequence[str], columns: int, seed: int) -> npt.NDArray[np.float64]:
    """Draws from (0, 1], one row a word, each a function of seed, word and column.

    Parameters
    ----------
    words
        Which rows.
    columns
        Numbers in a row.
    seed
        Any integer, taken modulo 2**64.

    Returns
    -------
    float64, shape (len(words), columns)

    Notes
    -----
    A row's stream is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
    from the BLAKE2b hash of the word's bytes, keyed with the seed; its 53 high bits are the draw.

    Examples
    --------
    >>> uniform_draws(["cat"], 3, 0).tolist() == uniform_draws(["dog", "cat"], 3, 0)[1:].tolist()
    True
    """
    key = str(seed % _SEEDS).encode()
    raw = b"".join(
        hashlib.blake2b(word.encode("utf-8", "surrogateescape"), digest_size=8, key=key).digest() for word in words
    )
    start = np.frombuffer(raw, dtype="<u8").astype(np.uint64)
    state = start[:, None] + np.arange(1, columns + 1, dtype=np.uint64) * _GAMMA
    state ^= state >> np.uint64(30)
    state *= _MIX1
    state ^= state >> np.uint64(27)
    state *= _MIX2
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
        draws = uniform_draws(words, 2 * found.dim, seed)  # two a column, side by side: no draw depends on dim
        radius = np.sqrt(-2.0 * np.log(draws[:, 0::2]))  # Box and Muller 1958
        middle, spread = found.spread
        unit = radius * np.cos(2.0 * np.pi * draws[:, 1::2])
        rows: npt.NDArray[np.float64] = (middle if mean is None else mean) + (spread if std is None else std) * unit
        return rows

    _check_finite("normal", mean=mean, std=std)
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
        middle, spread = found.spread
        least = middle - 3**0.5 * spread if low is None else low
        most = middle + 3**0.5 * spread if high is None else high
        if least > most:  # one end given, the other matched
            raise OptionError(f"uniform: low={least:g} is above high={most:g}, the end matched to the rows found")
        return least + (most - least) * uniform_draws(words, found.dim, seed)

    _check_finite("uniform", low=low, high=high)
    if low is not None and high is not None and low > high:
        raise OptionError(f"uniform: low={low} is above high={high}")
    return Filling("uniform", fill)


def _check_finite(step: str, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise OptionError(f"{step}: {name}={value} is no finite number")


def xavier() -> Filling:
    """Rows as ``torch.nn.init.xavier_uniform_`` draws them for the whole matrix (Glorot and Bengio 2010)."""
    return _within("xavier", lambda found: (6.0 / (found.num_embeddings + found.dim)) ** 0.5)


def kaiming() -> Filling:
    """Rows as ``torch.nn.init.kaiming_uniform_`` draws them for the whole matrix (He et al. 2015)."""
    return _within("kaiming", lambda found: (6.0 / found.dim) ** 0.5)


def _within(name: str, bound: Callable[[Found], float]) -> Filling:
    return Filling(name, lambda words, found, seed: bound(found) * (2.0 * uniform_draws(words, found.dim, seed) - 1.0))


def zeros() -> Filling:
    """Rows of zeros."""
    return Filling("zeros", lambda words, found, _seed: np.zeros((len(words), found.dim)))


def mean() -> Filling:
    """The mean of the rows that were found; zeros when there are none."""
    return Filling("mean", lambda words, found, _seed: np.tile(found.mean, (len(words), 1)))


def _digits(word: str) -> Sequence[str]:
    return re.sub(r"\d", "#", word), re.sub(r"\d", "0", word)


_SPELLINGS = {
    "casefold": Spelling("casefold", lambda word: (word.lower(), word.title(), word.upper())),
    "nfc": Spelling("nfc", lambda word: (unicodedata.normalize("NFC", word),)),
    "nfkc": Spelling("nfkc", lambda word: (unicodedata.normalize("NFKC", word),)),
    "digits": Spelling("digits", _digits),
}
_FILLINGS = {made.__name__: made for made in (normal, uniform, xavier, kaiming, zeros, mean)}


def chain(steps: Sequence[Any]) -> tuple[tuple[Spelling, ...], tuple[Filling | Custom, ...]]:
    """The steps that names stand for: those that spell, then those that make rows, the last of which fills every one.

    Raises
    ------
    OptionError
        For a name that is none, or a step where it cannot be.

    Examples
    --------
    >>> spellings, fillings = chain(["casefold", "normal"])
    >>> spellings[0].name, fillings[0].name
    ('casefold', 'normal')
    """
    if isinstance(steps, str) or not isinstance(steps, Sequence):
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
        elif any(step is made for made in _FILLINGS.values()):  # oov.normal, its brackets forgotten
            resolved.append(step())
        elif isinstance(step, (Spelling, Filling)) or callable(step):
            resolved.append(step)
        else:
            raise OptionError(f"oov: {step!r} is neither a name nor a step nor a function")
        if isinstance(resolved[-1], Spelling) and not all(isinstance(known, Spelling) for known in resolved):
            raise OptionError("oov: spelling steps come first, before steps that make rows")
    if not resolved or not isinstance(resolved[-1], Filling):
        resolved.append(zeros())
    spellings = tuple(step for step in resolved if isinstance(step, Spelling))
    return spellings, tuple(step for step in resolved if not isinstance(step, Spelling))


def name_of(step: Spelling | Filling | Custom) -> str:
    """What a step calls itself."""
    return step.name if isinstance(step, (Spelling, Filling)) else getattr(step, "__name__", type(step).__name__)


def names(steps: Iterable[Spelling | Filling | Custom], *, taken: Sequence[str]) -> tuple[str, ...]:
    """What coverage calls the steps, each name once, behind those `taken`: "<lambda>", "<lambda> 2"."""
    unique = list(taken)
    for name in map(name_of, steps):
        numbered = (f"{name} {number}" if number > 1 else name for number in range(1, len(unique) + 2))
        unique.append(next(one for one in numbered if one not in unique))
    return tuple(unique)


def respellings(word: str, steps: Sequence[Spelling]) -> list[tuple[str, int]]:
    """Other spellings of a word in the order to try them, each with the number of its step.

    Examples
    --------
    >>> respellings("Ｃａｔ", [_SPELLINGS["nfkc"], _SPELLINGS["casefold"]])
    [('Cat', 0), ('ｃａｔ', 1), ('ＣＡＴ', 1), ('cat', 1), ('CAT', 1)]
    """
    tried = {word: -1}
    for number, step in enumerate(steps):
        for known in list(tried):  # each step builds on all spellings before it
            for spelling in step.respell(known):
                tried.setdefault(spelling, number)
    del tried[word]
    return list(tried.items())


def find(there: Words, words: Iterable[str], steps: Sequence[Spelling]) -> Iterator[tuple[int, int]]:
    """For each word the row of its first spelling that is `there` and the number of its step; (-1, -1) for none."""
    tried = [respellings(word, steps) for word in words]
    looked_up = iter(there.lookup([spelling for some in tried for spelling, _ in some]).tolist())
    for some in tried:
        hits = [(next(looked_up), number) for _, number in some]
        yield next((hit for hit in hits if hit[0] >= 0), (-1, -1))


def rows(
    step: Filling | Custom, words: Words, asked: npt.NDArray[np.int64], found: Found, *, seed: int, number: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """The rows that step `number` makes for the words it is asked for, with their places, some at a time.

    Raises
    ------
    OptionError
        When a step of the caller's own makes something else.
    """
    if isinstance(step, Filling):
        for begin in range(0, len(asked), BLOCK):
            block = asked[begin : begin + BLOCK]
            yield block, step.fill(list(words.take(block)), found, seed)
    elif len(asked):
        given = step(list(words.take(asked)), found.dim, np.random.default_rng([seed % _SEEDS, number]))
        try:
            made = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(f"oov: {name_of(step)} gave no array of numbers ({error})") from error
        if made.shape != (len(asked), found.dim):
            expected = (len(asked), found.dim)
            raise OptionError(f"oov: {name_of(step)} gave rows of shape {made.shape}, expected {expected}")
        filled = ~np.isnan(made).any(axis=1)
        yield asked[filled], made[filled]
