"""Origins of the rows of an aligned matrix, and the coverage of a vocabulary.

Plain values: `vecload.align` and `vecload.check` compute them, and layers and reports read them.
"""

from vecload.keywords import explain_public
from vecload.provenance.coverage import Count, Coverage
from vecload.provenance.explanation import Difference, Explanation, Reason
from vecload.provenance.origins import Kind, Origin

__all__ = ["Count", "Coverage", "Difference", "Explanation", "Kind", "Origin", "Reason"]

explain_public(__name__)
