"""Files for TensorBoard's embedding projector: a folder for ``tensorboard --logdir``, or two files for the website.

::

    vectors.tsv               the values of a row on each line, separated by tabs; no header
    metadata.tsv              a word on each line; files with one column have no header
    projector_config.pbtxt    the names of the two files

Values are written with the fewest digits that read back to the same number. Words with a tab or a line break cannot
be stored. Files for the website are read too: ``x_vectors.tsv`` or ``x_tensors.tsv`` with ``x_metadata.tsv``.

Source: TensorBoard's ``projector_plugin.py`` and ``projector_config.proto``; https://projector.tensorflow.org.
"""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.errors import FormatError
from vecload.formats.format import Format
from vecload.formats.matrices.number_table import METADATA, VECTORS, NumberTable, open_table
from vecload.formats.table import Batch
from vecload.formats.text.writer import check_options, format_lines
from vecload.formats.writing.word_policy import WordPolicy
from vecload.saved.npy import map_array
from vecload.sources import Source

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions

NAME: Final = "TensorBoard"

_CONFIG: Final = """embeddings {
  tensor_name: "words"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
}
"""


def detect_folder(path: Path) -> int:
    """Return 95 for a folder with the two files."""
    return 95 if all((path / name).is_file() for name in (VECTORS, METADATA)) else 0


def read(source: Source, request: ReadRequest) -> NumberTable:
    """Read a table of numbers and the words of its rows.

    Parameters
    ----------
    source
        The folder, or the table of numbers.
    request
        Its `word_list` has the words; without one, they are in the metadata file beside the table.

    Raises
    ------
    FormatError
        If the words are missing, or a line is not a row.
    """
    meta = {"format": NAME}
    folder = source.path
    if folder is None or not folder.is_dir():
        return open_table(source, request, meta)
    if not detect_folder(folder):
        raise FormatError(f"not a folder with {VECTORS} and {METADATA}", file=source.name)
    file = folder / VECTORS
    # Mapped, because no one closes a file that a reader of a folder opens.
    text = io.BytesIO(map_array(file, 0, (file.stat().st_size,), np.dtype(np.uint8), fortran=False).data)
    return open_table(Source(source.name, text.read, path=file), request, meta)


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
    with (path / VECTORS).open("wb") as vectors, (path / METADATA).open("wb") as metadata:
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
    detect_folder=detect_folder,
    read=read,
    write=write,
    check_options=check_options,
    writes_folder=True,
    options=("precision", "unencodable"),
    read_options=("words",),
)
