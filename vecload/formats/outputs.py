"""Choose the format of an output file, and check its name and the options before anything is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from vecload.errors import OptionError
from vecload.formats.contract import WriteOptions
from vecload.formats.registry import all_formats, writer_by_name
from vecload.formats.writing.word_policy import check_policy
from vecload.sources import COMPRESSORS, check_target

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

    from vecload.formats.format import Format

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
"""Suffixes of archives, which are read but not written."""
# Suffixes of other kinds of files. Vectors under such a name would be mistaken for one of them.
_OTHERS: Final = (
    ".csv .db .ftz .h5 .hdf5 .htm .html .json .jsonl .magnitude .onnx .pdf .pickle .pkl .png .pt .pth .tsv .yaml"
).split()


class Output(NamedTuple):
    """A file or folder to write: its path, format and options."""

    path: str
    form: Format
    options: WriteOptions
    compression: str
    """A key of `vecload.sources.COMPRESSORS`, or ""."""

    @property
    def folder(self) -> bool:
        """Whether the format writes a folder."""
        return self.form.writes_folder

    @property
    def streams(self) -> bool:
        """Whether the format can write to a pipe."""
        return self.form.write_stream is not None

    def check(self, inputs: Iterable[str | os.PathLike[str] | IO[bytes]] = (), *, overwrite: bool = True) -> None:
        """Check the target against the inputs, as `vecload.sources.check_target` does."""
        check_target(self.path, inputs=inputs, folder=self.folder, streams=self.streams, overwrite=overwrite)


def choose_output(
    path: str | os.PathLike[str], name: str | None = None, *, precision: int | None = None, unencodable: str = "raise"
) -> Output:
    """Return the output for a path, the name of a format and options, all checked.

    Parameters
    ----------
    path
        The target. ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` select a compressed file.
    name
        A format's name or alias; None to choose the format by the target's suffix.
    precision, unencodable
        As for `vecload.convert`.

    Raises
    ------
    OptionError
        If no format or several fit, if the suffix belongs to another format, or if the format does not have an option.
    MissingDependencyError
        If a package that writes the format is not installed.

    Examples
    --------
    >>> output = choose_output("vectors.vec.gz")
    >>> output.form.name, output.compression
    ('text', '.gz')
    >>> choose_output("vectors.npz", "text")
    Traceback (most recent call last):
        ...
    vecload.errors.OptionError: vectors.npz has the suffix of npz, but format='text' was requested
    """
    target = os.fspath(path)
    compression = _suffix_of(target, COMPRESSORS)
    stem = target[: len(target) - len(compression)]
    form, alias = (_by_suffix(target, stem), "") if name is None else _by_name(target, stem, name)
    if compression:
        if form.write_stream is None:
            raise OptionError(f"{target}: {form.name} is not written compressed; leave out {compression}")
        COMPRESSORS[compression]()  # raises if the package is missing
    options = WriteOptions(precision, unencodable, alias)
    _check_options(form, options)
    return Output(target, form, options, compression)


def _by_suffix(target: str, stem: str) -> Format:
    writers = [form for form in all_formats() if form.write is not None]
    fitting = [form for form in writers if _suffix_of(stem, form.suffixes)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = " or ".join(f"format={form.name!r}" for form in fitting)
        raise OptionError(f"{target!r} may be of several formats; pass {names}")
    known = ", ".join(suffix for form in writers for suffix in form.suffixes)
    raise OptionError(f"cannot infer a format from {target!r}; pass format= (--format) or use one of: {known}")


def _by_name(target: str, stem: str, name: str) -> tuple[Format, str]:
    """Return the format with a name, and the alias used, unless the target's suffix belongs to another format."""
    form, alias = writer_by_name(name)
    # An unknown or missing suffix does not contradict any format.
    if not _suffix_of(stem, (*form.suffixes, *form.shared_suffixes)):
        owners = [other.name for other in all_formats() if _suffix_of(stem, other.suffixes)]
        unknown = _suffix_of(target, ARCHIVES) or _suffix_of(stem, _OTHERS)
        if owners:
            raise OptionError(f"{target} has the suffix of {' or '.join(owners)}, but format={name!r} was requested")
        if unknown:
            raise OptionError(f"{target} ends in {unknown}, but format={name!r} was requested; choose another suffix")
    return form, alias


def _suffix_of(target: str, suffixes: Iterable[str]) -> str:
    """Return the longest of the suffixes that a file's name ends in, or ""."""
    name = os.path.basename(target).casefold()  # noqa: PTH119 - a string, which may name a folder yet to be made
    return max((one for one in suffixes if name.endswith(one) and len(name) > len(one)), key=len, default="")


def _check_options(form: Format, options: WriteOptions) -> None:
    """Raise OptionError for options that the format does not have, and for invalid values."""
    if options.precision is not None and "precision" not in form.options:
        raise OptionError(f"precision={options.precision!r} has no meaning for {form.name}")
    if options.unencodable != "raise" and "unencodable" not in form.options:
        raise OptionError(f"unencodable={options.unencodable!r} has no meaning for {form.name}")
    check_policy(options.unencodable)
    if form.check_options is not None:
        form.check_options(options)
