"""The error classes, as a tree, and helpers that raise them.

::

    VecloadError
    ├── FormatError(ValueError)                a damaged file, or one in no known format; names file, line and byte
    ├── OptionError(ValueError)                an invalid argument
    │   └── UnknownKeywordError(TypeError)     a keyword that a function does not have
    ├── VocabularyError(LookupError)           a vocabulary that cannot be built or used
    │   └── MissingWordError(KeyError)         a word that the vectors or the vocabulary do not have
    ├── DownloadError(ConnectionError)         a file that cannot be downloaded; names the URL and the answer
    └── MissingDependencyError(ImportError)    an optional package that is not installed; names the pip command

    VecloadWarning(UserWarning)                a result that is probably not the intended one

Each class is also the built-in error that users already catch.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vecload.message_text import quote, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = [
    "DownloadError",
    "FormatError",
    "MissingDependencyError",
    "MissingWordError",
    "OptionError",
    "UnknownKeywordError",
    "VecloadError",
    "VecloadWarning",
    "VocabularyError",
]

_PACKAGE = str(Path(__file__).parent)
_LONGEST_PROBLEM = 600
_LONGEST_HINT = 2000


class VecloadError(Exception):
    """Base class of all errors that vecload raises on purpose."""


class FormatError(VecloadError, ValueError):
    """A file that cannot be read, with the place and the reason.

    Parameters
    ----------
    problem
        The problem, in one clause.
    file
        Name of the file or stream.
    line
        Line number, counted from 1.
    byte
        Offset in the (decompressed) bytes, counted from 0.
    found, expected
        The value in the file, and the expected one.
    hint
        Advice for the caller.

    Notes
    -----
    A file controls much of this text, so it is cut: `file`, `found` and `expected` to 200 characters.

    Examples
    --------
    >>> print(FormatError("too few values", file="v.txt", line=3, found="2 values", expected="50"))
    v.txt, line 3: too few values: found 2 values, expected 50.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        line: int | None = None,
        byte: int | None = None,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        problem = shorten(problem, _LONGEST_PROBLEM)
        super().__init__(problem)
        self.problem = problem
        self.file = None if file is None else shorten(file)
        self.line = line
        self.byte = byte
        self.found = None if found is None else shorten(found)
        self.expected = None if expected is None else shorten(expected)
        self.hint = None if hint is None else shorten(hint, _LONGEST_HINT)

    def __str__(self) -> str:
        where = [
            self.file,
            None if self.line is None else f"line {self.line}",
            None if self.byte is None else f"byte {self.byte}",
        ]
        sides = [
            None if self.found is None else f"found {self.found}",
            None if self.expected is None else f"expected {self.expected}",
        ]
        head = ", ".join(part for part in where if part)
        body = ": ".join(part for part in (head, self.problem, ", ".join(side for side in sides if side)) if part)
        return f"{body}. {self.hint}" if self.hint else f"{body}."

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only arguments survive pickling (multiprocessing)
        return _revive, (type(self), self.problem, self.__dict__)


def _revive(kind: type[FormatError], problem: str, state: dict[str, object]) -> FormatError:
    error = kind(problem)
    error.__dict__.update(state)
    return error


class OptionError(VecloadError, ValueError):
    """An invalid argument."""


class UnknownKeywordError(OptionError, TypeError):
    """A keyword that a function does not have, with the keyword to use instead."""


class VocabularyError(VecloadError, LookupError):
    """A vocabulary that cannot be built or used."""


class MissingWordError(VocabularyError, KeyError):
    """A word that the vectors or the vocabulary do not have.

    Parameters
    ----------
    message
        A sentence for people.
    words
        The missing words, if they are known.
    suggest
        Function that returns similar words, which are appended to the message. It is called when the message is read.

    Examples
    --------
    >>> error = MissingWordError("'cow' is not in the vocabulary", ["cow"])
    >>> isinstance(error, KeyError), str(error), error.words
    (True, "'cow' is not in the vocabulary", ('cow',))
    """

    def __init__(self, message: str, words: Iterable[str] = (), *, suggest: Callable[[], str] | None = None) -> None:
        super().__init__(message)
        self.words = tuple(words)
        self._suggest = suggest

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which is unreadable for a whole sentence.
        suggest, self._suggest = self._suggest, None
        if suggest is not None:
            # Showing an error must not raise another one, as the words of a damaged file would.
            with contextlib.suppress(VecloadError):
                self.args = ("; ".join(part for part in (*self.args, suggest()) if part),)
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.words)


class DownloadError(VecloadError, ConnectionError):
    """A file that cannot be downloaded, with its URL and advice."""


class MissingDependencyError(VecloadError, ImportError):
    """An optional package that is needed but not installed."""


class VecloadWarning(UserWarning):
    """A result that is probably not the intended one, with advice."""


def warn(message: str) -> None:
    """Issue a `VecloadWarning` that points at the first caller outside this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, VecloadWarning, stacklevel=level)


def refuse_string(argument: str, value: object) -> None:
    """Refuse a single string where a list of strings is expected.

    A string is also an iterable of strings, its characters, so the mistake would otherwise pass unnoticed.

    Parameters
    ----------
    argument
        Name of the argument, for the message.
    value
        The argument.

    Raises
    ------
    OptionError
        If `value` is a ``str`` or ``bytes``.

    Examples
    --------
    >>> refuse_string("tokens", ["the", "cat"])
    >>> refuse_string("tokens", "the cat")
    Traceback (most recent call last):
    vecload.errors.OptionError: tokens must be a list of strings, not one string: found 'the cat'; pass ['the cat']
    """
    if isinstance(value, (str, bytes)):
        shown = quote(value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        raise OptionError(f"{argument} must be a list of strings, not one string: found {shown}; pass [{shown}]")


def list_of_strings(argument: str, values: Iterable[str]) -> list[str]:
    """Return values as a list of strings, refusing one string and anything else.

    Parameters
    ----------
    argument
        Name of the argument, for the message.
    values
        The argument.

    Raises
    ------
    OptionError
        If `values` is one string, or holds anything but strings.

    Examples
    --------
    >>> list_of_strings("tokens", ("the", "cat"))
    ['the', 'cat']
    >>> list_of_strings("tokens", [["the", "cat"]])
    Traceback (most recent call last):
    vecload.errors.OptionError: tokens must be strings: found list at position 0
    """
    refuse_string(argument, values)
    listed = list(values)
    for at, value in enumerate(listed):
        if not isinstance(value, str):
            raise OptionError(f"{argument} must be strings: found {type(value).__name__} at position {at}")
    return listed


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or name the command that installs it.

    Parameters
    ----------
    module
        Dotted name of the package.
    extra
        Name of vecload's extra that installs it.

    Raises
    ------
    MissingDependencyError
        If the package cannot be imported.

    Examples
    --------
    >>> require("json", "any").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(f"this needs {module}: {install_command(extra)}") from error


def install_command(extra: str) -> str:
    """Return the command that installs an extra: from the index, or from a checkout.

    Examples
    --------
    >>> install_command("arrow")
    'pip install "vecload[arrow]", or in a checkout pip install ".[arrow]"'
    """
    return f'pip install "vecload[{extra}]", or in a checkout pip install ".[{extra}]"'


@contextlib.contextmanager
def as_format_errors(file: str, size: int | None = None) -> Iterator[None]:
    """Raise `FormatError` instead of errors that callers of a reader do not expect.

    Readers check files and raise `FormatError` themselves. If a check is missing, the error is converted here to the
    documented one, with the original as its cause. Errors of vecload, of the operating system and of memory are not
    changed, and neither are warnings that the user turned into errors.

    Parameters
    ----------
    file
        Name of the file that is read.
    size
        Number of bytes of the file, if it is known, for a `MemoryError` without a message.

    Notes
    -----
    With the environment variable ``VECLOAD_RAW_ERRORS=1``, no error is converted. Fuzzing sets it to find
    missing checks.

    Examples
    --------
    >>> with as_format_errors("v.bin"):
    ...     {}["header"]
    Traceback (most recent call last):
    vecload.errors.FormatError: v.bin: the file cannot be read: found KeyError: 'header'. ...
    """
    try:
        yield
    except MemoryError as error:
        if error.args:  # NumPy names the size, shape and dtype
            raise
        size_text = "of unknown size" if size is None else f"of {size:,} bytes"
        raise MemoryError(f"not enough memory to read {shorten(file)}, a file {size_text}") from error
    except (VecloadError, OSError, Warning):
        raise
    except Exception as error:
        if os.environ.get("VECLOAD_RAW_ERRORS", "0") not in ("", "0"):
            raise
        hint = "The file may be damaged. If other programs read it, please report this as a bug in vecload."
        found = f"{type(error).__name__}: {error}"
        raise FormatError("the file cannot be read", file=file, found=found, hint=hint) from error


@contextlib.contextmanager
def allocating(shape: tuple[int, ...], dtype: object) -> Iterator[None]:
    """Name the requested size in a `MemoryError` of ``ndarray.resize``, for which NumPy does not.

    Parameters
    ----------
    shape, dtype
        Shape and type of the array.
    """
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"not enough memory for an array of shape {shape} and type {dtype}") from error
