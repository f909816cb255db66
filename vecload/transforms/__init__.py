"""Transform one space of vectors: normalize, center, reduce, quantize, prune and merge."""

from vecload.keywords import explain_public
from vecload.transforms.linear import all_but_the_top, center, pca, ppa_pca, undo, unit, weight, whiten
from vecload.transforms.merging import merge
from vecload.transforms.pruning import SharedRows, deduplicate, prune
from vecload.transforms.quantization import Loss, Quantized, int8, product_quantize, to_half
from vecload.transforms.steps import transform

__all__ = [
    "Loss",
    "Quantized",
    "SharedRows",
    "all_but_the_top",
    "center",
    "deduplicate",
    "int8",
    "merge",
    "pca",
    "ppa_pca",
    "product_quantize",
    "prune",
    "to_half",
    "transform",
    "undo",
    "unit",
    "weight",
    "whiten",
]

explain_public(__name__)
