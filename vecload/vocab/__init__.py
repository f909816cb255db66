"""`Vocab`: the words a model knows, in the order of its embedding's rows."""

from vecload.vocab.vocab import Vocab

__all__ = ["Vocab"]
