"""vecload: from a file of pretrained word vectors to an embedding layer.

>>> import vecload
>>> vectors = vecload.load("glove.6B.50d.txt")  # doctest: +SKIP
>>> aligned = vecload.align(vectors, vecload.Vocab.from_texts(texts), oov=["casefold", "normal"])  # doctest: +SKIP
>>> layer = aligned.embedding(mode="finetune")  # doctest: +SKIP

Names are found on first use, so importing the package imports nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecload import catalog as catalog
    from vecload import compat as compat
    from vecload import evaluation as evaluation
    from vecload import layers as layers
    from vecload import mapping as mapping
    from vecload import oov as oov
    from vecload import pooling as pooling
    from vecload import search as search
    from vecload import transforms as transforms
    from vecload.alignment import Aligned as Aligned
    from vecload.alignment import align as align
    from vecload.alignment import check as check
    from vecload.conversion import Conversion as Conversion
    from vecload.conversion import convert as convert
    from vecload.errors import DownloadError as DownloadError
    from vecload.errors import FormatError as FormatError
    from vecload.errors import MissingDependencyError as MissingDependencyError
    from vecload.errors import MissingWordError as MissingWordError
    from vecload.errors import OptionError as OptionError
    from vecload.errors import UnknownKeywordError as UnknownKeywordError
    from vecload.errors import VecloadError as VecloadError
    from vecload.errors import VecloadWarning as VecloadWarning
    from vecload.errors import VocabularyError as VocabularyError
    from vecload.evaluation import compare as compare
    from vecload.evaluation import evaluate as evaluate
    from vecload.inspection import Info as Info
    from vecload.layers import PartialEmbedding as PartialEmbedding
    from vecload.layers import StoredEmbedding as StoredEmbedding
    from vecload.layers import extend_embedding as extend_embedding
    from vecload.loading import info as info
    from vecload.loading import load as load
    from vecload.mapping import SpaceMap as SpaceMap
    from vecload.mapping import map_spaces as map_spaces
    from vecload.ngrams import NgramTable as NgramTable
    from vecload.pooling import SentencePooler as SentencePooler
    from vecload.provenance import Coverage as Coverage
    from vecload.provenance import Explanation as Explanation
    from vecload.reports import report as report
    from vecload.transforms import transform as transform
    from vecload.vectors import Vectors as Vectors
    from vecload.vocab import Vocab as Vocab
    from vecload.words import Words as Words

from vecload._version import __version__ as __version__

_PUBLIC = {
    "Aligned": "alignment",
    "Conversion": "conversion",
    "Coverage": "provenance",
    "DownloadError": "errors",
    "Explanation": "provenance",
    "FormatError": "errors",
    "Info": "inspection",
    "MissingDependencyError": "errors",
    "MissingWordError": "errors",
    "NgramTable": "ngrams",
    "OptionError": "errors",
    "PartialEmbedding": "layers",
    "SpaceMap": "mapping",
    "StoredEmbedding": "layers",
    "SentencePooler": "pooling",
    "UnknownKeywordError": "errors",
    "Vectors": "vectors",
    "VecloadError": "errors",
    "VecloadWarning": "errors",
    "Vocab": "vocab",
    "VocabularyError": "errors",
    "Words": "words",
    "align": "alignment",
    "catalog": "catalog",
    "compat": "compat",
    "check": "alignment",
    "convert": "conversion",
    "extend_embedding": "layers",
    "compare": "evaluation",
    "evaluate": "evaluation",
    "evaluation": "evaluation",
    "info": "loading",
    "layers": "layers",
    "load": "loading",
    "map_spaces": "mapping",
    "oov": "oov",
    "pooling": "pooling",
    "report": "reports",
    "search": "search",
    "mapping": "mapping",
    "transform": "transforms",
    "transforms": "transforms",
}
"""Public name → the room it lives in; a room that is public itself names itself."""

__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - the table is the one place that lists them


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vecload' has no attribute {name!r}")
    room = import_module(f"vecload.{_PUBLIC[name]}")
    value = room if name == _PUBLIC[name] else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
