"""Tokenizers: the one `tokenize` argument of everything that splits texts, vocabularies and sentence vectors."""

from vecload.tokenizers.english import basic_english
from vecload.tokenizers.tokenizer import WHITESPACE, SubwordTokenizer, Tokenize, Tokenizer

__all__ = ["WHITESPACE", "SubwordTokenizer", "Tokenize", "Tokenizer", "basic_english"]
