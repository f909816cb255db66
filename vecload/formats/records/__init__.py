"""Read text files of records, each with a word and its values: CSV, JSON, JSON lines.

A `Grammar` says where records, words and values are; the rest is the same for all of them. Chunks of records are parsed
on threads by the kernels of their grammar and those of text files. The few records that kernels leave unparsed are
parsed in plain Python, in file order.
"""

from vecload.formats.records.chunks import Grammar, Places
from vecload.formats.records.reader import RecordReader
from vecload.formats.records.writing import write_records

__all__ = ["Grammar", "Places", "RecordReader", "write_records"]
