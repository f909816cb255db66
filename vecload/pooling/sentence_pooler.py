"""`SentencePooler`: from texts or row numbers to pooled vectors."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, overload

import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.keywords import explain_keywords
from vecload.layers.shared_memory import table_of
from vecload.ngrams import DenseRows, NgramTable
from vecload.pooling import fasttext_sentences, modes
from vecload.pooling.row_pooler import RowPooler
from vecload.sources import MappedRange
from vecload.tokenizers import Tokenize
from vecload.vectors import Vectors
from vecload.vocab import Vocab

if TYPE_CHECKING:
    import numpy as np

    from vecload.pooling.modes import Mode
    from vecload.words import Words

Unknown = Literal["skip", "unk", "ngrams"]

_UNKS = ("<unk>", "[UNK]")


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


class _MappedNgrams(NamedTuple):
    """What a pickle holds of an n-gram table in a mapped file."""

    place: MappedRange
    kept: npt.NDArray[np.int32] | None
    settings: dict[str, Any]

    def open(self) -> NgramTable:
        return NgramTable(DenseRows(self.place.open()), kept=self.kept, **self.settings)


class SentencePooler(RowPooler):
    """Pools the vectors of a sentence's words into one: an ``nn.EmbeddingBag`` with more modes that also reads text.

    Parameters
    ----------
    source
        `Aligned`, `Vectors`, or a layer that maps row numbers to vectors (``nn.Embedding`` and those of
        `vecload.layers`), which is shared, not copied.
    mode
        "mean", "sum", "max", "sqrt-n" (sum over the square root of the number of words), "sif", "usif" and "tfidf" (to
        be fitted), "pmeans", "attention" (one learned query, at first zero, which is the mean), "fasttext" (what
        fastText's ``get_sentence_vector`` gives); or a `Mode` with arguments, made by `vecload.pooling.sif` and others.
    words
        For a layer: the `Vocab` or `Words` of its rows. Without them it pools row numbers only.
    unknown
        What to do about words without a row: "skip"; "unk", the row of the word for unknown ones; "ngrams", a vector
        composed from character n-grams, which fastText models have.
    normalize
        Whether results have length 1.
    trainable
        Whether to train the rows of `Aligned` or `Vectors`, on a copy. Frozen rows share their memory or their file; a
        write to them (an init function, DDP, an optimizer) goes to a copy and never to the `Vectors`.
    dtype
        Type of the rows of `Aligned` or `Vectors`. None keeps the type of frozen rows; trained rows and float64 rows
        become float32.
    tokenize
        How texts are split, as in `Vocab.from_texts`: None or "whitespace" at ASCII white space; a function from a text
        to its tokens; a compiled regular expression, whose matches are the tokens; "basic_english" (torchtext's rules);
        "sudachi" or "fugashi" for Japanese; a Hugging Face tokenizer.
    lowercase
        Whether texts are lower-cased first, by Unicode's rules.

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

    @explain_keywords
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
        from vecload.tokenizers import Tokenizer

        mode = modes.of(mode)
        ngrams: NgramTable | None = None
        trained: dict[str, Any] | None = None
        row_weights = None
        if isinstance(source, torch.nn.Module):
            if trainable or dtype is not None:
                raise OptionError(
                    "trainable= and dtype= apply to Vectors and Aligned only; a layer says itself what it trains: "
                    "set its requires_grad, and convert it with .to(dtype)"
                )
            embedding = source
        else:
            if words is not None:
                raise OptionError("words are of a layer; Aligned and Vectors have theirs")
            words = source.words if isinstance(source, Vectors) else source.vocab
            embedding = table_of(source.matrix, trainable=trainable, dtype=dtype)
            if isinstance(source, Vectors):
                ngrams = source.ngrams
                trained = fasttext_sentences.supervised(source) if mode.name == "fasttext" else None
                row_weights = None if trained is None else torch.from_numpy(fasttext_sentences.row_counts(source))
        padding_idx = getattr(embedding, "padding_idx", None)
        if isinstance(words, Vocab):
            padding_idx = words.padding_idx if padding_idx is None else padding_idx
            unk_idx, words = words.unk_idx, words.words
        else:
            found = [] if words is None else [row for unk in _UNKS if (row := words.get(unk)) >= 0]
            unk_idx = found[0] if found else None
        super().__init__(embedding, mode, normalize=normalize, padding_idx=padding_idx, row_weights=row_weights)
        self.words: Words | None = words
        self.unk_idx = unk_idx
        self.ngrams = ngrams
        self.trained = trained  # what a supervised fastText model was trained with
        self.unknown = "ngrams" if mode.name == "fasttext" and ngrams is not None else unknown
        self.tokenizer = Tokenizer.of(tokenize, lowercase=lowercase)
        self.check()

    def check(self) -> None:
        """Raise `OptionError` for settings that do not go together."""
        if self.unknown not in ("skip", "unk", "ngrams"):
            raise OptionError(f"unknown={self.unknown!r} is not one of 'skip', 'unk', 'ngrams'")
        if self.unknown == "unk" and self.unk_idx is None:
            raise OptionError("unknown='unk' needs a word for unknown ones: Vocab's unk, or '<unk>' among the words")
        if self.unknown == "ngrams" and self.ngrams is None:
            raise OptionError(
                "unknown='ngrams' needs Vectors with an n-gram table: those of a fastText or floret model"
            )
        if self.words is not None and len(self.words) != self.num_embeddings:
            raise OptionError(f"{len(self.words):,} words do not go with a layer of {self.num_embeddings:,} rows")

    def __deepcopy__(self, memo: dict[int, Any]) -> SentencePooler:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        # Words, n-grams and tokenizer never change, so a copy can share them.
        memo.update((id(shared), shared) for shared in (self.words, self.ngrams, self.tokenizer) if shared is not None)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        state, ngrams = dict(self.__dict__), self.ngrams
        place = (
            MappedRange.of(ngrams.rows.matrix) if ngrams is not None and isinstance(ngrams.rows, DenseRows) else None
        )
        if ngrams is not None and place is not None:
            state["ngrams"] = _MappedNgrams(place, ngrams.kept, ngrams.settings)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if isinstance(self.ngrams, _MappedNgrams):
            self.ngrams = self.ngrams.open()

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
    @explain_keywords
    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = 16_384,
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
        from vecload.pooling import encoding

        return encoding.encode(
            self, texts, batch_size=batch_size, progress=progress, as_numpy=as_numpy, return_empty=return_empty
        )

    def stream(
        self, texts: Iterable[str], *, batch_size: int = 16_384, progress: bool | None = None
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
        from vecload.pooling import encoding

        return (batch for batch, _ in encoding.stream(self, texts, batch_size=batch_size, progress=progress))

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
            Any iterable of texts. Between counting and pooling, their row numbers wait in a temporary file.
        counts
            How often each word occurs elsewhere, by word or one number a row: then only components come from `texts`,
            and nothing is written.
        progress
            Whether to show a bar; None when standard error is a terminal.

        Returns
        -------
        SentencePooler
            Itself. A word's probability is its share of all tokens, those without a row among them. Components are
            those of words with a row: what n-grams compose takes no part.

        Examples
        --------
        >>> import numpy as np, vecload
        >>> vectors = vecload.Vectors(vecload.Words.from_strings(["a", "b"]), np.eye(2, dtype="float32"))
        >>> SentencePooler(vectors, "tfidf").fit(["a a b", "b"]).encode(["a b"]).round(3)
        array([[0.584, 0.416]], dtype=float32)
        """
        from vecload.pooling import fitting

        fitting.fit(self, texts, counts=counts, progress=progress)
        return self

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write words, rows, state and settings to a new folder: safetensors and JSON, no pickle.

        Rows of another layer than ``nn.Embedding`` are written as they are now, and come back as such a one.

        Raises
        ------
        OptionError
            When the pooler knows no words, or something is in the folder.
        """
        from vecload.pooling import saving

        saving.save(self, folder)

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, tokenize: Tokenize = None, trainable: bool = False
    ) -> SentencePooler:
        """Open what `save` wrote. Rows that are not trained are mapped from the file, not read.

        Parameters
        ----------
        folder
            Where it is.
        tokenize
            The function that cut texts, if it was one: functions are not saved.
        trainable
            Whether the rows are trained; they are copied then.

        Raises
        ------
        FormatError
            When the folder holds something else.
        """
        from vecload.pooling import saving

        return saving.load_pooler(folder, tokenize=tokenize, trainable=trainable)

    def export(self, folder: str | os.PathLike[str], layout: str = "sentence-transformers") -> None:
        """Write a folder that ``SentenceTransformer(folder)`` loads, or ``StaticModel.from_pretrained(folder)``.

        Weights and common components are in its rows. sentence-transformers counts unknown words when it divides, which
        `normalize` makes no difference to. `layout` is "sentence-transformers" or "model2vec".

        Raises
        ------
        OptionError
            For what a mean of one row a word cannot be.
        """
        from vecload.pooling import exporting

        exporting.export(self, folder, layout)

    def extra_repr(self) -> str:
        """What torch prints of the module."""
        words = "" if self.words is None else f", words={len(self.words):,}"
        return f"mode={self.mode.name!r}, unknown={self.unknown!r}, normalize={self.normalize}{words}"
