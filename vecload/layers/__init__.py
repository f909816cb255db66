"""Aligned rows → layers that train all of them, none, or some.

A frozen row is no part of a parameter, so no optimiser, weight decay or momentum can move it.
"""

from vecload.layers.aligned import embedding
from vecload.layers.partial import PartialEmbedding
from vecload.layers.stored import StoredEmbedding

__all__ = ["PartialEmbedding", "StoredEmbedding", "embedding"]
