"""Beyond one process and one machine: a batch function for any data library, and Ray where there are many.

Every process maps the pooler's file, so a node holds its rows once, however many workers it runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vecload import conversion
from vecload.conversion import Conversion
from vecload.errors import OptionError, require
from vecload.pooling import SentencePooler, files
from vecload.reading import DType
from vecload.sources import atomic_write, check_target

__all__ = ["PoolBatch", "convert_files", "pool_parquet"]

B = TypeVar("B")

_EXTRA = "ray"


class PoolBatch:
    """A function from a batch of rows to the batch with a column of sentence vectors.

    The same object serves ``ray.data.Dataset.map_batches``, ``datasets.Dataset.map(batched=True)`` and, mapped over an
    iterator of batches, Spark's ``mapInArrow``. It is pickled as a path: a process opens the pooler at its first batch.

    Parameters
    ----------
    pooler
        The folder that `SentencePooler.save` wrote, where every worker can see it.
    text_column
        The column that holds the texts.
    vector_column
        The column to add: lists of float32 of a fixed size.

    Examples
    --------
    >>> import tempfile, numpy as np, vecload
    >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 2), dtype="float32"))
    >>> folder = tempfile.mkdtemp()
    >>> vecload.SentencePooler(vectors).save(folder)
    >>> PoolBatch(folder)({"text": ["cat cat", "dog"]})["vector"].tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(
        self, pooler: str | os.PathLike[str], *, text_column: str = "text", vector_column: str = files.COLUMN
    ) -> None:
        self.folder = os.fspath(pooler)
        self.text_column = text_column
        self.vector_column = vector_column
        self._pooler: SentencePooler | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.folder, self.text_column, self.vector_column)

    def __call__(self, batch: B) -> B:
        """Pool one batch.

        Parameters
        ----------
        batch
            A dictionary of columns (lists or arrays), or an Arrow table or record batch.

        Raises
        ------
        OptionError
            When it has no such column.
        """
        if isinstance(batch, Mapping):
            if self.text_column not in batch:
                raise OptionError(f"no column {self.text_column!r} among {', '.join(map(repr, batch))}: text_column=")
            return {**batch, self.vector_column: self._pool(list(batch[self.text_column]))}  # type: ignore[return-value]
        table: Any = batch
        names = table.schema.names
        if self.text_column not in names:
            raise OptionError(f"no column {self.text_column!r} among {', '.join(map(repr, names))}: text_column=")
        column = files.column_of(self._pool(table.column(self.text_column).to_pylist()))
        pooled: B = type(table).from_arrays([*table.columns, column], names=[*names, self.vector_column])
        return pooled

    def _pool(self, texts: list[str]) -> Any:
        if self._pooler is None:
            self._pooler = SentencePooler.load(self.folder)
        return self._pooler.encode(texts, progress=False)


def _revive(kind: type[PoolBatch], folder: str, text_column: str, vector_column: str) -> PoolBatch:
    return kind(folder, text_column=text_column, vector_column=vector_column)


def pool_parquet(
    texts: str | Sequence[str],
    output: str | os.PathLike[str],
    *,
    pooler: str | os.PathLike[str],
    text_column: str = "text",
    vector_column: str = files.COLUMN,
    workers: int = 2,
    batch_size: int = 8192,
) -> None:
    """Add sentence vectors to Parquet files, on Ray Data: on this machine, or on the cluster Ray is connected to.

    Parameters
    ----------
    texts
        Parquet files or folders of them, as ``ray.data.read_parquet`` takes them.
    output
        The folder for the Parquet files; it appears whole or not at all. A URL (``s3://…``) is written file by file.
        Rows keep their columns; the order of files is not kept.
    pooler
        The folder that `SentencePooler.save` wrote, where every worker can see it.
    text_column, vector_column
        The columns to read and to add.
    workers
        Processes that pool. One that dies is started again, and its batch is done again.
    batch_size
        Rows a worker takes together.

    Raises
    ------
    MissingDependencyError
        When Ray is not installed.
    """
    data: Any = require("ray.data", _EXTRA)
    if "://" not in os.fspath(output):
        check_target(output, folder=True)
    rows = data.read_parquet(texts).map_batches(
        PoolBatch,
        fn_constructor_args=(os.fspath(pooler),),
        fn_constructor_kwargs={"text_column": text_column, "vector_column": vector_column},
        compute=data.ActorPoolStrategy(size=workers),
        num_cpus=0.5,  # those that read and write need the other half: a pool of whole ones would wait for ever
        batch_format="pyarrow",
        batch_size=batch_size,
    )
    if "://" in os.fspath(output):
        rows.write_parquet(os.fspath(output))
        return
    with atomic_write(output, folder=True) as part:
        rows.write_parquet(str(part.absolute()))


def convert_files(
    sources: Sequence[str],
    folder: Path,
    *,
    format: str,  # noqa: A002 - the field's word
    dtype: DType | None = None,
) -> list[Conversion]:
    """Convert many files of word vectors at once, each as a Ray task.

    Parameters
    ----------
    sources
        The files, as for `load`, where every worker can see them.
    folder
        Where the converted files go, one each, under the sources' names.
    format, dtype
        As for `vecload.convert`.

    Returns
    -------
    list of Conversion
        What was done, in the order of `sources`. A task whose process dies is tried again.

    Raises
    ------
    MissingDependencyError
        When Ray is not installed.
    """
    ray: Any = require("ray", _EXTRA)
    pairs = conversion.targets_in(folder, sources, format)
    conversion.check_conversions(pairs, folder=folder, format=format)
    task = ray.remote(max_retries=3)(_convert)
    jobs = [task.remote(source, str(target), format, dtype) for source, target in pairs]
    done: list[Conversion] = ray.get(jobs)
    return done


def _convert(source: str, target: str, name: str, dtype: DType | None) -> Conversion:
    return conversion.convert(source, target, format=name, dtype=dtype, progress=False)
