"""Options of commands that write, and the check of all outputs before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

Force = Annotated[bool, typer.Option("--force", help="Replace outputs that exist.")]
Format = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Format to write (see `vecload formats`). [by the output's suffix]"),
]
# Writers of text and word2vec binary take paths only. This one names the open standard output.
_STDOUT = "/dev/stdout"


def check_outputs(
    inputs: Sequence[Any],
    *,
    force: bool,
    vectors: Sequence[str | os.PathLike[str] | None] = (),
    tensors: Sequence[str | os.PathLike[str] | None] = (),
    others: Sequence[tuple[str | os.PathLike[str], tuple[str, ...]]] = (),
    format: str | None = None,  # noqa: A002 - the field's word
) -> None:
    """Check the inputs and outputs of a command before anything is read.

    Parameters
    ----------
    inputs
        Everything that the command reads: files, URLs and names of the catalog.
    force
        Whether existing files may be replaced.
    vectors
        Outputs that hold vectors; None for one that is not wanted.
    tensors
        Outputs that are always written as .safetensors.
    others
        Other outputs, each with the suffixes that it may have (none: any).
    format
        Format of `vectors`; None to choose it by the suffix of each.

    Raises
    ------
    OptionError
        If an output is one of the inputs, exists without `force`, or has the wrong suffix.
    FileNotFoundError
        If an input or the folder of an output does not exist.
    """
    from vecload import sources
    from vecload.errors import OptionError
    from vecload.formats.outputs import choose_output
    from vecload.resolving import input_files

    if "-" in map(str, vectors):
        raise OptionError("name a file in place of '-': its suffix determines the format")
    # safetensors and NumPy files and pages are completed at their beginning, which a pipe does not allow.
    if any(str(path) == "-" for path in (*tensors, *(path for path, _ in others))):
        raise OptionError("this output is not written from start to end, so it cannot be standard output; name a file")
    read = input_files(*inputs)
    sources.check_inputs(read)
    outputs = [choose_output(path, format) for path in vectors if path is not None]
    single = [(path, (".safetensors",)) for path in tensors if path is not None]
    for output in outputs:
        output.check(read, overwrite=force)
    for path, suffixes in (*single, *others):
        sources.check_target(path, inputs=read, overwrite=force, suffixes=suffixes)
    sources.check_outputs_differ([*(output.path for output in outputs), *(path for path, _ in (*single, *others))])


def stream_of(path: Path, *, as_json: bool) -> tuple[Path, bool]:
    """Return the path to write, which is a device for `-`, and whether it is standard output.

    Raises
    ------
    OptionError
        If the result, as JSON, would be written to standard output, too.
    """
    from vecload.errors import OptionError

    to_stdout = str(path) in ("-", _STDOUT)
    if to_stdout and as_json:
        raise OptionError("standard output cannot hold both the vectors and --json; name a file")
    return (Path(_STDOUT) if to_stdout else path), to_stdout


def refuse_stdin(inputs: Sequence[Any], command: str) -> None:
    """Refuse standard input for a command that reads its inputs more than once.

    Raises
    ------
    OptionError
        If one of the inputs is ``-``.
    """
    from vecload.errors import OptionError

    if any(str(source) == "-" for source in inputs):
        raise OptionError(f"{command} reads its input more than once, which standard input does not allow; name a file")
