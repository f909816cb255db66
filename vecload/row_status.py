"""Statuses of the rows that kernels parse. Code without kernels has them without importing numba."""

from typing import Final

PADDING: Final = 64
"""Number of readable bytes that every chunk needs after its last line."""
PARSED: Final = 0
"""Line status: the row and its word were parsed."""
BLANK: Final = 1
"""Line status: only spaces, tabs and a carriage return."""
UNPARSED: Final = 2
"""Line status: not parsed; a slower parser decides whether the line is valid."""
