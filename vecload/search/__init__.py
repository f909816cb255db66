"""Neighbors and analogies of rows: exact (`exact`, `analogies`), between two spaces (`csls`), or approximate (`index`).

All functions take arrays; `Vectors.neighbors` and `Vectors.analogy` take words.
"""

from vecload.keywords import explain_public
from vecload.search.analogies import Method, solve_analogies
from vecload.search.csls import csls
from vecload.search.exact import Metric, nearest
from vecload.search.index import Index, build_index, open_index
from vecload.search.ranking import Nearest

__all__ = ["Index", "Method", "Metric", "Nearest", "build_index", "csls", "nearest", "open_index", "solve_analogies"]

explain_public(__name__)
