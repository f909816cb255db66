"""Addresses of the Hugging Face Hub, ``hf://org/name[@revision][/path]``: download files, and return their path.

The cache, tokens, revisions and the offline mode are those of huggingface_hub. ``VECLOAD_OFFLINE`` is obeyed, too.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

from vecload.attribution import CARD, LICENSE, read_card
from vecload.catalog.cache import offline as forbids_network
from vecload.errors import DownloadError, OptionError, require
from vecload.message_text import shorten

SCHEME: Final = "hf://"
VECTORS: Final = "vectors.safetensors"
"""File of vectors that `vecload.hub.push` writes, which is read if the address has no path."""
ALIGNED: Final = "aligned.safetensors"
"""File of an aligned matrix that it writes."""
POOLER: Final = ("pooler.json", VECTORS, "state.safetensors")
"""Files of a pooler that it writes."""

_ADDRESS: Final = re.compile(
    r"hf://(?:(?P<kind>models|datasets|spaces)/)?(?P<repo>[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)
_KINDS: Final = {None: "model", "models": "model", "datasets": "dataset", "spaces": "space"}
_STATIC: Final = ("model.safetensors", "tokenizer.json")
_STATIC_FOLDER: Final = "0_StaticEmbedding/"
# Files that describe a repository, or belong to a model without having vectors.
_ACCESSORY: Final = re.compile(
    r"(^|/)(\..*|(README|LICEN[CS]E|COPYING|NOTICE|CITATION)([._-][^/]*)?|[^/]*config[^/]*\.json|modules\.json|"
    r"tokenizer[^/]*\.json|special_tokens_map\.json|[^/]*\.(md|py|ipynb|ya?ml|toml|cfg|png|jpe?g|gif|svg|pdf|html?))$",
    re.IGNORECASE,
)
_SNAPSHOT: Final = re.compile(r"/snapshots/([0-9a-f]{40})(?:/(.*))?$")  # layout of the cache
_SHOWN: Final = 20
_ADVICE: Final = {
    **dict.fromkeys((401, 403), "the token is invalid or lacks permission: {log_in}"),
    412: "the repository changed at the same time: push again",
    422: "the model card or the name is invalid",
}


@dataclass(frozen=True)
class HubAddress:
    """Parts of an address: the repository, a branch, tag or commit (None: the main branch), and a path in it."""

    kind: str
    repo: str
    revision: str | None
    path: str

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{SCHEME}{self.full_repo}{revision}{'/' if self.path else ''}{self.path}"

    @property
    def full_repo(self) -> str:
        """Repository with its kind, as in addresses: ``org/name`` or ``datasets/org/name``."""
        return self.repo if self.kind == "model" else f"{self.kind}s/{self.repo}"


def is_hub_address(source: object) -> bool:
    """Return whether a source is an address of a repository on the Hub; buckets are left to fsspec."""
    return isinstance(source, str) and source.startswith(SCHEME) and not source.startswith(f"{SCHEME}buckets/")


def parse_address(address: str) -> HubAddress:
    """Return the parts of an address.

    Raises
    ------
    OptionError
        If it is invalid.

    Examples
    --------
    >>> parse_address("hf://org/name@v1.0/en/vectors.txt")
    HubAddress(kind='model', repo='org/name', revision='v1.0', path='en/vectors.txt')
    """
    found = _ADDRESS.fullmatch(address)
    path = "" if found is None else (found["path"] or "").rstrip("/")
    if found is None or any(part in ("", ".", "..") for part in (path.split("/") if path else [])):
        raise OptionError(f"{shorten(address)} is not an address of the Hub; write hf://org/name@revision/path")
    revision = found["revision"]
    return HubAddress(_KINDS[found["kind"]], found["repo"], None if revision is None else unquote(revision), path)


def local_path(source: Any, *, prefer: str = VECTORS) -> Any:
    """Download what an address of the Hub names, unless it is in the cache, and return its path; return others as is.

    Without a path in the address, this is the file that `vecload.hub.push` wrote, the folder of a static embedding
    model, or the only file that can have vectors.

    Parameters
    ----------
    source
        The user's argument.
    prefer
        Name of the file to choose if the address has no path, or the path of a folder.

    Returns
    -------
    object
        Path of a file, of a folder or of an archive's member in the cache of huggingface_hub; or `source`.

    Raises
    ------
    DownloadError
        If it is missing or cannot be downloaded.
    OptionError
        If the address is invalid.
    MissingDependencyError
        If huggingface_hub is not installed.
    """
    if not is_hub_address(source):
        return source
    address = parse_address(source)
    names = _list_files(address)
    chosen = choose_files(address, names, prefer=prefer)
    card = {CARD}.intersection(names)  # has the license
    return str(_download(address, {*chosen.files, *card}) / chosen.path)


def stated_by_hub(source: str, place: object) -> dict[str, str]:
    """Return the address of a source with its commit, as "hub", its web page, as "source", and its license.

    The license is that of the model card of the repository.

    Parameters
    ----------
    source
        The user's address.
    place
        The path that `local_path` returned for it.
    """
    path = PurePath(str(place)).as_posix()
    found = _SNAPSHOT.search(path)
    if found is None:  # a future cache may have another layout
        return {}
    hub: Any = require("huggingface_hub", "hub")
    address = replace(parse_address(source), revision=found[1], path=found[2] or "")
    page = f"{hub.constants.ENDPOINT}/{address.full_repo}/tree/{address.revision}/{quote(address.path)}"
    card = read_card(Path(path[: found.end(1)]))
    stated = {LICENSE: card[LICENSE]} if LICENSE in card else {}
    return {"hub": str(address), "source": page.rstrip("/"), **stated}


def local_folder(source: str | os.PathLike[str], names: Collection[str]) -> Path:
    """Download files of a folder on the Hub, and return the folder's path; return any other path unchanged.

    Parameters
    ----------
    source
        A path, or an address of a repository or of a folder in it.
    names
        Names of the files in it. Files that do not exist are left out: the caller reports them.

    Raises
    ------
    DownloadError, OptionError, MissingDependencyError
        As `local_path` does.
    """
    if not isinstance(source, str) or not is_hub_address(source):
        return Path(source)
    address = parse_address(source)
    inside = f"{address.path}/" if address.path else ""
    existing = _list_files(address)
    wanted = [inside + name for name in names if inside + name in existing]
    if not wanted:
        raise DownloadError(f"{address} has none of {', '.join(names)}; {_held(existing)}")
    return _download(address, wanted) / address.path


@dataclass(frozen=True)
class Choice:
    """Path of the file or folder to open in a repository, and the files to download for it."""

    path: str
    files: tuple[str, ...]


def choose_files(address: HubAddress, names: Collection[str], *, prefer: str = VECTORS) -> Choice:
    """Choose what to open in a repository.

    Parameters
    ----------
    address
        The repository, and perhaps a path in it: of a file, a folder, or a member of an archive.
    names
        Names of all its files.
    prefer
        Name of the file to choose in a folder.

    Raises
    ------
    DownloadError
        If the path does not exist, or the choice is not clear.

    Examples
    --------
    >>> choose_files(parse_address("hf://org/name"), ["README.md", "glove.txt"]).path
    'glove.txt'
    """
    path = address.path
    if path in names:
        return _with_side_files(path, names)
    archive = next((str(part) for part in PurePosixPath(path).parents if str(part) in names), None)
    if archive is not None:
        return Choice(path, (archive,))
    inside = {name for name in names if not path or name.startswith(f"{path}/")}
    if not inside:
        raise DownloadError(f"{address}: no such file; {_held(names)}")
    top = f"{path}/" if path else ""
    if top + prefer in inside:
        return _with_side_files(top + prefer, names)
    for folder in (top, top + _STATIC_FOLDER):
        if all(folder + name in inside for name in _STATIC):
            files = [name for name in sorted(inside) if _is_part(name, top) or _is_part(name, folder)]
            return Choice(path, tuple(files))
    found = [name for name in sorted(inside) if not _ACCESSORY.search(name)]
    # The arrays of a gensim model are in files such as "model.vectors.npy".
    main = [name for name in found if not any(name in _side_files(other, found) for other in found)]
    if len(main) == 1:
        return _with_side_files(main[0], names)
    if not main:
        raise DownloadError(f"{address} has no file of vectors; {_held(names)}")
    base = str(address).removesuffix(f"/{path}") if path else str(address)
    candidates = [f"{base}/{name}" for name in main]
    raise DownloadError(f"{address} has {len(main)} files that can have vectors; add a path: {_listed(candidates)}")


def _is_part(name: str, folder: str) -> bool:
    """Return whether a file belongs to the model in a folder: its tensors, tokens, settings or card."""
    path = PurePosixPath(name)
    return path.suffix in (".json", ".safetensors", ".txt", ".md") and name == folder + path.name


def _side_files(name: str, names: Collection[str]) -> list[str]:
    """Return the files of arrays, words and metadata that belong to a file."""
    ends = (".npy", ".npz", ".json")
    metadata = re.sub("vectors|tensors", "metadata", PurePosixPath(name).name)
    beside = str(PurePosixPath(name).with_name(metadata))
    return [
        other
        for other in names
        if other != name and ((other.startswith(f"{name}.") and other.endswith(ends)) or other == beside)
    ]


def _with_side_files(name: str, names: Collection[str]) -> Choice:
    return Choice(name, (name, *_side_files(name, names)))


def _list_files(address: HubAddress) -> list[str]:
    """Return the names of all files of a repository; without a connection, of those in the cache."""
    hub: Any = require("huggingface_hub", "hub")
    if not forbids_network():
        with hub_errors(str(address), address.repo):
            try:
                found = hub.HfApi().repo_info(address.repo, revision=address.revision, repo_type=address.kind)
            except Exception as error:
                if not _is_connection_error(error):
                    raise
            else:
                return [file.rfilename for file in found.siblings or ()]
    # With an empty list of patterns, huggingface_hub does not check that all files are in the cache.
    folder = _download(address, ())
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _download(address: HubAddress, names: Collection[str]) -> Path:
    """Return the folder of the cache with these files of a revision."""
    hub: Any = require("huggingface_hub", "hub")
    with hub_errors(str(address), address.repo):
        folder = hub.snapshot_download(
            address.repo,
            repo_type=address.kind,
            revision=address.revision,
            allow_patterns=[glob.escape(name) for name in names],
            local_files_only=forbids_network() or not names,
            library_name="vecload",
        )
    for name in names:
        if not (Path(folder) / name).is_file():
            raise DownloadError(
                f"{address}: {name} is not in the cache of huggingface_hub: load it once with a network connection"
            )
    return Path(folder)


def _is_connection_error(error: Exception) -> bool:
    """Return whether a request has no answer, or one that reports a failure of the server."""
    errors: Any = require("huggingface_hub.errors", "hub")
    if isinstance(error, errors.HfHubHTTPError):
        return _status(error) >= 500
    return isinstance(error, (_http_error(), OSError))


def _http_error() -> type[Exception]:
    """Return the base class of errors of connections, in the HTTP library of this version of huggingface_hub."""
    errors: Any = require("huggingface_hub.errors", "hub")
    base: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    return base


def _status(error: Any) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


@contextlib.contextmanager
def hub_errors(what: str, repo: str) -> Iterator[None]:
    """Raise `DownloadError`, or `OptionError` for invalid names, in place of errors of huggingface_hub.

    Parameters
    ----------
    what
        Name of the source or of the action, for the message.
    repo
        Name of the repository.
    """
    errors: Any = require("huggingface_hub.errors", "hub")
    log_in = "log in with `hf auth login`, or set HF_TOKEN"
    try:
        yield
    except errors.HFValidationError as error:
        raise OptionError(f"{what}: {error}") from error
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"{what}: access to {repo} is restricted: accept its terms on its page, and {log_in}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(f"{what}: no repository {repo}, or it is private: check the name, or {log_in}") from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(f"{what}: {repo} has no such branch, tag or commit: check the revision after @") from error
    except errors.LocalEntryNotFoundError as error:
        raise DownloadError(
            f"{what} is not in the cache of huggingface_hub, and the Hub cannot be reached: check the network and "
            "HF_HUB_OFFLINE, HF_ENDPOINT and VECLOAD_OFFLINE, or load it once with a network connection"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError(f"{what}: HF_HUB_OFFLINE forbids network access: unset it") from error
    except errors.HfHubHTTPError as error:
        status, answer = _status(error), shorten(str(error))
        advice = _ADVICE.get(status, "try again later").format(log_in=log_in)
        raise DownloadError(f"{what}: the Hub answered with status {status} ({answer}): {advice}") from error
    except _http_error() as error:
        raise DownloadError(f"{what}: the Hub cannot be reached ({shorten(str(error))}): check the network") from error


def _held(names: Collection[str]) -> str:
    return f"the repository has {_listed(sorted(names))}" if names else "the repository is empty"


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(shorten(name) for name in list(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
