"""`SentencePooler`: tokenizer, row lookup and pooling module joined, from texts or row numbers to sentence vectors."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy.typing as npt
import torch

from vecload.catalog.hugging_face import POOLER, local_folder
from vecload.errors import OptionError, as_format_errors
from vecload.ngrams import NgramTable
from vecload.pooling import encoding, exporting, fitting, saving
from vecload.pooling.encoding import BATCH_SIZE
from vecload.pooling.modes import Mode, as_mode
from vecload.pooling.pooler_sources import VocabularyRows, read_source
from vecload.pooling.row_lookup import RowLookup, Unknown, check_unknown
from vecload.pooling.row_pooler import RowPooler
from vecload.tokenizers import Tokenize, Tokenizer
from vecload.vectors import Vectors
from vecload.vocab import Vocab
from vecload.words import Words

if TYPE_CHECKING:
    import numpy as np


class SentencePooler(RowPooler):
    """Module that pools the vectors of a sentence's words: an ``nn.EmbeddingBag`` with more modes that also reads text.

    Parameters
    ----------
    source
        `Aligned`, `Vectors`, or a layer that maps row numbers to vectors (``nn.Embedding`` and those of
        `vecload.layers`), which is shared, not copied.
    mode
        "mean", "sum", "max", "sqrt-n" (the sum divided by the square root of the number of words), "sif", "usif" and
        "tfidf" (which have to be fitted), "pmeans", "attention" (one learned query; zero at first, which is the mean),
        "fasttext" (the result of fastText's ``get_sentence_vector``); or a `Mode` with arguments, made by
        `vecload.pooling.sif` and others.
    words
        For a layer: the `Vocab` or `Words` of its rows. Without them only row numbers can be pooled.
    unknown
        Policy for words without a row: "skip"; "unk", use the row of the unknown token; "ngrams", compose a vector from
        character n-grams, which fastText models have.
    normalize
        Whether sentence vectors have length 1.
    trainable
        Whether to train the rows of `Aligned` or `Vectors`, on a copy. Frozen rows share their memory or their file; a
        write to them (an init function, DDP, an optimizer) changes a copy and never the `Vectors`.
    dtype
        Type of the rows of `Aligned` or `Vectors`. None keeps the type of frozen rows; trained rows and float64 rows
        become float32.
    tokenize
        How to split texts, as in `Vocab.from_texts`: None or "whitespace" at ASCII white space; a function from a text
        to its tokens; a compiled regular expression, whose matches are the tokens; "basic_english" (torchtext's rules);
        "sudachi" or "fugashi" for Japanese; a Hugging Face tokenizer.
    lowercase
        Whether to lower-case texts first, by Unicode's rules.

    Attributes
    ----------
    tokenizer : Tokenizer
        Splits texts into tokens.
    lookup : RowLookup or None
        Maps tokens to row numbers. None without words.

    Examples
    --------
    >>> import numpy as np, torch, vecload
    >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat", "dog"]), np.eye(2, dtype="float32"))
    >>> pooler = SentencePooler(vectors, "mean")
    >>> pooler.encode(["cat dog dog dog", "no such words"])
    array([[0.25, 0.75],
           [0.  , 0.  ]], dtype=float32)
    >>> pooler(torch.tensor([0, 1, 1]), offsets=torch.tensor([0, 2]))
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """

    def __init__(
        self,
        source: VocabularyRows | Vectors | torch.nn.Module,
        mode: str | Mode = "mean",
        *,
        words: Vocab | Words | None = None,
        unknown: Unknown = "skip",
        normalize: bool = False,
        trainable: bool = False,
        dtype: torch.dtype | None = None,
        tokenize: Tokenize = None,
        lowercase: bool = False,
    ) -> None:
        mode = as_mode(mode)
        parts = read_source(source, mode, words, trainable=trainable, dtype=dtype)
        super().__init__(
            parts.embedding,
            mode,
            normalize=normalize,
            padding_idx=parts.padding_idx,
            row_weights=parts.row_weights,
        )
        self.tokenizer = Tokenizer.of(tokenize, lowercase=lowercase)
        self.lookup: RowLookup | None = None
        # fastText itself always composes unknown words.
        if mode.name == "fasttext" and parts.ngrams is not None:
            unknown = "ngrams"
        if parts.words is None:
            check_unknown(unknown, None, None)
            return
        self.lookup = RowLookup(parts.words, unknown, parts.unk_idx, parts.padding_idx, parts.ngrams, parts.supervised)
        if len(parts.words) != self.num_embeddings:
            raise OptionError(f"{len(parts.words):,} words do not match a layer of {self.num_embeddings:,} rows")

    @property
    def words(self) -> Words | None:
        """Words of the rows."""
        return None if self.lookup is None else self.lookup.words

    @property
    def unknown(self) -> Unknown:
        """Policy for words without a row."""
        return "skip" if self.lookup is None else self.lookup.unknown

    @property
    def unk_idx(self) -> int | None:
        """Row of the unknown token."""
        return None if self.lookup is None else self.lookup.unk_idx

    @property
    def ngrams(self) -> NgramTable | None:
        """Table that vectors of unknown words are composed from."""
        return None if self.lookup is None else self.lookup.ngrams

    def __deepcopy__(self, memo: dict[int, Any]) -> SentencePooler:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        # Tokenizer and lookup never change, so a copy can share them.
        memo.update((id(shared), shared) for shared in (self.tokenizer, self.lookup) if shared is not None)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    @overload
    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = ...,
        progress: bool | None = ...,
        as_numpy: Literal[True] = ...,
        return_empty: Literal[False] = ...,
    ) -> npt.NDArray[np.float32]: ...
    @overload
    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = ...,
        progress: bool | None = ...,
        as_numpy: Literal[True] = ...,
        return_empty: Literal[True],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]: ...
    @overload
    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = ...,
        progress: bool | None = ...,
        as_numpy: Literal[False],
        return_empty: Literal[False] = ...,
    ) -> torch.Tensor: ...
    @overload
    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = ...,
        progress: bool | None = ...,
        as_numpy: Literal[False],
        return_empty: Literal[True],
    ) -> tuple[torch.Tensor, torch.Tensor]: ...
    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool | None = None,
        as_numpy: bool = True,
        return_empty: bool = False,
    ) -> Any:
        """Return the vectors of texts.

        Parameters
        ----------
        texts
            Any iterable of texts, read once, `batch_size` at a time.
        batch_size
            Number of texts in memory at a time.
        progress
            Whether to show a progress bar; None shows one if standard error is a terminal.
        as_numpy
            True for an array, False for a tensor.
        return_empty
            Whether to also return which texts had no word with a vector, and so are zero.

        Returns
        -------
        numpy.ndarray or torch.Tensor
            float32, shape (n, output_dim), whatever the type of the rows; with `return_empty`, a pair with a bool mask,
            shape (n,). Never part of a graph: for gradients, call the pooler on row numbers.

        Raises
        ------
        OptionError
            For one string instead of several, a pooler without words, or one that is not fitted.
        """
        return encoding.encode(
            self.tokenizer,
            self.lookup,
            self,
            texts,
            batch_size=batch_size,
            progress=progress,
            as_numpy=as_numpy,
            return_empty=return_empty,
        )

    def stream(
        self, texts: Iterable[str], *, batch_size: int = BATCH_SIZE, progress: bool | None = None
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield the vectors of texts, a batch at a time, in bounded memory.

        Parameters
        ----------
        texts
            Any iterable of texts, read once.
        batch_size
            Number of texts in a batch.
        progress
            Whether to show a progress bar; None shows one if standard error is a terminal.

        Yields
        ------
        numpy.ndarray
            float32, shape (texts of the batch, output_dim).

        Raises
        ------
        OptionError
            For one string instead of several, a pooler without words, or one that is not fitted.
        """
        batches = encoding.stream(self.tokenizer, self.lookup, self, texts, batch_size=batch_size, progress=progress)
        return (batch for batch, _ in batches)

    def fit(
        self,
        texts: Iterable[str],
        *,
        counts: Mapping[str, int] | npt.ArrayLike | None = None,
        progress: bool | None = None,
    ) -> SentencePooler:
        """Estimate word weights and common components from a corpus, read once.

        Parameters
        ----------
        texts
            Any iterable of texts. Between counting and pooling, their row numbers are in a temporary file.
        counts
            How often each word occurs elsewhere, by word or as one number per row. Then only components are estimated
            from `texts`, and no temporary file is written.
        progress
            Whether to show a progress bar; None shows one if standard error is a terminal.

        Returns
        -------
        SentencePooler
            The pooler itself. The probability of a word is its share of all tokens, including tokens without a row.
            Components are those of words with a row; vectors composed from n-grams are left out.

        Examples
        --------
        >>> import numpy as np, vecload
        >>> vectors = vecload.Vectors(vecload.Words.from_strings(["a", "b"]), np.eye(2, dtype="float32"))
        >>> SentencePooler(vectors, "tfidf").fit(["a a b", "b"]).encode(["a b"]).round(3)
        array([[0.584, 0.416]], dtype=float32)
        """
        fitting.fit(self.tokenizer, self.lookup, self, texts, counts=counts, progress=progress)
        return self

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write words, rows, state and settings to a new folder: safetensors and JSON, no pickle.

        The rows of a layer other than ``nn.Embedding`` are written as they are now, and read back as ``nn.Embedding``.

        Raises
        ------
        OptionError
            If the pooler has no words, or the folder is not empty.
        """
        saving.save(self.tokenizer, self.lookup, self, folder)

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, tokenize: Tokenize = None, trainable: bool = False
    ) -> SentencePooler:
        """Read what `save` wrote. Rows that are not trained are mapped from the file, not read.

        Parameters
        ----------
        folder
            Path of the folder, or address of one on the Hugging Face Hub, such as ``hf://org/name@revision``.
        tokenize
            The tokenizer, if it was a function: functions are not saved.
        trainable
            Whether to train the rows, on a copy.

        Raises
        ------
        FormatError
            If the folder holds something else.
        """
        with as_format_errors(os.fspath(folder)):
            saved = saving.read(local_folder(folder, POOLER), tokenize)
            with saving.matching_parts(folder):
                pooler = cls(
                    saved.vectors,
                    saved.mode,
                    normalize=saved.normalize,
                    trainable=trainable,
                    tokenize=saved.tokenizer,
                )
                # The words of a saved pooler are no Vocab, so the rows of special tokens are those that were saved.
                pooler.padding_idx = saved.padding_idx
                assert pooler.lookup is not None
                pooler.lookup = replace(
                    pooler.lookup, unknown=saved.unknown, unk_idx=saved.unk_idx, padding_idx=saved.padding_idx
                )
                saved.restore(pooler)
            return pooler

    def export(self, folder: str | os.PathLike[str], layout: str = "sentence-transformers") -> None:
        """Write a folder that ``SentenceTransformer(folder)`` or ``StaticModel.from_pretrained(folder)`` loads.

        Word weights and common components become part of its rows. sentence-transformers includes unknown words in the
        number that it divides by, which makes no difference with `normalize`.

        Parameters
        ----------
        folder
            Path of the new folder.
        layout
            "sentence-transformers" or "model2vec".

        Raises
        ------
        OptionError
            For a pooler that is not a mean of one row per word.
        """
        exporting.export(self.tokenizer, self.lookup, self, folder, layout)

    def extra_repr(self) -> str:
        """Return the text that ``print`` shows for the module."""
        words = "" if self.words is None else f", words={len(self.words):,}"
        return f"mode={self.mode.name!r}, unknown={self.unknown!r}, normalize={self.normalize}{words}"
