"""Steps declared as text, one behind the other: ``["center", "abtt:3", "unit"]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecload.errors import OptionError, refuse_string
from vecload.spaces import quantizing, reducing, transforms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vecload.vectors import Vectors

    Step = Callable[[Vectors, str], Vectors]


def _number(text: str, kind: type[int] | type[float], step: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise OptionError(f"step {step}: {text!r} is no number") from None


def _whole(step: str, make: Callable[[Vectors, int], Vectors]) -> Step:
    def run(vectors: Vectors, text: str) -> Vectors:
        if not text:
            raise OptionError(f"step {step} needs a number: {step}:N")
        return make(vectors, int(_number(text, int, step)))

    return run


def _bare(step: str, make: Callable[[Vectors], Vectors]) -> Step:
    def run(vectors: Vectors, text: str) -> Vectors:
        if text:
            raise OptionError(f"step {step} takes no argument, not {text!r}")
        return make(vectors)

    return run


def _abtt(vectors: Vectors, text: str) -> Vectors:
    return transforms.abtt(vectors, int(_number(text, int, "abtt")) if text else None)


def _weight(vectors: Vectors, text: str) -> Vectors:
    return transforms.weight(vectors, float(_number(text, float, "weight"))) if text else transforms.weight(vectors)


STEPS: dict[str, Step] = {
    "unit": _bare("unit", transforms.unit),
    "center": _bare("center", transforms.center),
    "abtt": _abtt,
    "pca": _whole("pca", transforms.pca),
    "raunak": _whole("raunak", transforms.raunak),
    "whiten": _bare("whiten", transforms.whiten),
    "weight": _weight,
    "top": _whole("top", lambda vectors, count: reducing.prune(vectors, count).vectors),
    "prune": _whole("prune", lambda vectors, count: reducing.prune(vectors, count).expanded()),
    "float16": _bare("float16", lambda vectors: quantizing.narrow(vectors, "float16")),
    "bfloat16": _bare("bfloat16", lambda vectors: quantizing.narrow(vectors, "bfloat16")),
    "int8": _bare("int8", lambda vectors: quantizing.int8(vectors).vectors),
    "pq": _whole("pq", lambda vectors, parts: quantizing.product(vectors, parts).vectors),
}
"""Steps by name. "top" keeps the first rows; "prune" lets all other words share the nearest of them; "int8" and "pq"
give the rows as they come back from so many bits, in float32, to see what they lose."""


def transform(vectors: Vectors, steps: Sequence[str]) -> Vectors:
    """Take vectors through steps in turn.

    Parameters
    ----------
    vectors
        The space.
    steps
        Names with an argument behind a colon: "unit", "center", "abtt:K", "pca:K", "raunak:K", "whiten", "weight:A",
        "top:N", "prune:N", "float16", "bfloat16", "int8", "pq:PARTS".

    Returns
    -------
    Vectors
        ``meta["transforms"]`` keeps the steps, and what `undo` needs; ``meta["loss"]`` what quantising lost.

    Raises
    ------
    OptionError
        For a step that is none, or has a wrong argument.

    Examples
    --------
    >>> import numpy as np
    >>> from vecload import Vectors, Words
    >>> vectors = Vectors(Words.from_strings(["a", "b"]), np.array([[3, 4], [1, 0]], dtype="float32"))
    >>> transform(vectors, ["center", "pca:1"])
    <Vectors: 2 words × 1 float32>
    """
    refuse_string("steps", steps)
    named = [step.strip().partition(":") for step in steps]
    for name, _, _ in named:
        if name not in STEPS:
            raise OptionError(f"there is no step {name!r}; there are {', '.join(STEPS)}")
    for name, _, text in named:
        vectors = STEPS[name](vectors, text)
    return vectors
