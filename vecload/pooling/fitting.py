"""Estimate word weights and common components from a corpus, read once and in bounded memory.

The weights need all counts before the first sentence can be pooled, so the row numbers of the corpus are kept in a
temporary file, four bytes per token. Components are exact: they are the eigenvectors of the d × d second moment of the
whole corpus, summed in float64.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sized
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.errors import OptionError, refuse_string, warn
from vecload.pooling.encoding import BATCH_SIZE, pieces
from vecload.pooling.modes import FITTED
from vecload.pooling.row_lookup import TokenRows, needs_words
from vecload.progress import progress_bar
from vecload.threads import Pool
from vecload.words import Words, read_only

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from vecload.pooling.modes import Mode
    from vecload.pooling.row_lookup import RowLookup
    from vecload.pooling.row_pooler import RowPooler
    from vecload.tokenizers import Tokenizer

# The first k principal components of n vectors hold at least k / n of their squares, whatever the vectors are. With
# fewer sentences than this per component, the components describe the sample rather than the language.
_SENTENCES_PER_COMPONENT = 4


def fit(
    tokenizer: Tokenizer,
    lookup: RowLookup | None,
    pooling: RowPooler,
    texts: Iterable[str],
    *,
    counts: Mapping[str, int] | npt.ArrayLike | None,
    progress: bool | None,
) -> None:
    """Set the weights and components of a pooling module: see `SentencePooler.fit`."""
    mode = pooling.mode
    if mode.name not in FITTED:
        raise OptionError(f"mode {mode.name!r} has nothing to fit; modes that have: {', '.join(FITTED)}")
    refuse_string("texts", texts)
    corpus = _Corpus(pooling.num_embeddings)
    found = _look_up(tokenizer, lookup, texts, progress=progress)
    with tempfile.TemporaryFile() as spool:
        known = None if counts is None else _given_counts(lookup, pooling.num_embeddings, counts)
        if known is not None:
            if mode.name == "tfidf":
                raise OptionError("tfidf counts the texts that have a word: fit it without counts")
            if mode.name == "usif" and mode.length is None:
                raise OptionError("usif with given counts needs a length: vecload.pooling.usif(length=11)")
            unknown = _set_weights(pooling, mode, corpus, known, int(known.sum()))
            if mode.components:
                _set_components(pooling, found)
        else:
            for tokens in found:
                corpus.add(tokens)
                if mode.components:
                    _write(spool, tokens)
            if not corpus.tokens:
                raise OptionError("the corpus has no tokens")
            unknown = _set_weights(pooling, mode, corpus, corpus.counts, corpus.tokens)
            if mode.components:
                spool.seek(0)
                _set_components(pooling, _read(spool))
    pooling.set_unknown_weight(unknown)


class _Corpus:
    """Counts of a corpus: tokens of each row, texts that have the row, and all tokens and texts."""

    def __init__(self, rows: int) -> None:
        self.counts = np.zeros(rows, dtype=np.int64)
        self.documents = np.zeros(rows, dtype=np.int64)
        self._last = np.full(rows, -1, dtype=np.int64)
        self.tokens = self.texts = 0

    def add(self, tokens: TokenRows) -> None:
        from vecload.kernels import pooling as kernels

        bags = read_only(tokens.rows), read_only(tokens.offsets)
        kernels.count_rows(*bags, self.texts, self.counts, self.documents, self._last)
        self.tokens += len(tokens.rows)
        self.texts += len(tokens.offsets) - 1


def _given_counts(lookup: RowLookup | None, size: int, counts: Any) -> npt.NDArray[np.int64]:
    """Return the counts that were passed as one number per row."""
    if isinstance(counts, Mapping):
        if lookup is None:
            raise OptionError("this pooler has no words: pass counts as an array with one number per row")
        rows = lookup.words.lookup(Words.from_strings(counts))
        known = np.zeros(size, dtype=np.int64)
        np.add.at(known, rows[rows >= 0], np.fromiter(counts.values(), np.int64, len(counts))[rows >= 0])
    else:
        known = np.asarray(counts, dtype=np.int64)
    if known.shape != (size,) or (known < 0).any() or not known.any():
        raise OptionError(f"counts must be {size:,} numbers, one per row, none negative and not all zero")
    return known


def _set_weights(pooling: RowPooler, mode: Mode, corpus: _Corpus, counts: npt.NDArray[np.int64], tokens: int) -> float:
    """Set the weight of each row, and return that of words without a row: the weight of a word of probability zero."""
    shares = counts / tokens
    if mode.name == "tfidf":
        # Smoothed like scikit-learn's TfidfTransformer, as if one more text had every word.
        weights = np.log((1 + corpus.texts) / (1 + corpus.documents)) + 1
        unknown = np.log(1 + corpus.texts) + 1
    elif mode.name == "sif":
        weights, unknown = mode.a / (mode.a + shares), 1.0
    else:
        # Ethayarajh (2018): `threshold` is the probability that a word occurs at least once in a sentence
        # if all words are equally likely, and a = (1 - α) / (α Z) where α is the share of words above it. If there is
        # none, a is infinite, and every word weighs 2.
        types = np.count_nonzero(counts)
        length = mode.length or tokens / max(1, corpus.texts)
        threshold = 1 - (1 - 1 / types) ** length
        frequent = np.count_nonzero(shares > threshold) / types
        a = (1 - frequent) / (frequent * types / 2) if frequent else np.inf
        weights, unknown = (1 / (0.5 + shares / a) if a else np.where(shares > 0, 0.0, 2.0)), 2.0
    # Until the fit is complete, new weights and old components do not belong together: mark the mode as not fitted.
    pooling.set_unknown_weight(0)
    pooling.token_weights.copy_(torch.from_numpy(weights))
    return float(unknown)


def _look_up(
    tokenizer: Tokenizer, lookup: RowLookup | None, texts: Iterable[str], *, progress: bool | None
) -> Iterator[TokenRows]:
    """Yield the row numbers of texts, piece by piece, in order."""
    from vecload.kernels import workers

    lookup = needs_words(lookup)
    total = len(texts) if isinstance(texts, Sized) else None
    remaining = iter(texts)
    with Pool(workers()) as pool, progress_bar(total, unit="texts", name="fit", shown=progress) as bar:
        while batch := list(islice(remaining, BATCH_SIZE)):
            for future in [pool.submit(piece.find) for piece in pieces(tokenizer, lookup, batch)]:
                yield future.result()
            bar.advance(len(batch))


def _write(spool: IO[bytes], tokens: TokenRows) -> None:
    """Write numbers of texts and tokens as int64, then lengths of texts and row numbers as int32."""
    lengths = np.diff(tokens.offsets).astype(np.int32)
    spool.write(np.array([len(lengths), len(tokens.rows)], dtype=np.int64).tobytes())
    spool.write(lengths.tobytes())
    spool.write(tokens.rows.astype(np.int32).tobytes())


def _read(spool: IO[bytes]) -> Iterator[TokenRows]:
    while head := spool.read(16):
        texts, tokens = np.frombuffer(head, dtype=np.int64).tolist()
        offsets = np.zeros(texts + 1, dtype=np.int64)
        np.cumsum(np.frombuffer(spool.read(4 * texts), dtype=np.int32), out=offsets[1:])
        rows = np.frombuffer(spool.read(4 * tokens), dtype=np.int32).astype(np.int64)
        yield TokenRows(rows, offsets, None)


def _set_components(pooling: RowPooler, found: Iterable[TokenRows]) -> None:
    """Set the first principal components of the weighted means, and how much of each is removed."""
    mode, dim = pooling.mode, pooling.embedding_dim
    with torch.no_grad():
        plan = pooling.plan()
    moment, sentences = np.zeros((dim, dim)), 0
    for tokens in found:
        # Composed vectors are left out, because the temporary file holds row numbers only.
        pooled, counts = pooling.pool_rows(np.maximum(tokens.rows, -1), tokens.offsets, None, plan)
        vectors = pooled.double().numpy()
        moment += vectors.T @ vectors
        sentences += int(np.count_nonzero(counts))
    if sentences < _SENTENCES_PER_COMPONENT * mode.components:
        needed = _SENTENCES_PER_COMPONENT * mode.components
        warn(
            f"mode {mode.name!r} removes {mode.components} of {sentences:,} directions: the corpus has that many "
            f"sentences with a vector; fit it on at least {needed:,}, or lower components="
        )
    # The right singular vectors of the sentence matrix are the eigenvectors of its second moment, which needs d × d
    # numbers instead of one row per sentence.
    variances, directions = np.linalg.eigh(moment)
    first = np.argsort(-variances)[: mode.components]
    found_components, variances = directions[:, first].T, np.maximum(variances[first], 0)
    whole = variances.sum()
    shares = np.ones(len(first)) if mode.name == "sif" else variances / (whole if whole else 1)
    pooling.components.zero_()
    pooling.shares.zero_()
    pooling.components[: len(first)] = torch.from_numpy(found_components)
    pooling.shares[: len(first)] = torch.from_numpy(shares)
