"""License and source that a file states, which its vectors keep as ``meta["license"]`` and ``meta["source"]``.

The license is a line of text, such as an SPDX identifier; the source is a web address. Both come from files of unknown
origin and are printed, so they are reduced to printable text of bounded length when they are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from vecload.message_text import shorten

if TYPE_CHECKING:
    from pathlib import Path

LICENSE: Final = "license"
SOURCE: Final = "source"
CARD: Final = "README.md"
"""Model card of a folder or repository."""
LONGEST: Final = 200
"""Maximum number of characters of a license."""

_LONGEST_ADDRESS: Final = 2000
_CARD_BYTES: Final = 1 << 16
_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_ENTRY: Final = re.compile(r"^(license_name|license|source):[ \t]*([^\n]*)$((?:\n[ \t]*- [^\n]*)*)", re.MULTILINE)

# Licenses that the Hugging Face Hub knows by name; others are "other" with a license_name.
_HUB: Final = {
    **{name: name for name in ("apache-2.0", "mit", "bsd-3-clause", "gpl-3.0", "cc0-1.0", "cc-by-3.0", "cc-by-4.0")},
    **{name: name for name in ("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "odbl", "odc-by")},
    "pddl-1.0": "pddl",
}


def attribution(stated: Mapping[str, object]) -> dict[str, str]:
    r"""Return the license and the source among the metadata of a file, without those that are missing or invalid.

    An unknown license is left out. User names, passwords, parameters and fragments are removed from the address.

    Examples
    --------
    >>> attribution({"license": "CC-BY-SA-3.0\n", "source": "https://me:secret@example.org/v.zip?token=1", "rows": 3})
    {'license': 'CC-BY-SA-3.0', 'source': 'https://example.org/v.zip'}
    >>> attribution({"license": "unknown", "source": "/home/me/v.txt"})
    {}
    """
    found = {LICENSE: _line(stated.get(LICENSE), LONGEST), SOURCE: _address(stated.get(SOURCE))}
    if found[LICENSE].casefold() in ("unknown", "other", "none"):
        found[LICENSE] = ""
    return {key: value for key, value in found.items() if value}


def described(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a description with a source: the one that the file states, or the name of the file.

    Examples
    --------
    >>> described({"format": "npz"}, "v.npz"), described({"source": "https://example.org/v"}, "v.npz")
    ({'format': 'npz', 'source': 'v.npz'}, {'source': 'https://example.org/v'})
    """
    return {**meta, SOURCE: meta.get(SOURCE, name)}


def public_source(meta: Mapping[str, Any]) -> str:
    """Return the web address of a source, or the name of its file: folders of this machine must not be published.

    Examples
    --------
    >>> public_source({"source": "/home/me/v.txt"}), public_source({"source": "https://example.org/v.txt"})
    ('v.txt', 'https://example.org/v.txt')
    """
    return attribution(meta).get(SOURCE) or PurePath(str(meta.get(SOURCE, ""))).name


def joint_license(metas: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the licenses of several sources as one entry; none if one of them is not known.

    Examples
    --------
    >>> joint_license([{"license": "MIT"}, {"license": "CC0-1.0"}, {"license": "MIT"}])
    {'license': 'MIT AND CC0-1.0'}
    >>> joint_license([{"license": "MIT"}, {}])
    {}
    """
    names = [str(meta.get(LICENSE, "")) for meta in metas]
    return {LICENSE: " AND ".join(dict.fromkeys(names))} if all(names) and names else {}


def read_card(folder: Path) -> dict[str, str]:
    """Return the license and source in the YAML header of a folder's ``README.md``, as on the Hugging Face Hub."""
    try:
        with (folder / CARD).open("rb") as file:
            text = file.read(_CARD_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return {}
    header = _FRONT_MATTER.match(text)
    stated: dict[str, str] = {}
    for key, value, items in _ENTRY.findall("" if header is None else header[1]):
        # A list of licenses is in brackets, or has a line for each.
        listed = [item.strip().removeprefix("-") for item in items.splitlines()] or [value]
        if value.startswith("["):
            listed = value.strip().strip("[]").split(",")
        stated[key] = " AND ".join(filter(None, map(_scalar, listed)))
    stated[LICENSE] = stated.get("license_name") or stated.get(LICENSE, "")
    return attribution(stated)


def card_lines(meta: Mapping[str, Any]) -> str:
    r"""Return the license and source as lines for the YAML header of a ``README.md``.

    Examples
    --------
    >>> print(card_lines({"license": "My terms"}), end="")
    license: other
    license_name: "My terms"
    """
    stated = attribution(meta)
    lines = []
    if LICENSE in stated:
        lines.append(f"license: {_HUB.get(stated[LICENSE].casefold(), 'other')}")
        lines.append(f"license_name: {json.dumps(stated[LICENSE], ensure_ascii=False)}")
    if SOURCE in stated:
        lines.append(f"source: {json.dumps(stated[SOURCE], ensure_ascii=False)}")
    return "".join(f"{line}\n" for line in lines)


def _scalar(text: str) -> str:
    """Return the string of a YAML scalar on one line."""
    text = text.strip()
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text.strip('"')
        return value if isinstance(value, str) else ""
    return text.partition(" #")[0].strip().strip("'")


def _line(value: object, longest: int) -> str:
    """Return text on one line, with spaces in place of characters that cannot be printed."""
    if not isinstance(value, str):
        return ""
    start = value[: 2 * longest]
    return shorten(" ".join("".join(char if char.isprintable() else " " for char in start).split()), longest)


def _address(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_ADDRESS or not value.isprintable() or " " in value:
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
