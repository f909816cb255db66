"""`convert`: stream a file into another format."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vecload.attribution import attribution
from vecload.conversion.row_stream import NoWordFoundError, UniqueRows
from vecload.conversion.saving import write_table
from vecload.errors import OptionError
from vecload.formats.members import open_vectors
from vecload.formats.outputs import ARCHIVES, choose_output
from vecload.formats.registry import all_formats, reader_by_name, writer_by_name
from vecload.reading import (
    DType,
    Errors,
    Progress,
    Tokens,
    WordsOfRows,
    make_request,
    none_found,
    open_checked,
    reading_progress,
)
from vecload.resolving import input_files, resolve_source, stated_by_catalog
from vecload.sources import COMPRESSORS, check_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKED = (*COMPRESSORS, *ARCHIVES)


@dataclass(frozen=True)
class Conversion:
    """Result of `convert`; ``str()`` is one line."""

    source: str
    """Name of the file that was read."""
    target: str
    """Name of the file or folder that was written."""
    format: str
    """Format of the target."""
    rows: int
    """Requested rows that the source has, malformed ones included."""
    written: int
    """Number of rows in the target."""
    dropped: Mapping[str, int]
    """Number of rows left out, by cause."""
    size: int
    """Size of the target in bytes."""
    seconds: float
    """Duration in seconds."""

    def __str__(self) -> str:
        dropped = "".join(f", {count:,} dropped: {cause}" for cause, count in self.dropped.items() if count)
        return (
            f"{self.target} ({self.format}): {self.written:,} of {self.rows:,} rows{dropped}; "
            f"{self.size:,} bytes in {self.seconds:.1f} s"
        )


def convert(
    src: str | os.PathLike[str] | IO[bytes],
    dst: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the field's word
    source_format: str | None = None,
    vocab: Collection[str] | None = None,
    limit: int | None = None,
    dtype: DType | None = None,
    normalize: bool = False,
    precision: int | None = None,
    unencodable: str = "raise",
    prefix: str = "",
    errors: Errors = "raise",
    strict: bool = False,
    allow_nonfinite: bool = False,
    words: WordsOfRows = None,
    tensor: str | None = None,
    encoding: str | None = None,
    tokens: Tokens = "raw",
    progress: Progress = None,
) -> Conversion:
    r"""Write a file of word vectors in another format, a batch of rows at a time.

    Parameters
    ----------
    src
        As for `load`.
    dst
        The file or folder to write, which may not be an input. It is written completely or not at all. A file is
        compressed if its name ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``. Text and word2vec binary can be written
        to a pipe or ``/dev/stdout``, too.
    format
        Name of the format to write; None to choose it by the suffix of `dst`, where ``.bin`` means word2vec binary.
    source_format
        Name of the format to read, if the content is ambiguous.
    vocab, limit, prefix, errors, strict, allow_nonfinite, words, tensor, encoding, tokens, progress
        As for `load`.
    dtype
        Type of the values, if the format supports several; None keeps the type of the source.
    normalize
        Whether to divide each row by its Euclidean norm; rows of zeros are kept.
    precision
        For text: digits after the decimal point; None for the fewest that read back to the same float32.
    unencodable
        Policy for words that the format cannot represent: "raise" an error, "skip" the row, or "escape": write
        the word percent-encoded.

    Returns
    -------
    Conversion
        Numbers of rows read, written and left out.

    Raises
    ------
    FormatError
        If the source is damaged or not word vectors, or a word cannot be written.
    OptionError
        If the format to write cannot be inferred, an option is invalid, or `dst` is an input or cannot be replaced.
        All options and paths are checked before anything is read.
    FileNotFoundError
        If `src` or the folder of `dst` does not exist.

    Notes
    -----
    Memory holds the words (to recognize duplicates, of which the first row is kept) and a few batches of rows, whatever
    the size of the file.

    Examples
    --------
    >>> import io, tempfile
    >>> target = Path(tempfile.mkdtemp()) / "vectors.bin"
    >>> done = convert(io.BytesIO(b"cat 3 4\ndog 0 2\ncat 1 1\n"), target, format="word2vec binary", normalize=True)
    >>> done.rows, done.written, done.dropped
    (3, 2, {'duplicates': 1})
    >>> from vecload import load
    >>> load(target)["cat"]
    array([0.6, 0.8], dtype=float32)
    """
    begin = time.perf_counter()
    output = choose_output(dst, format, precision=precision, unencodable=unencodable)
    given, alias = (None, "") if source_format is None else reader_by_name(source_format)
    request = make_request(
        vocab,
        limit,
        dtype,
        errors,
        strict=strict,
        prefix=prefix,
        allow_nonfinite=allow_nonfinite,
        words=words,
        tensor=tensor,
        encoding=encoding,
        tokens=tokens,
    )
    # Values are rounded once, after the last step.
    request = dataclasses.replace(request, alias=alias, dtype=None if normalize else dtype)
    check_inputs(input_files(src))
    output.check(input_files(src))
    with resolve_source(src, few_words=vocab is not None) as place, open_vectors(place) as opened:
        output.check([place])  # the file that a name of the catalog stands for
        reader, check = open_checked(opened, request, prefix, given)
        stated = stated_by_catalog(src, place, attribution(reader.meta))
        with reading_progress(opened, progress) as advance:
            table = UniqueRows(
                opened, reader, request, prefix, check, advance, dtype=dtype, normalize=normalize, stated=stated
            )
            try:
                dropped, size = write_table(output, table)
            except NoWordFoundError:
                raise none_found(vocab or (), place, opened.name) from None
    left = {"duplicates": table.duplicates, **reader.skipped, **dropped}
    return Conversion(
        source=opened.name,
        target=os.fspath(dst),
        format=output.form.name,
        rows=table.read + reader.skipped.total(),
        written=table.read - table.duplicates - dropped.total(),
        dropped={cause: count for cause, count in left.items() if count},
        size=size,
        seconds=time.perf_counter() - begin,
    )


def targets_in(folder: Path, sources: Sequence[str], name: str | None) -> list[tuple[str, Path]]:
    """Return each source with the file in `folder` that it is converted to. Nothing is created.

    Raises
    ------
    OptionError
        If no format is named, or two sources would be converted to the same file.

    Examples
    --------
    >>> [(_, target)] = targets_in(Path("out"), ["data/glove.zip/glove.6B.50d.txt"], "word2vec binary")
    >>> target.name
    'glove.6B.50d.bin'
    """
    if name is None:
        raise OptionError("several files are written to a folder; name their format with format= (--format)")
    form, _ = writer_by_name(name)
    own = f".{name.casefold()}"  # "vec" is a name of text, and one of its suffixes
    suffix = own if own in form.suffixes else next(iter(form.suffixes), "")
    pairs = [(source, folder / (_stem(source) + suffix)) for source in sources]
    for target, count in Counter(target for _, target in pairs).items():
        if count > 1:
            raise OptionError(f"{count} of the files would become {target}; convert them one by one")
    return pairs


def check_conversions(
    pairs: Sequence[tuple[str, str | os.PathLike[str]]],
    *,
    folder: Path | None = None,
    others: Sequence[str | os.PathLike[str]] = (),
    format: str | None = None,  # noqa: A002 - the field's word
    precision: int | None = None,
    unencodable: str = "raise",
    overwrite: bool = True,
) -> None:
    """Check every source and every target of several conversions before the first begins.

    Parameters
    ----------
    pairs
        Sources and targets. No target may be the source of any pair.
    folder
        Folder of the targets, which is created once sources and options are checked.
    others
        More files that are read, such as a vocabulary.
    format, precision, unencodable
        As for `convert`.
    overwrite
        Whether existing files may be replaced.

    Raises
    ------
    OptionError, OSError
        As `convert` does.
    """
    outputs = [choose_output(target, format, precision=precision, unencodable=unencodable) for _, target in pairs]
    inputs = input_files(*(source for source, _ in pairs), *others)
    check_inputs(inputs)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        output.check(inputs, overwrite=overwrite)


def _stem(source: str) -> str:
    """Return a file's name without the suffixes of its compression and its format."""
    known = {suffix for form in all_formats() for suffix in form.suffixes}
    name = Path(source).name
    for suffixes in (_PACKED, known):
        ends = [suffix for suffix in suffixes if name.casefold().endswith(suffix) and len(name) > len(suffix)]
        name = name[: len(name) - len(max(ends, key=len, default=""))]
    return name
