"""What fastText's ``get_sentence_vector`` does beside taking means, for supervised models.

A supervised model averages *rows*, not vectors: of each word its own and those of its n-grams, of the end of the line,
and of the n-grams of words it was trained with. A word's vector is the mean of its rows, so it is weighted by their
number. (Models that are not supervised average unit vectors; that needs no more than the mode.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.pooling.kernel_pooling import Extra

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vecload.pooling.sentence_pooler import SentencePooler
    from vecload.vectors import Vectors

_END = "</s>"
_LABEL = b"__label__"  # fastText's; a model does not say whether it was trained with another


def supervised(vectors: Vectors) -> dict[str, Any] | None:
    """What a supervised model was trained with; None for other vectors."""
    arguments = vectors.meta.get("args", {})
    return dict(arguments) if arguments.get("model") == "supervised" else None


def row_counts(vectors: Vectors) -> npt.NDArray[np.float32]:
    """How many rows of the model each word's vector is the mean of, float32 (words,)."""
    counts = np.ones(len(vectors), dtype=np.float32)
    if vectors.ngrams is not None:
        counts += vectors.ngrams.counts(vectors.words)
    return counts


def end_lines(
    pooler: SentencePooler,
    rows: npt.NDArray[np.int64],
    bags: npt.NDArray[np.int64],
    extra: Extra,
    token: Callable[[int], bytes],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Extra]:
    """Add to each line its end and its n-grams of words; take out labels and what stands behind a literal ``</s>``.

    `token` gives the bytes of a token by its number.
    """
    assert pooler.words is not None
    end = pooler.words.get(_END)
    rows = rows.copy()
    for at in np.flatnonzero(rows < 0).tolist():
        if token(at).startswith(_LABEL):
            rows[at] = -1
    for bag in np.unique(np.searchsorted(bags, np.flatnonzero(rows == end), side="right") - 1) if end >= 0 else ():
        begin, stop = int(bags[bag]), int(bags[bag + 1])
        first = begin + int(np.argmax(rows[begin:stop] == end))
        rows[first:stop] = -1  # the end itself comes below
    length = int(pooler.trained["wordNgrams"]) if pooler.trained else 1
    more = np.full((len(bags) - 1, 1 if length < 2 else 2), end, dtype=np.int64)
    if length > 1:
        assert pooler.ngrams is not None
        made = np.zeros((len(bags) - 1, pooler.embedding_dim), dtype=np.float32)
        counts = np.zeros(len(made), dtype=np.float32)
        for bag in range(len(made)):
            raws = [token(at) for at in range(bags[bag], bags[bag + 1])]
            raws = raws[: raws.index(_END.encode())] if _END.encode() in raws else raws
            words = [raw.decode("utf-8", "surrogateescape") for raw in raws if not raw.startswith(_LABEL)]
            total, count = pooler.ngrams.sum_word_ngrams([*words, _END], length)
            counts[bag] = count
            made[bag] = total / max(1, count)
        more[:, 1] = np.where(counts > 0, -2 - len(extra.matrix) - np.arange(len(made)), -1)
        assert extra.weights is not None
        extra = Extra(np.concatenate([extra.matrix, made]), np.concatenate([extra.weights, counts]))
    width = more.shape[1]
    return (
        np.insert(rows, np.repeat(bags[1:], width), more.reshape(-1)),
        bags + width * np.arange(len(bags)),
        extra,
    )
