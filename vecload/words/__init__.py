"""Packed words: millions of strings in three arrays.

Two million Python strings cost more time and memory than the floats beside them, so words stay as the bytes they were
in the file, one behind the other, with a hash table of row numbers; a ``str`` is made when someone looks at it.
Words are bytes first. What is not valid UTF-8 becomes a lone surrogate in a ``str`` (PEP 383, ``surrogateescape``) and
the same bytes again on the way back.
"""

from vecload.keywords import explain_public
from vecload.words.hashing import build_hash_table, read_only
from vecload.words.near import missing_word, near_words
from vecload.words.packed import Words, encode, pack
from vecload.words.unique import UniqueWords

__all__ = ["UniqueWords", "Words", "build_hash_table", "encode", "missing_word", "near_words", "pack", "read_only"]

explain_public(__name__)
