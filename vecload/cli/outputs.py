"""The option --force, and the check of all outputs before the work, shared by commands that write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

Force = Annotated[bool, typer.Option("--force", help="Replace outputs that exist.")]
STDOUT = "/dev/stdout"


def check_outputs(
    inputs: Sequence[Any],
    *,
    force: bool,
    vectors: Sequence[str | os.PathLike[str] | None] = (),
    tensors: Sequence[str | os.PathLike[str] | None] = (),
    others: Sequence[tuple[str | os.PathLike[str], tuple[str, ...]]] = (),
) -> None:
    """Check inputs and outputs of a command before anything is read.

    Parameters
    ----------
    inputs
        Everything that is read; names of the catalog among them.
    force
        Whether existing files may be replaced.
    vectors
        Outputs in the format of their suffix; None for one that is not asked for.
    tensors
        Outputs that are always written as .safetensors.
    others
        Other files, each with the suffixes that it may have (none: any).
    """
    from vecload import sources
    from vecload.catalog.resolving import input_files
    from vecload.errors import OptionError
    from vecload.formats.outputs import output_of

    if any(str(path) == "-" for path in (*vectors, *tensors, *(path for path, _ in others)) if path is not None):
        why = "which is not written from start to end"
        raise OptionError(f"standard output cannot hold this output, {why}; name a file")
    read = input_files(*inputs)
    sources.check_inputs(read)
    outputs = [output_of(path) for path in vectors if path is not None]
    single = [(path, (".safetensors",)) for path in tensors if path is not None]
    for output in outputs:
        output.check(read, overwrite=force)
    for path, suffixes in (*single, *others):
        sources.check_target(path, inputs=read, overwrite=force, suffixes=suffixes)
    sources.check_outputs_differ([*(output.path for output in outputs), *(path for path, _ in (*single, *others))])


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
