"""Vectors × vocabulary × OOV chain → `Aligned`: one row per word, and where each row came from."""

from vecload.alignment.aligned import Aligned
from vecload.alignment.aligning import Combine, align
from vecload.alignment.checking import check
from vecload.alignment.coverage import Count, Coverage
from vecload.alignment.explaining import Difference, Explanation, Reason

__all__ = ["Aligned", "Combine", "Count", "Coverage", "Difference", "Explanation", "Reason", "align", "check"]
