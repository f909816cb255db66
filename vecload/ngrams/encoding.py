"""Words in the encoding of the text that n-grams were learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vecload.words import Words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

UTF8: Final = "utf-8"


def encode_word(raw: bytes, encoding: str) -> bytes | None:
    r"""Return a word, given in UTF-8, in another encoding; None if it cannot represent the word.

    Examples
    --------
    >>> encode_word("é".encode(), "latin-1"), encode_word("犬".encode(), "latin-1")
    (b'\xe9', None)
    """
    if encoding == UTF8:
        return raw
    try:
        return raw.decode().encode(encoding)
    except UnicodeError:
        return None


def encode_packed(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], encoding: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[int]]:
    """Return packed words in another encoding, and the numbers of those it cannot represent, which become empty."""
    if encoding == UTF8:
        return data, offsets, []
    words = Words(data, offsets, checked=False)
    raws = [encode_word(words.bytes(at), encoding) for at in range(len(words))]
    packed = Words.from_bytes([raw or b"" for raw in raws])
    return packed.data, packed.offsets, [at for at, raw in enumerate(raws) if raw is None]
