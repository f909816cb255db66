"""Packed words: millions of strings in three arrays.

Two million Python strings take more time and memory than their vectors. So words are kept as the bytes of the file,
concatenated in one buffer, with an array of offsets and a hash table of row numbers. A ``str`` is made only when a word
is accessed. Bytes that are not valid UTF-8 become lone surrogates in the ``str`` (PEP 383, ``surrogateescape``), and
the same bytes again when it is encoded.
"""

from vecload.words.hashing import build_hash_table, read_only
from vecload.words.near import list_missing, missing_word, near_words
from vecload.words.packed import Words, encode, pack
from vecload.words.unique import UniqueWords

__all__ = [
    "UniqueWords",
    "Words",
    "build_hash_table",
    "encode",
    "list_missing",
    "missing_word",
    "near_words",
    "pack",
    "read_only",
]
