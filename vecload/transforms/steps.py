"""Steps declared as text, one behind the other: ``["center", "abtt:3", "unit"]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vecload.errors import OptionError, did_you_mean, refuse_string
from vecload.keywords import explain_keywords
from vecload.transforms import combining, linear, quantizing
from vecload.vectors import Vectors

Transform = Callable[[Vectors], Vectors]


def _number(text: str, kind: type[int] | type[float], step: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise OptionError(f"step {step}: {text!r} is not a number") from None


def _whole(step: str, make: Callable[[Vectors, int], Vectors]) -> Callable[[str], Transform]:
    def parse(text: str) -> Transform:
        if not text:
            raise OptionError(f"step {step} needs a number: {step}:N")
        number = int(_number(text, int, step))
        if number < 1:
            raise OptionError(f"step {step}:{number} needs a number of 1 or more")
        return lambda vectors: make(vectors, number)

    return parse


def _bare(step: str, make: Transform) -> Callable[[str], Transform]:
    def parse(text: str) -> Transform:
        if text:
            raise OptionError(f"step {step} takes no argument, found {text!r}")
        return make

    return parse


def _abtt(text: str) -> Transform:
    k = int(_number(text, int, "abtt")) if text else None
    if k is not None and k < 0:
        raise OptionError(f"step abtt:{k} needs a number of 0 or more")
    return lambda vectors: linear.abtt(vectors, k)


def _weight(text: str) -> Transform:
    if not text:
        return linear.weight
    a = float(_number(text, float, "weight"))
    if not a > 0:
        raise OptionError(f"step weight:{text} needs a number above 0")
    return lambda vectors: linear.weight(vectors, a)


STEPS: dict[str, Callable[[str], Transform]] = {
    "unit": _bare("unit", linear.unit),
    "center": _bare("center", linear.center),
    "abtt": _abtt,
    "pca": _whole("pca", linear.pca),
    "raunak": _whole("raunak", linear.raunak),
    "whiten": _bare("whiten", linear.whiten),
    "weight": _weight,
    "limit": _whole("limit", lambda vectors, count: combining.prune(vectors, count).vectors),
    "prune": _whole("prune", lambda vectors, count: combining.prune(vectors, count).expanded()),
    "float16": _bare("float16", lambda vectors: quantizing.narrow(vectors, "float16")),
    "bfloat16": _bare("bfloat16", lambda vectors: quantizing.narrow(vectors, "bfloat16")),
    "int8": _bare("int8", lambda vectors: quantizing.int8(vectors).vectors),
    "pq": _whole("pq", lambda vectors, parts: quantizing.product(vectors, parts).vectors),
}
"""Steps by name. "limit" keeps the first rows; "prune" lets all other words share the nearest of them; "int8" and "pq"
give the rows as they come back from so many bits, in float32, to see what they lose."""


@explain_keywords
def transform(vectors: Vectors, steps: Sequence[str]) -> Vectors:
    """Take vectors through steps in turn.

    Parameters
    ----------
    vectors
        The space.
    steps
        Names with an argument behind a colon: "unit", "center", "abtt:K", "pca:K", "raunak:K", "whiten", "weight:A",
        "limit:N", "prune:N", "float16", "bfloat16", "int8", "pq:PARTS".

    Returns
    -------
    Vectors
        ``meta["transforms"]`` keeps the steps, and what `undo` needs; ``meta["loss"]`` what quantising lost.

    Raises
    ------
    OptionError
        For an unknown step or an invalid argument, before the first step is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from vecload import Vectors, Words
    >>> vectors = Vectors(Words.from_strings(["a", "b"]), np.array([[3, 4], [1, 0]], dtype="float32"))
    >>> transform(vectors, ["center", "pca:1"])
    <Vectors: 2 words × 1 float32>
    """
    for step in parse_steps(steps):
        vectors = step(vectors)
    return vectors


def parse_steps(steps: Sequence[str]) -> list[Transform]:
    """Return the functions that steps stand for, with their arguments.

    Raises
    ------
    OptionError
        As `transform` does.

    Examples
    --------
    >>> len(parse_steps(["center", "pca:100"]))
    2
    """
    refuse_string("steps", steps)
    named = [step.strip().partition(":") for step in steps]
    for name, _, _ in named:
        if name not in STEPS:
            raise OptionError(f"unknown step {name!r}; choose from: {', '.join(STEPS)}{did_you_mean(name, STEPS)}")
    return [STEPS[name](text) for name, _, text in named]
