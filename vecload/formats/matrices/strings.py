"""Pack the strings of NumPy arrays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import FormatError, VocabularyError
from vecload.words import Words

if TYPE_CHECKING:
    import numpy.typing as npt


def words_of_strings(strings: npt.NDArray[Any], name: str) -> Words:
    """Return the words of an array of strings, ``U`` or ``S``, shape (n,).

    Raises
    ------
    FormatError
        If it is another array, or a string is invalid.
    """
    if strings.ndim != 1 or strings.dtype.kind not in "US":
        found = f"shape {strings.shape} of {strings.dtype}"
        raise FormatError("words that are not text", file=name, found=found, expected="one dimension of strings")
    if strings.dtype.kind == "U" and strings.itemsize:
        # NumPy creates str objects from any 32-bit numbers, and Python would encode them as if they were characters.
        codes = np.ascontiguousarray(strings.astype(strings.dtype.newbyteorder("="), copy=False)).view(np.uint32)
        if codes.size and codes.max() > sys.maxunicode:
            raise FormatError("words that are not text", file=name, found=f"character code {codes.max():#x}")
    try:
        values = strings.tolist()
        return Words.from_bytes(values) if strings.dtype.kind == "S" else Words.from_strings(values)
    except (VocabularyError, ValueError, SystemError) as error:  # numpy raises the last two for invalid characters
        raise FormatError(f"words that are not text ({error})", file=name) from error
