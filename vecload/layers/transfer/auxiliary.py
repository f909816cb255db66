"""Auxiliary vectors of tokens: from vectors of tokens, from words and their n-grams, or from the words around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.progress import progress_bar
from vecload.tokenizers.pieces import encode_ids

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.tokenizers.token_forms import TokenForms
    from vecload.vectors import Vectors

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

# Words that are cut into tokens at a time.
_WORDS = 1 << 14


class TokenRows(NamedTuple):
    """Auxiliary vectors of tokens: ids int64, shape (k,), and rows float32, shape (k, dim)."""

    ids: Ids
    rows: Singles

    def among(self, ids: Ids) -> TokenRows:
        """Return those of the given tokens."""
        kept = np.isin(self.ids, ids)
        return TokenRows(self.ids[kept], self.rows[kept])


def has_token_spellings(vectors: Vectors, forms: TokenForms) -> bool:
    """Return whether vectors belong to tokens as a tokenizer spells them ("Ġcat", "##s"), and not to words.

    Tokens without any mark are words.
    """
    marked = [
        (token, text.strip())
        for token, text in zip(forms.tokens, forms.texts, strict=True)
        if token is not None and text is not None and token.encode("utf-8", "surrogateescape") != text.strip()
    ]
    if not marked:
        return True
    spelled = vectors.words.lookup([token for token, _ in marked])
    written = vectors.words.lookup([text.decode("utf-8", "surrogateescape") for _, text in marked])
    return 2 * int((spelled >= 0).sum()) > int((written >= 0).sum())


def token_rows(vectors: Vectors, forms: TokenForms) -> TokenRows:
    """Return the vectors of a tokenizer's tokens, by their spelling or as words, else from their n-grams.

    Special tokens have no vectors. Rows of zeros, NaN or infinity count as missing.
    """
    spelled = has_token_spellings(vectors, forms)
    ids, names = [], []
    for row, (token, text) in enumerate(zip(forms.tokens, forms.texts, strict=True)):
        if token is None or text is None or row in forms.special:
            continue
        if not spelled:
            try:
                token = text.decode().strip()  # noqa: PLW2901 - the name under which the vectors know it
            except UnicodeDecodeError:  # part of a character
                continue
        if token:
            ids.append(row)
            names.append(token)
    at = vectors.words.lookup(names)
    rows = np.zeros((len(names), vectors.dim), dtype=np.float32)
    for some in row_blocks(len(names)):
        found = np.flatnonzero(at[some] >= 0)
        rows[some.start + found] = vectors.rows_at(at[some][found])
    absent = np.flatnonzero(at < 0)
    if vectors.ngrams is not None and len(absent):
        rows[absent] = vectors.ngrams.vectors([names[row] for row in absent])
    return _usable(np.array(ids, dtype=np.int64), rows)


def rows_from_words(vectors: Vectors, forms: TokenForms, *, progress: bool | None) -> TokenRows:
    """Return the mean vector of the words that contain each token, weighted by their counts.

    A word contains the tokens that it is cut into at the beginning of a text or after a space. Words without counts
    have equal weights.
    """
    from scipy.sparse import csr_array

    counts = vectors.history.counts
    sums, totals = np.zeros((len(forms), vectors.dim)), np.zeros(len(forms))
    with progress_bar(len(vectors), unit="words", name="words of tokens", shown=progress) as bar:
        for some in row_blocks(len(vectors), _WORDS):
            words = list(vectors.words[some])
            both = encode_ids(forms.backend, words), encode_ids(forms.backend, [f" {word}" for word in words])
            contained = [sorted({*bare, *spaced}) for bare, spaced in zip(*both, strict=True)]
            tokens = np.array([row for rows in contained for row in rows], dtype=np.int64)
            columns = np.repeat(np.arange(len(words)), [len(rows) for rows in contained])
            rows = vectors.rows_at(some).astype(np.float64)
            weights = np.ones(len(words)) if counts is None else counts[some].astype(np.float64)
            weights[~np.isfinite(rows).all(axis=1)] = 0
            rows[weights == 0] = 0
            chosen = csr_array((weights[columns], (tokens, columns)), shape=(len(forms), len(words)))
            sums += chosen @ rows
            totals += chosen.sum(axis=1)
            bar.advance(len(words))
    ids = np.array([row for row in np.flatnonzero(totals > 0).tolist() if row not in forms.special], dtype=np.int64)
    sums /= np.maximum(totals, np.finfo(np.float64).tiny)[:, None]
    return _usable(ids, sums.astype(np.float32)[ids])


def _usable(ids: Ids, rows: Singles) -> TokenRows:
    usable = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
    return TokenRows(ids, rows) if usable.all() else TokenRows(ids[usable], rows[usable])
