"""Aligned rows → layers that train all of them, none, or some.

A frozen row is no part of a parameter, so no optimiser, weight decay or momentum can move it.
"""

from vecload.layers.aligned import embedding
from vecload.layers.extending import Extension, extend_embedding
from vecload.layers.heads import PartialHead, TiedHead
from vecload.layers.partial import PartialEmbedding
from vecload.layers.stored import StoredEmbedding
from vecload.layers.training import UnfreezeAfter, anchor, frequency_bands, param_groups, unfreeze_after

__all__ = [
    "Extension",
    "PartialEmbedding",
    "PartialHead",
    "StoredEmbedding",
    "TiedHead",
    "UnfreezeAfter",
    "anchor",
    "embedding",
    "extend_embedding",
    "frequency_bands",
    "param_groups",
    "unfreeze_after",
]
