"""Embedding layers that train all rows, none, or some.

The usual way to freeze rows is a hook that sets their gradients to zero. It fails silently: weight decay and momentum
change rows whose gradient is zero, an optimizer keeps two numbers for each frozen value, and DDP sends the zeros. Here
frozen rows are in a buffer and each group of trained rows is a small parameter, so nothing that trains parameters can
reach the frozen ones. `PartialEmbedding` makes both look like one ``nn.Embedding``: it is a subclass, its ``weight``
is one tensor of all rows that can be read and written (`vecload.layers.assembled_weight`), and its state dict has one
``weight`` (`vecload.layers.state_dicts`). So checkpoints, weight tying, init functions and the code of other libraries
work as they do with a plain layer.
"""

from vecload.keywords import explain_public
from vecload.layers.extending import Extension, extend_embedding
from vecload.layers.output_layers import PartialHead, TiedEmbedding, TiedHead
from vecload.layers.partial_embedding import PartialEmbedding
from vecload.layers.stored_embedding import StoredEmbedding
from vecload.layers.training import UnfreezeAfter, anchor, frequency_bands, param_groups, unfreeze_after
from vecload.layers.transfer import Transfer, reshape_embedding, token_vectors, transfer_embedding

__all__ = [
    "Extension",
    "PartialEmbedding",
    "PartialHead",
    "StoredEmbedding",
    "TiedEmbedding",
    "TiedHead",
    "Transfer",
    "UnfreezeAfter",
    "anchor",
    "extend_embedding",
    "frequency_bands",
    "param_groups",
    "reshape_embedding",
    "token_vectors",
    "transfer_embedding",
    "unfreeze_after",
]

explain_public(__name__)
