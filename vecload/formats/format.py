"""`Format`: how to recognize, read and write files of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vecload.errors import OptionError
from vecload.formats.contract import Preview, Reader, ReadRequest, RowStream, WriteOptions
from vecload.sources import OutputStream, Source

SURE: Final = 90
"""Confidence of `Format.detect` at which the search for a format ends."""


_OPTIONS: Final = frozenset(("precision", "unencodable", "words", "tensor", "encoding", "tokens"))


@dataclass(frozen=True, kw_only=True)
class Format:
    r"""A file format: how to recognize, read and write it. At least one of `read` and `write` is required.

    Parameters
    ----------
    name
        The name for ``format=``, in any case, with or without hyphens and spaces.
    aliases
        Other names for ``format=``. Reader and writer see which one was used as `ReadRequest.alias` and
        `WriteOptions.alias`.
    detect
        Return how certain it is, from 0 to 100, that a file is of this format, given its first bytes (64 KiB; fewer if
        the file is shorter) and its name. Return `SURE` or more only for a signature that no other format begins with.
        It opens nothing and never raises.
    detect_folder
        The same for the path of a folder, which it may look into.
    read
        Return a `Reader` of an opened source. It parses only the requested rows and raises `FormatError`, at once or
        during iteration, with the position of the error.
    side_files
        Return which of the files in a folder belong to a file, given its name and their names. They are extracted
        together from an archive.
    words_beside
        Return the file beside an opened one that has the words of its rows; None if it is missing. For formats with the
        read option "words".
    preview
        Return facts for `vecload.info` that are cheaper to find without the reader.
    write
        Write a `RowStream` to the path of a temporary file (or, with `writes_folder`, of a folder that does not exist
        yet), which the caller renames on success. Return the number of dropped rows, by cause.
    write_stream
        The same for an output stream, so that pipes and compressed files can be written.
    check_options
        Raise the errors of `write` for its options, or for a missing package. It is called before anything is read.
    suffixes
        File name suffixes, in lower case, for which `save` and `convert` choose this format.
    shared_suffixes
        Suffixes that the format uses too, although another format is chosen for them.
    writes_folder
        Whether `write` creates a folder.
    written_beside
        Endings of the names of other files that `write` may create, after the name of the target.
    ngram_kinds
        Kinds of n-gram tables that `write` stores; others are dropped with a warning.
    options
        Fields of `WriteOptions` that `write` uses; others are refused if given.
    read_options
        Options of reading that apply: "words" (`ReadRequest.word_list`), "tensor", "encoding" and "tokens"; others are
        refused if given. `read` always gets UTF-8.
    is_text
        Whether files are text, which is decoded as a whole; in other files only words are.
    records_doubts
        Whether files record the doubts about their words, so that the words are not checked again.

    Raises
    ------
    OptionError
        For a format without reader and writer, a suffix that does not begin with a dot or has upper-case letters,
        and unknown options.

    Examples
    --------
    A format that is only written, one word on each line:

    >>> def write(path, rows, options):
    ...     with path.open("w", encoding="utf-8") as file:
    ...         for batch in rows.batches():
    ...             file.writelines(f"{word}\n" for word in batch.words)
    ...     return Counter()
    >>> Format(name="words only", write=write, suffixes=(".words",)).read is None
    True
    """

    name: str
    aliases: tuple[str, ...] = ()
    detect: Callable[[bytes, str], int] | None = None
    detect_folder: Callable[[Path], int] | None = None
    read: Callable[[Source, ReadRequest], Reader] | None = None
    side_files: Callable[[str, Collection[str]], Sequence[str]] | None = None
    words_beside: Callable[[Source], Path | None] | None = None
    preview: Callable[[Source], Preview] | None = None
    write: Callable[[Path, RowStream, WriteOptions], Counter[str]] | None = None
    write_stream: Callable[[OutputStream, RowStream, WriteOptions], Counter[str]] | None = None
    check_options: Callable[[WriteOptions], None] | None = None
    suffixes: tuple[str, ...] = ()
    shared_suffixes: tuple[str, ...] = ()
    writes_folder: bool = False
    written_beside: tuple[str, ...] = ()
    ngram_kinds: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    read_options: tuple[str, ...] = ()
    is_text: bool = False
    records_doubts: bool = False

    def __post_init__(self) -> None:
        if self.read is None and self.write is None:
            raise OptionError(f"format {self.name!r} has neither read nor write")
        for suffix in (*self.suffixes, *self.shared_suffixes):
            if not suffix.startswith(".") or suffix != suffix.lower():
                raise OptionError(f"format {self.name!r}: suffix {suffix!r} must begin with '.', in lower case")
        unknown = {*self.options, *self.read_options} - _OPTIONS
        if unknown:
            raise OptionError(f"format {self.name!r}: unknown options {', '.join(sorted(unknown))}")

    def require_read(self) -> Callable[[Source, ReadRequest], Reader]:
        """Return `read`, or raise OptionError if the format is only written."""
        if self.read is None:
            raise OptionError(f"{self.name} is written, not read; `vecload formats` lists the formats that are read")
        return self.read
