"""Upload vectors and a model card to the Hugging Face Hub, as one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vecload.alignment import Aligned
from vecload.attribution import CARD, attribution, public_source
from vecload.catalog.cache import offline
from vecload.catalog.hugging_face import ALIGNED, POOLER, VECTORS, hub_errors
from vecload.errors import DownloadError, OptionError, require, warn
from vecload.evaluation import Evaluation
from vecload.hub.cards import Shared, card, is_unedited, stated_meta
from vecload.message_text import shorten
from vecload.pooling import SentencePooler
from vecload.vectors import Vectors


def push(
    value: Shared,
    repository: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    message: str | None = None,
    license: str | None = None,  # noqa: A002 - the word of the model card
    evaluation: Evaluation | None = None,
    create_pr: bool = False,
) -> str:
    """Upload vectors, an aligned matrix or a pooler with a model card; create the repository if it does not exist.

    Everything is in one commit: it is complete or not made at all. A model card on the Hub that was edited is kept.

    Parameters
    ----------
    value
        `Vectors`, as a file ``vectors.safetensors`` for `load`; an `Aligned`, as ``aligned.safetensors`` for
        `Aligned.load`; or a `SentencePooler`, as the files of its `save` for `SentencePooler.load`. All of these take
        the address ``hf://org/name``.
    repository
        Name of the repository, ``org/name``.
    private
        Whether only its members can see a new repository; None for the default of the organization. An existing
        repository must match, so that nothing is published by mistake.
    revision
        Branch, which is created if it does not exist; None for the main branch.
    message
        Message of the commit.
    license, evaluation
        As for `card`.
    create_pr
        Whether to open a pull request instead of changing the branch.

    Returns
    -------
    str
        Address of the commit, or of the pull request.

    Warns
    -----
    VecloadWarning
        If the model card on the Hub was edited and is kept.

    Raises
    ------
    OptionError
        For an invalid argument, or an existing repository that is public although `private` is true, or the reverse.
    DownloadError
        If the Hub cannot be reached, refuses the token, or changed at the same time. Nothing is changed then, except
        that a new repository or branch may exist.
    MissingDependencyError
        If huggingface_hub is not installed.

    Examples
    --------
    >>> push(vectors, "org/name", private=True)  # doctest: +SKIP
    'https://huggingface.co/org/name/commit/0d5f...'
    """
    text = card(value, repository, license=license, evaluation=evaluation)
    hub: Any = require("huggingface_hub", "hub")
    if offline():
        raise DownloadError(f"{repository}: VECLOAD_OFFLINE forbids network access: unset it to push")
    api = hub.HfApi(library_name="vecload")
    with tempfile.TemporaryDirectory(prefix="vecload-") as made:
        folder = Path(made, "files")
        _write(value, folder, license)
        with hub_errors(f"push to {repository}", repository):
            parent, files = _prepare(api, repository, private=private, revision=revision, existing=create_pr)
            if CARD not in files or is_unedited(_read_card(hub, repository, parent)):
                (folder / CARD).write_text(text, encoding="utf-8", newline="\n")
            else:
                warn(
                    f"{repository}: {CARD} on the Hub was edited, so it is kept; delete it there to get a new one, or "
                    "paste the text of vecload.hub.card"
                )
            options = {"repo_id": repository, "revision": revision, "parent_commit": parent, "create_pr": create_pr}
            try:
                done = api.upload_folder(
                    **options,
                    folder_path=folder,
                    commit_message=message or f"Upload {type(value).__name__} with vecload",
                    delete_patterns=list(_stale(value, files)) or None,
                )
            except RuntimeError as error:  # huggingface_hub raises it from the error of each file
                cause = shorten(str(error.__cause__ or ""))
                raise DownloadError(
                    f"push to {repository}: {error} ({cause}): try again; nothing was changed"
                ) from error
    return str(done.pr_url or done.commit_url)


def _write(value: Shared, folder: Path, license: str | None) -> None:  # noqa: A002 - the parameter of `push`
    """Write the files of a value to a new folder; they state the given license, as the model card does."""
    if isinstance(value, SentencePooler):
        value.save(folder)
        return
    folder.mkdir()
    meta = stated_meta(value, license)
    if isinstance(value, Aligned):
        replace(value, meta=_without_paths(meta)).save(folder / ALIGNED)
        return
    stated = Vectors(value.words, value.unique_rows, meta, value.ngrams, value.history, row_ids=value.row_ids)
    stated.save(folder / VECTORS)


def _without_paths(meta: Any) -> Any:
    """Return a description in which sources that are files of this machine have only their names.

    Examples
    --------
    >>> _without_paths({"sources": [{"source": "/home/me/v.txt"}, {"source": "https://example.org/v.txt"}]})
    {'sources': [{'source': 'v.txt'}, {'source': 'https://example.org/v.txt'}]}
    """
    if isinstance(meta, Mapping):
        named = {"source": public_source(meta)} if "source" in meta else {}
        return {**{key: _without_paths(value) for key, value in meta.items()}, **named, **attribution(meta)}
    return [_without_paths(value) for value in meta] if isinstance(meta, (list, tuple)) else meta


def _stale(value: Shared, files: frozenset[str]) -> frozenset[str]:
    """Return the files of an earlier pooler that do not belong to the vectors that replace its own."""
    return frozenset() if isinstance(value, (Aligned, SentencePooler)) else files & (set(POOLER) - {VECTORS})


def _prepare(
    api: Any, repository: str, *, private: bool | None, revision: str | None, existing: bool
) -> tuple[str, frozenset[str]]:
    """Create the repository and the branch if necessary; return the latest commit of the branch and its files."""
    errors: Any = require("huggingface_hub.errors", "hub")
    try:
        found = api.repo_info(repository)
    except errors.GatedRepoError:
        raise
    except errors.RepositoryNotFoundError:
        if existing:
            raise
        api.create_repo(repository, private=private, exist_ok=True)
        found = api.repo_info(repository)
    if private is not None and found.private is not None and private != found.private:
        now = "private" if found.private else "public"
        raise OptionError(
            f"{repository} exists and is {now}, not private={private}: nothing was pushed; change it there"
        )
    if revision is not None:
        try:
            found = api.repo_info(repository, revision=revision)
        except errors.RevisionNotFoundError:
            if existing:
                raise
            api.create_branch(repository, branch=revision, exist_ok=True)
            found = api.repo_info(repository, revision=revision)
    return found.sha, frozenset(file.rfilename for file in found.siblings or ())


def _read_card(hub: Any, repository: str, commit: str) -> str:
    return Path(hub.hf_hub_download(repository, CARD, revision=commit)).read_text(encoding="utf-8", errors="replace")
