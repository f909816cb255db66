"""One tokenizer argument for everything that splits texts: vocabularies and sentence vectors."""

from vecload.tokenizers.tokenizer import WHITESPACE, Tokenizer

__all__ = ["WHITESPACE", "Tokenizer"]
