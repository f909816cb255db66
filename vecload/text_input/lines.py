"""Decode text files into lines: encoding, byte order mark, line ends."""

from __future__ import annotations

import codecs
import io
import json
import os
import unicodedata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vecload.errors import FormatError
from vecload.progress import progress_bar
from vecload.saved import describe_folder, describe_head
from vecload.saved.recognition import SAVED_KINDS
from vecload.saved.schemas import VOCAB
from vecload.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vecload.sources import Source

Input = str | os.PathLike[str] | IO[bytes]
"""Anything that `vecload.sources.open_source` opens."""

_HEAD = 1 << 18  # bytes from which the encoding and the line ends are detected
BLOCK_SIZE = 1 << 20
_LONGEST_LINE = 1 << 23
# A JSON list may be one longer line. Its length is limited in relation to the size of the file: a decompression bomb
# exceeds this ratio, but a list of words does not.
_LONGEST_PER_BYTE = 16

# UTF-32 is tested first, because its little-endian mark begins with that of UTF-16.
_MARKS = (
    ("utf-32-le", codecs.BOM_UTF32_LE),
    ("utf-32-be", codecs.BOM_UTF32_BE),
    ("utf-8", codecs.BOM_UTF8),
    ("utf-16-le", codecs.BOM_UTF16_LE),
    ("utf-16-be", codecs.BOM_UTF16_BE),
)
_UNMARKED = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")


def read_lines(path: Input, *, progress: bool | None = None) -> Iterator[str]:
    """Yield the lines of a text file, without their line ends.

    Lines end in a line feed, or a carriage return and a line feed. Carriage returns alone end lines in files that
    have no line feeds. Other separators, such as U+0085 or U+2028, are part of the line.

    Parameters
    ----------
    path
        A path, URL, archive member, ``-`` or binary file, compressed or not: see `vecload.sources.open_source`. The
        encoding is UTF-8, unless the first bytes show UTF-16 or UTF-32. Invalid UTF-8 is kept as surrogate escapes. A
        byte order mark is dropped.
    progress
        Whether to show a progress bar; None shows one if standard error is a terminal.

    Raises
    ------
    FormatError
        If the file is damaged, or begins as UTF-16 or UTF-32 but is invalid later.
    """
    with open_input(path) as source:
        yield from decode_lines(source, progress=progress)


def open_input(path: Input) -> Source:
    """Open an input. ``"-"`` and ``Path("-")`` are standard input.

    Raises
    ------
    FormatError
        If vecload wrote the file and it is not a vocabulary. The error names its kind and the function that opens it.
    """
    place = os.fspath(path) if isinstance(path, os.PathLike) else path
    kind = describe_folder(Path(place)) if isinstance(place, str) and Path(place).is_dir() else None
    if kind is None:
        source = open_source(place)
        kind = describe_head(source.head(_HEAD))
        if kind is None or kind == SAVED_KINDS[VOCAB.mark]:
            return source
        source.close()
    raise FormatError("not a text file", file=input_name(path), found=kind.what, hint=kind.hint)


def decode_lines(source: Source, *, progress: bool | None = None) -> Iterator[str]:
    """Yield the lines of an open source, as `read_lines` does."""
    size = source.progress()[1]
    with progress_bar(size, name=Path(source.name).name, shown=progress) as bar:
        for block in _decoded(source):
            yield from block
            bar.reach(source.progress()[0])


def input_name(path: Input) -> str:
    """Return the name of an input, for error messages.

    Examples
    --------
    >>> input_name(Path("words.txt")), input_name(io.BytesIO())
    ('words.txt', '<stream>')
    """
    if isinstance(path, (str, os.PathLike)):
        return os.fspath(path)
    return str(getattr(path, "name", None) or "<stream>")


def detect_encoding(head: bytes) -> str:
    r"""Return the encoding of a text that begins with these bytes.

    Without a byte order mark, a text is UTF-16 or UTF-32 only if it contains NUL bytes, which UTF-8 text does not, and
    exactly one of these encodings decodes it to ordinary text.

    Examples
    --------
    >>> detect_encoding(b"cat"), detect_encoding("cat".encode("utf-16"))
    ('utf-8', 'utf-16-le')
    >>> detect_encoding("cat\n犬\n".encode("utf-16-be"))
    'utf-16-be'
    """
    for encoding, mark in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return "utf-8"
    fitting = [encoding for encoding in _UNMARKED if _is_text(head, encoding)]
    return fitting[0] if len(fitting) == 1 else "utf-8"


def json_or_none(text: str) -> Any:
    """Return the JSON list or object that a text holds, or None for any other text.

    Examples
    --------
    >>> json_or_none('["the", "cat"]'), json_or_none("[PAD]"), json_or_none("3")
    (['the', 'cat'], None, None)
    """
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_text(head: bytes, encoding: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    # Text in another encoding also decodes to characters, but many of them are unassigned, and none is a line end.
    ordinary = all(char in "\t\n\v\f\r\x85" or unicodedata.category(char) not in ("Cc", "Cn", "Co") for char in text)
    return ordinary and bool(text) and ("\n" in text or "\r" in text or max(text) < "\u0100")


def _decoded(source: Source) -> Iterator[list[str]]:
    """Yield the lines of a source, a block of them at a time."""
    head = source.head(_HEAD)
    encoding = detect_encoding(head)
    decoder: Any = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding == "utf-8" else "strict")
    sample = head.decode(encoding, "replace")
    if "\n" not in sample and "\r" in sample.rstrip("\r"):
        decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
    # Pieces of a line that continues in the next block. They are joined once at its end, so that the time is linear.
    pieces: list[str] = []
    begun = False
    while block := source.read(BLOCK_SIZE):
        text = _text(decoder, block, encoding, source.name)
        if text and not begun:
            text = text.removeprefix("\ufeff")
            begun = True
        first, *others = text.split("\n")
        pieces.append(first)
        if others:
            *whole, rest = "".join(pieces), *others
            pieces = [rest]
            # Carriage returns are removed from complete lines only: a block may end between one and its line feed.
            yield [line.rstrip("\r") for line in whole]
        longest = max(_LONGEST_LINE, _LONGEST_PER_BYTE * source.consumed())
        if len(pieces) * BLOCK_SIZE > longest:
            raise FormatError("a line is too long", file=source.name, found=f"no line end in {longest:,} bytes")
    pieces.append(_text(decoder, b"", encoding, source.name))
    yield [line.rstrip("\r") for line in "".join(pieces).removesuffix("\n").split("\n")] if any(pieces) else []


def _text(decoder: Any, block: bytes, encoding: str, name: str) -> str:
    """Decode the next block; an empty one is the end."""
    try:
        return str(decoder.decode(block, final=not block))
    except UnicodeDecodeError as error:
        raise FormatError(f"invalid {encoding.upper()} ({error.reason})", file=name) from error
