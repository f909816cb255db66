"""A vector for any string, from its character n-grams: the rules and the tables of fastText and floret."""

from vecload.ngrams.rows import DenseRows, QuantisedRows, Rows
from vecload.ngrams.table import NgramTable
from vecload.saved import LONGEST_MARK, LONGEST_NGRAM

__all__ = ["LONGEST_MARK", "LONGEST_NGRAM", "DenseRows", "NgramTable", "QuantisedRows", "Rows"]
