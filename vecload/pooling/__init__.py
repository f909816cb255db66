"""Sentence vectors from word vectors: `SentencePooler`, a module that pools row numbers and reads texts.

Three objects are used in turn: a `vecload.tokenizers.Tokenizer` (text → tokens), a `RowLookup` (tokens → row numbers)
and a `RowPooler` (row numbers → vectors). `SentencePooler` is a `RowPooler` that has the other two; encoding, fitting,
saving and exporting are functions of the three.
"""

from vecload.keywords import explain_public
from vecload.pooling.modes import Mode, pmeans, sif, usif
from vecload.pooling.sentence_pooler import SentencePooler

__all__ = ["Mode", "SentencePooler", "pmeans", "sif", "usif"]

explain_public(__name__)
