"""Word vectors → sentence vectors: `SentencePooler`, a module that pools row numbers and reads text.

One capability a file: the module, its modes, the reduction in torch and in kernels, tokenizers, the way from text.
"""

from vecload.keywords import explain_public
from vecload.pooling.modes import Mode, pmeans, sif, usif
from vecload.pooling.sentence_pooler import SentencePooler

__all__ = ["Mode", "SentencePooler", "pmeans", "sif", "usif"]

explain_public(__name__)
