"""`FastText`: the methods of the official package's models."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecload.classification import Classifier
from vecload.classification.classifier import PREFIX
from vecload.classification.dictionary import Dictionary, open_model
from vecload.classification.lines import END, split_tokens
from vecload.errors import OptionError
from vecload.formats.fasttext.layout import MODELS
from vecload.loading import load
from vecload.pooling import SentencePooler
from vecload.search.exact import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vecload.vectors import Vectors


def load_model(path: str | os.PathLike[str]) -> FastText:
    """Load a ``.bin`` or ``.ftz`` file as the official package does.

    Raises
    ------
    FormatError
        If the file is damaged, or is not a fastText model.

    Examples
    --------
    >>> model = load_model("lid.176.ftz")  # doctest: +SKIP
    >>> model.predict("Bonjour")  # doctest: +SKIP
    (('__label__fr',), array([0.9924...]))
    """
    return FastText(path)


def tokenize(text: str) -> list[str]:
    r"""Return the tokens of a text: it is split at white space and NUL, and each newline becomes ``</s>``.

    Examples
    --------
    >>> tokenize("a b\nc")
    ['a', 'b', '</s>', 'c']
    """
    return split_tokens(text.replace("\n", f" {END} "))


class FastText:
    """A trained model with the methods of ``fasttext.FastText._FastText`` that read it.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        with open_model(path) as (model, opened):
            supervised = MODELS[model.arguments.model] == "supervised"
            self._classifier = Classifier(model, opened.name) if supervised else None
            self._dictionary = self._classifier or Dictionary(model)
            self._output = model.output

    @cached_property
    def _vectors(self) -> Vectors:
        return load(self._path, format="fastText")

    @cached_property
    def _pooler(self) -> SentencePooler:
        return SentencePooler(self._vectors, "fasttext")

    def _supervised(self) -> Classifier:
        if self._classifier is None:
            raise OptionError("the model was not trained to predict labels: it is not supervised")
        return self._classifier

    @property
    def words(self) -> list[str]:
        """Words of the dictionary."""
        return list(self._dictionary.words)

    @property
    def labels(self) -> list[str]:
        """Labels of the model; the words of an unsupervised one."""
        return self.words if self._classifier is None else list(self._classifier.labels)

    def is_quantized(self) -> bool:
        """Return whether the model is quantized."""
        return self._dictionary.quantized

    def get_dimension(self) -> int:
        """Return the number of values in a vector."""
        return self._dictionary.dim

    def predict(self, text: str | list[str], k: int = 1, threshold: float = 0.0, on_unicode_error: str = "") -> Any:  # noqa: ARG002
        """Return labels and probabilities: see `vecload.classification.Classifier.predict`."""
        return self._supervised().predict(text, k, threshold)

    def test(self, path: str, k: int = 1, threshold: float = 0.0) -> tuple[int, float, float]:
        """Return the number of samples, the precision and the recall."""
        return tuple(self._supervised().test(path, k, threshold))  # type: ignore[return-value]

    def test_label(self, path: str, k: int = 1, threshold: float = 0.0) -> dict[str, dict[str, float]]:
        """Return the precision, recall and F1 score of each label; NaN where nothing was counted."""
        scores = self._supervised().test_labels(path, k, threshold)
        return {name: {"precision": of.precision, "recall": of.recall, "f1score": of.f1} for name, of in scores.items()}

    def get_line(self, text: str | list[str], on_unicode_error: str = "") -> Any:  # noqa: ARG002
        """Return the words and the known labels of a line, or a list of each for several lines."""
        if isinstance(text, list):
            pairs = [self.get_line(line) for line in text]
            return [words for words, _ in pairs], [labels for _, labels in pairs]
        if "\n" in text:
            raise OptionError("get_line takes one line: remove the newline")
        tokens = [*split_tokens(text), END]
        del tokens[tokens.index(END) + 1 :]
        known = set() if self._classifier is None else set(self._classifier.labels)
        words = [token for token in tokens if token in self._dictionary.words or not token.startswith(PREFIX)]
        return words, [token for token in tokens if token in known and token not in self._dictionary.words]

    def get_word_vector(self, word: str) -> npt.NDArray[np.float32]:
        """Return the vector of a word, composed from n-grams if it is unknown."""
        known = self._vectors.get(word)
        if known is not None:
            return np.array(known)
        ngrams = self._vectors.ngrams
        composed: npt.NDArray[np.float32] = np.zeros(self._vectors.dim, dtype=np.float32)
        return composed if ngrams is None else ngrams[word]

    def __getitem__(self, word: str) -> npt.NDArray[np.float32]:
        return self.get_word_vector(word)

    def __contains__(self, word: str) -> bool:
        return word in self._vectors

    def get_sentence_vector(self, text: str) -> npt.NDArray[np.float32]:
        """Return the vector of a text of one line."""
        if self._classifier is not None:
            hidden: npt.NDArray[np.float32] = self._classifier.encode([text])[0]
            return hidden
        if "\n" in text:
            raise OptionError("get_sentence_vector takes one line: remove the newline")
        vectors: npt.NDArray[np.float32] = self._pooler.encode([text])[0]
        return vectors

    def get_nearest_neighbors(self, word: str, k: int = 10, on_unicode_error: str = "") -> list[tuple[float, str]]:  # noqa: ARG002
        """Return (cosine, word) of the words nearest to a word."""
        return self._near(self.get_word_vector(word), [word], k)

    def get_analogies(
        self,
        wordA: str,  # noqa: N803 - fastText's names
        wordB: str,  # noqa: N803
        wordC: str,  # noqa: N803
        k: int = 10,
        on_unicode_error: str = "",  # noqa: ARG002
    ) -> list[tuple[float, str]]:
        """Return (cosine, word) of the words nearest to A - B + C, computed from unit vectors."""
        # fastText divides by the norm plus 1e-8 before it adds.
        a, b, c = (row / (np.linalg.norm(row) + 1e-8) for row in map(self.get_word_vector, (wordA, wordB, wordC)))
        return self._near(a - b + c, [wordA, wordB, wordC], k)

    def _near(self, query: npt.NDArray[np.float32], without: Sequence[str], k: int) -> list[tuple[float, str]]:
        vectors = self._vectors
        excluded = vectors.words.lookup(list(without))[None]
        found = nearest(vectors, query[None], min(k, len(vectors)), exclude=excluded, progress=False)
        pairs = zip(found.scores[0].tolist(), found.rows[0].tolist(), strict=True)
        return [(score, vectors.words[row]) for score, row in pairs if row >= 0]

    def get_word_id(self, word: str) -> int:
        """Return the row of a word, or -1."""
        return self._dictionary.word_id(word)

    def get_label_id(self, label: str) -> int:
        """Return the number of a label, or -1."""
        return self._supervised().label_id(label)

    def get_subword_id(self, subword: str) -> int:
        """Return the row of an n-gram in the input matrix."""
        return self._dictionary.subword_id(subword)

    def get_subwords(self, word: str, on_unicode_error: str = "") -> tuple[list[str], npt.NDArray[np.int64]]:  # noqa: ARG002
        """Return the parts of a word, and their rows in the input matrix."""
        return self._dictionary.subwords(word)

    def get_input_vector(self, ind: int) -> npt.NDArray[np.float32]:
        """Return a row of the input matrix."""
        row: npt.NDArray[np.float32] = self._dictionary.input_rows([ind])[0]
        return row

    def get_input_matrix(self) -> npt.NDArray[np.float32]:
        """Return the input matrix; ValueError for a quantized model, as in fastText."""
        model = self._dictionary
        if model.quantized:
            raise OptionError("the matrix is quantized; Classifier.input_rows decodes rows")
        return model.input_rows(np.arange(model.input_shape[0]))

    def get_output_matrix(self) -> npt.NDArray[np.float32]:
        """Return the output matrix; ValueError for a quantized model, as in fastText."""
        if self._dictionary.quantized or self._output is None:
            raise OptionError("the output matrix is quantized or missing; Classifier.output_matrix decodes it")
        return self._output.take(np.arange(self._output.shape[0]), sparse=False)

    def get_words(self, include_freq: bool = False, on_unicode_error: str = "") -> Any:  # noqa: ARG002, FBT001, FBT002
        """Return the words, with their counts if asked."""
        return (self.words, self._dictionary.word_counts) if include_freq else self.words

    def get_labels(self, include_freq: bool = False, on_unicode_error: str = "") -> Any:  # noqa: ARG002, FBT001, FBT002
        """Return the labels, or the words of an unsupervised model, with their counts if asked."""
        if self._classifier is None:
            return self.get_words(include_freq)
        return (self.labels, self._classifier.label_counts) if include_freq else self.labels
