"""Align vectors with a vocabulary: one row for each word. An OOV chain makes the rows that the vectors lack."""

from vecload.alignment.aligned import Aligned
from vecload.alignment.aligning import Combine, align
from vecload.alignment.checking import check
from vecload.keywords import explain_public

__all__ = ["Aligned", "Combine", "align", "check"]

explain_public(__name__)
