"""Evaluate vectors: by data sets of human judgments (`datasets`) under named protocols, and by their own geometry."""

from vecload.evaluation.bilingual import Induction, induction
from vecload.evaluation.datasets import Analogies, Pairs, find, read, read_analogies, read_pairs, read_sentences
from vecload.evaluation.geometry import Comparison, Geometry, compare, geometry
from vecload.evaluation.protocols import PROTOCOLS, Protocol
from vecload.evaluation.results import Evaluation, evaluate
from vecload.evaluation.sentences import SentenceSimilarity, sentence_similarity
from vecload.evaluation.word_benchmarks import AnalogyScore, Section, Similarity, analogies, similarity
from vecload.keywords import explain_public

__all__ = [
    "PROTOCOLS",
    "Analogies",
    "AnalogyScore",
    "Comparison",
    "Evaluation",
    "Geometry",
    "Induction",
    "Pairs",
    "Protocol",
    "Section",
    "SentenceSimilarity",
    "Similarity",
    "analogies",
    "compare",
    "evaluate",
    "find",
    "geometry",
    "induction",
    "read",
    "read_analogies",
    "read_pairs",
    "read_sentences",
    "sentence_similarity",
    "similarity",
]

explain_public(__name__)
