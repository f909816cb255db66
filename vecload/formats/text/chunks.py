"""Cut a text into chunks of whole lines, which worker threads parse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vecload.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.sources import Source

LONGEST_LINE: Final = 1 << 23
"""Limit on the bytes of one line: 300,000 values of 27 characters fit."""

# A chunk fits the processor's caches and is large enough that passing it to a thread costs nothing in comparison.
_CHUNK = 1 << 21


class Chunk(NamedTuple):
    """Whole lines: ``buffer[:stop]``, followed by the padding that kernels need, from byte `offset` of the file."""

    buffer: bytearray
    stop: int
    offset: int
    unended: bool
    """Whether the file ends with the last line of this chunk, without a line feed."""

    def array(self) -> npt.NDArray[np.uint8]:
        """Return the buffer as kernels take it."""
        return np.frombuffer(self.buffer, dtype=np.uint8)


def line_too_long(name: str, line: int | None, byte: int) -> FormatError:
    """Return the error for a line of more than `LONGEST_LINE` bytes."""
    hint = "Check that this is a file of word vectors."
    found = f"no line feed in {LONGEST_LINE:,} bytes"
    return FormatError("the line is too long", file=name, line=line, byte=byte, found=found, hint=hint)


def read_chunks(source: Source, begin: int, spare: list[bytearray]) -> Iterator[Chunk]:
    """Read the source from byte `begin` and cut it after line feeds; a missing last line feed is added.

    Parameters
    ----------
    source
        The opened file.
    begin
        Offset of the first line, whose bytes are skipped.
    spare
        Buffers of earlier chunks that may be filled again.

    Raises
    ------
    FormatError
        For a line of more than `LONGEST_LINE` bytes.
    """
    from vecload.kernels.plain_rows import PADDING  # numba is loaded when there is something to parse

    source.read(begin)
    offset = begin
    rest, ended = b"", False
    while not ended:
        buffer = spare.pop() if spare else bytearray()
        buffer[: len(rest)] = rest
        stop, cut = len(rest), 0
        # A line longer than a chunk grows the buffer in place: copies of it would cost several times its size.
        while not (cut or ended):
            size = stop + _CHUNK
            buffer.extend(bytes(max(0, size + PADDING - len(buffer))))
            with memoryview(buffer) as view:
                count = source.readinto(view[stop:size])
            ended = count < size - stop
            cut = buffer.rfind(b"\n", stop, stop + count) + 1
            stop += count
            if stop - cut > LONGEST_LINE:
                raise line_too_long(source.name, None, offset + cut)
        if not ended:
            rest = bytes(memoryview(buffer)[cut:stop])
            yield Chunk(buffer, cut, offset, unended=False)
            offset += cut
    if stop > cut:
        buffer[stop] = 10
    if stop:
        yield Chunk(buffer, stop + (stop > cut), offset, unended=stop > cut)
