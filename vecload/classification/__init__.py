"""Supervised fastText models: labels of texts, without the official library."""

from vecload.classification.classifier import Classifier, LabelScores, Scores, load_classifier
from vecload.keywords import explain_public

__all__ = ["Classifier", "LabelScores", "Scores", "load_classifier"]

explain_public(__name__)
