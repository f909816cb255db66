"""Neighbours and analogies: exact by blocked products (`exact`), by words (`queries`), between spaces (`csls`), or
approximate in an index for millions of rows (`index`).
"""

from vecload.search.csls import csls, mean_similarity
from vecload.search.exact import Metric, Nearest, check_count, check_metric, nearest
from vecload.search.index import Index, build_index, open_index
from vecload.search.queries import Answers, Method, analogy, check_method, neighbors, solved

__all__ = [
    "Answers",
    "Index",
    "Method",
    "Metric",
    "Nearest",
    "analogy",
    "build_index",
    "check_count",
    "check_method",
    "check_metric",
    "csls",
    "mean_similarity",
    "nearest",
    "neighbors",
    "open_index",
    "solved",
]
