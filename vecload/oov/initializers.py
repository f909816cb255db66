"""Initializers: steps that make a row for every word, at random or constant.

A random number is a function of the seed, the bytes of the word and the column only. So the row of a word does not
depend on the other words, their order, or the number of threads.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError
from vecload.oov.steps import Filling, Found

Match = Literal["global", "dimension", "norm"]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_MAX_UNIT = 2.0**-53
# NumPy's generators and the key of BLAKE2b need seeds that are not negative and of bounded size.
SEEDS = 1 << 64


def uniform_draws(words: Sequence[str], columns: int, seed: int) -> npt.NDArray[np.float64]:
    """Return random numbers in (0, 1], a row for each word; each is a function of seed, word and column.

    Parameters
    ----------
    words
        Words of the rows.
    columns
        Number of values in a row.
    seed
        Any integer; it is reduced modulo 2**64.

    Returns
    -------
    float64, shape (len(words), columns)

    Notes
    -----
    The numbers of a row are the stream of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014) that starts at the BLAKE2b hash of the word, keyed with the seed. The upper 53 bits of
    each output become a float64.

    Examples
    --------
    >>> uniform_draws(["cat"], 3, 0).tolist() == uniform_draws(["dog", "cat"], 3, 0)[1:].tolist()
    True
    """
    key = str(seed % SEEDS).encode()
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


def normal(mean: float | None = None, std: float | None = None, *, match: Match = "global") -> Filling:
    """Draw rows from a normal distribution.

    Parameters
    ----------
    mean, std
        Mean and standard deviation of the values; None to match the rows that were found.
    match
        Meaning of None: "global" uses the mean and deviation of all values that were found, "dimension" those of each
        dimension. "norm" is like "global", and scales each row to the median norm of the rows that were found.

    Examples
    --------
    >>> normal(0.0, 0.1).fill(["cat"], Found(np.empty((0, 2)), 1, 2), 0).shape
    (1, 2)
    """
    _check("normal", match, mean=mean, std=std)
    if std is not None and std < 0:
        raise OptionError(f"normal: std={std} is negative")
    return Filling("normal", partial(_normal, mean=mean, std=std, match=match))


def _normal(
    words: list[str], found: Found, seed: int, *, mean: float | None, std: float | None, match: Match
) -> npt.NDArray[np.float64]:
    # The method of Box and Muller (1958) needs two uniform numbers for each value. They are next to each other, so that
    # the numbers of a column do not depend on the dimension.
    draws = uniform_draws(words, 2 * found.dim, seed)
    radius = np.sqrt(-2.0 * np.log(draws[:, 0::2]))
    middle, spread = _matched(found, match)
    unit = radius * np.cos(2.0 * np.pi * draws[:, 1::2])
    return _scaled((middle if mean is None else mean) + (spread if std is None else std) * unit, found, match)


def uniform(low: float | None = None, high: float | None = None, *, match: Match = "global") -> Filling:
    """Draw rows from a uniform distribution.

    Parameters
    ----------
    low, high
        Limits of the values; None for those with the mean and deviation of the rows that were found.
    match
        As for `normal`.

    Examples
    --------
    >>> uniform(-0.1, 0.1).fill(["cat"], Found(np.empty((0, 2)), 1, 2), 0).max() < 0.1
    np.True_
    """
    _check("uniform", match, low=low, high=high)
    if low is not None and high is not None and low > high:
        raise OptionError(f"uniform: low={low} is above high={high}")
    return Filling("uniform", partial(_uniform, low=low, high=high, match=match))


def _uniform(
    words: list[str], found: Found, seed: int, *, low: float | None, high: float | None, match: Match
) -> npt.NDArray[np.float64]:
    middle, spread = _matched(found, match)
    least = middle - 3**0.5 * spread if low is None else np.float64(low)
    most = middle + 3**0.5 * spread if high is None else np.float64(high)
    if (least > most).any():  # one limit is given, the other is matched
        given = (
            f"low={low:g} is above high={np.min(most):g}"
            if high is None
            else f"low={np.max(least):g} is above high={high:g}"
        )
        raise OptionError(f"uniform: {given}, the limit matched to the rows that were found")
    return _scaled(least + (most - least) * uniform_draws(words, found.dim, seed), found, match)


def _matched(found: Found, match: Match) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and deviation, each of shape (dim,) or ()."""
    if match == "dimension":
        return found.mean, found.deviation
    middle, spread = found.spread
    return np.array(middle), np.array(spread)


def _scaled(rows: npt.NDArray[np.float64], found: Found, match: Match) -> npt.NDArray[np.float64]:
    if match != "norm":
        return rows
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * (found.median_norm / np.where(lengths > 0, lengths, 1.0))


def _check(step: str, match: Match, **values: float | None) -> None:
    if match not in get_args(Match):
        raise OptionError(f"{step}: match={match!r} is not one of {', '.join(map(repr, get_args(Match)))}")
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise OptionError(f"{step}: {name}={value} is not a finite number")


def xavier() -> Filling:
    """Draw rows as ``torch.nn.init.xavier_uniform_`` does for the whole matrix (Glorot and Bengio 2010)."""
    return Filling("xavier", _xavier)


def kaiming() -> Filling:
    """Draw rows as ``torch.nn.init.kaiming_uniform_`` does for the whole matrix (He et al. 2015)."""
    return Filling("kaiming", _kaiming)


def zeros() -> Filling:
    """Make rows of zeros."""
    return Filling("zeros", _zeros)


def mean() -> Filling:
    """Make rows that are the mean of the rows that were found, or zeros if none were found."""
    return Filling("mean", _mean)


# Steps refer to functions of the module, not to closures, so that they can be pickled.


def _xavier(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
    bound = (6.0 / (found.num_embeddings + found.dim)) ** 0.5
    rows: npt.NDArray[np.float64] = bound * (2.0 * uniform_draws(words, found.dim, seed) - 1.0)
    return rows


def _kaiming(words: list[str], found: Found, seed: int) -> npt.NDArray[np.float64]:
    bound = (6.0 / found.dim) ** 0.5
    rows: npt.NDArray[np.float64] = bound * (2.0 * uniform_draws(words, found.dim, seed) - 1.0)
    return rows


def _zeros(words: list[str], found: Found, _seed: int) -> npt.NDArray[np.float64]:
    return np.zeros((len(words), found.dim))


def _mean(words: list[str], found: Found, _seed: int) -> npt.NDArray[np.float64]:
    return np.tile(found.mean, (len(words), 1))


FILLINGS = {made.__name__: made for made in (normal, uniform, xavier, kaiming, zeros, mean)}
