"""Encode texts as vectors, a batch at a time: tokenizer → row lookup → pooling module.

A batch is divided into pieces, and a thread takes a piece through all steps, so that its tokens, rows and vectors stay
in the cache. Texts that are split at ASCII white space become one buffer of bytes, and each piece is a range of it: no
token becomes a Python string. Other tokenizers return strings, which are looked up together before they are divided.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sized
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch

from vecload.errors import OptionError, allocating, refuse_string
from vecload.pooling.row_lookup import needs_words, token_bytes
from vecload.progress import progress_bar
from vecload.threads import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from vecload.pooling.kernel_pooling import KernelPlan
    from vecload.pooling.row_lookup import RowLookup, TokenRows
    from vecload.pooling.row_pooler import RowPooler
    from vecload.tokenizers import Tokenizer

BATCH_SIZE: Final = 16_384
"""Number of texts in memory at a time."""

# A thread's piece and its row numbers fit in the cache of its processor.
_PIECE_BYTES = 1 << 17
_PIECE_TOKENS = 1 << 15

_PADDING = 8  # the hash kernel reads words in steps of 8 bytes, so it may read this many bytes after the last one


def encode(
    tokenizer: Tokenizer,
    lookup: RowLookup | None,
    pooling: RowPooler,
    texts: Iterable[str],
    *,
    batch_size: int,
    progress: bool | None,
    as_numpy: bool,
    return_empty: bool,
) -> Any:
    """Return the vectors of texts: see `SentencePooler.encode`."""
    refuse_string("texts", texts)
    size = len(texts) if isinstance(texts, Sized) else 0
    vectors = np.empty((size, 0), dtype=np.float32)
    empty = np.empty(size, dtype=np.bool_)
    done = 0
    for batch, counts in stream(tokenizer, lookup, pooling, texts, batch_size=batch_size, progress=progress):
        if not done:
            vectors = np.empty((max(size, len(batch)), batch.shape[1]), dtype=batch.dtype)
        if done + len(batch) > len(vectors):
            # The number of texts of an iterator is unknown, so grow by half.
            room = max(done + len(batch), len(vectors) * 3 // 2)
            with allocating((room, batch.shape[1]), vectors.dtype):
                vectors.resize((room, batch.shape[1]), refcheck=False)
        if len(empty) < len(vectors):
            empty = np.resize(empty, len(vectors))
        vectors[done : done + len(batch)] = batch
        empty[done : done + len(batch)] = counts == 0
        done += len(batch)
    if not done:
        vectors = np.empty((0, pooling.output_dim), dtype=np.float32)
    vectors, empty = vectors[:done], empty[:done]
    if as_numpy:
        return (vectors, empty) if return_empty else vectors
    tensor = torch.from_numpy(vectors)
    return (tensor, torch.from_numpy(empty)) if return_empty else tensor


def stream(
    tokenizer: Tokenizer,
    lookup: RowLookup | None,
    pooling: RowPooler,
    texts: Iterable[str],
    *,
    batch_size: int,
    progress: bool | None,
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Yield the vectors and the numbers of pooled tokens of each batch, in order.

    While threads pool one batch, the next one is read.

    Raises
    ------
    OptionError
        For one string instead of several, without a lookup, and for a mode that is not fitted.
    """
    from vecload.kernels import workers

    refuse_string("texts", texts)
    pooling.check_fitted()
    lookup = needs_words(lookup)
    if batch_size < 1:
        raise OptionError(f"batch_size must be 1 or more, got {batch_size}")
    # Without gradients the kernels can also pool rows that are trained. They are read as they are now.
    with torch.no_grad():
        plan = pooling.plan()
    # The number of texts of an iterator is unknown, so its progress bar has no end.
    total = len(texts) if isinstance(texts, Sized) else None
    remaining = iter(texts)
    with Pool(workers()) as pool, progress_bar(total, unit="texts", shown=progress) as bar:
        waiting: deque[_Batch] = deque()
        while True:
            batch = list(islice(remaining, batch_size))
            if batch:
                waiting.append(_Batch(pieces(tokenizer, lookup, batch), len(batch), pooling, plan, pool))
            # Two batches are in progress at most, so memory is bounded and threads are not idle in between.
            if waiting and (not batch or len(waiting) > 1):
                vectors, counts = waiting.popleft().result()
                yield vectors, counts
                bar.advance(len(vectors))
            elif not batch:
                return


class Piece(NamedTuple):
    """Texts `first` to `last` of a batch, and a function that looks their tokens up."""

    first: int
    last: int
    find: Callable[[], TokenRows]


def pieces(tokenizer: Tokenizer, lookup: RowLookup, texts: Sequence[str]) -> Iterator[Piece]:
    """Yield the pieces of a batch of texts. Their functions can be called on any thread."""
    if tokenizer.cut is None and all(isinstance(text, str) for text in texts):
        raw = joined(texts, lowercase=tokenizer.lowercase)
        begin, first, end = 0, 0, len(raw) - _PADDING
        text = np.frombuffer(raw, dtype=np.uint8)
        while first < len(texts):
            # A piece ends at the end of a text, so that no bag is divided between threads.
            cut = raw.find(b"\n", min(begin + _PIECE_BYTES, end), end)
            stop = cut if cut >= 0 else end
            last = len(texts) if cut < 0 else first + raw.count(b"\n", begin, stop) + 1
            yield Piece(first, last, partial(lookup.find_in_text, text, begin, stop, last - first))
            begin, first = stop + 1, last
        return
    # One lookup for the whole batch: packing strings into bytes has a cost per call, and needs the GIL anyway.
    tokens = tokenizer.split(texts)
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(cut) for cut in tokens], out=offsets[1:])
    flat = [token for cut in tokens for token in cut]
    rows = lookup.words.lookup(flat)
    first = 0
    while first < len(texts):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _PIECE_TOKENS)))
        last = min(last, len(texts))
        begin, end = int(offsets[first]), int(offsets[last])
        own = offsets[first : last + 1] - begin
        yield Piece(first, last, partial(lookup.complete, flat[begin:end], rows[begin:end], own))
        first = last


def joined(texts: Sequence[str], *, lowercase: bool) -> bytes:
    """Return texts as lines of bytes, with padding for the kernel.

    Line feeds within a text become spaces, which also end tokens.
    """
    # Joining and encoding all texts at once is several times faster than one by one. Counting line feeds shows whether
    # any text has one inside, which is rare.
    whole = "\n".join(texts)
    if whole.count("\n") != len(texts) - 1:
        whole = "\n".join([text.replace("\n", " ") for text in texts])
    if lowercase:
        whole = whole.lower()
    try:
        raw = whole.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Some token has a surrogate that does not stand for a byte. Only that token is encoded in another way.
        raw = b"".join(map(token_bytes, re.split(r"([\t-\r ])", whole)))
    return raw + b"\n" * _PADDING


class _Batch:
    """Results of a batch of texts, which threads fill in."""

    def __init__(
        self, pieces: Iterator[Piece], size: int, pooling: RowPooler, plan: KernelPlan | None, pool: Pool
    ) -> None:
        self._pooling, self._plan = pooling, plan
        self._out = np.empty((size, pooling.output_dim), dtype=np.float32)
        self._counts = np.empty(size, dtype=np.int64)
        self._futures = [pool.submit(self._work, piece) for piece in pieces]

    def _work(self, piece: Piece) -> None:
        # Pieces are separate ranges of the arrays, so threads write without a lock.
        pooled, counts = self._pooling.pool_rows(*piece.find(), self._plan)
        with torch.no_grad():
            self._out[piece.first : piece.last] = self._pooling.finish(pooled).float().numpy()
        self._counts[piece.first : piece.last] = counts

    def result(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Wait for the whole batch."""
        for future in self._futures:
            future.result()
        return self._out, self._counts
