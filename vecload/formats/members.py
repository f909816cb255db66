"""Choose the file or folder of an archive that holds vectors, and the files that belong to it."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from vecload.formats.format import SURE
from vecload.formats.registry import HEAD, best_folder_match, best_match
from vecload.sources import Selection, candidates, member_head, open_source

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import IO

    from vecload.sources import Archive, Source

# Members of larger archives are not inspected: that would take long, and a model has fewer files.
_MOST_MEMBERS: Final = 200
_SMALL: Final = 1 << 20
"""Bytes of a member up to which it is copied as a whole to recognize a folder. JSON files are smaller."""


def open_vectors(source: str | os.PathLike[str] | IO[bytes]) -> Source:
    """Open a file or folder of vectors, as `vecload.sources.open_source` does; in an archive, the one that has some."""
    return open_source(source, folders=True, choose=choose_member)


def choose_member(archive: Archive, member: str) -> Selection | None:
    """Return what to open in an archive: the requested member, or the only one that holds vectors.

    Parameters
    ----------
    archive
        The opened archive.
    member
        Name of a file or folder in the archive; "" for none.

    Returns
    -------
    Selection or None
        None without a clear choice: the caller then takes the only file, or reports that there are several.
    """
    if member in archive.names:
        return _with_side_files(archive, member)
    found = candidates(archive)
    top = member.rstrip("/") or _common_folder(found)
    inside = tuple(name for name in archive.names if not top or name.startswith(f"{top}/"))
    if member and not inside:
        return None
    if not 1 < len(inside) <= _MOST_MEMBERS:
        return None
    if _is_folder(archive, top, inside):
        return Selection(top, inside)
    best = _best_member(archive, [name for name in found if name in inside])
    return None if best is None else _with_side_files(archive, best)


def _with_side_files(archive: Archive, member: str) -> Selection:
    others = _side_files(archive, member)
    return Selection(member, (member, *others) if others else ())


def _side_files(archive: Archive, member: str) -> tuple[str, ...]:
    """Return the names of the files that belong to a member, such as the arrays of a gensim model."""
    form, _ = best_match(member_head(archive, member, HEAD), member)
    if form is None or form.side_files is None:
        return ()
    folder = PurePosixPath(member).parent
    beside = {path.name: name for name in archive.names if (path := PurePosixPath(name)).parent == folder}
    return tuple(beside[name] for name in form.side_files(PurePosixPath(member).name, beside.keys()))


def _best_member(archive: Archive, names: Sequence[str]) -> str | None:
    """Return the only member that is in a known format; None if there are several of equal rank, or none."""
    scores = {name: best_match(member_head(archive, name, HEAD), name)[1] for name in names}
    for lowest in (SURE, SURE // 2):
        found = [name for name in names if scores[name] >= lowest]
        belonging = {other for name in found for other in _side_files(archive, name)} if len(found) > 1 else set()
        found = [name for name in found if name not in belonging]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _common_folder(names: Sequence[str]) -> str:
    """Return the deepest folder that holds all files; "" for the top of the archive.

    Examples
    --------
    >>> _common_folder(["m/vocab/keys", "m/vocab/vectors"]), _common_folder(["m/a", "b"])
    ('m/vocab', '')
    """
    parents = [PurePosixPath(name).parent.parts for name in names]
    common = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)


def _is_folder(archive: Archive, folder: str, names: Sequence[str]) -> bool:
    """Return whether a folder of an archive is in a known format.

    Formats recognize a folder by the names of its files and by what small ones say, so only the beginnings of files
    are copied to a temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="vecload-") as top:
        for name in names:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                return False
            target = Path(top) / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(member_head(archive, name, _SMALL))
            except OSError:  # two members of one path, or a name that the system does not accept
                return False
        return best_folder_match(Path(top) / folder)[0] is not None
