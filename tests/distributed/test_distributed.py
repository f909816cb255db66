"""Pooling with Ray while a worker dies, and in datasets; conversion as Ray tasks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecload import Vectors, distributed, load
from vecload.distributed import PoolBatch
from vecload.errors import OptionError
from vecload.pooling import SentencePooler

WORDS = [f"w{at}" for at in range(100)]
MATRIX = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS, at % 20)) for at in range(2000)]


@pytest.fixture
def pooler(tmp_path: Path) -> Path:
    SentencePooler(Vectors(WORDS, MATRIX), "sif").fit(TEXTS).save(tmp_path / "pooler")
    return tmp_path / "pooler"


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield ray
    ray.shutdown()


class DyingPoolBatch(PoolBatch):
    """Pooler that kills its process once, at a batch in the middle."""

    def __call__(self, batch: Any) -> Any:
        mark = Path(self.folder).parent / "died"
        if 700 in batch.column("id").to_pylist() and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore")
def test_pool_parquet_is_complete_after_a_worker_dies(
    ray: Any, pooler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    source = tmp_path / "texts"
    source.mkdir()
    for part in range(4):
        ids = range(part * 500, part * 500 + 500)
        table = arrow.table({"id": list(ids), "body": [TEXTS[at] for at in ids]})
        parquet.write_table(table, source / f"{part}.parquet")
    monkeypatch.setattr(distributed, "PoolBatch", DyingPoolBatch)
    ray.cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
    distributed.pool_parquet(
        str(source), tmp_path / "out", pooler=pooler, text_column="body", workers=2, batch_size=100
    )
    assert (tmp_path / "died").exists()
    found = parquet.read_table(tmp_path / "out").sort_by("id")
    assert found["id"].to_pylist() == list(range(2000))
    assert found["body"].to_pylist() == TEXTS
    vectors = np.array(found["vector"].to_pylist(), dtype=np.float32)
    expected = SentencePooler.load(pooler).encode(TEXTS)
    # Products of other batch sizes may differ in the last bit.
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["died", "out", "pooler", "texts"]


@pytest.mark.filterwarnings("ignore")
def test_convert_files_converts_every_file(ray: Any, tmp_path: Path) -> None:
    sources = []
    for at in range(3):
        sources.append(str(tmp_path / f"v{at}.txt"))
        Path(sources[-1]).write_text(f"cat {at} 1\ndog 2 3\n")
    done = distributed.convert_files(sources, tmp_path / "out", format="native", dtype="float16")
    assert [conversion.rows for conversion in done] == [2, 2, 2]
    assert load(tmp_path / "out" / "v2.safetensors").matrix.tolist() == [[2, 1], [2, 3]]


def test_pool_batch_accepts_dictionaries_and_arrow_batches(pooler: Path) -> None:
    expected = SentencePooler.load(pooler).encode(TEXTS[:10])
    call = PoolBatch(pooler, vector_column="v")
    assert np.array_equal(call({"text": TEXTS[:10]})["v"], expected)
    arrow = pytest.importorskip("pyarrow")
    batch = arrow.RecordBatch.from_pydict({"text": TEXTS[:10]})
    pooled = next(map(call, iter([batch])))  # as Spark's mapInArrow does
    assert pooled.schema.names == ["text", "v"]
    assert np.array_equal(np.array(pooled["v"].to_pylist(), dtype=np.float32), expected)
    with pytest.raises(OptionError, match="the batch has no column 'text'; set text_column= to one of: 'body'"):
        call({"body": []})
    with pytest.raises(OptionError, match="the batch has no column 'text'; set text_column= to one of: 'body'"):
        call(arrow.table({"body": []}))


def test_pool_batch_works_with_datasets_map(pooler: Path) -> None:
    datasets = pytest.importorskip("datasets")
    mapped = datasets.Dataset.from_dict({"text": TEXTS[:300]}).map(PoolBatch(pooler), batched=True, batch_size=64)
    found = np.array(mapped["vector"], dtype=np.float32)
    np.testing.assert_allclose(found, SentencePooler.load(pooler).encode(TEXTS[:300]), rtol=0, atol=1e-6)
