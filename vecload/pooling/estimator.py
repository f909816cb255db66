"""`SentenceVectorizer`: a pooler as a scikit-learn transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from vecload.errors import require
from vecload.pooling.sentence_pooler import SentencePooler

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from vecload.pooling.modes import Mode
    from vecload.vectors import Vectors

_base: Any = require("sklearn.base", "sklearn")


class SentenceVectorizer(_base.TransformerMixin, _base.BaseEstimator):  # type: ignore[misc]
    """Texts → sentence vectors, as a step of a ``Pipeline``.

    Parameters
    ----------
    vectors
        The word vectors.
    mode, unknown, normalize, tokenize, lowercase
        As for `SentencePooler`.

    Attributes
    ----------
    pooler_ : SentencePooler
        Made by `fit`, which fits it to the texts where its mode has to be.

    Examples
    --------
    >>> import numpy as np, vecload
    >>> vectors = vecload.Vectors(vecload.Words.from_strings(["good", "bad"]), np.eye(2, dtype="float32"))
    >>> SentenceVectorizer(vectors).fit_transform(["good good", "bad"]).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        vectors: Vectors,
        *,
        mode: str | Mode = "mean",
        unknown: str = "skip",
        normalize: bool = False,
        tokenize: Any = None,
        lowercase: bool = False,
    ) -> None:
        self.vectors = vectors
        self.mode = mode
        self.unknown = unknown
        self.normalize = normalize
        self.tokenize = tokenize
        self.lowercase = lowercase

    def fit(self, X: Iterable[str], y: object = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Make the pooler, and fit it to the texts where its mode has to be."""
        from vecload.pooling.modes import FITTED

        self.pooler_ = SentencePooler(
            self.vectors,
            self.mode,
            unknown=self.unknown,  # type: ignore[arg-type]
            normalize=self.normalize,
            tokenize=self.tokenize,
            lowercase=self.lowercase,
        )
        if self.pooler_.mode.name in FITTED:
            self.pooler_.fit(X, progress=False)
        return self

    def transform(self, X: Iterable[str]) -> npt.NDArray[Any]:  # noqa: N803
        """Vectors of texts, float32, (n, output_dim)."""
        _validation().check_is_fitted(self)
        vectors: npt.NDArray[Any] = self.pooler_.encode(X, progress=False)
        return vectors

    def get_feature_names_out(self, input_features: object = None) -> list[str]:  # noqa: ARG002
        """A name for each value of a vector."""
        _validation().check_is_fitted(self)
        return [f"vector{at}" for at in range(self.pooler_.output_dim)]


def _validation() -> Any:
    return require("sklearn.utils.validation", "sklearn")
