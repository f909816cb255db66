"""The OOV chain: resolve names to steps, check their order, and run them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError, refuse_string
from vecload.message_text import did_you_mean
from vecload.oov.aliases import PREFIX, aliases
from vecload.oov.composers import COMPOSITIONS, subwords
from vecload.oov.initializers import FILLINGS, SEEDS, zeros
from vecload.oov.normalizers import SPELLINGS
from vecload.oov.steps import BLOCK, Composition, Custom, Filling, Found, Lookup, Spelling
from vecload.words import Words

Step = Spelling | Composition | Filling | Custom


def parse_chain(steps: Sequence[Any]) -> tuple[tuple[Spelling, ...], tuple[Composition | Filling | Custom, ...]]:
    """Resolve the steps of a chain: the normalizers, then the steps that make rows.

    The last step makes a row for every word. If the chain ends in another step, one that makes zeros is added.

    Raises
    ------
    OptionError
        For an unknown name, and for steps in an order that cannot work.

    Examples
    --------
    >>> spellings, fillings = parse_chain(["casefold", "normal"])
    >>> spellings[0].name, fillings[0].name
    ('casefold', 'normal')
    """
    refuse_string("oov", steps)
    if not isinstance(steps, Sequence):
        raise OptionError(f"oov must be a list of steps, got {steps!r}; pass [{steps!r}]")
    resolved: list[Step] = []
    for step in steps:
        if resolved and isinstance(resolved[-1], Filling):
            raise OptionError(
                f"oov: {resolved[-1].name!r} makes a row for every word, so {step!r} after it is never reached"
            )
        resolved.append(_resolve(step))
        if isinstance(resolved[-1], Spelling) and not all(isinstance(known, Spelling) for known in resolved):
            raise OptionError("oov: steps that look for other spellings must be before steps that make rows")
    if not resolved or not isinstance(resolved[-1], Filling):
        resolved.append(zeros())
    spellings = tuple(step for step in resolved if isinstance(step, Spelling))
    return spellings, tuple(step for step in resolved if not isinstance(step, Spelling))


def _resolve(step: Any) -> Step:
    makers: dict[str, Any] = {**COMPOSITIONS, **FILLINGS}
    # The package exports functions that are wrapped to explain unknown keywords. Functions of the caller are not
    # unwrapped, because a wrapper may do something.
    function = inspect.unwrap(step) if inspect.isfunction(step) else None
    if step == "subword-composition" or function is inspect.unwrap(subwords):
        raise OptionError("oov: 'subword-composition' needs its tokenizer: vecload.oov.subwords(tokenizer)")
    if step == "aliases" or function is inspect.unwrap(aliases):
        raise OptionError(f"oov: 'aliases' needs names: vecload.oov.aliases(names), or '{PREFIX}FILE'")
    if isinstance(step, str) and step.startswith(PREFIX):
        return aliases(step.removeprefix(PREFIX))
    if isinstance(step, str):
        if step in SPELLINGS:
            return SPELLINGS[step]
        if step not in makers:
            known = [*SPELLINGS, f"{PREFIX}FILE", *makers]
            near = did_you_mean(step, known)
            raise OptionError(f"unknown oov step {step!r}; choose from: {', '.join(known)}, or pass a function{near}")
        step = makers[step]()
    elif function is not None and function in map(inspect.unwrap, makers.values()):  # `oov.normal` for `oov.normal()`
        step = step()
    if not isinstance(step, (Spelling, Composition, Filling)) and not callable(step):
        raise OptionError(f"oov: a step must be a name, a step of vecload.oov or a function, got {step!r}")
    made: Step = step
    return made


def step_name(step: Step) -> str:
    """Return the name of a step, or of a function that is used as a step."""
    if isinstance(step, (Spelling, Composition, Filling)):
        return step.name
    return getattr(step, "__name__", type(step).__name__)


def step_names(steps: Iterable[Step], *, taken: Sequence[str]) -> tuple[str, ...]:
    """Return the names `taken`, then a unique name for each step: "<lambda>", "<lambda> 2"."""
    unique = list(taken)
    for name in map(step_name, steps):
        numbered = (f"{name} {number}" if number > 1 else name for number in range(1, len(unique) + 2))
        unique.append(next(one for one in numbered if one not in unique))
    return tuple(unique)


def make_rows(
    step: Composition | Filling | Custom,
    words: Words,
    positions: npt.NDArray[np.int64],
    found: Found,
    lookup: Lookup,
    *,
    seed: int,
    number: int,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """Yield the rows that a step makes, some at a time, with the positions of their words.

    Parameters
    ----------
    step
        A step that makes rows.
    words
        All words.
    positions
        Positions of the words that need a row, int64, shape (k,).
    found, lookup
        Rows of the vectors, for steps that use them.
    seed
        Seed of random rows.
    number
        Position of the step in the chain, which distinguishes the random numbers of two functions.

    Yields
    ------
    positions, rows
        int64, shape (n,), and float64, shape (n, dim).

    Raises
    ------
    OptionError
        If a function returns anything but an array of numbers of the right shape.
    """
    if isinstance(step, Filling):
        for block in _blocks(positions):
            yield block, step.fill(list(words.take(block)), found, seed)
    elif isinstance(step, Composition):
        for block in _blocks(positions):
            yield _made(block, step.compose(list(words.take(block)), lookup))
    elif len(positions):
        # A function gets all words at once, and a random generator that no other step shares.
        given = step(list(words.take(positions)), found.dim, np.random.default_rng([seed % SEEDS, number]))
        try:
            made = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(f"oov: {step_name(step)} must return an array of numbers ({error})") from error
        if made.shape != (len(positions), found.dim):
            expected = (len(positions), found.dim)
            raise OptionError(f"oov: {step_name(step)} returned rows of shape {made.shape}, expected {expected}")
        yield _made(positions, made)


def _blocks(positions: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    return (positions[begin : begin + BLOCK] for begin in range(0, len(positions), BLOCK))


def _made(
    positions: npt.NDArray[np.int64], rows: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the finished rows with their positions; a row with NaN leaves its word to the next step."""
    made = ~np.isnan(rows).any(axis=1)
    return positions[made], rows[made]
