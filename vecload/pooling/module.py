"""`SentencePooler`: the module, from row numbers to pooled vectors."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional

from vecload.alignment import Aligned
from vecload.errors import OptionError
from vecload.pooling import compiled, eager, fasttext, modes, reduction
from vecload.pooling.modes import FITTED, Mode
from vecload.pooling.sharing import Borrower, layer_of
from vecload.vectors import Vectors
from vecload.vocab import Vocab

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from vecload.ngrams import NgramTable
    from vecload.pooling.compiled import Plan
    from vecload.words import Words

Tensor = torch.Tensor
Unknown = Literal["skip", "unk", "ngrams"]

_UNKS = ("<unk>", "[UNK]")


class SentencePooler(Borrower):
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
        Whether the rows of `Aligned` or `Vectors` are trained; they are copied then, else shared where they lie.
    tokenize
        How texts are cut: None at ASCII white space; a compiled regular expression, whose matches are the tokens; a
        function from a text to its tokens; a Hugging Face tokenizer; "sudachi" or "fugashi" for Japanese.
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

    token_weights: Tensor
    unknown_weight: Tensor
    components: Tensor
    shares: Tensor
    fitted: Tensor

    def __init__(
        self,
        source: Aligned | Vectors | torch.nn.Module,
        mode: str | Mode = "mean",
        *,
        words: Vocab | Words | None = None,
        unknown: Unknown = "skip",
        normalize: bool = False,
        trainable: bool = False,
        tokenize: Any = None,
        lowercase: bool = False,
    ) -> None:
        super().__init__()
        self.embedding: Any
        from vecload.pooling.tokens import Tokenizer

        self.mode = modes.of(mode)
        self.unknown = unknown
        self.normalize = normalize
        self.tokenizer = Tokenizer.of(tokenize, lowercase=lowercase)
        self.ngrams: NgramTable | None = None
        self.trained: dict[str, Any] | None = None  # what a supervised fastText model was
        self.words: Words | None
        self.padding_idx: int | None = None
        self.unk_idx: int | None = None
        self.units: tuple[object, npt.NDArray[Any]] | None = None  # kept by `compiled.plan_of`
        if isinstance(source, torch.nn.Module):
            if trainable:
                raise OptionError("trainable is of the rows of Aligned and Vectors; a layer says itself what it trains")
            self.embedding = source
            self.padding_idx = getattr(source, "padding_idx", None)
        else:
            if words is not None:
                raise OptionError("words are of a layer; Aligned and Vectors have theirs")
            words = source.vocab if isinstance(source, Aligned) else source.words
            self.embedding = layer_of(source.matrix, trainable=trainable)
            self.borrowed = not trainable
            if isinstance(source, Vectors):
                self.ngrams = source.ngrams
                self.trained = fasttext.supervised(source) if self.mode.name == "fasttext" else None
        if isinstance(words, Vocab):
            self.padding_idx = words.pad_idx if self.padding_idx is None else self.padding_idx
            self.unk_idx, self.words = words.unk_idx, words.words
        else:
            self.words = words
            rows = [] if words is None else [row for unk in _UNKS if (row := words.get(unk)) >= 0]
            self.unk_idx = rows[0] if rows else None
        if self.mode.name == "fasttext" and self.ngrams is not None:
            self.unknown = "ngrams"
        self.check()
        one = next(chain(self.embedding.parameters(), self.embedding.buffers()), torch.empty(0))
        kept: dict[str, Any] = {"device": one.device, "dtype": torch.float32}
        weighted = self.num_embeddings if self.mode.name in FITTED or self.trained is not None else 0
        self.register_buffer("token_weights", torch.zeros(weighted, **kept))
        self.register_buffer("unknown_weight", torch.ones((), **kept))
        self.register_buffer("components", torch.zeros(self.mode.components, self.embedding_dim, **kept))
        self.register_buffer("shares", torch.zeros(self.mode.components, **kept))
        self.register_buffer("fitted", torch.tensor(data=False, device=kept["device"]))
        if self.trained is not None and isinstance(source, Vectors):
            self.token_weights.copy_(torch.from_numpy(fasttext.row_counts(source)))
        attends = self.mode.name == "attention"
        self.query = torch.nn.Parameter(torch.zeros(self.embedding_dim, **kept)) if attends else None

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

    @property
    def num_embeddings(self) -> int:
        """Number of rows."""
        return int(self.embedding.num_embeddings)

    @property
    def embedding_dim(self) -> int:
        """Number of values in a row."""
        return int(self.embedding.embedding_dim)

    @property
    def output_dim(self) -> int:
        """Number of values in a result."""
        return self.embedding_dim * max(1, len(self.mode.powers))

    def forward(
        self,
        input: Tensor,  # noqa: A002 - torch's name
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        return_empty: bool = False,
    ) -> Any:
        """Pool row numbers.

        Parameters
        ----------
        input
            int32 or int64: 1-D with `offsets`, 2-D with one bag a row, or a nested tensor. Negative numbers, as
            ``words.lookup`` gives for absent words, and `padding_idx` are passed over.
        offsets
            Where each bag begins, (bags,).
        per_sample_weights
            How often each token counts, of the input's shape; not with "max", "pmeans" and "attention".
        mask
            Which tokens count, of the input's shape.
        return_empty
            Whether to tell which bags had nothing to pool, and so are zero: bool, (bags,).

        Returns
        -------
        torch.Tensor
            (bags, output_dim), of the layer's type; with `return_empty`, a pair.
        """
        self.check_owned()
        if per_sample_weights is not None and self.mode.name in ("max", "pmeans", "attention"):
            raise OptionError(f"per_sample_weights do not go with mode {self.mode.name!r}")
        bags = reduction.bags_of(input, offsets, per_sample_weights, mask)
        if torch.compiler.is_compiling():
            pooled, _ = self.reduce(bags)
        else:
            self.check_fitted()
            pooled = eager.fastest(self, bags)
        pooled = self.finish(pooled)
        if not return_empty:
            return pooled
        return pooled, reduction.sums(self.kept(bags).long(), bags.numbers(), bags.size) == 0

    def reduce(self, bags: reduction.Bags, extra: compiled.Extra | None = None) -> tuple[Tensor, Tensor]:
        """Pool through operations that can be traced and differentiated, on any layer."""
        keep = self.kept(bags)
        tokens = torch.where(keep, bags.tokens, 0)
        values = self.embedding(tokens)
        dtype = values.dtype
        if dtype in (torch.float16, torch.bfloat16):  # sums of them lose what they sum
            values = values.float()
        table = None
        if self.mode.name in FITTED or len(self.token_weights):
            table = self.token_weights[tokens]
        if extra is not None and len(extra.matrix):
            made = bags.tokens < -1
            at = torch.where(made, -2 - bags.tokens, 0)
            values = torch.where(made[:, None], torch.from_numpy(extra.matrix)[at].to(values.dtype), values)
            if table is not None:
                weights = self.unknown_weight if extra.weights is None else torch.from_numpy(extra.weights)[at]
                table = torch.where(made, weights, table)
            keep = keep | made
        values = torch.where(keep[:, None], values, 0)
        pooled, counts = reduction.pool(
            self.mode,
            values,
            bags.numbers(),
            bags.size,
            keep,
            weights=bags.weights,
            table=table,
            query=self.query,
        )
        return pooled.to(dtype), counts

    def finish(self, pooled: Tensor) -> Tensor:
        """Remove what is common, then make lengths 1."""
        if self.mode.components:
            components = self.components.to(pooled.dtype)
            scores = pooled @ components.T * self.shares.to(pooled.dtype)
            pooled = torch.addmm(pooled, scores, components, alpha=-1)
        if self.normalize:
            pooled = functional.normalize(pooled, dim=1, eps=torch.finfo(pooled.dtype).tiny)
        return pooled

    def kept(self, bags: reduction.Bags) -> Tensor:
        """Which tokens count: rows that there are, not the padding row, not masked; bool, (n,)."""
        keep = bags.tokens >= 0
        if self.padding_idx is not None:
            keep = keep & (bags.tokens != self.padding_idx)
        return keep if bags.keep is None else keep & bags.keep

    def check_fitted(self) -> None:
        """Raise `OptionError` when the mode has still to be fitted."""
        if self.mode.name in FITTED and not bool(self.fitted):
            raise OptionError(
                f"mode {self.mode.name!r} weighs words by a corpus: call fit(texts) first, or load a pooler"
            )

    def plan(self) -> Plan | None:
        """What the kernels need; None where they cannot serve."""
        return compiled.plan_of(self)

    def encode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = 16_384,
        progress: bool | None = None,
        as_numpy: bool = True,
        return_empty: bool = False,
    ) -> Any:
        """Texts → their vectors: `vecload.pooling.encoding.encode`."""
        from vecload.pooling import encoding

        return encoding.encode(
            self, texts, batch_size=batch_size, progress=progress, as_numpy=as_numpy, return_empty=return_empty
        )

    def stream(
        self, texts: Iterable[str], *, batch_size: int = 16_384, progress: bool | None = None
    ) -> Iterator[npt.NDArray[Any]]:
        """Texts → their vectors, a batch at a time, in bounded memory: `vecload.pooling.encoding.stream`."""
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
    def load(cls, folder: str | os.PathLike[str], *, tokenize: Any = None, trainable: bool = False) -> SentencePooler:
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
