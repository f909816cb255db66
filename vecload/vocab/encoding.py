"""Convert tokens and texts to row numbers, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from vecload.arrays import as_tensor
from vecload.errors import OptionError, VocabularyError, list_of_strings, refuse_string
from vecload.tokenizers import Tokenize, Tokenizer
from vecload.words import Words, missing_word

if TYPE_CHECKING:
    import torch


Array = TypeVar("Array")
Layout = Literal["padded", "offsets"]


class Padded(NamedTuple, Generic[Array]):
    """Row numbers of texts, one text in each row, padded to the longest.

    `ids` int64, shape (n, longest), and `lengths` int64, shape (n,), the number of tokens of each text.
    """

    ids: Array
    lengths: Array


class Flat(NamedTuple, Generic[Array]):
    """Row numbers of texts, one text after the other, as ``nn.EmbeddingBag`` and `SentencePooler` take them.

    `ids` int64, shape (tokens,), and `offsets` int64, shape (n,), the position of the first token of each text.
    """

    ids: Array
    offsets: Array


class WordIds:
    """Base class of `Vocab`, which documents it: words and their row numbers, without files."""

    words: Words
    unk_token: str | None
    pad_token: str | None

    @property
    def padding_idx(self) -> int | None:
        """Row of the padding token; None without one."""
        return None if self.pad_token is None else self.words.get(self.pad_token)

    @property
    def unk_idx(self) -> int | None:
        """Row of the unknown token; None without one."""
        return None if self.unk_token is None else self.words.get(self.unk_token)

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __getitem__(self, word: str) -> int:
        """Return the row of a word, or that of `unk_token`.

        Raises
        ------
        MissingWordError
            If the word is unknown and there is no `unk_token`.
        """
        return int(self.encode([word])[0])

    def encode(self, tokens: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the rows of many tokens, int64, shape (k,); unknown tokens get the row of `unk_token`.

        Raises
        ------
        OptionError
            If `tokens` is one string, or holds anything but strings.
        MissingWordError
            If a token is unknown and there is no `unk_token`.
        """
        tokens = list_of_strings("tokens", tokens)
        rows = self.words.lookup(tokens)
        absent = rows < 0
        if absent.any():
            if self.unk_token is None:
                word = tokens[int(np.argmax(absent))]
                message = f"{word!r} is not in the vocabulary, which has no unknown token; pass unk_token='<unk>'"
                raise missing_word(self.words, [word], message)
            rows[absent] = self.words.get(self.unk_token)
        return rows

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of many rows.

        Raises
        ------
        VocabularyError
            If a row does not exist.
        """
        refuse_string("ids", ids)
        rows = [int(row) for row in ids]
        for row in rows:
            if not 0 <= row < len(self):
                raise VocabularyError(f"row {row} is out of range for a vocabulary of size {len(self):,}")
        return [self.words[row] for row in rows]

    @overload
    def encode_batch(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        layout: Literal["padded"] = ...,
        tokenize: Tokenize = ...,
        lowercase: bool = ...,
        max_length: int | None = ...,
        as_numpy: Literal[True] = ...,
    ) -> Padded[npt.NDArray[np.int64]]: ...
    @overload
    def encode_batch(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        layout: Literal["padded"] = ...,
        tokenize: Tokenize = ...,
        lowercase: bool = ...,
        max_length: int | None = ...,
        as_numpy: Literal[False],
    ) -> Padded[torch.Tensor]: ...
    @overload
    def encode_batch(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        layout: Literal["offsets"],
        tokenize: Tokenize = ...,
        lowercase: bool = ...,
        max_length: int | None = ...,
        as_numpy: Literal[True] = ...,
    ) -> Flat[npt.NDArray[np.int64]]: ...
    @overload
    def encode_batch(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        layout: Literal["offsets"],
        tokenize: Tokenize = ...,
        lowercase: bool = ...,
        max_length: int | None = ...,
        as_numpy: Literal[False],
    ) -> Flat[torch.Tensor]: ...
    def encode_batch(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        layout: Layout = "padded",
        tokenize: Tokenize = None,
        lowercase: bool = False,
        max_length: int | None = None,
        as_numpy: bool = True,
    ) -> Padded[Any] | Flat[Any]:
        """Return the row numbers of texts, padded or one after the other.

        Parameters
        ----------
        texts
            Any iterable of texts. A text is a string, or a list of its tokens.
        layout
            "padded": a matrix with one text in each row, padded with `padding_idx`, and the lengths. "offsets": all row
            numbers in one array, and the start of each text, as for ``nn.EmbeddingBag``.
        tokenize, lowercase
            How texts are split, as in `from_texts`: pass the same values.
        max_length
            Keep only the first tokens of each text; None keeps all.
        as_numpy
            True for NumPy arrays, False for tensors.

        Returns
        -------
        Padded or Flat
            Named tuples ``(ids, lengths)`` or ``(ids, offsets)``, all int64.

        Raises
        ------
        OptionError
            If `texts` is one string, `max_length` is not positive, or the vocabulary has no padding token to pad with.
        MissingWordError
            If a token is unknown and there is no `unk_token`.

        Examples
        --------
        >>> from vecload import Vocab
        >>> vocab = Vocab.from_texts(["the cat sat", "the dog"], pad_token="<pad>")
        >>> ids, lengths = vocab.encode_batch(["the dog sat", "cat"])
        >>> ids.tolist(), lengths.tolist()
        ([[1, 3, 4], [2, 0, 0]], [3, 1])
        >>> vocab.encode_batch(["the dog sat", "cat"], layout="offsets")
        Flat(ids=array([1, 3, 4, 2]), offsets=array([0, 3]))
        """
        refuse_string("texts", texts)
        if layout not in ("padded", "offsets"):
            raise OptionError(f"unknown layout {layout!r}; choose from: padded, offsets")
        if max_length is not None and max_length < 1:
            raise OptionError(f"max_length={max_length} is less than 1")
        tokens = [split[:max_length] for split in Tokenizer.of(tokenize, lowercase=lowercase).split(list(texts))]
        ids = self.encode([token for split in tokens for token in split])
        lengths = np.array([len(split) for split in tokens], dtype=np.int64)
        if layout == "padded":
            return Padded(*_converted(self._pad(ids, lengths), lengths, as_numpy=as_numpy))
        offsets = np.cumsum(lengths) - lengths
        return Flat(*_converted(ids, offsets, as_numpy=as_numpy))

    def _pad(self, ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if self.padding_idx is None:
            raise OptionError(
                "the vocabulary has no padding token; make it with pad_token='<pad>', or use layout='offsets'"
            )
        inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
        padded = np.full(inside.shape, self.padding_idx, dtype=np.int64)
        padded[inside] = ids  # row by row, which is the order of the texts
        return padded


def _converted(*arrays: npt.NDArray[np.int64], as_numpy: bool) -> tuple[Any, ...]:
    return arrays if as_numpy else tuple(as_tensor(array) for array in arrays)
