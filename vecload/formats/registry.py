"""The known formats: those of vecload, those that installed packages declare, and those registered by a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

from vecload.errors import FormatError, OptionError, warn
from vecload.formats.format import SURE, Format
from vecload.formats.unsupported import describe as describe_unsupported
from vecload.message_text import did_you_mean
from vecload.saved import describe_file, describe_folder, describe_head
from vecload.sources import Source

HEAD: Final = 1 << 16
"""Number of bytes that `Format.detect` sees."""
ENTRY_POINTS: Final = "vecload.formats"
"""Group of entry points in which installed packages declare their formats."""

# Characters that do not matter in names of formats.
_IGNORED: Final = str.maketrans("", "", " -_.")
# Modules of vecload's formats, and the names of their `Format`. They are imported in this order until one is sure of a
# file, so native files and text, the most common, are near the top. Text is sure of nearly every text file, even of
# those of DL4J, which therefore precedes it. Messages and `vecload formats` list formats in this order.
_BUILT_IN: Final = (
    ("native", "FORMAT"),
    ("dl4j", "FORMAT"),
    ("text", "FORMAT"),
    ("delimited", "FORMAT"),
    ("json_files", "DOCUMENT"),
    ("json_files", "LINES"),
    ("word2vec", "FORMAT"),
    ("fasttext.binary", "FORMAT"),
    ("fasttext.floret", "FORMAT"),
    ("pytorch", "FORMAT"),
    ("gensim.keyed_vectors", "FORMAT"),
    ("spacy", "FORMAT"),
    ("npz", "FORMAT"),
    ("arrow.parquet", "FORMAT"),
    ("arrow.ipc", "FORMAT"),
    ("static_embeddings", "FORMAT"),
    ("pytorch.word_embeddings", "FORMAT"),
    ("matrices.hugging_face", "FORMAT"),
    ("matrices.npy", "FORMAT"),
    ("matrices.tensors", "FORMAT"),
    ("tensorboard", "FORMAT"),
    ("magnitude", "FORMAT"),
    ("finalfusion", "FORMAT"),
    ("hdf5", "FORMAT"),
    ("glove_binary", "FORMAT"),
)
_registered: list[Format] = []


def register(form: Format) -> None:
    """Add a format, so that `load`, `info`, `convert` and `save` know it.

    An installed package does the same without a call if its metadata declares the format as an entry point of the group
    "vecload.formats".

    Raises
    ------
    OptionError
        If a known format has the same name or alias.

    Examples
    --------
    >>> from vecload.formats.text import read
    >>> upper = Format(name="upper", detect=lambda head, name: 0, read=read)
    >>> register(upper)
    >>> format_by_name("UPPER") == (upper, "")
    True
    >>> unregister("upper")
    """
    _check_names(form, all_formats())
    _registered.append(form)


def unregister(name: str) -> None:
    """Remove a format that was added with `register`.

    Raises
    ------
    OptionError
        If there is no such format.
    """
    form, _ = format_by_name(name)
    if form not in _registered:
        raise OptionError(f"format {name!r} was not added with register()")
    _registered.remove(form)


def all_formats() -> tuple[Format, ...]:
    """Return all known formats, those of vecload first.

    Examples
    --------
    >>> [form.name for form in all_formats()][:3]
    ['native', 'DL4J', 'text']
    """
    return tuple(_each_format())


def format_by_name(name: str) -> tuple[Format, str]:
    """Return the format with a name or alias, and the alias as the format spells it ("" for its name).

    Case, spaces, hyphens, underscores and dots do not matter.

    Raises
    ------
    OptionError
        If the name is unknown.

    Examples
    --------
    >>> form, alias = format_by_name("GloVe")
    >>> form.name, alias
    ('text', 'glove')
    """
    folded = _fold(name)
    for form in _each_format():
        for spelling in (form.name, *form.aliases):
            if _fold(spelling) == folded:
                return form, "" if spelling == form.name else spelling
    known = [spelling for form in _each_format() for spelling in (form.name, *form.aliases)]
    near = did_you_mean(name.casefold(), known)
    raise OptionError(f"format={name!r} is not one of {', '.join(map(repr, known))}{near}")


def reader_by_name(name: str) -> tuple[Format, str]:
    """Return the same as `format_by_name`, for a format that can be read.

    Raises
    ------
    OptionError
        If the name is unknown, or the format is only written.
    """
    form, alias = format_by_name(name)
    form.require_read()
    return form, alias


def writer_by_name(name: str) -> tuple[Format, str]:
    """Return the same as `format_by_name`, for a format that can be written.

    Raises
    ------
    OptionError
        If the name is unknown, or the format is only read.
    """
    form, alias = format_by_name(name)
    if form.write is None:
        raise OptionError(f"{form.name} is read, not written; `vecload formats` lists the formats that are written")
    return form, alias


def detect_format(source: Source, *, named: bool = False) -> Format:
    """Return the format of an opened file or folder, judged by its content.

    The first format that answers `SURE` or more is taken; else the one with the highest answer.

    Parameters
    ----------
    source
        The opened source.
    named
        Whether the caller names the words of the rows, so that a matrix without words can be read. The format may find
        them beside the file, too.

    Raises
    ------
    FormatError
        If no format matches. The error names the kind of the file, if it is recognized.
    """
    path = source.path
    if path is not None and path.is_dir():
        return _detect_folder(path, source.name)
    name = source.name
    head = source.head(HEAD)
    if not head:
        raise FormatError("the file is empty", file=name, hint="Check that it was written or downloaded completely.")
    best, score = best_match(head, name)
    if best is not None and score >= SURE:
        return best
    without_words = best is not None and "words" in best.read_options
    if best is not None and without_words and (named or (best.words_beside is not None and best.words_beside(source))):
        return best
    # A doubtful answer may be wrong, for example text inside an HTML page, so known other files are named first. A
    # matrix without words may be a part of a folder or of a saved model.
    other = (
        (None if path is None else describe_file(path))
        or describe_head(head)
        or (None if without_words else describe_unsupported(head))
    )
    if other is not None:
        raise FormatError("not a file of word vectors", file=name, found=other.what, hint=other.hint)
    if best is None:
        raise FormatError(
            "the format is not recognized",
            file=name,
            found=f"bytes {head[:16].hex(' ')}",
            expected=" or ".join(form.name for form in _each_format()),
        )
    return best


def best_match(head: bytes, name: str) -> tuple[Format | None, int]:
    """Return the format that is most certain to have files with these first bytes, and how certain it is."""
    return _best((form, 0 if form.detect is None else form.detect(head, name)) for form in _each_format())


def best_folder_match(path: Path) -> tuple[Format | None, int]:
    """Return the format that is most certain to have such folders, and how certain it is."""
    return _best((form, 0 if form.detect_folder is None else form.detect_folder(path)) for form in _each_format())


def _best(answers: Iterable[tuple[Format, int]]) -> tuple[Format | None, int]:
    """Return the first format that is sure, else the first of the highest answer; None if all answers are 0."""
    best, score = None, 0
    for form, answer in answers:
        if answer > score:
            best, score = form, answer
        if answer >= SURE:
            break
    return best, score


def _detect_folder(path: Path, name: str) -> Format:
    best, _ = best_folder_match(path)
    if best is not None:
        return best
    known = describe_folder(path)
    if known is None:
        raise FormatError("a directory, not a file", file=name, hint="Name a file in it.")
    raise FormatError("not word vectors", file=name, found=known.what, hint=known.hint)


def _each_format() -> Iterator[Format]:
    """Yield all known formats.

    Looking for installed formats takes 10 to 50 ms, because the metadata of all installed packages are searched. So it
    happens only when none of vecload's own formats was the right one.
    """
    yield from _built_in()
    yield from _installed()
    yield from _registered


def _built_in() -> Iterator[Format]:
    """Yield vecload's formats; each is imported when it is its turn."""
    for module, name in _BUILT_IN:
        yield getattr(import_module(f"vecload.formats.{module}"), name)


@cache
def _installed() -> tuple[Format, ...]:
    """Return the formats that installed packages declare as entry points; they are loaded once per process.

    A package that cannot be loaded causes a warning instead of an error: files of other formats stay readable.
    """
    # Imported here because it takes about 20 ms, which opening a native file does not need.
    from importlib import metadata

    found: list[Format] = []
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            form = point.load()
            if not isinstance(form, Format):
                raise OptionError(f"it is not a Format, but {type(form).__name__}")
            _check_names(form, (*_built_in(), *found))
        # A broken package must not keep anyone from reading other files, whatever it raises.
        except Exception as error:
            warn(f"the format {point.name!r} ({point.value}) cannot be used: {error}")
        else:
            found.append(form)
    return tuple(found)


def _check_names(form: Format, others: Iterable[Format]) -> None:
    """Raise OptionError if another format has a name or an alias of this one."""
    taken = {_fold(name): other.name for other in others for name in (other.name, *other.aliases)}
    for name in (form.name, *form.aliases):
        if _fold(name) in taken:
            raise OptionError(f"the name {name!r} is taken by the format {taken[_fold(name)]!r}")


def _fold(name: str) -> str:
    return name.casefold().translate(_IGNORED)
