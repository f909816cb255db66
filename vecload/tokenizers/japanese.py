"""Split Japanese, which is written without spaces, with SudachiPy or fugashi (MeCab)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecload.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMES = ("sudachi", "fugashi")
_EXTRA = "japanese"


def word_splitter(name: str) -> Callable[[Sequence[str]], list[Sequence[str]]]:
    """Return a function from texts to the surface forms of their words.

    "sudachi" is SudachiPy's mode A, the shortest units, as for chiVe's vectors. "fugashi" uses the installed UniDic.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.

    Examples
    --------
    >>> word_splitter("sudachi")(["東京都に行く"])  # doctest: +SKIP
    [['東京', '都', 'に', '行く']]
    """
    word_of = (_sudachi if name == "sudachi" else _fugashi)()
    return lambda texts: [[word for word in word_of(text) if not word.isspace()] for text in texts]


def _sudachi() -> Callable[[str], list[str]]:
    sudachi = require("sudachipy", _EXTRA)
    dictionary = sudachi.Dictionary()
    make = getattr(dictionary, "tokenizer", None) or dictionary.create  # `create` before SudachiPy 0.6.11
    tokenizer: Any = make(mode=sudachi.SplitMode.A)
    return lambda text: [morpheme.surface() for morpheme in tokenizer.tokenize(text)]


def _fugashi() -> Callable[[str], list[str]]:
    tagger: Any = require("fugashi", _EXTRA).Tagger()
    return lambda text: [word.surface for word in tagger(text)]
