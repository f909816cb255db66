"""`FastTextClassifier`: a fastText model as a scikit-learn classifier."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vecload.classification.classifier import PREFIX, load_classifier
from vecload.errors import require

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

_base: Any = require("sklearn.base", "sklearn")


class FastTextClassifier(_base.ClassifierMixin, _base.BaseEstimator):  # type: ignore[misc]
    """Trained fastText model as a classifier for a scikit-learn ``Pipeline``, without the beginning of the labels.

    Parameters
    ----------
    source
        As for `vecload.load_classifier`.
    prefix
        Beginning of labels in the model, which is removed.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Labels, in the order of the columns of `predict_proba`.
    classifier_ : Classifier
        The model that `fit` loaded.

    Examples
    --------
    >>> model = FastTextClassifier("lid.176.ftz").fit()  # doctest: +SKIP
    >>> model.predict(["Où est la bibliothèque ?"])  # doctest: +SKIP
    array(['fr'], dtype='<U3')
    """

    def __init__(self, source: str | os.PathLike[str], *, prefix: str = PREFIX) -> None:
        self.source = source
        self.prefix = prefix

    def fit(self, X: object = None, y: object = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Load the model; it is trained already."""
        self.classifier_ = load_classifier(self.source, prefix=self.prefix, strip_prefix=True)
        self.classes_ = np.array(self.classifier_.labels)
        return self

    def predict(self, X: Iterable[str]) -> npt.NDArray[np.str_]:  # noqa: N803
        """Return the most probable label of each text, shape (n,)."""
        labels: npt.NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: Iterable[str]) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class for each text, float32, shape (n, classes)."""
        require("sklearn.utils.validation", "sklearn").check_is_fitted(self)
        shares: npt.NDArray[np.float32] = self.classifier_.predict_proba(X)
        return shares
