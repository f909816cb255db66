"""Spaces of vectors: what is done to one, and how one is mapped onto another."""

from vecload.spaces.dictionaries import SEEDS, Pairing, find_pairs, read_dictionary, split_pairs
from vecload.spaces.mapping import map_spaces
from vecload.spaces.pipeline import parse_steps, transform
from vecload.spaces.quantizing import Loss, Quantized, int8, narrow, product
from vecload.spaces.reducing import Shared, merge, prune, share
from vecload.spaces.series import Stability, map_series, stability
from vecload.spaces.spacemap import SpaceMap
from vecload.spaces.transforms import abtt, center, pca, raunak, undo, unit, weight, whiten

__all__ = [
    "SEEDS",
    "Loss",
    "Pairing",
    "Quantized",
    "Shared",
    "SpaceMap",
    "Stability",
    "abtt",
    "center",
    "find_pairs",
    "int8",
    "map_series",
    "map_spaces",
    "merge",
    "narrow",
    "parse_steps",
    "pca",
    "product",
    "prune",
    "raunak",
    "read_dictionary",
    "share",
    "split_pairs",
    "stability",
    "transform",
    "undo",
    "unit",
    "weight",
    "whiten",
]
