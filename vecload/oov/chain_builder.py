"""A chain: what steps the caller's names stand for, in what order, and the rows each makes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError, refuse_string
from vecload.message_text import did_you_mean
from vecload.oov.composers import COMPOSITIONS, subwords
from vecload.oov.initializers import FILLINGS, SEEDS, zeros
from vecload.oov.normalizers import SPELLINGS
from vecload.oov.steps import BLOCK, Composition, Custom, Filling, Found, Lookup, Spelling
from vecload.words import Words

Step = Spelling | Composition | Filling | Custom


def parse_chain(steps: Sequence[Any]) -> tuple[tuple[Spelling, ...], tuple[Composition | Filling | Custom, ...]]:
    """The steps that names stand for: those that spell, then those that make rows, the last of which fills every one.

    Raises
    ------
    OptionError
        For a name that is none, or a step where it cannot be.

    Examples
    --------
    >>> spellings, fillings = parse_chain(["casefold", "normal"])
    >>> spellings[0].name, fillings[0].name
    ('casefold', 'normal')
    """
    refuse_string("oov", steps)
    if not isinstance(steps, Sequence):
        raise OptionError(f"oov is a list of steps: [{steps!r}]")
    resolved: list[Step] = []
    for step in steps:
        if resolved and isinstance(resolved[-1], Filling):
            raise OptionError(f"oov: {resolved[-1].name!r} fills every row, so nothing is left for {step!r} behind it")
        resolved.append(_resolved(step))
        if isinstance(resolved[-1], Spelling) and not all(isinstance(known, Spelling) for known in resolved):
            raise OptionError("oov: spelling steps come first, before steps that make rows")
    if not resolved or not isinstance(resolved[-1], Filling):
        resolved.append(zeros())
    spellings = tuple(step for step in resolved if isinstance(step, Spelling))
    return spellings, tuple(step for step in resolved if not isinstance(step, Spelling))


def _resolved(step: Any) -> Step:
    makers: dict[str, Any] = {**COMPOSITIONS, **FILLINGS}
    if callable(step):
        # The package exports wrapped functions, which explain unknown keywords.
        step = inspect.unwrap(step)
    if step is inspect.unwrap(subwords) or step == "subword-composition":
        raise OptionError("oov: 'subword-composition' needs its tokenizer: vecload.oov.subwords(tokenizer)")
    if isinstance(step, str):
        if step in SPELLINGS:
            return SPELLINGS[step]
        if step not in makers:
            known = ", ".join([*SPELLINGS, *makers])
            raise OptionError(
                f"oov: there is no step {step!r}; there are {known}, or a function of your own"
                f"{did_you_mean(step, [*SPELLINGS, *makers])}"
            )
        step = makers[step]
    if any(step is inspect.unwrap(maker) for maker in makers.values()):  # also oov.normal, its brackets forgotten
        step = step()
    if not isinstance(step, (Spelling, Composition, Filling)) and not callable(step):
        raise OptionError(f"oov: {step!r} is neither a name nor a step nor a function")
    made: Step = step
    return made


def step_name(step: Step) -> str:
    """What a step calls itself."""
    if isinstance(step, (Spelling, Composition, Filling)):
        return step.name
    return getattr(step, "__name__", type(step).__name__)


def step_names(steps: Iterable[Step], *, taken: Sequence[str]) -> tuple[str, ...]:
    """What coverage calls the steps, each name once, behind those `taken`: "<lambda>", "<lambda> 2"."""
    unique = list(taken)
    for name in map(step_name, steps):
        numbered = (f"{name} {number}" if number > 1 else name for number in range(1, len(unique) + 2))
        unique.append(next(one for one in numbered if one not in unique))
    return tuple(unique)


def make_rows(
    step: Composition | Filling | Custom,
    words: Words,
    asked: npt.NDArray[np.int64],
    found: Found,
    lookup: Lookup,
    *,
    seed: int,
    number: int,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """The rows that step `number` makes for the words it is asked for, with their places, some at a time.

    Raises
    ------
    OptionError
        When a step of the caller's own makes something else.
    """
    if isinstance(step, Filling):
        for block in _blocks(asked):
            yield block, step.fill(list(words.take(block)), found, seed)
    elif isinstance(step, Composition):
        for block in _blocks(asked):
            yield _made(block, step.compose(list(words.take(block)), lookup))
    elif len(asked):
        given = step(list(words.take(asked)), found.dim, np.random.default_rng([seed % SEEDS, number]))
        try:
            made = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(f"oov: {step_name(step)} gave no array of numbers ({error})") from error
        if made.shape != (len(asked), found.dim):
            expected = (len(asked), found.dim)
            raise OptionError(f"oov: {step_name(step)} gave rows of shape {made.shape}, expected {expected}")
        yield _made(asked, made)


def _blocks(asked: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    return (asked[begin : begin + BLOCK] for begin in range(0, len(asked), BLOCK))


def _made(
    asked: npt.NDArray[np.int64], rows: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Those of the rows that were made: NaN leaves a word to the next step."""
    made = ~np.isnan(rows).any(axis=1)
    return asked[made], rows[made]
