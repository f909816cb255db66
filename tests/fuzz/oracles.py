"""Compare loaded values with other readers: the slow ones of `tests.reference`, and the libraries that own formats.

An oracle that cannot read an input has no vote: only two different answers are a finding.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.children import Difference
from tests.fuzz.inputs import Input
from tests.reference import fasttext as slow_fasttext
from vecload import Vectors

Oracle = Callable[[Path, Input, Vectors], None]


def _differ(what: str, ours: object, theirs: object) -> None:
    raise Difference(f"{what}: {str(ours)[:300]} here, {str(theirs)[:300]} there")


def compare(vectors: Vectors, words: list[str], matrix: Any, *, exact: bool = True) -> None:
    """Raise `Difference` unless the other reader has the same rows: the first row of each word, in the same order."""
    matrix = np.asarray(matrix)
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        first.setdefault(word, row)
    if vectors.meta.get("skipped"):
        return
    # A damaged native file may contain duplicate words: opening it does not compare words with each other.
    at = list(range(len(words))) if len(vectors) == len(words) else list(first.values())
    if list(vectors.words) != [words[row] for row in at]:
        _differ("words", list(vectors.words)[:10], words[:10])
    if not at:
        return  # without rows, other readers may not know the dimension
    kept = matrix[at]
    if kept.shape != vectors.matrix.shape:
        _differ("shape", vectors.matrix.shape, kept.shape)
    ours, theirs = np.asarray(vectors.matrix, dtype=np.float64), kept.astype(np.float64)
    same = np.array_equal(ours, theirs, equal_nan=True) if exact else np.allclose(ours, theirs, equal_nan=True)
    if not same:
        _differ("values", ours[:3].tolist(), theirs[:3].tolist())


@contextlib.contextmanager
def _may_fail() -> Any:
    """Ignore errors of another library, but propagate findings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Difference:
        raise
    except Exception:
        pass


def _text(path: Path, given: Input, vectors: Vectors) -> None:
    from tests.formats.text.test_against_reference import compare as compare_text

    if "removed" in str(vectors.meta.get("doubt")):
        return  # the slow reader keeps a space that all words have in common
    if vectors.meta["format"] in ("word2vec binary", "CSV", "TSV"):
        return  # mutation made a valid file of another format
    data = given.files[given.entry]
    try:
        compare_text(data, skip=False)
    except AssertionError as error:
        raise Difference(f"the slow reader of text: {str(error)[:500]}") from error


def _word2vec(path: Path, given: Input, vectors: Vectors) -> None:
    from gensim.models import KeyedVectors

    if vectors.meta["format"] != "word2vec binary":  # changed into text
        return
    with _may_fail():
        other = KeyedVectors.load_word2vec_format(str(path), binary=True, unicode_errors="surrogateescape")
        # gensim skips line feeds before a word, and keeps those inside.
        if len(other) == len(vectors) and not any("\n" in word for word in vectors):
            compare(vectors, other.index_to_key, other.vectors)


def _gensim(path: Path, given: Input, vectors: Vectors) -> None:
    from gensim.models import KeyedVectors

    with _may_fail():
        other = KeyedVectors.load(str(path))
        other = getattr(other, "wv", other)
        if all(isinstance(word, str) for word in other.index_to_key):
            compare(vectors, other.index_to_key, other.vectors, exact=False)


def _fasttext(path: Path, given: Input, vectors: Vectors) -> None:
    ngrams = vectors.ngrams
    if ngrams is None or ngrams.kind != "fasttext" or ngrams.maxn > 20:
        return
    kept = None if ngrams.kept is None else dict(ngrams.kept.tolist())
    for word in ("cat", "北海道", "", "w5w7"):
        rows = slow_fasttext.fasttext_rows(word.encode(), ngrams.minn, ngrams.maxn, ngrams.bucket, kept)
        if len(rows) != ngrams.counts([word])[0]:
            _differ("number of n-grams", ngrams.counts([word])[0], len(rows))
        if rows and np.isfinite(composed := ngrams.vectors([word])[0]).all():
            taken = ngrams.rows.take(np.array(rows), sparse=True)
            if not np.allclose(composed, slow_fasttext.mean(list(taken)), rtol=1e-4, atol=1e-6, equal_nan=True):
                _differ("vector of a word", composed, slow_fasttext.mean(list(taken)))

    if path.suffix in (".bin", ".ftz"):
        _by_fasttext(path, vectors)


def _by_fasttext(path: Path, vectors: Vectors) -> None:
    import fasttext

    if vectors.meta.get("duplicates"):
        return  # for duplicate words in a damaged dictionary, fastText uses the last row and vecload the first
    with _may_fail(), contextlib.redirect_stderr(io.StringIO()):
        model = fasttext.load_model(str(path))
        for word in [*list(vectors.words)[:5], "cat", "w5w7"]:
            theirs = model.get_word_vector(word)
            ours = vectors[word] if word in vectors else vectors.ngrams.vectors([word])[0]
            if np.isfinite(theirs).all() and not np.allclose(ours, theirs, rtol=1e-3, atol=1e-5):
                _differ("vector of a word", ours, theirs)


def _native(path: Path, given: Input, vectors: Vectors) -> None:
    from safetensors.numpy import load_file

    with _may_fail():
        tensors = load_file(path)
        offsets = tensors["words.offsets"]
        raw = tensors["words.data"].tobytes()
        words = [raw[a:b].decode("utf-8", "surrogateescape") for a, b in itertools.pairwise(offsets)]
        compare(vectors, words, tensors["matrix"])


def _parquet(path: Path, given: Input, vectors: Vectors) -> None:
    import pyarrow.parquet as pq

    with _may_fail():
        _columns(pq.read_table(path), vectors)


def _arrow(path: Path, given: Input, vectors: Vectors) -> None:
    import pyarrow as pa

    data = given.files[given.entry]
    with _may_fail():
        opened = pa.ipc.open_file if data.startswith(b"ARROW1") else pa.ipc.open_stream
        _columns(opened(io.BytesIO(data)).read_all(), vectors)


def _columns(table: Any, vectors: Vectors) -> None:
    table.validate(full=True)
    columns = table.column_names
    if columns == ["word", "vector"]:
        words = table["word"].to_pylist()
        words = [word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else word for word in words]
        compare(vectors, words, np.array(table["vector"].to_pylist()))


def _npz(path: Path, given: Input, vectors: Vectors) -> None:
    with _may_fail(), np.load(path, allow_pickle=False) as arrays:
        if sorted(arrays.files) == ["vectors", "words"] and arrays["words"].dtype.kind == "U":
            compare(vectors, arrays["words"].tolist(), arrays["vectors"])


ORACLES: dict[str, Oracle] = {
    "text": _text,
    "word2vec binary": _word2vec,
    "gensim": _gensim,
    "fasttext": _fasttext,
    "native": _native,
    "Parquet": _parquet,
    "Arrow": _arrow,
    "npz": _npz,
}
