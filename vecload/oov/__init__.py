"""Rows for out-of-vocabulary (OOV) words: the steps of `align`'s chain.

Normalizers try other spellings of a word, composers compute its row from parts of the word, and initializers make a
row without the word. `align` takes their names, or these functions for steps with arguments.
"""

from vecload.keywords import explain_public
from vecload.oov.aliases import aliases
from vecload.oov.composers import mean_of_parts, ngrams, subwords
from vecload.oov.initializers import kaiming, mean, normal, uniform, xavier, zeros
from vecload.oov.steps import Composition, Custom, Filling, Found, Lookup, Spelling

__all__ = [
    "Composition",
    "Custom",
    "Filling",
    "Found",
    "Lookup",
    "Spelling",
    "aliases",
    "kaiming",
    "mean",
    "mean_of_parts",
    "ngrams",
    "normal",
    "subwords",
    "uniform",
    "xavier",
    "zeros",
]

explain_public(__name__)
