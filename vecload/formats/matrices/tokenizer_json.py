"""The tokens of a ``tokenizer.json`` and their row numbers, without loading the tokenizer.

Source: the file format of the Hugging Face *tokenizers* library (``Tokenizer.to_str``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import IndexedRows
from vecload.errors import FormatError, VocabularyError
from vecload.saved.bounded_json import parse_json
from vecload.tokenizers.surfaces import surface_forms
from vecload.words import Words

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

_MOST_ROWS: Final = 1 << 31


class Tokens(NamedTuple):
    """Tokens in the order of their row numbers."""

    words: Words
    rows: npt.NDArray[np.int64]
    """Row number of each token, increasing, shape (number of tokens,)."""
    unknown: str | None
    """The token for unknown words, which is one of the words."""
    model: str
    """Kind of the model: "WordLevel", "WordPiece", "BPE" or "Unigram"."""


def read_tokens(path: Path, *, surface: bool = False) -> Tokens:
    """Return the tokens of a tokenizer file, as they are spelled in it.

    Parameters
    ----------
    path
        The file.
    surface
        Whether to return the text that each token stands for instead: see `vecload.tokenizers.surfaces`.

    Raises
    ------
    FormatError
        If the file is not a tokenizer, or two tokens have the same number.
    """
    try:
        # Parsers of other libraries keep the last of two equal names; here, they are an error.
        document = parse_json(path.read_bytes())
        numbers, unknown, kind = _numbers(document)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, IndexError) as error:
        raise FormatError(f"invalid tokenizer ({error})", file=str(path)) from error
    pairs = sorted((number, token) for token, number in numbers.items())
    rows = np.array([number for number, _ in pairs], dtype=np.int64)
    if len(rows) > 1 and (rows[1:] == rows[:-1]).any():
        at = int(np.argmax(rows[1:] == rows[:-1]))
        found = f"{pairs[at][1]!r:.40} and {pairs[at + 1][1]!r:.40}"
        raise FormatError("two tokens have the same number", file=str(path), found=found)
    listed = [token for _, token in pairs]
    try:
        words = Words.from_bytes(surface_forms(document, listed)) if surface else Words.from_strings(listed)
        return Tokens(words, rows, unknown, kind)
    except (VocabularyError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise FormatError(f"invalid tokenizer ({error})", file=str(path)) from error


def rows_of_tokens(matrix: npt.NDArray[Any], path: Path, name: str, *, surface: bool) -> tuple[Words, Any, int]:
    """Return the tokens of a tokenizer file, their rows of a matrix, and the number of rows without a token.

    Raises
    ------
    FormatError
        If a token has no row.
    """
    tokens = read_tokens(path, surface=surface)
    count = len(tokens.rows)
    if count and tokens.rows[-1] >= len(matrix):
        expected = f"a row for each token number up to {tokens.rows[-1]:,}"
        found = f"{len(matrix):,} rows"
        raise FormatError("the tokenizer does not fit the weights", file=name, found=found, expected=expected)
    dense = not count or int(tokens.rows[-1]) == count - 1
    return tokens.words, matrix[:count] if dense else IndexedRows(matrix, tokens.rows), max(0, len(matrix) - count)


def _numbers(document: Any) -> tuple[dict[str, int], str | None, str]:
    """Return the number of each token, the unknown token and the kind of model; added tokens included."""
    model = document["model"]
    vocab = model["vocab"]
    unknown = model.get("unk_token")
    if isinstance(vocab, list):  # Unigram: [token, score]
        if not all(isinstance(entry, list) and entry for entry in vocab):
            raise ValueError("entries of the vocabulary must be [token, score]")
        numbers = {entry[0]: at for at, entry in enumerate(vocab)}
        index = model.get("unk_id")
        unknown = vocab[index][0] if isinstance(index, int) and 0 <= index < len(vocab) else None
    else:
        numbers = dict(vocab)
    numbers.update({entry["content"]: entry["id"] for entry in document.get("added_tokens", [])})
    for token, number in numbers.items():
        if not isinstance(token, str) or type(number) is not int or not 0 <= number < _MOST_ROWS:
            raise ValueError(f"token {token!r:.40} has the number {number!r:.40}")
    kind = str(model.get("type") or ("Unigram" if isinstance(vocab, list) else "BPE"))
    return numbers, unknown if isinstance(unknown, str) and unknown in numbers else None, kind
