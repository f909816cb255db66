"""`Vectors`: words and their vectors."""

from vecload.keywords import explain_public
from vecload.vectors.vectors import Vectors

__all__ = ["Vectors"]

explain_public(__name__)
