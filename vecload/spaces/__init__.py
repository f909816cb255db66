"""Spaces of vectors: what is done to one, and how one is mapped onto another."""

from vecload.spaces.dictionaries import SEEDS, Pairing, find_pairs, read_pairs, split_pairs
from vecload.spaces.mapping import map_spaces
from vecload.spaces.series import Stability, map_series, stability
from vecload.spaces.spacemap import SpaceMap

__all__ = [
    "SEEDS",
    "Pairing",
    "SpaceMap",
    "Stability",
    "find_pairs",
    "map_series",
    "map_spaces",
    "read_pairs",
    "split_pairs",
    "stability",
]
