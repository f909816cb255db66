"""Embedding layers that train all rows, none, or some.

Frozen rows are not part of a parameter, so optimizers, weight decay and momentum cannot change them.
"""

from vecload.keywords import explain_public
from vecload.layers.extending import Extension, extend_embedding
from vecload.layers.output_layers import PartialHead, TiedEmbedding, TiedHead
from vecload.layers.partial_embedding import PartialEmbedding
from vecload.layers.stored_embedding import StoredEmbedding
from vecload.layers.training import UnfreezeAfter, anchor, frequency_bands, param_groups, unfreeze_after

__all__ = [
    "Extension",
    "PartialEmbedding",
    "PartialHead",
    "StoredEmbedding",
    "TiedEmbedding",
    "TiedHead",
    "UnfreezeAfter",
    "anchor",
    "extend_embedding",
    "frequency_bands",
    "param_groups",
    "unfreeze_after",
]

explain_public(__name__)
