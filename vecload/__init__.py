"""vecload: from a file of pretrained word vectors to an embedding layer.

>>> import vecload
>>> vectors = vecload.load("glove.6B.50d.txt")  # doctest: +SKIP
>>> aligned = vecload.align(vectors, vecload.Vocab.from_texts(texts), oov=["casefold", "normal"])  # doctest: +SKIP
>>> layer = aligned.embedding(mode="finetune")  # doctest: +SKIP

Names are imported at their first use, so importing the package imports nothing else. Besides the names here, there are
namespaces: `formats`, `oov`, `layers`, `pooling`, `classification`, `transforms`, `mapping`, `search`, `evaluation`,
`catalog`, `hub`, `shrinking`, `distributed`, `provenance`, `errors` and `compat`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vecload._version import __version__ as __version__

if TYPE_CHECKING:
    from vecload import catalog as catalog
    from vecload import classification as classification
    from vecload import compat as compat
    from vecload import distributed as distributed
    from vecload import errors as errors
    from vecload import evaluation as evaluation
    from vecload import formats as formats
    from vecload import hub as hub
    from vecload import layers as layers
    from vecload import mapping as mapping
    from vecload import oov as oov
    from vecload import pooling as pooling
    from vecload import provenance as provenance
    from vecload import search as search
    from vecload import shrinking as shrinking
    from vecload import transforms as transforms
    from vecload.alignment import Aligned as Aligned
    from vecload.alignment import align as align
    from vecload.alignment import check as check
    from vecload.classification import load_classifier as load_classifier
    from vecload.conversion import Conversion as Conversion
    from vecload.conversion import convert as convert
    from vecload.errors import VecloadError as VecloadError
    from vecload.errors import VecloadWarning as VecloadWarning
    from vecload.evaluation import compare as compare
    from vecload.evaluation import evaluate as evaluate
    from vecload.inspection import Info as Info
    from vecload.layers import PartialEmbedding as PartialEmbedding
    from vecload.layers import extend_embedding as extend_embedding
    from vecload.layers import transfer_embedding as transfer_embedding
    from vecload.loading import info as info
    from vecload.loading import load as load
    from vecload.mapping import SpaceMap as SpaceMap
    from vecload.mapping import map_spaces as map_spaces
    from vecload.ngrams import NgramTable as NgramTable
    from vecload.pooling import SentencePooler as SentencePooler
    from vecload.provenance import Coverage as Coverage
    from vecload.reports import report as report
    from vecload.shrinking import shrink as shrink
    from vecload.transforms import transform as transform
    from vecload.vectors import Vectors as Vectors
    from vecload.vocab import Vocab as Vocab
    from vecload.words import Words as Words

_NAMES = {
    "Aligned": "alignment",
    "Conversion": "conversion",
    "Coverage": "provenance",
    "Info": "inspection",
    "NgramTable": "ngrams",
    "PartialEmbedding": "layers",
    "SentencePooler": "pooling",
    "SpaceMap": "mapping",
    "VecloadError": "errors",
    "VecloadWarning": "errors",
    "Vectors": "vectors",
    "Vocab": "vocab",
    "Words": "words",
    "align": "alignment",
    "check": "alignment",
    "compare": "evaluation",
    "convert": "conversion",
    "evaluate": "evaluation",
    "extend_embedding": "layers",
    "info": "loading",
    "load": "loading",
    "load_classifier": "classification",
    "map_spaces": "mapping",
    "report": "reports",
    "shrink": "shrinking",
    "transfer_embedding": "layers",
    "transform": "transforms",
}
"""Module of each public name."""

_NAMESPACES = (
    "catalog",
    "classification",
    "compat",
    "distributed",
    "errors",
    "evaluation",
    "formats",
    "hub",
    "layers",
    "mapping",
    "oov",
    "pooling",
    "provenance",
    "search",
    "shrinking",
    "transforms",
)
"""Modules whose names are public, too."""

__all__ = sorted([*_NAMES, *_NAMESPACES])  # noqa: PLE0605 - the tables are the one place that lists them


def __getattr__(name: str) -> Any:
    if name in _NAMESPACES:
        value: Any = import_module(f"vecload.{name}")
    elif name in _NAMES:
        value = getattr(import_module(f"vecload.{_NAMES[name]}"), name)
    else:
        raise AttributeError(f"module 'vecload' has no attribute {name!r}")
    # Later accesses find the value without this function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
