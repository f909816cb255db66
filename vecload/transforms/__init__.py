"""Transform one space of vectors: normalize, center, reduce, quantize, prune and merge."""

from vecload.keywords import explain_public
from vecload.transforms.combining import Shared, merge, prune, share
from vecload.transforms.linear import abtt, center, pca, raunak, undo, unit, weight, whiten
from vecload.transforms.quantizing import Loss, Quantized, int8, narrow, product
from vecload.transforms.steps import parse_steps, transform

__all__ = [
    "Loss",
    "Quantized",
    "Shared",
    "abtt",
    "center",
    "int8",
    "merge",
    "narrow",
    "parse_steps",
    "pca",
    "product",
    "prune",
    "raunak",
    "share",
    "transform",
    "undo",
    "unit",
    "weight",
    "whiten",
]

explain_public(__name__)
