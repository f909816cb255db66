"""Supervised fastText models: labels of texts, without the official library."""

from vecload.classification.classifier import Classifier, Scores, load_classifier
from vecload.keywords import explain_public

__all__ = ["Classifier", "Scores", "load_classifier"]

explain_public(__name__)
