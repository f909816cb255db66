"""Read a file or folder as the kind of value that it holds."""

from __future__ import annotations

import os
from pathlib import Path

from vecload.alignment import Aligned
from vecload.catalog.hugging_face import POOLER
from vecload.hub.cards import Shared
from vecload.loading import load
from vecload.pooling import SentencePooler
from vecload.saved.recognition import HEAD, SAVED_KINDS, describe_head
from vecload.saved.schemas import ALIGNED


def read_shared(source: str | os.PathLike[str]) -> Shared:
    """Read a saved pooler or aligned matrix, or anything that `load` reads.

    Parameters
    ----------
    source
        The folder of a `SentencePooler`, the file of an `Aligned`, or a source of word vectors.

    Raises
    ------
    FormatError, FileNotFoundError, DownloadError
        As the functions do that read these.
    """
    path = Path(source)
    if (path / POOLER[0]).is_file():
        return SentencePooler.load(path)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD)
        if describe_head(head) == SAVED_KINDS[ALIGNED.mark]:
            return Aligned.load(path)
    return load(source)
