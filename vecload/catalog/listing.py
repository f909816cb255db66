"""Entries of the catalog, and how to find them. `catalog.toml` documents its own layout."""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vecload.errors import OptionError, VocabularyError
from vecload.notebook import table

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS = {
    "V": "read on the publisher's own page or list",
    "3p": "stated by other projects that had the file",
    "R": "recalled, not checked",
}
# Hashes of an empty file, which a failed download leaves. A published list of hashes has them for three languages, so
# they are never accepted.
_EMPTY_FILE = {
    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "md5": "d41d8cd98f00b204e9800998ecf8427e",
}


@dataclass(frozen=True)
class Digest:
    """Hash to verify a file with.

    Raises
    ------
    OptionError
        If it has the wrong length, or is the hash of an empty file.

    Examples
    --------
    >>> Digest("md5", "c289bc5d7f2f02c6dc9f2f9b67641813").kind
    'md5'
    """

    kind: Literal["sha256", "md5"]
    value: str

    def __post_init__(self) -> None:
        empty = _EMPTY_FILE[self.kind]
        if len(self.value) != len(empty) or set(self.value) - set("0123456789abcdef"):
            raise OptionError(f"{self.value!r} is not a {self.kind} in lower-case hexadecimal digits")
        if self.value == empty:
            raise OptionError(f"{self.value} is the {self.kind} of an empty file, which verifies nothing")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of the catalog.

    Unknown numbers are None and unknown texts are empty. `marks` says how each field is known.
    """

    family: str
    name: str
    template: str
    """Name of the group of files it belongs to, as ``cc.{lang}.300``; its own name if it belongs to none."""
    languages: tuple[str, ...]
    dim: int | None = None
    """Number of values per vector; None for a data set for evaluation."""
    words: int | None = None
    size: int | None = None
    """Number of bytes of the download."""
    file_size: int | None = None
    """Number of bytes of the extracted file of vectors."""
    about: str = ""
    """Rounded sizes, as stated on the publisher's page."""
    urls: tuple[str, ...]
    """Addresses of the file, in the order to try them; empty if it must be downloaded manually from `page`."""
    file: str
    """File name in the cache. It is never taken from a URL or an archive."""
    container: str | None = None
    """Kind of the archive or compression, as "zip" or "gzip"."""
    member: str | None = None
    """Name of the archive member, if the archive has several."""
    format: str
    license: str
    license_url: str = ""
    page: str = ""
    citation: str = ""
    sha256: str | None = None
    md5: str | None = None
    notes: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The name is used to write to the cache, so it must not point outside the cache's folder.
        if not self.file or self.file.startswith(".") or set(self.file) & set("/\\:"):
            raise OptionError(f"{self.file!r} is not a plain file name")
        _ = self.digest

    @property
    def full_name(self) -> str:
        """Family and name, such as ``fasttext:cc.ja.300``."""
        return f"{self.family}:{self.name}"

    @property
    def digest(self) -> Digest | None:
        """Hash to verify the file with: SHA-256 if it is known, else MD5, else None."""
        if self.sha256 is not None:
            return Digest("sha256", self.sha256)
        return None if self.md5 is None else Digest("md5", self.md5)

    def _repr_html_(self) -> str:
        facts = {
            "languages": ", ".join(self.languages),
            "words × dimension": None if self.words is None else f"{self.words:,} × {self.dim}",
            "download": None if self.size is None else f"{self.size:,} bytes",
            "format": self.format,
            "license": self.license,
            "page": self.page,
            "verified by": self.checked_by,
        }
        return table(self.full_name, [], [[name, fact] for name, fact in facts.items() if fact])

    @property
    def checked_by(self) -> str:
        """Description of how a download is verified."""
        if self.digest is None:
            return "pinned on first download"
        source = "the publisher's list" if self.marks.get(self.digest.kind) == "V" else "other projects"
        return f"{self.digest.kind} from {source}"


def parse(text: str) -> tuple[Entry, ...]:
    """Return all entries of the text of a catalog, one for each file of a family.

    Raises
    ------
    OptionError
        If two files share a full name, or a hash is that of an empty file.

    Examples
    --------
    >>> text = '''
    ... [[entry]]
    ... family = "toy"
    ... name = "toy.{dim}d"
    ... over = { dim = "50 100" }
    ... dim = "{dim}"
    ... languages = ["en"]
    ... urls = ["https://example.org/{dim}.txt"]
    ... file = "toy.{dim}.txt"
    ... format = "GloVe text"
    ... license = "unknown"
    ... size = { 50 = 123 }
    ... '''
    >>> [(entry.full_name, entry.dim, entry.size) for entry in parse(text)]
    [('toy:toy.50d', 50, 123), ('toy:toy.100d', 100, None)]
    """
    raw = tomllib.loads(text)
    found = tuple(entry for fields in raw["entry"] for entry in _expand(fields, raw.get("lists", {})))
    names = [entry.full_name for entry in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"the catalog has two files named {twice!r}")
    return found


def _expand(fields: dict[str, Any], lists: dict[str, str]) -> Iterator[Entry]:
    # A family is the product of its placeholders: one entry for each combination of their values.
    over = {name: lists.get(values, values).split() for name, values in fields.pop("over", {}).items()}
    for values in itertools.product(*over.values()):
        chosen = dict(zip(over, values, strict=True))
        filled = {name: _fill_in(value, chosen) for name, value in fields.items() if name != "marks"}
        known = {name: value for name, value in filled.items() if value is not None}
        if "dim" in known:
            known["dim"] = int(known["dim"])
        known["marks"] = {name: mark for name, mark in fields.get("marks", {}).items() if name in known}
        yield Entry(template=fields["name"], **known)


def _fill_in(value: object, chosen: dict[str, str]) -> Any:
    """Return the value of a family's field for one of its files."""
    if isinstance(value, str):
        return value.format_map(chosen)
    if isinstance(value, list):
        return tuple(_fill_in(item, chosen) for item in value)
    if isinstance(value, dict):
        return next((value[key] for key in chosen.values() if key in value), None)
    return value


@cache
def entries() -> tuple[Entry, ...]:
    """Return all files of the catalog, in its order."""
    return parse(Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8"))


def find(query: str = "", *, lang: str | None = None) -> list[Entry]:
    """Return the files whose description contains all words of a query.

    Parameters
    ----------
    query
        Words to find in the name, family, format, license and notes, in any case. A complete name finds only that file.
    lang
        Code of a language (ISO 639), such as "ja", to return only its files; "mul" for multilingual files.

    Examples
    --------
    >>> [entry.name for entry in find("glove:glove.6b")]
    ['glove.6B.50d', 'glove.6B.100d', 'glove.6B.200d', 'glove.6B.300d']
    >>> [entry.full_name for entry in find("chive 1.3 mc90", lang="ja")]
    ['chive:chive-1.3-mc90']
    """
    # A complete name also occurs inside longer names ("cc.ja.300" in "cc.ja.300.bin"), so exact matches come first.
    exact = [entry for entry in entries() if query in (entry.name, entry.full_name)]
    parts = query.casefold().split()
    return [
        entry
        for entry in exact or entries()
        if (lang is None or lang in entry.languages) and all(part in _described(entry) for part in parts)
    ]


def _described(entry: Entry) -> str:
    return " ".join((entry.full_name, entry.format, entry.license, *entry.notes)).casefold()


def get(name: str) -> Entry | None:
    """Return the file with a name, ``family:name`` or ``name``; return None for an unknown name.

    Raises
    ------
    VocabularyError
        If several families have a file of this name.

    Examples
    --------
    >>> get("glove.6B.50d").urls[0]
    'https://huggingface.co/stanfordnlp/glove/resolve/main/glove.6B.zip'
    >>> get("fasttext:cc.ja.300").file, get("no such file")
    ('cc.ja.300.vec.gz', None)
    """
    found = [entry for entry in entries() if name in (entry.full_name, entry.name)]
    if len(found) > 1:
        names = ", ".join(entry.full_name for entry in found)
        raise VocabularyError(f"several files are named {name!r}; use a full name: {names}")
    return found[0] if found else None


def close_names(name: str) -> list[str]:
    """Return the names most similar to a mistyped one, the most similar first.

    Examples
    --------
    >>> close_names("glove.6b.50")
    ['glove.6B.50d']
    """
    whole = ":" in name
    names = [entry.full_name if whole else entry.name for entry in entries()]
    return difflib.get_close_matches(name, names, n=3, cutoff=0.85)
