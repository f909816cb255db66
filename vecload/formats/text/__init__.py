"""Text vectors: GloVe (no header), word2vec text and fastText .vec (header ``rows dim``).

There is one word per line, which ends in a line feed; a carriage return before it is dropped. The last `dim` fields are
the values. Everything before them, without the separator, is the word, byte for byte. Only the ASCII space and the tab
separate fields, so words may contain U+00A0, U+3000 or U+0085, and spaces too. Separators at the end of a line, as
word2vec.c and fastText write them, are ignored, and so is a UTF-8 byte order mark at the start of the file.

Values equal Python's ``float`` of the text, rounded to the requested type.

Sources: word2vec.c and glove.c (the writers), fastText's ``Vector`` stream operator, gensim ``save_word2vec_format``.
"""

from typing import Final

from vecload.formats.format import Format
from vecload.formats.text.layout import detect
from vecload.formats.text.preview import preview
from vecload.formats.text.reader import read
from vecload.formats.text.writer import HEADERS, check_options, write

__all__ = ["FORMAT", "read"]

FORMAT: Final = Format(
    name="text",
    aliases=tuple(HEADERS),
    detect=detect,
    read=read,
    preview=preview,
    write=write,
    write_stream=write,
    check_options=check_options,
    suffixes=(".txt", ".vec"),
    options=("precision", "unencodable"),
    read_options=("encoding",),
    is_text=True,
)
