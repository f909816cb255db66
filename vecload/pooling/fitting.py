"""Word weights and common components from a corpus, read once and in bounded memory.

The weights need all counts before the first sentence can be pooled, so the row numbers of the corpus wait in a
temporary file, four bytes a token. Components are exact: those of the whole corpus' d × d second moment, in doubles.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sized
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.errors import OptionError, refuse_string, warn
from vecload.pooling import encoding
from vecload.pooling.kernel_pooling import Extra
from vecload.pooling.modes import FITTED
from vecload.progress import progress_bar
from vecload.threads import Pool
from vecload.words import Words, read_only

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from vecload.pooling.encoding import Piece
    from vecload.pooling.modes import Mode
    from vecload.pooling.sentence_pooler import SentencePooler

_BATCH = 16_384  # texts in memory together

_PER_COMPONENT = 4
"""Sentences a component needs. The first k principal components of n vectors hold at least k / n of their squares."""


def fit(
    pooler: SentencePooler,
    texts: Iterable[str],
    *,
    counts: Mapping[str, int] | npt.ArrayLike | None = None,
    progress: bool | None = None,
) -> None:
    """Estimate what a pooler's mode needs: see `SentencePooler.fit`."""
    mode = pooler.mode
    if mode.name not in FITTED:
        raise OptionError(f"mode {mode.name!r} has nothing to fit; these have: {', '.join(FITTED)}")
    refuse_string("texts", texts)
    corpus = _Corpus(pooler.num_embeddings)
    with tempfile.TemporaryFile() as spool:
        known = None if counts is None else _given(pooler, counts)
        if known is not None:
            if mode.name == "tfidf":
                raise OptionError("tfidf counts in how many texts a word occurs: fit it without counts")
            if mode.name == "usif" and mode.length is None:
                raise OptionError("usif with given counts needs a length: vecload.pooling.usif(length=11)")
            unknown = _weigh(pooler, mode, corpus, known, int(known.sum()))
            if mode.components:
                _remove(pooler, _rows(pooler, texts, progress=progress))
        else:
            for piece in _rows(pooler, texts, progress=progress):
                corpus.add(piece)
                if mode.components:
                    _write(spool, piece)
            if not corpus.tokens:
                raise OptionError("the corpus has no tokens")
            unknown = _weigh(pooler, mode, corpus, corpus.counts, corpus.tokens)
            if mode.components:
                spool.seek(0)
                _remove(pooler, _read(spool, pooler.embedding_dim))
    pooler.set_unknown_weight(unknown)


class _Corpus:
    """What is counted: tokens of each row and the texts that have it, all tokens and texts."""

    def __init__(self, rows: int) -> None:
        self.counts = np.zeros(rows, dtype=np.int64)
        self.documents = np.zeros(rows, dtype=np.int64)
        self._last = np.full(rows, -1, dtype=np.int64)
        self.tokens = self.texts = 0

    def add(self, piece: Piece) -> None:
        from vecload.kernels import pooling as kernels

        rows, bags = read_only(piece.rows), read_only(piece.bags)
        kernels.count_rows(rows, bags, self.texts, self.counts, self.documents, self._last)
        self.tokens += len(rows)
        self.texts += piece.last - piece.first


def _given(pooler: SentencePooler, counts: Any) -> npt.NDArray[np.int64]:
    if isinstance(counts, Mapping):
        words = pooler.words
        if words is None:
            raise OptionError("this pooler knows no words: pass counts as an array of one a row")
        rows = words.lookup(Words.from_strings(counts))
        known = np.zeros(pooler.num_embeddings, dtype=np.int64)
        np.add.at(known, rows[rows >= 0], np.fromiter(counts.values(), np.int64, len(counts))[rows >= 0])
    else:
        known = np.asarray(counts, dtype=np.int64)
    if known.shape != (pooler.num_embeddings,) or (known < 0).any() or not known.any():
        raise OptionError(f"counts are {pooler.num_embeddings:,} numbers, one a row, not all zero and none negative")
    return known


def _weigh(pooler: SentencePooler, mode: Mode, corpus: _Corpus, counts: npt.NDArray[np.int64], tokens: int) -> float:
    """Set the weight of each row, and return that of words without one: the weight of a word of probability zero."""
    shares = counts / tokens
    if mode.name == "tfidf":  # smooth, as scikit-learn's TfidfTransformer
        weights = np.log((1 + corpus.texts) / (1 + corpus.documents)) + 1
        unknown = np.log(1 + corpus.texts) + 1
    elif mode.name == "sif":
        weights, unknown = mode.a / (mode.a + shares), 1.0
    else:
        types = np.count_nonzero(counts)
        length = mode.length or tokens / max(1, corpus.texts)
        threshold = 1 - (1 - 1 / types) ** length
        frequent = np.count_nonzero(shares > threshold) / types
        # The paper's a; with no frequent word it is infinite, and every word weighs 2.
        a = (1 - frequent) / (frequent * types / 2) if frequent else np.inf
        weights, unknown = (1 / (0.5 + shares / a) if a else np.where(shares > 0, 0.0, 2.0)), 2.0
    pooler.set_unknown_weight(0)  # from here to the end of the fit, its parts do not belong together
    pooler.token_weights.copy_(torch.from_numpy(weights))
    return float(unknown)


def _rows(pooler: SentencePooler, texts: Iterable[str], *, progress: bool | None) -> Iterator[Piece]:
    """Texts as row numbers, piece by piece, in order."""
    from vecload.kernels import workers

    words = encoding.words_of(pooler)
    total = len(texts) if isinstance(texts, Sized) else None
    numbered = iter(texts)
    with Pool(workers()) as pool, progress_bar(total, unit="texts", name="fit", shown=progress) as bar:
        while batch := list(islice(numbered, _BATCH)):
            for made in [pool.submit(make) for make in encoding.pieces(pooler, words, batch)]:
                yield made.result()
            bar.advance(len(batch))


def _write(spool: IO[bytes], piece: Piece) -> None:
    """Rows as int32, behind their number and that of the texts."""
    lengths = np.diff(piece.bags).astype(np.int32)
    spool.write(np.array([len(lengths), len(piece.rows)], dtype=np.int64).tobytes())
    spool.write(lengths.tobytes())
    spool.write(piece.rows.astype(np.int32).tobytes())


def _read(spool: IO[bytes], dim: int) -> Iterator[Piece]:
    none = Extra(np.empty((0, dim), dtype=np.float32))
    while head := spool.read(16):
        texts, tokens = np.frombuffer(head, dtype=np.int64).tolist()
        bags = np.zeros(texts + 1, dtype=np.int64)
        np.cumsum(np.frombuffer(spool.read(4 * texts), dtype=np.int32), out=bags[1:])
        rows = np.frombuffer(spool.read(4 * tokens), dtype=np.int32).astype(np.int64)
        yield encoding.Piece(0, texts, rows, bags, none)


def _remove(pooler: SentencePooler, pieces: Iterable[Piece]) -> None:
    """Find the first principal components of the weighted means, and how much of each is removed."""
    mode, dim = pooler.mode, pooler.embedding_dim
    with torch.no_grad():
        plan = pooler.plan()
    moment, sentences = np.zeros((dim, dim)), 0
    for piece in pieces:
        known = piece._replace(rows=np.maximum(piece.rows, -1))  # n-grams take no part: the spool holds no vectors
        vectors, counts = encoding.pool_piece(pooler, plan, known)
        pooled = vectors.double().numpy()
        moment += pooled.T @ pooled
        sentences += int(np.count_nonzero(counts))
    if sentences < _PER_COMPONENT * mode.components:
        warn(
            f"mode {mode.name!r} removes {mode.components} of {sentences:,} directions: the corpus has that many "
            f"sentences with a vector; fit it on at least {_PER_COMPONENT * mode.components:,}, or lower components="
        )
    variances, directions = np.linalg.eigh(moment)
    first = np.argsort(-variances)[: mode.components]
    found, variances = directions[:, first].T, np.maximum(variances[first], 0)
    whole = variances.sum()
    shares = np.ones(len(first)) if mode.name == "sif" else variances / (whole if whole else 1)
    pooler.components.zero_()
    pooler.shares.zero_()
    pooler.components[: len(first)] = torch.from_numpy(found)
    pooler.shares[: len(first)] = torch.from_numpy(shares)
