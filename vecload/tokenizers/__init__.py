"""Tokenizers: the values of the `tokenize` argument, which vocabularies and sentence vectors share."""

from vecload.tokenizers.english import basic_english
from vecload.tokenizers.tokenizer import WHITESPACE, SubwordTokenizer, Tokenize, Tokenizer

__all__ = ["WHITESPACE", "SubwordTokenizer", "Tokenize", "Tokenizer", "basic_english"]
