"""Files for TensorBoard's embedding projector: a folder for ``tensorboard --logdir``, or two files for the website.

::

    vectors.tsv               the values of a row on each line, separated by tabs; no header
    metadata.tsv              a word on each line; files with one column have no header
    projector_config.pbtxt    the names of the two files

Values are written with the fewest digits that read back to the same number. Words with a tab or a line break cannot
be stored. This format can be written but not read.

Source: TensorBoard's ``projector_plugin.py`` and ``projector_config.proto``; https://projector.tensorflow.org.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.formats.contract import Batch
from vecload.formats.format import Format
from vecload.formats.text.writer import check_options, format_lines
from vecload.formats.writing.word_policy import WordPolicy

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions

NAME: Final = "TensorBoard"

_CONFIG: Final = """embeddings {
  tensor_name: "words"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
}
"""


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write the files for the projector.

    Parameters
    ----------
    path
        The folder to create.
    table
        Words and vectors.
    options
        `precision` is the number of digits after the decimal point. `unencodable` applies to words with a tab or a line
        break, and to the empty word.
    """
    path.mkdir(exist_ok=True)
    policy = WordPolicy(NAME, b"\t\r\n", options.unencodable, utf8=True)
    with (path / "vectors.tsv").open("wb") as vectors, (path / "metadata.tsv").open("wb") as metadata:
        for given in table.batches():
            batch = policy.apply(given)
            raw = batch.data.tobytes()
            ends = batch.offsets.tolist()
            metadata.write(b"".join(raw[begin:end] + b"\n" for begin, end in itertools.pairwise(ends)))
            # Lines of text vectors with empty words: a space, and the values separated by spaces.
            nameless = Batch(batch.data[:0], np.zeros_like(batch.offsets), batch.rows)
            text, _ = format_lines(nameless, options.precision)
            vectors.write(text.tobytes().replace(b"\n ", b"\n").lstrip(b" ").replace(b" ", b"\t"))
    (path / "projector_config.pbtxt").write_text(_CONFIG, encoding="utf-8")
    return policy.dropped


FORMAT: Final = Format(
    name=NAME,
    aliases=("projector",),
    write=write,
    check_options=check_options,
    writes_folder=True,
    options=("precision", "unencodable"),
)
