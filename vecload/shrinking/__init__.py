"""Smaller fastText models, with a report of the loss."""

from vecload.keywords import explain_public
from vecload.shrinking.report import Shrunk
from vecload.shrinking.shrinking import shrink

__all__ = ["Shrunk", "shrink"]

explain_public(__name__)
