"""Read and write a saved file: a safetensors or JSON file, checked against the schema of its kind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import FormatError, OptionError, VocabularyError, as_format_errors
from vecload.saved.bounded_json import parse_json, to_json
from vecload.saved.recognition import HEAD, SAVED_KINDS, Kind, describe_file, describe_folder, describe_head
from vecload.saved.safetensors import parse_safetensors, write_safetensors
from vecload.saved.validation import Schema, check_rules, check_saved, check_settings
from vecload.sources import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

_SETTINGS = "vecload"  # key of the settings in the metadata


def write_saved(
    path: str | os.PathLike[str], schema: Schema, arrays: Mapping[str, npt.NDArray[Any]], settings: Mapping[str, Any]
) -> None:
    """Write arrays and settings as one file; equal arrays and settings give equal bytes."""
    metadata = {"format": schema.mark, "version": schema.version, _SETTINGS: to_json(settings)}
    with atomic_write(path, suffixes=(".safetensors",)) as part, part.open("wb") as file:
        write_safetensors(file, arrays, metadata)


@contextlib.contextmanager
def open_saved(
    path: str | os.PathLike[str], schema: Schema
) -> Iterator[tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]]:
    """Yield the arrays and settings of a file, for the ``load`` of a value that is made from them in the block.

    Raises
    ------
    FormatError
        As `read_saved` does, and in place of errors of the block: the parts do not make a valid value.
    """
    name = os.fspath(path)
    with as_format_errors(name):
        parts = read_saved(path, schema)
        try:
            yield parts
        except (OptionError, VocabularyError) as error:
            raise FormatError(f"the parts of the file do not match: {error}", file=name) from error


def read_saved(path: str | os.PathLike[str], schema: Schema) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Read a file into memory and check all of it against a schema.

    Raises
    ------
    FormatError
        If the file is of another kind, which the error names if it is known, or violates the schema.
    """
    name = os.fspath(path)
    if Path(path).is_dir():
        raise other_kind(path, schema)
    raw = np.fromfile(path, dtype=np.uint8)
    # The JSON header follows its length of 8 bytes, so a file without a brace here is not safetensors at all.
    if raw[8:9].tobytes() != b"{":
        raise other_kind(path, schema)
    container = parse_safetensors(raw, name)
    if container.metadata.get("format") != schema.mark:
        raise other_kind(path, schema)
    check_version(container.metadata.get("version"), schema, name)
    try:
        settings = parse_json(container.metadata.get(_SETTINGS, ""), size=len(raw))
    except ValueError as error:
        raise FormatError(f"invalid settings: {error}", file=name) from error
    check_saved(schema, container.arrays, settings, name)
    return container.arrays, settings


def read_json(path: str | os.PathLike[str], schema: Schema, *, most: int | None = None) -> dict[str, Any]:
    """Read a JSON file and check it against a schema.

    Parameters
    ----------
    path
        The file.
    schema
        Schema of the file.
    most
        Maximum number of values; None to derive it from the size of the file (`parse_json`).

    Raises
    ------
    FormatError
        If the file is of another kind or version, or violates the schema.
    """
    name = os.fspath(path)
    try:
        kept = parse_json(Path(path).read_bytes(), most=most)
    except ValueError as error:
        raise FormatError(f"invalid JSON: {error}", file=name) from error
    if not isinstance(kept, dict) or kept.get("format") != schema.mark:
        raise other_kind(path, schema)
    check_version(str(kept.get("version")), schema, name)
    check_settings(schema.settings, kept, name)
    check_rules(schema, {}, kept, name)
    return kept


def check_version(found: str | None, schema: Schema, name: str) -> None:
    """Check that the version of a saved file is the version of its schema.

    Raises
    ------
    FormatError
        If it is not.
    """
    if found != schema.version:
        hint = "Update vecload, or save it again with this version."
        shown = f"version {str(found)[:20]}"
        raise FormatError("the file was saved by another version of vecload", file=name, found=shown, hint=hint)


def other_kind(path: str | os.PathLike[str], schema: Schema) -> FormatError:
    """Return the error for a file or folder of a different kind than `schema` describes."""
    file = Path(path)
    if file.is_dir():
        kind = describe_folder(file) or Kind("a folder", None)
    else:
        with file.open("rb") as opened:
            kind = describe_file(file) or describe_head(opened.read(HEAD)) or Kind(None, None)
    wanted = SAVED_KINDS[schema.mark].what
    return FormatError(f"not {wanted}", file=os.fspath(path), found=kind.what, hint=kind.hint)
