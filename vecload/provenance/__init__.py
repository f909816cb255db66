"""Where the rows of an aligned matrix came from, and how much of a vocabulary was found.

Plain values: `vecload.alignment` computes them, and layers and reports read them.
"""

from vecload.keywords import explain_public
from vecload.provenance.coverage import Count, Coverage, coverage_of
from vecload.provenance.explanation import Difference, Explanation, Reason
from vecload.provenance.origins import EXACT, PADDING, SPECIAL, Kind, Origin, rows_of_kind, special_rows

__all__ = [
    "EXACT",
    "PADDING",
    "SPECIAL",
    "Count",
    "Coverage",
    "Difference",
    "Explanation",
    "Kind",
    "Origin",
    "Reason",
    "coverage_of",
    "rows_of_kind",
    "special_rows",
]

explain_public(__name__)
