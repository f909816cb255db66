"""What to do about words a file does not have: the steps of `align`'s chain.

Spelling steps try another spelling of the word; composing steps make its row from its parts; filling steps make one
without the file.
"""

from vecload.keywords import explain_public
from vecload.oov.chain_builder import chain, name_of, names, rows
from vecload.oov.composers import mean_of_parts, ngrams, subwords
from vecload.oov.initializers import kaiming, mean, normal, uniform, uniform_draws, xavier, zeros
from vecload.oov.normalizers import find, respellings
from vecload.oov.steps import BLOCK, Composition, Custom, Filling, Found, Lookup, Spelling

__all__ = [
    "BLOCK",
    "Composition",
    "Custom",
    "Filling",
    "Found",
    "Lookup",
    "Spelling",
    "chain",
    "find",
    "kaiming",
    "mean",
    "mean_of_parts",
    "name_of",
    "names",
    "ngrams",
    "normal",
    "respellings",
    "rows",
    "subwords",
    "uniform",
    "uniform_draws",
    "xavier",
    "zeros",
]

explain_public(__name__)
