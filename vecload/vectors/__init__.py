"""Words and their vectors."""

from vecload.vectors.vectors import Vectors

__all__ = ["Vectors"]
