"""Recognize common files that are not supported or not word vectors, so that errors can name them.

Magic numbers are taken from the documentation of each format.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class UnsupportedFile(NamedTuple):
    """Name of the kind of file, and a hint on what to do with it."""

    what: str
    hint: str


_EXPORT = "Export it as text (a word and its values on each line), or load it with the library that wrote it."
_AGAIN = "The download went wrong: open the file in an editor to read the message, then fetch it again."
_JSON_SHAPES = 'Vectors in JSON are {"word": [numbers], ...} or objects with a word and a list of numbers.'
_UNPACK = "Unpack it and name the file inside."

_MAGIC: tuple[tuple[bytes, UnsupportedFile], ...] = (
    (b"PK\x03\x04", UnsupportedFile("a zip archive inside another file", _UNPACK)),
    (b"\x1f\x8b", UnsupportedFile("a gzip stream inside another compressed file", _UNPACK)),
    (b"\x1f\x9d", UnsupportedFile("a file of Unix compress (.Z)", "Decompress it with gzip -d.")),
    (b"LZIP", UnsupportedFile("an lzip file", "Decompress it with lzip -d.")),
    (b"\x89LZO\0", UnsupportedFile("an lzop file", "Decompress it with lzop -d.")),
    (b"\xff\x06\0\0sNaPpY", UnsupportedFile("a Snappy stream", "Decompress it with snzip -d.")),
    (b"GGUF", UnsupportedFile("a GGUF model", "Load the embedding of the model it was made from, in safetensors.")),
    (b"7z\xbc\xaf\x27\x1c", UnsupportedFile("a 7-Zip archive", _UNPACK)),
    (b"Rar!", UnsupportedFile("a RAR archive", _UNPACK)),
    (b"%PDF-", UnsupportedFile("a PDF document", _AGAIN)),
    (
        b"version https://git-lfs",
        UnsupportedFile("a Git LFS pointer, not the file itself", "Fetch it with git lfs pull."),
    ),
)
# Beginnings of files that have no magic number: JSON after the 8 bytes of a length, error pages of servers, XML, JSON,
# rows of "index:value" pairs as in SVMlight files, and control characters that do not occur in text.
_PAGE = re.compile(rb"^\s*<(!doctype\s+html|html|head|body)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<(\?xml|error\b)", re.IGNORECASE)
_JSON = re.compile(rb"^(\xef\xbb\xbf)?\s*[\[{]\s*[\"\[{]")
# JSON documents that are often named by mistake, by their first bytes.
_JSON_KINDS: tuple[tuple[re.Pattern[bytes], UnsupportedFile], ...] = (
    (
        re.compile(rb"^\s*\{.{0,4096}?\"(?:added_tokens|pre_tokenizer|truncation)\"\s*:", re.DOTALL),
        UnsupportedFile("a tokenizer (tokenizer.json), which has no vectors", "Name the folder or file of its model."),
    ),
    (
        re.compile(rb"^\s*\{.{0,4096}?\"(?:architectures|model_type|hidden_size)\"\s*:", re.DOTALL),
        UnsupportedFile("the settings of a model (config.json), not its vectors", "Name the folder of the model."),
    ),
    (
        re.compile(rb"^\s*\[\s*\"(?:[^\"\\]|\\.)*\"\s*[,\]]"),
        UnsupportedFile(
            "a JSON list of strings, without vectors", "A list of words is a vocabulary: vecload.Vocab.load."
        ),
    ),
    (
        re.compile(rb"^\s*\{\s*\"(?:[^\"\\]|\\.)*\"\s*:\s*-?\d+\s*[,}]"),
        UnsupportedFile("a JSON object of numbers, such as a vocabulary", "Its vectors are in another file."),
    ),
)
_SPARSE = re.compile(rb"^[^\r\n]*?[^\s][ \t]\d+:[-+.\deE]+(?:[ \t]\d+:[-+.\deE]+)*[ \t]*\r?$", re.MULTILINE)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")


def describe(head: bytes) -> UnsupportedFile | None:
    """Recognize an unsupported file by its first bytes; None if they could belong to a file of text vectors.

    Examples
    --------
    >>> describe(b"<!DOCTYPE html><title>404</title>").what
    'an HTML page'
    >>> describe(b"cat 0.1 0.2") is None
    True
    """
    for magic, file in _MAGIC:
        if head.startswith(magic):
            return file
    if head[257:262] == b"ustar":
        return UnsupportedFile("a tar archive", _UNPACK)
    if _PAGE.match(head):
        return UnsupportedFile("an HTML page", _AGAIN)
    if _XML.match(head):
        return UnsupportedFile("an XML document, such as a server's error message", _AGAIN)
    for pattern, file in _JSON_KINDS:
        if pattern.match(head):
            return file
    if _JSON.match(head):
        return UnsupportedFile("a JSON document", _JSON_SHAPES)
    lines = head.split(b"\n", 2)
    if _SPARSE.match(lines[1] if len(lines) > 1 and re.match(rb"^\d+ \d+ *\r?$", lines[0]) else lines[0]):
        return UnsupportedFile("sparse vectors (index:value pairs)", "Use the dense edition of these vectors.")
    controls = len(_CONTROLS.findall(head[:4096]))
    # Text with single NULs is left to the text reader, whose error has the line number.
    if controls > len(head[:4096]) // 50:
        return UnsupportedFile(
            f"binary data ({controls} control characters in the first {len(head[:4096])} bytes)", _EXPORT
        )
    return None
