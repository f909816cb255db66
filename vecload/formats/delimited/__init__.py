"""CSV and TSV: a word and its values in each row, with or without a header, as pandas and polars write them.

::

    word,d0,d1          a header (optional)
    cat,0.1,0.2         one column for each value
    "a,b",0.3,0.4       quoted as in RFC 4180: words may contain delimiters, quotes and line feeds

Delimiters are commas, semicolons and tabs. A column of row numbers before the words, as ``DataFrame.to_csv`` writes it,
is skipped. The values may also be one column of lists: ``cat,"[0.1, 0.2]"``. Blank lines are ignored, as in pandas.
Values equal Python's ``float`` of the text, rounded to the requested type.

Sources: RFC 4180; the csv module of Python; ``pandas.DataFrame.to_csv``.
"""

from typing import Final

from vecload.formats.delimited.layout import detect
from vecload.formats.delimited.reader import read
from vecload.formats.delimited.writer import check_options, write
from vecload.formats.format import Format

__all__ = ["FORMAT"]

FORMAT: Final = Format(
    name="CSV",
    aliases=("TSV",),
    detect=detect,
    read=read,
    write=write,
    write_stream=write,
    check_options=check_options,
    suffixes=(".csv",),
    shared_suffixes=(".tsv", ".txt"),
    options=("precision",),
    read_options=("encoding",),
    is_text=True,
)
