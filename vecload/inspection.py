"""Facts about a file of word vectors, and their presentation as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.formats.contract import Sample
from vecload.formats.history import History
from vecload.notebook import table
from vecload.words import Words
from vecload.words.doubts import SharedSpaces, find_doubt, join_doubts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vecload.formats.contract import Reader


@dataclass(frozen=True)
class Info:
    """Facts about a file of word vectors; ``str()`` is a small table."""

    source: str
    """Name of the file."""
    size: int | None
    """Bytes, decompressed; None if that takes reading the whole file."""
    stored: int | None
    """Bytes on disk: of the compressed file or the whole archive; None for a folder or a pipe."""
    format: str
    """Name of the format."""
    compression: str | None
    """Compression and archive of the file."""
    header: str | None
    """Header line of the file."""
    rows: int
    """Number of rows. See `exact` and `at_least`."""
    exact: bool
    """Whether `rows` was counted, not estimated or taken from the header."""
    dim: int
    """Number of values in a row."""
    values: str
    """Form of the values in the file, and the type that holds them."""
    words: tuple[str, ...]
    """The first words."""
    norms: tuple[float, float, float]
    """Least, mean and greatest Euclidean norm of the sampled rows."""
    sampled: int
    """Number of rows sampled, from the start of the file."""
    at_least: bool = False
    """Whether `rows` is only the number of rows seen: the end of a stream of unknown length was not reached."""
    details: Mapping[str, str] = field(default_factory=dict)
    """More facts, by name: options and labels of fastText models, malformed rows, shared rows, words that are not valid
    UTF-8."""
    doubt: str | None = None
    """Doubts about the sampled words, as in ``Vectors.meta["doubt"]``."""

    attribution: Mapping[str, str] = field(default_factory=dict)
    """License and source that the file or the catalog states, as "license" and "source"."""

    @property
    def rows_text(self) -> str:
        """Number of rows, and how it is known unless they were counted."""
        if self.at_least:
            return f"at least {self.rows:,}"
        if self.exact:
            return f"{self.rows:,}"
        return f"{self.rows:,} " + ("(from the header)" if self.header else "(estimated)")

    @property
    def bytes_text(self) -> str:
        """Bytes on disk, the compression, and the decompressed bytes."""
        if self.compression is None:
            return "unknown size" if self.size is None else f"{self.size:,} bytes"
        packed = "unknown size" if self.stored is None else f"{self.stored:,} bytes on disk"
        return f"{packed}, {self.compression}" + ("" if self.size is None else f", {self.size:,} bytes decompressed")

    @property
    def _lines(self) -> dict[str, str]:
        lines = {
            "file": f"{self.source} ({self.bytes_text})",
            "format": self.format,
            "header": self.header or "none",
            "rows": self.rows_text,
            "dimension": str(self.dim),
            "values": self.values,
            "first words": " ".join(repr(word) for word in self.words),
            "norms": f"{self.norms[0]:.4g} to {self.norms[2]:.4g}, mean {self.norms[1]:.4g}"
            + f" (first {self.sampled:,} rows)",
        }
        lines.update(self.details)
        lines.update(self.attribution)
        if self.doubt:
            lines["doubt"] = self.doubt
        return lines

    def __str__(self) -> str:
        lines = self._lines
        width = max(map(len, lines)) + 1 if self.details else 12
        return "\n".join(f"{name:<{width}} {value}" for name, value in lines.items())

    def _repr_html_(self) -> str:
        return table(self.source, [], self._lines.items())


def details_of(
    history: History,
    words: Sequence[str],
    rows: npt.NDArray[Any],
    skipped: Mapping[str, int],
    shared: tuple[int, int] | None = None,
) -> dict[str, str]:
    r"""Return facts that only some files have, for `Info.details`.

    Parameters
    ----------
    history
        Training and transforms of the vectors.
    words, rows
        The first words and their vectors.
    skipped
        Number of malformed rows before, among and after them, by cause.
    shared
        Number of words and number of rows, for files that store the rows of several words once.

    Examples
    --------
    >>> import numpy as np
    >>> details_of(History(), ["cat", "caf\udce9"], np.ones((2, 3)), {})
    {'shared rows': '1 of the first 2 rows equals another', 'not UTF-8': '1 of the first 2 words'}
    >>> details_of(History(), ["cat"], np.ones((1, 3)), {"too few values": 2})
    {'malformed': '2 of the first 3 rows (too few values)'}
    """
    details: dict[str, str] = {}
    arguments = history.arguments
    # A native file may hold only some of a model's arguments.
    if {"minn", "maxn", "bucket"} <= arguments.keys():
        details["n-grams"] = f"minn {arguments['minn']}, maxn {arguments['maxn']}, {arguments['bucket']:,} buckets"
    if {"model", "loss"} <= arguments.keys():
        details["model"] = f"{arguments['model']}, {arguments['loss']} loss"
        details["labels"] = f"{len(history.labels):,}"
    if skipped:
        bad = sum(skipped.values())
        details["malformed"] = f"{bad:,} of the first {bad + len(rows):,} rows ({', '.join(skipped)})"
    # Zero is added so that -0.0 and 0.0 have the same bytes. np.unique is slow for wide rows: a field for each column.
    equal = len(rows) - len({row.tobytes() for row in rows + 0.0})
    if shared is not None:
        details["shared rows"] = f"{shared[0]:,} words on {shared[1]:,} rows"
    elif equal and len(words):
        details["shared rows"] = (
            f"{equal:,} of the first {len(rows):,} rows {'equals' if equal == 1 else 'equal'} another"
        )
    # Bytes that are not valid UTF-8 are surrogate escapes in strings.
    invalid = sum(any("\udc80" <= char <= "\udcff" for char in word) for word in words)
    if invalid:
        details["not UTF-8"] = f"{invalid:,} of the first {len(words):,} words"
    return details


def doubt_of(reader: Reader, words: list[str], *, known: bool) -> str | None:
    """Return the doubts about the first words."""
    if known:
        return join_doubts(reader.doubt)
    first = Words.from_strings(words)
    shared = SharedSpaces.of(first)
    finding = find_doubt(shared.strip(first))
    return join_doubts(reader.doubt, shared.text, finding and finding.text)


def first_rows(reader: Reader, most: int) -> Sample:
    """Return the first rows, and the total row count if they are the whole file."""
    batches = list(reader)
    words = [word for batch in batches for word in batch.words]
    rows = [batch.rows.astype(np.float64) for batch in batches]
    read = len(words) + reader.skipped.total()
    total = read if read < most else None
    return Sample(words, np.concatenate([*rows, np.empty((0, reader.dim))]), total, Counter(reader.skipped))
