"""The steps from a source to batches of rows, shared by `load`, `info`, `convert` and `Vocab`.

Build a request from arguments, iterate over the batches of a reader, check the words as a whole, and show the progress.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from vecload.errors import FormatError, OptionError, VecloadError, refuse_string, warn
from vecload.formats.contract import Reader, ReadRequest, RowBuffer
from vecload.formats.encodings import DecodedWords, check_encoding, decoded_source, find_wide_encoding, is_wide
from vecload.formats.matrices.metadata import metadata_beside
from vecload.formats.members import open_vectors
from vecload.formats.opening import open_reader
from vecload.formats.registry import HEAD, all_formats, best_folder_match, best_match, detect_format
from vecload.formats.table import Batch
from vecload.lazy import LazyModule
from vecload.message_text import sample
from vecload.progress import progress_bar
from vecload.resolving import resolve_source
from vecload.sources import open_source
from vecload.words import UniqueWords, Words, encode, pack
from vecload.words.doubts import NUMBERS, Doubt, SharedSpaces, find_doubt, join_doubts

if TYPE_CHECKING:
    from vecload.formats import tensorboard
    from vecload.formats.format import Format
    from vecload.formats.matrices import word_sources
    from vecload.sources import Source
else:
    tensorboard = LazyModule("vecload.formats.tensorboard")
    word_sources = LazyModule("vecload.formats.matrices.word_sources")

DType = Literal["float16", "bfloat16", "float32", "float64"]
Errors = Literal["raise", "skip"]
Tokens = Literal["raw", "surface"]
_DOUBTFUL = 1  # the answer of `Format.detect` for text with bytes that are not text
_WEIGHTS = tuple(name + end for name in ("model.safetensors", "pytorch_model.bin") for end in ("", ".index.json"))
_SHOWN = 5  # first words of a file, for messages

WordsOfRows = str | os.PathLike[str] | Iterable[str] | None
"""Words for the rows of a matrix: a path, or strings."""
Progress = bool | Callable[[int, int | None], object] | None


def _check(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        shown = ", ".join(repr(choice) for choice in choices)
        raise OptionError(f"{name}={value!r} is not one of {shown}")


def make_request(
    vocab: Collection[str] | None,
    limit: int | None,
    dtype: str | None,
    errors: str,
    *,
    strict: bool,
    prefix: str,
    allow_nonfinite: bool,
    words: WordsOfRows = None,
    tensor: str | None = None,
    encoding: str | None = None,
    tokens: str = "raw",
) -> ReadRequest:
    """Check arguments of `load`, and return them as a request.

    Raises
    ------
    OptionError
        For an invalid argument.
    """
    if dtype is not None:
        _check("dtype", dtype, get_args(DType))
    _check("errors", errors, get_args(Errors))
    if limit is not None and limit < 0:
        raise OptionError(f"limit={limit} is negative")
    refuse_string("vocab", vocab)
    only = None if vocab is None else _wanted(vocab, prefix)
    listed = None if words is None else word_sources.read_words_of_rows(words)
    encoding = None if encoding is None else check_encoding(encoding)
    _check("tokens", tokens, get_args(Tokens))
    more = {"word_list": listed, "tensor": tensor, "encoding": encoding, "tokens": tokens}
    return ReadRequest(only, limit, dtype, errors, strict, allow_nonfinite, **more)  # type: ignore[arg-type]


def _wanted(vocab: Collection[str], prefix: str) -> Words:
    """Pack the requested words, dropping strings that cannot be encoded as UTF-8."""
    words = getattr(vocab, "words", vocab)  # those of a Vocab or Vectors are packed already
    if isinstance(words, Words) and not prefix:
        return words
    return Words.from_bytes([raw for word in words if (raw := encode(prefix + word)) is not None])


class WordCheck:
    """Check of the words of one source as a whole: see `vecload.words.doubts`.

    Parameters
    ----------
    reader
        Reader of the source.
    request
        Request that the reader answers.
    prefix
        Prefix of the words to keep.
    forced
        Whether the caller named the format.
    known
        Whether the file stores the result of an earlier check, as native files do.
    """

    def __init__(self, reader: Reader, request: ReadRequest, prefix: str, *, forced: bool, known: bool) -> None:
        self._reader = reader
        self._request = request
        self._selects = request.only is not None or bool(prefix)
        self._forced = forced
        self._known = known
        self._shared = SharedSpaces()

    def shares_spaces(self, words: Words) -> bool:
        """Return whether all these words begin or end with a space; it is then removed from all batches."""
        if not (self._known or self._selects):
            self._shared = SharedSpaces.of(words)
        return any(self._shared)

    def stripped(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches, without the spaces that all words of the first batch share."""
        for number, batch in enumerate(batches):
            words = batch.words
            if number == 0:
                self.shares_spaces(words)
            words = self._shared.strip(words)
            yield batch._replace(data=words.data, offsets=words.offsets)

    def doubt(self, words: Words, name: str) -> str | None:
        """Report doubts about the words that were read: a warning, or an error if the request is strict.

        Words selected by the caller show nothing about the file. If none of them was found, the first words of the
        file are checked instead, if the reader knows them.

        Returns
        -------
        str or None
            Text for ``meta["doubt"]``.

        Raises
        ------
        FormatError
            If the request is strict, or all words of a file are numbers and its format was not named.
        """
        finding: Doubt | None = None
        if not self._known:
            if not self._selects:
                finding = find_doubt(words)
            elif not len(words) and (first := self._reader.first_words()) is not None:
                finding = find_doubt(first)
        whole = not self._selects and self._request.limit is None
        if finding is not None and finding.kind is NUMBERS and whole and not self._forced:
            raise numbers_only(finding, name)
        doubt = join_doubts(self._reader.doubt, self._shared.text, finding and finding.text)
        if doubt is None:
            return None
        if self._request.strict:
            hint = "If the words are right, read the file without strict=True (--strict)."
            raise FormatError("the words are doubtful", file=name, found=doubt, hint=hint)
        warn(f"{name}: {doubt}")
        return doubt


def open_checked(
    source: Source, request: ReadRequest, prefix: str = "", form: Format | None = None
) -> tuple[Reader, WordCheck]:
    """Return the reader of an opened source, and the check of its words.

    Parameters
    ----------
    source
        The opened source.
    request
        Rows to read.
    prefix
        Prefix of the words to keep.
    form
        Format that the caller named; None to detect it.
    """
    found, source = choose_format(source, request, form)
    reader = open_encoded(found, source, request)
    # Tokens may begin with a space, or be a part of a character.
    known = found.records_doubts or request.tokens == "surface"
    return reader, WordCheck(reader, request, prefix, forced=form is not None, known=known)


def choose_format(source: Source, request: ReadRequest, form: Format | None = None) -> tuple[Format, Source]:
    """Return the format of an opened source, named by the caller or detected, and the source as the format reads it.

    Text in another encoding is decoded. UTF-16 and UTF-32 are recognized. A table of numbers looks like text; it is
    read as one of TensorBoard if its words are in another file.

    Raises
    ------
    OptionError
        If the format does not use an option that was given.
    """
    if form is None and request.word_list is None and request.tensor is None:
        source = _whole_folder(source) or source
    encoding = request.encoding
    if encoding is None and best_match(head := source.head(HEAD), source.name)[1] <= _DOUBTFUL:
        encoding = find_wide_encoding(head, whole=len(head) < HEAD)
    if is_wide(encoding):
        source = decoded_source(source, str(encoding))
    found = detect_format(source, named=request.word_list is not None) if form is None else form
    if encoding is not None and not is_wide(encoding) and found.is_text:
        source = decoded_source(source, encoding)
    if found.name == "text" and (request.word_list is not None or metadata_beside(source) is not None):
        found = tensorboard.FORMAT
    surface = None if request.tokens == "raw" else request.tokens
    options = {"words": request.word_list, "tensor": request.tensor, "encoding": request.encoding, "tokens": surface}
    for option, value in options.items():
        if value is not None and option not in found.read_options:
            used = ", ".join(one.name for one in all_formats() if option in one.read_options)
            raise OptionError(f"{source.name}: {option}= (--{option}) does not apply to {found.name}, only to: {used}")
    return found, source


def _whole_folder(source: Source) -> Source | None:
    """Return the folder of a model whose weights are opened, because their tokens are in other files of the folder."""
    path = source.path
    if path is None or path.name not in _WEIGHTS or not path.is_file() or best_folder_match(path.parent)[0] is None:
        return None
    return open_source(path.parent, folders=True)


def open_encoded(form: Format, source: Source, request: ReadRequest) -> Reader:
    """Return the reader of a source; in files that are not text, words are decoded one by one."""
    if request.encoding is None or form.is_text:
        return open_reader(form, source, request)
    return DecodedWords(lambda inner: open_reader(form, source, inner), request, request.encoding, source.name)


def numbers_only(finding: Doubt, name: str) -> FormatError:
    """Return the error for a table of numbers."""
    hint = (
        "If the words are in another file, name it with words= (--words). If the first number of each row is its word, "
        "read the file with format='glove' (vecload convert --source-format glove)."
    )
    return FormatError("numbers only, without words", file=name, found=finding.text, hint=hint)


def warn_few_found(
    words: Collection[str], name: str, there: Iterable[str], *, requested: int, cause: str | None = None
) -> None:
    """Warn that the vectors have few or no words of a vocabulary, and show words of both.

    Parameters
    ----------
    words
        Words of the vocabulary that were not found.
    name
        Name of the vectors.
    there
        Words of the vectors.
    requested
        Number of words of the vocabulary.
    cause
        Probable cause and advice, if they are known.
    """
    warn(f"{name}: {_few_found(words, there, requested=requested, cause=cause)}")


def none_found(words: Collection[str], source: str | os.PathLike[str] | IO[bytes], name: str) -> FormatError:
    """Return the error for a vocabulary and a file without common words, which shows the first words of both."""
    there = first_words(source, _SHOWN).words
    return FormatError(_few_found(words, there, requested=len(words)), file=name)


def _few_found(words: Collection[str], there: Iterable[str], *, requested: int, cause: str | None = None) -> str:
    found = requested - len(words)
    if found:
        problem = f"only {found:,} of {requested:,} words of the vocabulary were found"
        sides = f"the words not found begin with {sample(words)}; the words of the vectors begin with {sample(there)}"
    else:
        problem = f"no word of the vocabulary was found ({requested:,} requested)"
        sides = f"the vocabulary begins with {sample(words)}; the words of the vectors begin with {sample(there)}"
    hint = cause or "check the language, the case and how the vocabulary was read"
    return f"{problem}: {sides}; {hint}"


def iterate_batches(reader: Reader, prefix: str, check: WordCheck, buffer: RowBuffer | None = None) -> Iterator[Batch]:
    """Return the batches of a reader, with the prefix stripped; rows are in `buffer` if the reader parses in place."""
    raw = prefix.encode("utf-8", "surrogateescape")
    batches = check.stripped(iter(reader) if buffer is None else reader.read_into(buffer))
    return (_strip_prefix(batch, raw) for batch in batches) if raw else batches


def _strip_prefix(batch: Batch, prefix: bytes) -> Batch:
    """Return the rows whose words begin with `prefix`, and strip it.

    Examples
    --------
    >>> data = np.frombuffer(b"/c/en/cat/c/de/Katze", dtype=np.uint8)
    >>> batch = Batch(data, np.array([0, 9, 20]), np.eye(2))
    >>> _strip_prefix(batch, b"/c/en/").data.tobytes(), _strip_prefix(batch, b"/c/en/").rows
    (b'cat', array([[1., 0.]]))
    """
    # One pass over the words for each byte of the prefix, with fewer words each time, and without making strings.
    data, offsets, rows = batch
    starts = offsets[:-1]
    wanted = np.flatnonzero(offsets[1:] - starts >= len(prefix))
    for at, byte in enumerate(prefix):
        wanted = wanted[data[starts[wanted] + at] == byte]
    return Batch(*pack(data, starts[wanted] + len(prefix), offsets[1:][wanted]), rows[wanted])


def estimate_rows(reader: Reader, request: ReadRequest) -> int:
    """Return the number of rows to allocate: the estimate of the reader, but not more than were requested."""
    only = None if request.only is None else len(request.only)
    return min(bound for bound in (reader.expected, request.limit, only) if bound is not None)


@contextlib.contextmanager
def reading_progress(source: Source, progress: Progress) -> Iterator[Callable[[int, int | None], object]]:
    """Show a progress bar during the block, and yield the function that updates it: bytes read, and their total."""
    if callable(progress):
        yield progress
        return
    with progress_bar(source.progress()[1], name=Path(source.name).name, shown=progress) as shown:
        yield lambda done, _total: shown.reach(done)


class SeenWords(NamedTuple):
    """Words of vectors, without their rows."""

    words: Words
    complete: bool
    """Whether these are all words of the vectors."""
    ngrams: bool = False
    """Whether the vectors have character n-grams, which compose rows for other words."""


def first_words(source: str | os.PathLike[str] | IO[bytes], count: int) -> SeenWords:
    """Return the first words of a source that can be opened again; no words for streams and damaged files."""
    if isinstance(source, (str, os.PathLike)) and os.fspath(source) != "-":
        with contextlib.suppress(VecloadError, OSError):
            return read_words(source, limit=count)
    return SeenWords(Words.from_bytes([]), complete=False)


def read_words(
    source: str | os.PathLike[str] | IO[bytes],
    *,
    limit: int | None = None,
    progress: Progress = False,
    report_doubts: bool = False,
) -> SeenWords:
    """Read the words of a file, each once and in file order, without keeping its rows; malformed rows are skipped.

    Parameters
    ----------
    source, limit, progress
        As for `load`.
    report_doubts
        Whether to check the words as a whole, as `load` does.

    Raises
    ------
    FormatError
        For a file that cannot be read; with `report_doubts`, also for a file of numbers without words.
    """
    request = ReadRequest(limit=limit, errors="skip", allow_nonfinite=True)
    with resolve_source(source, few_words=limit is not None) as place, open_vectors(place) as opened:
        reader, check = open_checked(opened, request)
        table = reader.mapped()
        if table is not None and not check.shares_spaces(table.words):
            complete = limit is None or table.rows <= limit
            if report_doubts:
                check.doubt(table.words[:limit], opened.name)
            return SeenWords(table.words[:limit], complete, table.ngrams is not None)
        words, rows = UniqueWords(estimate_rows(reader, request)), 0
        with reading_progress(opened, progress) as advance:
            for batch in iterate_batches(reader, "", check):
                words.add(batch.data, batch.offsets)
                rows += len(batch.rows)
                advance(*opened.progress())
        if report_doubts:
            check.doubt(words.words, opened.name)
        complete = limit is None or rows + reader.skipped.total() < limit
        return SeenWords(words.words, complete, reader.ngrams is not None)
