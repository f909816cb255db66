"""Vectors × vocabulary × OOV chain → `Aligned`: one row per word, and where each row came from."""

from vecload.alignment.aligned import Aligned
from vecload.alignment.aligning import Combine, align
from vecload.alignment.checking import check
from vecload.keywords import explain_public

__all__ = ["Aligned", "Combine", "align", "check"]

explain_public(__name__)
