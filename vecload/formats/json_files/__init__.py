r"""JSON and JSON lines: words and lists of numbers, in the shapes that people use.

::

    {"cat": [0.1, 0.2], "dog": [0.3, 0.4]}          an object of lists (as written)
    [{"word": "cat", "vector": [0.1, 0.2]}, …]      a list of objects
    {"word": "cat", "vector": [0.1, 0.2]}           JSON lines: an object on each line
    {"cat": [0.1, 0.2]}                             or an object of lists on each line

Objects may have other keys, and other names for these two (`layout.WORD_KEYS`, `layout.VECTOR_KEYS`). Files are read
record by record, so memory does not grow with their size. Values equal Python's ``float`` of the text, rounded to the
requested type. ``NaN``, ``Infinity`` and ``-Infinity`` are numbers, as in Python's json module, and so are spellings
such as ``.5`` and ``+1``. The escapes ``\udc80`` to ``\udcff`` stand for single bytes of words that are not UTF-8. If a
word occurs more than once, its first row wins, as in all formats; ``json.load`` would return the last.

Sources: RFC 8259; the json module of Python; https://jsonlines.org.
"""

from typing import Final

from vecload.formats.format import Format
from vecload.formats.json_files.layout import detect_document, detect_lines
from vecload.formats.json_files.reader import read
from vecload.formats.json_files.writer import check_options, write_document, write_lines

__all__ = ["DOCUMENT", "LINES"]

DOCUMENT: Final = Format(
    name="JSON",
    detect=detect_document,
    read=read,
    write=write_document,
    write_stream=write_document,
    check_options=check_options,
    suffixes=(".json",),
    options=("precision",),
    read_options=("encoding",),
    is_text=True,
)
LINES: Final = Format(
    name="JSON lines",
    aliases=("jsonl", "ndjson"),
    detect=detect_lines,
    read=read,
    write=write_lines,
    write_stream=write_lines,
    check_options=check_options,
    suffixes=(".jsonl", ".ndjson"),
    options=("precision",),
    read_options=("encoding",),
    is_text=True,
)
