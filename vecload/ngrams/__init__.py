"""Vectors for any string from its character n-grams, by the rules and with the tables of fastText and floret."""

from vecload.keywords import explain_public
from vecload.ngrams.rows import DenseRows, QuantizedRows, Rows
from vecload.ngrams.table import NgramTable
from vecload.saved import LONGEST_MARK, LONGEST_NGRAM

__all__ = ["LONGEST_MARK", "LONGEST_NGRAM", "DenseRows", "NgramTable", "QuantizedRows", "Rows"]

explain_public(__name__)
