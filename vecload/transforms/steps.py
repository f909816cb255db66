"""Transforms that are named by strings and applied in order: ``["center", "all_but_the_top:3", "unit"]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from vecload.errors import OptionError, refuse_string
from vecload.message_text import did_you_mean
from vecload.transforms import linear, pruning, quantization
from vecload.vectors import Vectors

Transform = Callable[[Vectors], Vectors]


def _number(text: str, kind: type[int] | type[float], step: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise OptionError(f"step {step}: {text!r} is not a number") from None


def _with_number(step: str, function: Callable[[Vectors, int], Vectors]) -> Callable[[str], Transform]:
    def parse(text: str) -> Transform:
        if not text:
            raise OptionError(f"step {step} needs a number: {step}:N")
        number = int(_number(text, int, step))
        if number < 1:
            raise OptionError(f"step {step}:{number} needs a number of 1 or more")
        return lambda vectors: function(vectors, number)

    return parse


def _without_argument(step: str, function: Transform) -> Callable[[str], Transform]:
    def parse(text: str) -> Transform:
        if text:
            raise OptionError(f"step {step} takes no argument, found {text!r}")
        return function

    return parse


def _all_but_the_top(text: str) -> Transform:
    k = int(_number(text, int, "all_but_the_top")) if text else None
    if k is not None and k < 0:
        raise OptionError(f"step all_but_the_top:{k} needs a number of 0 or more")
    return lambda vectors: linear.all_but_the_top(vectors, k)


def _weight(text: str) -> Transform:
    if not text:
        return linear.weight
    a = float(_number(text, float, "weight"))
    if not a > 0:
        raise OptionError(f"step weight:{text} needs a number above 0")
    return lambda vectors: linear.weight(vectors, a)


# Parser of the text after the colon, by name of the step. "limit" keeps the first rows. "prune" gives other words the
# nearest of them. "int8" and "product_quantize" decode the quantized rows again, to show what quantization loses.
_STEPS: Final[dict[str, Callable[[str], Transform]]] = {
    "unit": _without_argument("unit", linear.unit),
    "center": _without_argument("center", linear.center),
    "all_but_the_top": _all_but_the_top,
    "pca": _with_number("pca", linear.pca),
    "ppa_pca": _with_number("ppa_pca", linear.ppa_pca),
    "whiten": _without_argument("whiten", linear.whiten),
    "weight": _weight,
    "limit": _with_number("limit", Vectors.head),
    "prune": _with_number("prune", lambda vectors, count: pruning.prune(vectors, count).expanded()),
    "float16": _without_argument("float16", lambda vectors: quantization.to_half(vectors, "float16")),
    "bfloat16": _without_argument("bfloat16", lambda vectors: quantization.to_half(vectors, "bfloat16")),
    "int8": _without_argument("int8", lambda vectors: quantization.int8(vectors).vectors),
    "product_quantize": _with_number(
        "product_quantize", lambda vectors, parts: quantization.product_quantize(vectors, parts).vectors
    ),
}
# Short names, which commands and scripts use.
_SHORT: Final = {"abtt": "all_but_the_top", "raunak": "ppa_pca", "pq": "product_quantize"}


def transform(vectors: Vectors, steps: Sequence[str]) -> Vectors:
    """Apply transforms in order.

    Parameters
    ----------
    vectors
        The space.
    steps
        Names, some with an argument after a colon: "unit", "center", "all_but_the_top:K" (short: "abtt:K"), "pca:K",
        "ppa_pca:K", "whiten", "weight:A", "limit:N", "prune:N", "float16", "bfloat16", "int8", "product_quantize:PARTS"
        (short: "pq:PARTS").

    Returns
    -------
    Vectors
        ``history.transforms`` holds the steps and what `undo` needs, ``meta["loss"]`` what quantization lost.

    Raises
    ------
    OptionError
        For an unknown step or an invalid argument, before the first step is applied.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = Vectors(["a", "b"], np.array([[3, 4], [1, 0]], dtype="float32"))
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
        For an unknown step or an invalid argument.

    Examples
    --------
    >>> len(parse_steps(["center", "pca:100"]))
    2
    """
    refuse_string("steps", steps)
    named = [(_SHORT.get(name, name), text) for name, _, text in (step.strip().partition(":") for step in steps)]
    for name, _ in named:
        if name not in _STEPS:
            raise OptionError(f"unknown step {name!r}; choose from: {', '.join(_STEPS)}{did_you_mean(name, _STEPS)}")
    return [_STEPS[name](text) for name, text in named]
