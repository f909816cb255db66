"""Sources of a `SentencePooler`: a layer, `Vectors`, or anything with a vocabulary and a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from vecload.errors import OptionError
from vecload.layers.shared_memory import table_of
from vecload.pooling.fasttext_sentences import SupervisedModel, row_counts
from vecload.vectors import Vectors
from vecload.vocab import Vocab

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.ngrams import NgramTable
    from vecload.pooling.modes import Mode
    from vecload.words import Words

# Unknown tokens by common convention, for words that are not a Vocab.
_UNK_TOKENS = ("<unk>", "[UNK]")


class VocabularyRows(Protocol):
    """Anything with a vocabulary and one row for each of its words, such as `vecload.Aligned`."""

    @property
    def vocab(self) -> Vocab:
        """Words of the rows."""
        ...

    @property
    def matrix(self) -> npt.NDArray[Any]:
        """Rows, shape (len(vocab), dim)."""
        ...


@dataclass(frozen=True)
class PoolerSource:
    """Parts of a pooler's source.

    Parameters
    ----------
    embedding
        Layer with the rows.
    words
        Words of the rows, if they are known.
    unk_idx, padding_idx
        Rows of the unknown and the padding token.
    ngrams, supervised
        n-gram table, and training arguments of a supervised fastText model, as in `RowLookup`.
    row_weights
        Weight of each row, as in `RowPooler`.
    """

    embedding: torch.nn.Module
    words: Words | None
    unk_idx: int | None
    padding_idx: int | None
    ngrams: NgramTable | None = None
    supervised: SupervisedModel | None = None
    row_weights: torch.Tensor | None = None


def read_source(
    source: VocabularyRows | Vectors | torch.nn.Module,
    mode: Mode,
    words: Vocab | Words | None,
    *,
    trainable: bool,
    dtype: torch.dtype | None,
) -> PoolerSource:
    """Return the parts of a source: see `SentencePooler` for the arguments.

    Raises
    ------
    OptionError
        For arguments that do not apply to the source.
    """
    if isinstance(source, torch.nn.Module):
        if trainable or dtype is not None:
            raise OptionError(
                "trainable= and dtype= apply to Vectors and Aligned only; for a layer, set its requires_grad and "
                "convert it with .to(dtype)"
            )
        return PoolerSource(source, *_word_rows(words, getattr(source, "padding_idx", None)))
    if words is not None:
        raise OptionError("words= applies to layers only; Aligned and Vectors have their own words")
    embedding = table_of(source.matrix, trainable=trainable, dtype=dtype)
    if not isinstance(source, Vectors):
        return PoolerSource(embedding, *_word_rows(source.vocab, None))
    # Other modes pool the vectors of a supervised model like any others; only "fasttext" follows its rules for lines.
    supervised = SupervisedModel.of(source) if mode.name == "fasttext" else None
    weights = None if supervised is None else torch.from_numpy(row_counts(source))
    return PoolerSource(embedding, *_word_rows(source.words, None), source.ngrams, supervised, weights)


def _word_rows(words: Vocab | Words | None, padding_idx: int | None) -> tuple[Words | None, int | None, int | None]:
    """Return the words and the rows of the unknown and the padding token; a layer's own padding row wins."""
    if isinstance(words, Vocab):
        return words.words, words.unk_idx, words.padding_idx if padding_idx is None else padding_idx
    found = [] if words is None else [row for unk in _UNK_TOKENS if (row := words.get(unk)) >= 0]
    return words, found[0] if found else None, padding_idx
