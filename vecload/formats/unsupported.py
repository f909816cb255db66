"""Files that people take for text vectors and that are something else: each told by its bytes and named.

Magic numbers are those of the formats' own documents; finalfusion's is in its ``chunks/io.rs``.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Look(NamedTuple):
    """What a file looks like, and what its owner can do about it."""

    what: str
    hint: str


_EXPORT = "Export it as text (a word and its values on each line), or load it with the library that wrote it."
_TENSORS = "With its words at hand: vecload.Vectors(words, safetensors.numpy.load_file(path)[name])."
_AGAIN = "The download went wrong: open the file in an editor to read the message, then fetch it again."
_UNPACK = "Unpack it and name the file inside."

_MAGIC: tuple[tuple[bytes, Look], ...] = (
    (b"\x89HDF\r\n", Look("an HDF5 file", _EXPORT)),
    (b"SQLite format 3\0", Look("an SQLite database (Magnitude)", _EXPORT)),
    (b"FiFu", Look("a finalfusion file", "Convert it with ffp-convert to text.")),
    (b"PK\x03\x04", Look("a zip archive inside another file", _UNPACK)),
    (b"\x1f\x8b", Look("a gzip stream inside another compressed file", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Look("a 7-Zip archive", _UNPACK)),
    (b"Rar!", Look("a RAR archive", _UNPACK)),
    (b"%PDF-", Look("a PDF document", _AGAIN)),
    (b"version https://git-lfs", Look("a Git LFS pointer, not the file itself", "Fetch it with git lfs pull.")),
)
_SAFETENSORS = re.compile(rb"^.{8}\{\s*\"", re.DOTALL)
_PAGE = re.compile(rb"^\s*<(!doctype\s+html|html|head|body)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<(\?xml|error\b)", re.IGNORECASE)
_JSON = re.compile(rb"^\s*[\[{]\s*[\"\[{]")
_SPARSE = re.compile(rb"^[^\r\n]*?[^\s][ \t]\d+:[-+.\deE]+(?:[ \t]\d+:[-+.\deE]+)*[ \t]*\r?$", re.MULTILINE)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")


def describe(head: bytes) -> Look | None:
    """What the bytes belong to, or None when they could be a file of text vectors.

    Examples
    --------
    >>> describe(b"<!DOCTYPE html><title>404</title>").what
    'an HTML page'
    >>> describe(b"cat 0.1 0.2") is None
    True
    """
    for magic, look in _MAGIC:
        if head.startswith(magic):
            return look
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\0" in head[:64]:
        return Look("UTF-16 text", "Convert it to UTF-8: iconv -f UTF-16 -t UTF-8.")
    if head[257:262] == b"ustar":
        return Look("a tar archive", _UNPACK)
    if _PAGE.match(head):
        return Look("an HTML page", _AGAIN)
    if _XML.match(head):
        return Look("an XML document, such as a server's error message", _AGAIN)
    if _SAFETENSORS.match(head):
        return Look("a safetensors file of another library", _TENSORS)
    if _JSON.match(head):
        return Look("a JSON document", _EXPORT)
    lines = head.split(b"\n", 2)
    if _SPARSE.match(lines[1] if len(lines) > 1 and re.match(rb"^\d+ \d+ *\r?$", lines[0]) else lines[0]):
        return Look("sparse vectors (index:value pairs)", "Use the dense edition of these vectors.")
    controls = len(_CONTROLS.findall(head[:4096]))
    if controls > len(head[:4096]) // 50:  # a stray NUL in a text is another complaint, with a line number
        return Look(f"binary data ({controls} control characters in the first {len(head[:4096])} bytes)", _EXPORT)
    return None
