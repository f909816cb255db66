"""Names of ``torchtext.vocab`` and ``torchtext.data`` for scripts written for torchtext, which is retired.

Change the imports, and the rest of the script stays the same::

    from vecload.compat.torchtext import GloVe, build_vocab_from_iterator, get_tokenizer

Each class says once how to write the same with vecload. The guide "From torchtext" has the details.
"""

from vecload.compat.torchtext.tokenizers import get_tokenizer, ngrams_iterator
from vecload.compat.torchtext.vectors import CharNGram, FastText, GloVe, Vectors
from vecload.compat.torchtext.vocabulary import TokenError, Vocab, build_vocab_from_iterator, vocab

__all__ = [
    "CharNGram",
    "FastText",
    "GloVe",
    "TokenError",
    "Vectors",
    "Vocab",
    "build_vocab_from_iterator",
    "get_tokenizer",
    "ngrams_iterator",
    "vocab",
]
