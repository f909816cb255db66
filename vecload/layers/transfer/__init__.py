"""Move a model to another tokenizer."""

from vecload.layers.transfer.reshaping import reshape_embedding
from vecload.layers.transfer.token_training import token_vectors
from vecload.layers.transfer.transferring import Transfer, transfer_embedding

__all__ = ["Transfer", "reshape_embedding", "token_vectors", "transfer_embedding"]
