"""`Vocab`: the vocabulary of a model."""

from vecload.keywords import explain_public
from vecload.vocab.encoding import Flat, Padded
from vecload.vocab.vocab import Vocab

__all__ = ["Flat", "Padded", "Vocab"]

explain_public(__name__)
