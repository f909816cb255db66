"""`SentenceVectorizer`: a `SentencePooler` as a scikit-learn transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from vecload.errors import require
from vecload.pooling.modes import FITTED
from vecload.pooling.sentence_pooler import SentencePooler

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from vecload.pooling.modes import Mode
    from vecload.vectors import Vectors

_base: Any = require("sklearn.base", "sklearn")


class SentenceVectorizer(_base.TransformerMixin, _base.BaseEstimator):  # type: ignore[misc]
    """Transformer from texts to sentence vectors, for a scikit-learn ``Pipeline``.

    Parameters
    ----------
    vectors
        Word vectors.
    mode, unknown, normalize, tokenize, lowercase
        As for `SentencePooler`.

    Attributes
    ----------
    pooler_ : SentencePooler
        The pooler that `fit` made.

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
        """Make the pooler, and fit it to the texts if its mode needs a corpus."""
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
        """Return the vectors of texts, float32, shape (n, output_dim)."""
        _validation().check_is_fitted(self)
        vectors: npt.NDArray[Any] = self.pooler_.encode(X, progress=False)
        return vectors

    def get_feature_names_out(self, input_features: object = None) -> list[str]:  # noqa: ARG002
        """Return a name for each value of a vector."""
        _validation().check_is_fitted(self)
        return [f"vector{at}" for at in range(self.pooler_.output_dim)]


def _validation() -> Any:
    return require("sklearn.utils.validation", "sklearn")
