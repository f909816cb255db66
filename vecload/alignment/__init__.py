"""Vectors × vocabulary × what to do about absent words → `Aligned`: one row a word, and where each came from."""

from vecload.alignment.aligned import Aligned
from vecload.alignment.aligning import Combine, align
from vecload.alignment.coverage import Count, Coverage

__all__ = ["Aligned", "Combine", "Count", "Coverage", "align"]
