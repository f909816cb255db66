"""Model cards: the ``README.md`` of a repository, with a header that the Hugging Face Hub reads."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from vecload.alignment import Aligned
from vecload.attribution import attribution, card_lines
from vecload.errors import OptionError
from vecload.evaluation import Evaluation
from vecload.hub.names import check_repository
from vecload.pooling import SentencePooler
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Shared = Vectors | Aligned | SentencePooler
"""Values that can be shared."""

_MARK: Final = re.compile(
    r"^<!-- vecload ([0-9a-f]{16}): the next push replaces this page unless it was edited -->\n?", re.MULTILINE
)
_TAGS: Final = {
    Vectors: ("word-vectors", "word-embeddings"),
    Aligned: ("word-vectors", "word-embeddings"),
    SentencePooler: ("word-vectors", "sentence-vectors"),
}


def card(
    value: Shared,
    repository: str,
    *,
    license: str | None = None,  # noqa: A002 - the word of the model card
    evaluation: Evaluation | None = None,
) -> str:
    r"""Return the text of a model card: contents, how to load them, source and license, coverage, evaluation.

    Parameters
    ----------
    value
        `Vectors`, `Aligned` or `SentencePooler`.
    repository
        Name of the repository, ``org/name``.
    license
        License of the vectors, such as "cc-by-sa-4.0"; None for the one in ``meta["license"]``.
    evaluation
        Result of `vecload.evaluate`, shown as tables.

    Raises
    ------
    OptionError
        For another kind of value, or an invalid name.

    Examples
    --------
    >>> import numpy as np, vecload
    >>> vectors = vecload.Vectors(["cat", "dog"], np.eye(2, dtype="float32"), {"license": "CC-BY-4.0"})
    >>> print(card(vectors, "org/name").partition("\n\n")[0])
    ---
    license: cc-by-4.0
    library_name: vecload
    tags: [vecload, word-vectors, word-embeddings]
    ---
    """
    check_value(value)
    check_repository(repository)
    if evaluation is not None and not isinstance(evaluation, Evaluation):
        raise OptionError(f"evaluation is a {type(evaluation).__name__}: pass the result of vecload.evaluate")
    meta = stated_meta(value, license)
    tags = ", ".join(("vecload", *next(tags for kind, tags in _TAGS.items() if isinstance(value, kind))))
    header = f"---\n{_license_lines(meta)}library_name: vecload\ntags: [{tags}]\n---\n"
    sections = [f"# {repository.partition('/')[2]}\n\n{_contents(value)}", _loading(value, repository), _source(meta)]
    if isinstance(value, Aligned):
        sections.append(_coverage(value))
    if evaluation is not None:
        sections.append(_evaluation(evaluation))
    body = "\n\n".join(sections) + "\n"
    mark = f"<!-- vecload {_digest(header + body)}: the next push replaces this page unless it was edited -->"
    return f"{header}\n{mark}\n\n{body}"


def check_value(value: object) -> None:
    """Refuse values that cannot be shared.

    Raises
    ------
    OptionError
        If it is not one of `Shared`.
    """
    if not isinstance(value, tuple(_TAGS)):
        kind = type(value).__name__
        raise OptionError(
            f"cannot share a {kind}: pass Vectors, as vecload.load returns, an Aligned or a SentencePooler"
        )


def is_unedited(text: str) -> bool:
    """Return whether a model card is as `card` wrote it.

    Examples
    --------
    >>> import numpy as np, vecload
    >>> text = card(vecload.Vectors(["cat"], np.eye(1)), "org/name")
    >>> is_unedited(text), is_unedited(text + "More."), is_unedited("# Mine")
    (True, False, False)
    """
    text = text.replace("\r\n", "\n")
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start() - 1] + text[mark.end() + 1 :])


def stated_meta(value: Shared, license: str | None) -> dict[str, Any]:  # noqa: A002 - the parameter of `card`
    """Return the description of a value, with the given license."""
    meta: Mapping[str, Any] = getattr(value, "meta", {})  # a pooler has none
    return {**meta, **({} if license is None else {"license": license})}


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


def _license_lines(meta: Mapping[str, Any]) -> str:
    """Return the license and source for the header; a name of a license that the Hub does not know is simplified."""
    lines = card_lines(meta)
    name = re.compile(r'^license_name: "(.*)"\n', re.MULTILINE)
    if not lines.startswith("license: other"):
        return name.sub("", lines)
    return name.sub(
        lambda found: f'license_name: "{re.sub(r"[^a-z0-9.]+", "-", found[1].lower()).strip("-")}"\n', lines
    )


def _contents(value: Shared) -> str:
    if isinstance(value, SentencePooler):
        count = "" if value.words is None else f" from {len(value.words):,} word vectors"
        return f"Sentence vectors of {value.output_dim} values{count}: mode `{value.mode.name}`."
    if isinstance(value, Aligned):
        return f"{len(value):,} rows of {value.dim} values, aligned to a vocabulary."
    ngrams = "" if value.ngrams is None else ", with character n-grams that compose vectors for other words"
    return f"{len(value):,} word vectors of {value.dim} values ({value.dtype}){ngrams}."


def _loading(value: Shared, repository: str) -> str:
    address = f'"hf://{repository}"'
    if isinstance(value, SentencePooler):
        lines = [f"pooler = vecload.SentencePooler.load({address})", 'vectors = pooler.encode(["a text"])']
    elif isinstance(value, Aligned):
        lines = [f"aligned = vecload.Aligned.load({address})", "layer = aligned.embedding()"]
    else:
        lines = [f"vectors = vecload.load({address})", "matrix, words = vectors.matrix, vectors.words"]
    code = "\n".join(lines)
    return (
        '## How to load\n\n    pip install "vecload[hub]"\n\n'
        f"```python\nimport vecload\n\n{code}\n```\n\nAdd `@revision` to the address for a branch, tag or commit."
    )


def _source(meta: Mapping[str, Any]) -> str:
    stated = attribution(meta)
    source = f"<{stated['source']}>" if "source" in stated else "not stated"
    return f"## Source and license\n\n- Source: {source}\n- License: {_plain(stated.get('license', 'not stated'))}"


def _coverage(aligned: Aligned) -> str:
    coverage = aligned.coverage
    lines = [f"{coverage.found:.1%} of the types of the vocabulary were found"]
    if coverage.found_tokens is not None:
        lines[0] += f", {coverage.found_tokens:.1%} of the tokens"
    rows = [
        (count.origin, f"{count.types:,}", *(() if count.tokens is None else (f"{count.tokens:,}",)))
        for count in coverage.counts
    ]
    counted = coverage.found_tokens is not None
    return "\n".join(["## Coverage\n", f"{lines[0]}.\n", _table(("origin", "types", "tokens")[: 2 + counted], rows)])


def _evaluation(evaluation: Evaluation) -> str:
    parts = ["## Evaluation"]
    if evaluation.similarities:
        rows = [
            (one.dataset, f"{one.spearman:.4f}", f"{one.pearson:.4f}", f"{one.used:,} of {one.total:,}")
            for one in evaluation.similarities
        ]
        parts.append(_table(("word similarity", "Spearman", "Pearson", "pairs"), rows))
    if evaluation.analogies:
        answered = [
            (f"{one.dataset} ({one.method})", f"{one.accuracy:.2%}", f"{one.total.used:,} of {one.total.total:,}")
            for one in evaluation.analogies
        ]
        parts.append(_table(("analogies", "accuracy", "questions"), answered))
    space = evaluation.geometry
    shape = [("mean cosine of random pairs", f"{space.cosine:.4f}"), ("isotropy I(W)", f"{space.isotropy:.4f}")]
    parts.append(_table(("geometry", ""), shape))
    return "\n\n".join([*parts, f"Protocol `{evaluation.protocol}` of `vecload.evaluate`."])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    align = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(map(_plain, cells))} |" for cells in (head, align, *rows))


def _plain(text: str) -> str:
    """Return text without the characters that Markdown and HTML give a meaning in a line."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")
