"""Files of PyTorch (``.pt``, ``.pth``, ``.bin``): tensors and plain containers, as data.

Since version 1.6, ``torch.save`` writes a zip archive::

    NAME/data.pkl      the pickle, in which tensors refer to storages by key
    NAME/byteorder     "little" or "big"; older files do not have it
    NAME/data/KEY      the bytes of each storage, not compressed, so that they can be mapped

Before, it wrote several pickles in a row: a magic number, the version, facts about the system, the value, and the list
of storage keys. The storages follow in this order, each as the number of its values (int64) and their bytes.

PyTorch is not imported to read them. torchtext's caches, Stanza's ``pretrain.pt``, MUSE's ``.pth`` and the state of any
model with an embedding can be read. Words and vectors are written as torchtext's caches.

Source: PyTorch's ``torch/serialization.py``.
"""

from typing import Final

from vecload.formats.format import Format
from vecload.formats.pytorch.reader import detect, read
from vecload.formats.pytorch.writer import write

NAME: Final = "PyTorch"

FORMAT: Final = Format(
    name=NAME,
    aliases=("torch",),
    detect=detect,
    read=read,
    write=write,
    suffixes=(".pt", ".pth"),
    read_options=("words", "tensor"),
)
