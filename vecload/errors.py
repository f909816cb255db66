"""What can go wrong, as a tree.

::

    VecloadError
    ├── FormatError(ValueError)         a file is not what it should be: says which file, line and byte
    ├── OptionError(ValueError)         an argument that cannot be used
    ├── VocabularyError(LookupError)    a vocabulary that cannot be built or used
    │   └── MissingWordError(KeyError)  a word that the vectors or the vocabulary do not have
    ├── DownloadError(ConnectionError)  a file that cannot be fetched: says from where, and what came instead
    └── MissingExtra(ImportError)       an optional package is needed: says the pip line

    VecloadWarning(UserWarning)         a result that is probably not the intended one

Each class is also the builtin that people already catch.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

_LONGEST_QUOTE = 60
_PACKAGE = str(Path(__file__).parent)


class VecloadError(Exception):
    """Base of every error that vecload raises on purpose."""


class FormatError(VecloadError, ValueError):
    """A file that cannot be read as word vectors, and where and why.

    Parameters
    ----------
    problem
        One clause: what is wrong.
    file
        Name of the file or stream.
    line
        Line number, counted from 1.
    byte
        Offset in the (decompressed) bytes, counted from 0.
    found, expected
        Both sides of the disagreement.
    hint
        What the caller can do.

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
        super().__init__(problem)
        self.problem = problem
        self.file = file
        self.line = line
        self.byte = byte
        self.found = found
        self.expected = expected
        self.hint = hint

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
    """An argument that cannot be used as it was given."""


class VocabularyError(VecloadError, LookupError):
    """A vocabulary that cannot be built or used."""


class MissingWordError(VocabularyError, KeyError):
    """A word that the vectors or the vocabulary do not have.

    Parameters
    ----------
    message
        A sentence for people.
    words
        The missing words, as far as they are known.

    Examples
    --------
    >>> error = MissingWordError("'cow' is not in the vocabulary", ["cow"])
    >>> isinstance(error, KeyError), str(error), error.words
    (True, "'cow' is not in the vocabulary", ('cow',))
    """

    def __init__(self, message: str, words: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.words = tuple(words)

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which is unreadable for a whole sentence.
        return str(self.args[0])


class DownloadError(VecloadError, ConnectionError):
    """A file that cannot be fetched, from where, and what the caller can do."""


class MissingExtra(VecloadError, ImportError):  # noqa: N818 - it reads as what it is: an extra is missing
    """An optional package is needed for what was asked."""


class VecloadWarning(UserWarning):
    """A result that is probably not the intended one, and how to get that."""


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
        What was passed.

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


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say how to get it.

    Parameters
    ----------
    module
        Dotted name of the package.
    extra
        Name of vecload's extra that installs it.

    Raises
    ------
    MissingExtra
        When the package cannot be imported.

    Examples
    --------
    >>> require("json", "any").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f'this needs {module}: pip install "vecload[{extra}]"') from error


def quote(raw: bytes) -> str:
    r"""Show bytes of a file in an error message: printable, short, in quotes.

    Examples
    --------
    >>> quote(b"caf\xc3\xa9"), quote(b"\xff\x00")
    ("'café'", "'\\udcff\\x00'")
    """
    text = raw[: 4 * _LONGEST_QUOTE].decode("utf-8", "surrogateescape")
    shown = ascii(text) if any(0xDC80 <= ord(char) <= 0xDCFF for char in text) else repr(text)
    return shown if len(shown) <= _LONGEST_QUOTE else shown[: _LONGEST_QUOTE - 4] + "...'"
