"""Pooling and conversion on many machines: a batch function for any data library, and calls that use Ray.

Every process maps the files of the pooler, so a machine holds the rows in memory once for all its workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vecload import conversion
from vecload.conversion import Conversion
from vecload.errors import OptionError, require
from vecload.keywords import explain_public
from vecload.pooling import SentencePooler, files
from vecload.reading import DType
from vecload.sources import atomic_write, check_target

__all__ = ["PoolBatch", "convert_files", "pool_parquet"]

B = TypeVar("B")

_EXTRA = "ray"
_BLOCK = 8  # batches: a task of Ray takes long enough to start that it should pool more than one


class PoolBatch:
    """Function that adds a column of sentence vectors to a batch of rows.

    It works with ``ray.data.Dataset.map_batches``, with ``datasets.Dataset.map(batched=True)`` and, mapped over an
    iterator of batches, with Spark's ``mapInArrow``. It is pickled as a path, and each process opens the pooler at its
    first batch.

    Parameters
    ----------
    pooler
        Folder that `SentencePooler.save` wrote, which every worker must be able to read.
    text_column
        Column that holds the texts.
    vector_column
        Column to add, of fixed-size lists of float32.

    Examples
    --------
    >>> import tempfile, numpy as np, vecload
    >>> vectors = vecload.Vectors(["cat"], np.ones((1, 2), dtype="float32"))
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
        return _unpickled, (type(self), self.folder, self.text_column, self.vector_column)

    def __call__(self, batch: B) -> B:
        """Pool one batch.

        Parameters
        ----------
        batch
            Dictionary of columns (lists or arrays), or an Arrow table or record batch.

        Raises
        ------
        OptionError
            If the batch does not have the column of texts.
        """
        if isinstance(batch, Mapping):
            self._check_column(batch)
            return {**batch, self.vector_column: self._pool(list(batch[self.text_column]))}  # type: ignore[return-value]
        table: Any = batch
        names = table.schema.names
        self._check_column(names)
        column = files.column_of(self._pool(table.column(self.text_column).to_pylist()))
        pooled: B = type(table).from_arrays([*table.columns, column], names=[*names, self.vector_column])
        return pooled

    def _check_column(self, names: Iterable[str]) -> None:
        if self.text_column not in names:
            known = ", ".join(map(repr, names))
            raise OptionError(f"the batch has no column {self.text_column!r}; set text_column= to one of: {known}")

    def _pool(self, texts: list[str]) -> Any:
        if self._pooler is None:
            self._pooler = SentencePooler.load(self.folder)
        return self._pooler.encode(texts, progress=False)


def _unpickled(kind: type[PoolBatch], folder: str, text_column: str, vector_column: str) -> PoolBatch:
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
    """Add sentence vectors to Parquet files with Ray Data, on this machine or on the cluster that Ray is connected to.

    Parameters
    ----------
    texts
        Parquet files or folders of them, as for ``ray.data.read_parquet``.
    output
        Folder for the Parquet files, which is written completely or not at all. A URL (``s3://…``) is written file by
        file. Rows keep their columns; the order of files is not kept.
    pooler
        Folder that `SentencePooler.save` wrote, which every worker must be able to read.
    text_column, vector_column
        Columns to read and to add.
    workers
        Number of processes that pool. If one dies, it is restarted and its batch is repeated.
    batch_size
        Number of rows in a batch.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    """
    data: Any = require("ray.data", _EXTRA)
    if "://" not in os.fspath(output):
        check_target(output, folder=True)
    # Ray reads small files as one block, which a single worker would pool.
    blocks = data.read_parquet(texts).repartition(target_num_rows_per_block=_BLOCK * batch_size)
    rows = blocks.map_batches(
        PoolBatch,
        fn_constructor_args=(os.fspath(pooler),),
        fn_constructor_kwargs={"text_column": text_column, "vector_column": vector_column},
        compute=data.ActorPoolStrategy(size=workers),
        # Tasks that read and write need CPUs too. Workers that reserved all of them would wait for these forever.
        num_cpus=0.5,
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
        Files, as for `load`, which every worker must be able to read.
    folder
        Folder for the converted files, which keep the names of their sources.
    format, dtype
        As for `vecload.convert`.

    Returns
    -------
    list of Conversion
        Results in the order of `sources`. If the process of a task dies, the task is repeated.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
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


explain_public(__name__)
