"""Recognize files that vecload wrote, so that errors can say what a file is and which function opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vecload.saved.schemas import ALIGNED, NATIVE, POOLER, SPACE_MAP, VOCAB

if TYPE_CHECKING:
    from pathlib import Path


class Kind(NamedTuple):
    """A kind of file (None: unknown) and a hint on how to open it."""

    what: str | None
    hint: str | None


SAVED_KINDS: Final = {
    NATIVE.mark: Kind("word vectors in vecload's own format", "Use vecload.load."),
    ALIGNED.mark: Kind("an aligned matrix that vecload saved", "Use vecload.Aligned.load."),
    SPACE_MAP.mark: Kind("a map between two spaces that vecload saved", "Use vecload.SpaceMap.load."),
    POOLER.mark: Kind("a folder that SentencePooler.save wrote", "Use vecload.SentencePooler.load with its folder."),
    VOCAB.mark: Kind("a vocabulary that vecload saved", "Use vecload.Vocab.load."),
}

HEAD: Final = 4096
"""Number of bytes from the start of a file that `describe_head` looks at."""


def describe_head(head: bytes) -> Kind | None:
    """Recognize a file from its first bytes, if vecload wrote it or may have written it.

    Examples
    --------
    >>> describe_head(b'{"counts":null,"format":"vecload-vocab"').hint
    'Use vecload.Vocab.load.'
    """
    if head.startswith(b"\x93NUMPY"):
        hint = 'Pass its words: vecload.load(path, words="words.txt"), or --words words.txt.'
        return Kind("a NumPy array (.npy), a matrix without words", hint)
    if b"{" not in head[:9]:
        return None
    for mark, kind in SAVED_KINDS.items():
        if f'"{mark}"'.encode() in head[:HEAD]:
            return kind
    if head[8:].replace(b" ", b"").startswith(b'{"vectors":{"'):
        return Kind("sentence vectors that vecload pool wrote", "They have no words: use safetensors.numpy.load_file.")
    return None


# Files in folders that vecload writes: the file name, the names of other files that identify the folder, and the kind.
_PARTS: Final = (
    ("state.safetensors", ("pooler.json",), Kind("the state of a saved SentencePooler", "{pooler}")),
    ("pooler.json", (), Kind("the settings of a saved SentencePooler", "{pooler}")),
    ("model.safetensors", ("tokenizer.json",), Kind("the tensors of an embedding model's folder", "{load}")),
    ("tokenizer.json", ("model.safetensors",), Kind("the tokenizer of an embedding model's folder", "{load}")),
    ("modules.json", ("model.safetensors",), Kind("the settings of an embedding model's folder", "{load}")),
    ("config.json", ("model.safetensors",), Kind("the settings of an embedding model's folder", "{load}")),
    ("key2row", ("vectors",), Kind("the row numbers of a spaCy folder", "{load}")),
    ("vectors", ("key2row",), Kind("the rows of a spaCy folder", "{load}")),
    ("vectors.cfg", ("vectors",), Kind("the settings of a spaCy folder", "{load}")),
    ("strings.json", ("vectors",), Kind("the strings of a spaCy folder", "{load}")),
    ("lookups.bin", ("vectors",), Kind("a table of a spaCy folder", "{load}")),
)


def describe_file(path: Path) -> Kind | None:
    """Recognize a part of a folder or of a saved model from its name and the files in its folder."""
    for name, others, kind in _PARTS:
        if path.name == name and all((path.parent / other).exists() for other in others):
            hint = (kind.hint or "").format(
                pooler=f"Use vecload.SentencePooler.load({str(path.parent)!r}).",
                load=f"Load the folder: vecload.load({str(path.parent)!r}).",
            )
            return Kind(kind.what, hint)
    # gensim saves large arrays of "model" in files such as "model.vectors.npy" (`SaveLoad` in gensim's utils.py).
    stem = path.name
    while path.suffix in (".npy", ".npz") and "." in stem:
        stem = stem.rpartition(".")[0]
        if stem and stem != path.name and (path.parent / stem).is_file():
            whole = str(path.parent / stem)
            return Kind("an array of a model that gensim saved", f"Load the model itself: vecload.load({whole!r}).")
    return None


def describe_folder(path: Path) -> Kind | None:
    """Recognize a folder that vecload wrote but `load` does not read."""
    if (path / "pooler.json").is_file():
        vectors = str(path / "vectors.safetensors")
        hint = f"Use vecload.SentencePooler.load({str(path)!r}), or vecload.load({vectors!r}) for its words and rows."
        return Kind("the folder of a saved SentencePooler", hint)
    return None
