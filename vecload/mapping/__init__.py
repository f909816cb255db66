"""Map one space of vectors onto another, read dictionaries, and follow words through a series of spaces."""

from vecload.keywords import explain_public
from vecload.mapping.diachronic import Stability, map_series, stability
from vecload.mapping.dictionaries import Pairing, find_pairs, read_dictionary, split_pairs
from vecload.mapping.learning import map_spaces
from vecload.mapping.spacemap import SpaceMap

__all__ = [
    "Pairing",
    "SpaceMap",
    "Stability",
    "find_pairs",
    "map_series",
    "map_spaces",
    "read_dictionary",
    "split_pairs",
    "stability",
]

explain_public(__name__)
