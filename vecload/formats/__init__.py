"""The formats vecload reads and writes, one file each, blind to each other.

The contract. A format is a plain module with

``NAME: str``
    What people call it; ``format=`` takes it, in any case and with or without hyphens and spaces.
``ALIASES: dict[str, dict[str, Any]]`` (optional)
    Other names ``format=`` takes, each with the keyword options of `read` and `write` that it settles.
``SUFFIXES: tuple[str, ...]``
    Ends of file names, lower case, from which `save` and `convert` choose it as a writer; () when it only reads, or has
    no suffix of its own.
``SHARED_SUFFIXES: tuple[str, ...]`` (optional)
    Suffixes that the format uses too, but that choose another format unless ``format=`` names this one.
``STREAMS: bool`` (optional)
    True where `write` also takes an `OutputStream` instead of a path, so that it can write compressed files and pipes.
``FOLDER: bool`` (optional)
    True where what `write` makes is a folder; it is given the name of one that is not there yet.
``NGRAMS: tuple[str, ...]`` (optional)
    The kinds of n-gram table that `write` keeps; one of another kind stays behind, which is said.
``sniff(head, name) -> int``
    How sure it is, 0 to 100, that a file beginning with the bytes `head` (64 KiB, less if the file is short) is its
    own. Above 90 means a magic number that no other file begins with. Opens nothing and never raises.
``sniff_folder(path) -> int`` (optional)
    The same for a folder, for formats whose file is one. May look at what the folder holds.
``read(source, request) -> Reader`` (optional, where there is ``write``)
    Reads the opened `Source` as the `ReadRequest` says. `only` and `limit` are pushed down to it, so rows that were not
    requested are not parsed. What it raises, at once or on the way, is `FormatError` with the place.
``write(path, table, *, ...) -> Counter[str] | None`` (optional)
    Writes a `Table` to `path`, a temporary file (or folder) that the caller renames when all is well.
    Options of its own are keyword-only, each with a default. Returns how many rows it left out, by cause, where an
    option allows that; else None. `sink` has what writers share.
``check_options(**options)`` (optional)
    Raises what `write` would raise for its options or for a missing package; called before anything is read.
``survey(source) -> dict[str, Any]`` (optional)
    What `info` should say otherwise than the reader does (keys of `Info`), told without reading all of the file; and
    `sample`, where that is quicker than the reader: the first words, their rows, and how many there are if that is all.

A source gives its bytes once, as a stream (`take`, `readinto`) or as one mapped array (`Source.mapped`); what is
compressed or comes from a stream is spooled for the latter. A reader that maps sets ``source.position`` to the bytes it
is done with, for the progress bar. `Source.path` is the file or folder itself where it is a plain one, else None: side
files are looked for beside it.

A new format is a new file and one line in `FORMATS`. What is known but cannot be read is named by `unsupported`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecload.errors import FormatError, OptionError, did_you_mean
from vecload.formats import native, npz, spacy, static_embeddings, tensorboard, text, unsupported, word2vec
from vecload.formats.arrow import ipc, parquet
from vecload.formats.fasttext import binary, floret
from vecload.formats.gensim import keyed_vectors
from vecload.saved import describe_file, describe_folder, describe_head

if TYPE_CHECKING:
    from types import ModuleType

    from vecload.sources import Source

FORMATS: tuple[ModuleType, ...] = (
    text,
    word2vec,
    binary,
    floret,
    keyed_vectors,
    spacy,
    native,
    npz,
    parquet,
    ipc,
    static_embeddings,
    tensorboard,
)

HEAD = 1 << 16
"""Bytes that `recognise` wants to see."""

_MAGIC = 90  # surer than this: no other file begins so
_FOLDED = str.maketrans("", "", " -_.")


def recognise(source: Source) -> ModuleType:
    """The format whose `sniff` is surest of a file's first bytes, or `sniff_folder` of a folder.

    Raises
    ------
    FormatError
        When none is sure at all: names what the file looks like, where that is known.
    """
    name = source.name
    if source.path is not None and source.path.is_dir():
        path = source.path
        scores = [(module, module.sniff_folder(path) if hasattr(module, "sniff_folder") else 0) for module in FORMATS]
    else:
        path = None
        head = source.head(HEAD)
        if not head:
            raise FormatError("the file is empty", file=name, hint="Check that it was written or downloaded whole.")
        scores = [(module, module.sniff(head, name)) for module in FORMATS]
    best, score = max(scores, key=lambda pair: pair[1])
    if path is not None:
        if score == 0:
            known = describe_folder(path)
            if known is None:
                raise FormatError("a directory, not a file", file=name, hint="Name a file in it.")
            raise FormatError("not word vectors", file=name, found=known.what, hint=known.hint)
        return best
    if score > _MAGIC:
        return best
    known = (None if source.path is None else describe_file(source.path)) or describe_head(head)
    if known is not None:
        raise FormatError("not a file of word vectors", file=name, found=known.what, hint=known.hint)
    look = unsupported.describe(head)
    if look is not None:
        raise FormatError("not a file of word vectors", file=name, found=look.what, hint=look.hint)
    if score == 0:
        raise FormatError(
            "the format is not recognised",
            file=name,
            found=f"bytes {head[:16].hex(' ')}",
            expected=" or ".join(module.NAME for module in FORMATS),
        )
    return best


def named(name: str) -> tuple[ModuleType, dict[str, Any]]:
    """The format of a name or alias, and the options the name settles.

    Raises
    ------
    OptionError
        When there is none of that name.

    Examples
    --------
    >>> module, options = named("GloVe")
    >>> module.NAME, options
    ('text', {'header': False})
    """
    names: dict[str, tuple[ModuleType, dict[str, Any]]] = {}
    for module in FORMATS:
        for alias, options in {module.NAME: {}, **getattr(module, "ALIASES", {})}.items():
            names[alias] = module, options
    for known, found in names.items():
        if _folded(known) == _folded(name):
            return found
    near = did_you_mean(name.casefold(), names)
    raise OptionError(f"format={name!r} is not one of {', '.join(map(repr, names))}{near}")


def _folded(name: str) -> str:
    return name.casefold().translate(_FOLDED)
