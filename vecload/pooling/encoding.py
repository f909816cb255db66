"""Texts → vectors, a batch at a time.

At ASCII white space, a batch becomes one buffer of bytes, and threads take ranges of it from bytes to row numbers to
pooled vectors: no token is ever a Python string. Other tokenizers give strings, which are looked up together.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sized
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from vecload.errors import OptionError, allocating, refuse_string
from vecload.pooling import reduction
from vecload.pooling.fasttext_sentences import end_lines
from vecload.pooling.kernel_pooling import Extra
from vecload.progress import progress_bar
from vecload.threads import Pool
from vecload.words import Words, pack, read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from vecload.pooling.kernel_pooling import Plan
    from vecload.pooling.sentence_pooler import SentencePooler

Tensor = torch.Tensor

_RANGE = 1 << 17  # bytes of text a thread takes: with its row numbers, they stay in the cache near it
_TOKENS = 1 << 15  # tokens a thread takes, where they are looked up already
_PADDING = 8  # bytes that a kernel may read behind a text


class Piece(NamedTuple):
    """Texts `first` to `last` of a batch as row numbers: `rows` int64 (n,), `bags` int64 (texts + 1,), and `extra`."""

    first: int
    last: int
    rows: npt.NDArray[np.int64]
    bags: npt.NDArray[np.int64]
    extra: Extra


def encode(
    pooler: SentencePooler,
    texts: Iterable[str],
    *,
    batch_size: int = 16_384,
    progress: bool | None = None,
    as_numpy: bool = True,
    return_empty: bool = False,
) -> Any:
    """The vectors of texts.

    Parameters
    ----------
    pooler
        What pools.
    texts
        Any iterable of texts; read once, `batch_size` at a time.
    batch_size
        Texts in memory together.
    progress
        Whether to show a bar; None when standard error is a terminal.
    as_numpy
        An array, or with False a tensor.
    return_empty
        Whether to tell which texts had no word with a vector, and so are zero: bool, (n,).

    Returns
    -------
    numpy.ndarray or torch.Tensor
        (n, output_dim), float32 whatever the rows are; with `return_empty`, a pair. Never part of a graph: for
        gradients, call the pooler on row numbers.

    Raises
    ------
    OptionError
        For one string, a pooler without words or one that is not fitted.
    """
    refuse_string("texts", texts)
    size = len(texts) if isinstance(texts, Sized) else 0
    vectors = np.empty((size, 0), dtype=np.float32)
    empty = np.empty(size, dtype=np.bool_)
    done = 0
    for batch, counts in stream(pooler, texts, batch_size=batch_size, progress=progress):
        if not done:
            vectors = np.empty((max(size, len(batch)), batch.shape[1]), dtype=batch.dtype)
        if done + len(batch) > len(vectors):  # an iterator: nobody knows how many will come
            room = max(done + len(batch), len(vectors) * 3 // 2)
            with allocating((room, batch.shape[1]), vectors.dtype):
                vectors.resize((room, batch.shape[1]), refcheck=False)
        if len(empty) < len(vectors):
            empty = np.resize(empty, len(vectors))
        vectors[done : done + len(batch)] = batch
        empty[done : done + len(batch)] = counts == 0
        done += len(batch)
    if not done:
        vectors = np.empty((0, pooler.output_dim), dtype=np.float32)
    vectors, empty = vectors[:done], empty[:done]
    if as_numpy:
        return (vectors, empty) if return_empty else vectors
    tensor = torch.from_numpy(vectors)
    return (tensor, torch.from_numpy(empty)) if return_empty else tensor


def stream(
    pooler: SentencePooler, texts: Iterable[str], *, batch_size: int = 16_384, progress: bool | None = None
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]:
    """Vectors and numbers of pooled tokens, a batch at a time, in order.

    While one batch is pooled on threads, the next is read.
    """
    from vecload.kernels import workers

    refuse_string("texts", texts)
    pooler.check_fitted()
    words = words_of(pooler)
    if batch_size < 1:
        raise OptionError(f"batch_size={batch_size} is less than 1")
    with torch.no_grad():  # rows that are trained are pooled as they are now
        plan = pooler.plan()
    total = len(texts) if isinstance(texts, Sized) else None
    numbered = iter(texts)
    with Pool(workers()) as pool, progress_bar(total, unit="texts", shown=progress) as bar:
        waiting: deque[_Batch] = deque()
        while True:
            batch = list(islice(numbered, batch_size))
            if batch:
                waiting.append(_Batch(pooler, words, plan, batch, pool))
            if waiting and (not batch or len(waiting) > 1):
                vectors, counts = waiting.popleft().result()
                yield vectors, counts
                bar.advance(len(vectors))
            elif not batch:
                return


def pieces(pooler: SentencePooler, words: Words, texts: Sequence[str]) -> Iterator[Callable[[], Piece]]:
    """What makes the row numbers of texts, a piece at a time, on any thread."""
    tokenizer = pooler.tokenizer
    if tokenizer.cut is None and all(isinstance(text, str) for text in texts):
        raw = joined(texts, lowercase=tokenizer.lowercase)
        begin, first, end = 0, 0, len(raw) - _PADDING
        text = np.frombuffer(raw, dtype=np.uint8)
        while first < len(texts):
            cut = raw.find(b"\n", min(begin + _RANGE, end), end)
            stop = cut if cut >= 0 else end
            last = len(texts) if cut < 0 else first + raw.count(b"\n", begin, stop) + 1
            yield partial(_look_up, pooler, words, text, begin, stop, first, last)
            begin, first = stop + 1, last
        return
    tokens = tokenizer.split(texts)
    bags = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(cut) for cut in tokens], out=bags[1:])
    flat = [token for cut in tokens for token in cut]
    rows = words.lookup(flat)
    first = 0
    while first < len(texts):
        last = max(first + 1, int(np.searchsorted(bags, bags[first] + _TOKENS)))
        last = min(last, len(texts))
        begin, end = int(bags[first]), int(bags[last])
        yield partial(_settle, pooler, flat[begin:end], rows[begin:end], bags[first : last + 1] - begin, first, last)
        first = last


def joined(texts: Sequence[str], *, lowercase: bool) -> bytes:
    """Texts as lines of bytes. Line feeds inside a text become spaces, which part tokens as well."""
    whole = "\n".join(texts)
    if whole.count("\n") != len(texts) - 1:
        whole = "\n".join([text.replace("\n", " ") for text in texts])
    if lowercase:
        whole = whole.lower()
    try:
        raw = whole.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = b"".join(map(_bytes, re.split(r"([\t-\r ])", whole)))
    return raw + b"\n" * _PADDING


def _bytes(token: str) -> bytes:
    """A token as `Words` holds it; with surrogates that stand for no byte, which no word has, as bytes that none is."""
    try:
        return token.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return token.encode("utf-8", "surrogatepass")


def _look_up(
    pooler: SentencePooler, words: Words, text: npt.NDArray[np.uint8], begin: int, end: int, first: int, last: int
) -> Piece:
    from vecload.kernels import hash_table

    room = (end - begin + 1) // 2
    rows, starts, stops = np.empty((3, room), dtype=np.int64)
    bags = np.empty(last - first + 1, dtype=np.int64)
    packed = words.data, words.offsets, *words.table
    count, _ = hash_table.lookup_tokens(text, begin, end, *packed, rows, starts, stops, bags)
    rows = rows[:count]
    extra = _known(pooler, rows)
    if extra is None:
        absent = np.flatnonzero(rows == -1)
        found = Words(*pack(read_only(text), starts[absent], stops[absent]))
        extra = _composed(pooler, found, rows, absent)
    if pooler.trained is not None:
        rows, bags, extra = end_lines(pooler, rows, bags, extra, lambda at: text[starts[at] : stops[at]].tobytes())
    return Piece(first, last, rows, bags, extra)


def _settle(
    pooler: SentencePooler,
    tokens: list[str],
    rows: npt.NDArray[np.int64],
    bags: npt.NDArray[np.int64],
    first: int,
    last: int,
) -> Piece:
    extra = _known(pooler, rows)
    if extra is None:
        absent = np.flatnonzero(rows == -1)
        found = Words.from_bytes([_bytes(tokens[at]) for at in absent.tolist()])
        extra = _composed(pooler, found, rows, absent)
    if pooler.trained is not None:
        rows, bags, extra = end_lines(pooler, rows, bags, extra, lambda at: _bytes(tokens[at]))
    return Piece(first, last, rows, bags, extra)


def _known(pooler: SentencePooler, rows: npt.NDArray[np.int64]) -> Extra | None:
    """Settle, in place, tokens without a row or with the padding row; None where n-grams have to."""
    if pooler.unknown == "unk" and pooler.unk_idx is not None:
        rows[rows == -1] = pooler.unk_idx
    if pooler.padding_idx is not None:
        rows[rows == pooler.padding_idx] = -1
    return None if pooler.unknown == "ngrams" else Extra(np.empty((0, pooler.embedding_dim), dtype=np.float32))


def _composed(
    pooler: SentencePooler, found: Words, rows: npt.NDArray[np.int64], absent: npt.NDArray[np.int64]
) -> Extra:
    """Vectors of absent words, each made once; their tokens get the numbers -2, -3, …"""
    assert pooler.ngrams is not None
    first = found.lookup(found)
    distinct, numbers = np.unique(first, return_inverse=True)
    unique = found.take(distinct)
    counts = pooler.ngrams.counts(unique)
    rows[absent] = np.where(counts[numbers] > 0, -2 - numbers, -1)
    return Extra(pooler.ngrams.vectors(unique), None if pooler.trained is None else counts.astype(np.float32))


def pool_piece(pooler: SentencePooler, plan: Plan | None, piece: Piece) -> tuple[Tensor, npt.NDArray[np.int64]]:
    """A piece's pooled vectors, (texts, output_dim), as they are before `finish`, and their numbers of tokens."""
    count = piece.last - piece.first
    if plan is not None:
        out = np.empty((count, pooler.embedding_dim), dtype=np.float32)
        counts = np.empty(count, dtype=np.int64)
        plan.pool(piece.rows, piece.bags, piece.extra, out, counts)
        return torch.from_numpy(out), counts
    offsets = torch.from_numpy(piece.bags[:-1])
    with torch.no_grad():
        bags = reduction.Bags(torch.from_numpy(piece.rows), offsets, count, None, None)
        pooled, tokens = pooler.reduce(bags, piece.extra)
    return pooled, tokens.numpy().astype(np.int64)


class _Batch:
    """A batch of texts on its way through the threads."""

    def __init__(
        self, pooler: SentencePooler, words: Words, plan: Plan | None, texts: Sequence[str], pool: Pool
    ) -> None:
        self._pooler, self._plan = pooler, plan
        self._out = np.empty((len(texts), pooler.output_dim), dtype=np.float32)
        self._counts = np.empty(len(texts), dtype=np.int64)
        self._futures = [pool.submit(self._work, make) for make in pieces(pooler, words, texts)]

    def _work(self, make: Callable[[], Piece]) -> None:
        piece = make()
        pooled, counts = pool_piece(self._pooler, self._plan, piece)
        with torch.no_grad():
            self._out[piece.first : piece.last] = self._pooler.finish(pooled).float().numpy()
        self._counts[piece.first : piece.last] = counts

    def result(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Wait for the whole batch."""
        for future in self._futures:
            future.result()
        return self._out, self._counts


def words_of(pooler: SentencePooler) -> Words:
    """The words of a pooler's rows."""
    if pooler.words is None:
        raise OptionError("this pooler knows no words: make it with words=, or call it on row numbers")
    return pooler.words
