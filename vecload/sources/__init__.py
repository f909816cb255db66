"""Bytes in and out: open, decompress, look ahead; write whole files or none. Knows nothing of vectors.

`stream` is what the other rooms hold; `compression` and `archives` unpack on the way; `opening` joins them; `writing`
is the way out. What a source is packed with is told from its first bytes, never from its name.
"""

from vecload.sources.archives import ZIP_DAMAGE
from vecload.sources.compression import compression_of
from vecload.sources.opening import open_source
from vecload.sources.stream import Source
from vecload.sources.writing import replacing

__all__ = ["ZIP_DAMAGE", "Source", "compression_of", "open_source", "replacing"]
