"""Choose the writer for an output, and check its options and its name before anything is read."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from vecload.errors import OptionError
from vecload.formats import FORMATS, named
from vecload.formats.printing import check_precision
from vecload.formats.sink import POLICIES
from vecload.sources import COMPRESSORS, check_target

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import IO

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
"""Suffixes of archives, which are read but not written."""
_OTHERS: Final = (
    ".csv .db .ftz .h5 .hdf5 .htm .html .json .jsonl .magnitude .npy .onnx .pdf .pickle .pkl .png .pt .pth .tsv .yaml"
).split()


class Output(NamedTuple):
    """What is written, and where."""

    path: str
    form: ModuleType
    options: dict[str, Any]
    """Keyword arguments of the format's `write`."""
    compression: str
    """A key of `vecload.sources.COMPRESSORS`, or ""."""

    @property
    def folder(self) -> bool:
        """Whether the format writes a folder."""
        return bool(getattr(self.form, "FOLDER", False))

    @property
    def streams(self) -> bool:
        """Whether the format can write to a pipe."""
        return bool(getattr(self.form, "STREAMS", False))

    def check(self, inputs: Iterable[str | os.PathLike[str] | IO[bytes]] = (), *, overwrite: bool = True) -> None:
        """Check the target against the inputs, as `vecload.sources.check_target` does."""
        check_target(self.path, inputs=inputs, folder=self.folder, streams=self.streams, overwrite=overwrite)


def output_of(
    path: str | os.PathLike[str], name: str | None = None, *, precision: int | None = None, unencodable: str = "raise"
) -> Output:
    """Return what to write for a target's name, the name of a format and options.

    Parameters
    ----------
    path
        The target. ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` ask for a compressed file.
    name
        A format's name or alias; None to choose the format by the target's suffix.
    precision, unencodable
        As for `vecload.convert`.

    Raises
    ------
    OptionError
        If no format or several fit, if the suffix belongs to something else than will be written, or if the format has
        no such option.
    MissingDependencyError
        If a package that writes the format is not installed.

    Examples
    --------
    >>> output = output_of("vectors.vec.gz")
    >>> output.form.NAME, output.compression
    ('text', '.gz')
    >>> output_of("vectors.npz", "text")
    Traceback (most recent call last):
        ...
    vecload.errors.OptionError: vectors.npz has the suffix of npz, but format='text' was asked for
    """
    target = os.fspath(path)
    compression = _suffix_of(target, COMPRESSORS)
    stem = target[: len(target) - len(compression)]
    form, options = _by_suffix(target, stem) if name is None else _by_name(target, stem, name)
    if compression:
        if not getattr(form, "STREAMS", False):
            raise OptionError(f"{target}: {form.NAME} is not written compressed; leave out {compression}")
        COMPRESSORS[compression]()  # raises if the package is missing
    return Output(target, form, _with_options(form, options, precision=precision, unencodable=unencodable), compression)


def writer(name: str) -> tuple[ModuleType, dict[str, Any]]:
    """Return the format of a name or alias, which must be one that is written, and the options the name settles.

    Raises
    ------
    OptionError
        If there is no such format, or it is only read.
    """
    form, options = named(name)
    if not hasattr(form, "write"):
        raise OptionError(f"{form.NAME} is read, not written; `vecload formats` lists the formats that are")
    return form, options


def _by_suffix(target: str, stem: str) -> tuple[ModuleType, dict[str, Any]]:
    fitting = [form for form in FORMATS if hasattr(form, "write") and _suffix_of(stem, form.SUFFIXES)]
    if len(fitting) == 1:
        return fitting[0], {}
    if fitting:
        names = " or ".join(f"format={form.NAME!r}" for form in fitting)
        raise OptionError(f"{target!r} may be of several formats; pass {names}")
    known = ", ".join(suffix for form in FORMATS for suffix in form.SUFFIXES)
    raise OptionError(f"cannot infer a format from {target!r}; pass format= (--format) or use one of: {known}")


def _by_name(target: str, stem: str, name: str) -> tuple[ModuleType, dict[str, Any]]:
    """Return the format of a name, unless the target's suffix promises something else."""
    form, options = writer(name)
    own = (*form.SUFFIXES, *getattr(form, "SHARED_SUFFIXES", ()))
    if not _suffix_of(stem, own):
        claiming = [other.NAME for other in FORMATS if _suffix_of(stem, other.SUFFIXES)]
        foreign = _suffix_of(target, ARCHIVES) or _suffix_of(stem, _OTHERS)
        if claiming:
            raise OptionError(f"{target} has the suffix of {' or '.join(claiming)}, but format={name!r} was asked for")
        if foreign:
            raise OptionError(f"{target} ends in {foreign}, but format={name!r} was asked for; choose another suffix")
    return form, options


def _suffix_of(target: str, suffixes: Iterable[str]) -> str:
    """Return the longest of the suffixes that a file's name ends in, or ""."""
    name = os.path.basename(target).casefold()  # noqa: PTH119 - a string, which may name a folder yet to be made
    return max((one for one in suffixes if name.endswith(one) and len(name) > len(one)), key=len, default="")


def _with_options(
    form: ModuleType, options: dict[str, Any], *, precision: int | None, unencodable: str
) -> dict[str, Any]:
    """Add the options of the format's writer that are given; refuse those it does not have."""
    known = inspect.signature(form.write).parameters
    for name, value, default in (("precision", precision, None), ("unencodable", unencodable, "raise")):
        if name in known:
            options = {**options, name: value}
        elif value != default:
            raise OptionError(f"{name}={value!r} means nothing for {form.NAME}")
    if unencodable not in POLICIES:
        raise OptionError(f"unencodable={unencodable!r} is not one of {', '.join(map(repr, POLICIES))}")
    check_precision(precision)
    if hasattr(form, "check_options"):
        form.check_options()
    return options
