"""Aliases: a step that looks for a word under the other names that a table or file gives it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import IO, Any, Final

from vecload.errors import OptionError
from vecload.oov.steps import Spelling
from vecload.text_input.dictionaries import list_of_pairs, read_word_pairs

PREFIX: Final = "aliases:"
"""Beginning of the name of this step with a file, as ``oov=["aliases:genes.tsv"]``."""


def aliases(
    names: Mapping[str, str | Iterable[str]] | str | os.PathLike[str] | IO[bytes] | Iterable[Sequence[str]],
) -> Spelling:
    """Look for a word under its other names.

    Use it for genes, items and entities, whose identifiers have synonyms and older versions, and for spellings that no
    rule gives. Like all steps that look for other spellings, it starts from the spellings of earlier steps: after
    "casefold", ``p53`` finds the alias of ``P53``.

    Parameters
    ----------
    names
        The name or names of each word in the vectors, in the order to try them: a dictionary, pairs, or a file of two
        columns (word, name) separated by a tab or a space, or of JSON. One name is not followed to another.

    Raises
    ------
    OptionError
        If a word or a name is not a string.
    FormatError
        If a line of the file does not have two words.

    Examples
    --------
    >>> import numpy as np
    >>> import vecload
    >>> vectors = vecload.Vectors(["TP53", "ERBB2"], np.eye(2, dtype="float32"))
    >>> step = vecload.oov.aliases({"P53": "TP53", "HER2": ["NEU", "ERBB2"]})
    >>> aligned = vecload.align(vectors, ["HER2", "P53", "TP53"], oov=[step, "zeros"])
    >>> aligned.matrix.tolist(), aligned.origin_of("P53")
    ([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], 'aliases')
    """
    table: dict[str, list[str]] = {}
    for word, name in _pairs(names):
        table.setdefault(word, []).append(name)
    return Spelling("aliases", partial(_names, table))


def _pairs(names: Any) -> Iterable[tuple[str, str]]:
    if isinstance(names, (str, os.PathLike)) or hasattr(names, "read"):
        return read_word_pairs(names, numbered=True)
    if not isinstance(names, Mapping):
        return list_of_pairs("aliases", names)
    listed = []
    for word, others in names.items():
        some = [others] if isinstance(others, str) or not isinstance(others, Iterable) else list(others)
        if not all(isinstance(text, str) for text in (word, *some)):
            raise OptionError(f"aliases must be strings: found {word!r:.60} with the names {others!r:.60}")
        listed += [(word, name) for name in some]
    return listed


def _names(table: dict[str, list[str]], word: str) -> Sequence[str]:
    return table.get(word, ())
