"""Pooling and conversion on a Ray cluster of several nodes, of which one dies in the middle."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecload import Vectors, distributed, load
from vecload.distributed import PoolBatch
from vecload.pooling import SentencePooler

pytestmark = [pytest.mark.campaign, pytest.mark.filterwarnings("ignore")]

WORDS = [f"w{at}" for at in range(100)]
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS, at % 20)) for at in range(4000)]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Three nodes with two CPUs each."""
    ray = pytest.importorskip("ray")
    utils = pytest.importorskip("ray.cluster_utils")
    head = {"num_cpus": 2, "include_dashboard": False}
    nodes = utils.Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        nodes.add_node(num_cpus=2)
    nodes.wait_for_nodes()
    ray.init(address=nodes.address, log_to_driver=False, configure_logging=False)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield nodes
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()
    nodes.shutdown()


def nodes_at_work(folder: Path) -> set[str]:
    return {path.name.split("-")[0] for path in folder.iterdir()}


class RecordingPoolBatch(PoolBatch):
    """Pooler that records the node of each batch, and begins when two nodes are at work."""

    def __call__(self, batch: Any) -> Any:
        import ray

        folder = Path(self.folder).parent / "nodes"
        (folder / f"{ray.get_runtime_context().get_node_id()}-{batch.column('id')[0]}").touch()
        wait_for(lambda: len(nodes_at_work(folder)) > 1)
        time.sleep(0.2)
        return super().__call__(batch)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def kill_busy_node(cluster: Any, folder: Path, driver: str, killed: list[str]) -> None:
    """Kill one of two nodes that are at work, but not that of the driver, without which nothing goes on."""
    wait_for(lambda: len(nodes_at_work(folder)) > 1)
    victim = next(
        node for node in cluster.list_all_nodes() if node.node_id in nodes_at_work(folder) and node.node_id != driver
    )
    cluster.remove_node(victim, allow_graceful=False)
    killed.append(victim.node_id)


def test_pool_parquet_is_complete_after_a_node_dies(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "nodes").mkdir()
    (tmp_path / "texts").mkdir()
    rows = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    SentencePooler(Vectors(WORDS, rows), "sif").fit(TEXTS).save(tmp_path / "pooler")
    for part in range(8):
        ids = list(range(part * 500, part * 500 + 500))
        parquet.write_table(
            arrow.table({"id": ids, "text": [TEXTS[at] for at in ids]}), tmp_path / "texts" / f"{part}.parquet"
        )
    monkeypatch.setattr(distributed, "PoolBatch", RecordingPoolBatch)
    killed: list[str] = []
    driver = ray.get_runtime_context().get_node_id()
    killer = threading.Thread(target=kill_busy_node, args=(cluster, tmp_path / "nodes", driver, killed))
    killer.start()
    distributed.pool_parquet(
        str(tmp_path / "texts"), tmp_path / "out", pooler=tmp_path / "pooler", workers=6, batch_size=50
    )
    killer.join()
    assert killed
    found = parquet.read_table(tmp_path / "out").sort_by("id")
    assert found["id"].to_pylist() == list(range(4000))
    vectors = np.array(found["vector"].to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(vectors, SentencePooler.load(tmp_path / "pooler").encode(TEXTS), rtol=0, atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nodes", "out", "pooler", "texts"]


def kill_converting_process(killed: list[int]) -> None:
    """Kill one of the processes that convert files."""

    def found() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # of a process that has ended
                if path.read_bytes().startswith(b"ray::_convert"):
                    killed.append(int(path.parent.name))
                    os.kill(killed[0], signal.SIGKILL)
                    return True
        return False

    wait_for(found)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_convert_files_is_complete_after_a_worker_dies(cluster: Any, tmp_path: Path) -> None:
    numbers = " 0.25" * 40
    sources = []
    for at in range(6):
        sources.append(str(tmp_path / f"v{at}.txt"))
        Path(sources[-1]).write_text("".join(f"w{row} {at}{numbers}\n" for row in range(100_000)))
    killed: list[int] = []
    killer = threading.Thread(target=kill_converting_process, args=(killed,))
    killer.start()
    done = distributed.convert_files(sources, tmp_path / "out", format="native")
    killer.join()
    assert killed
    assert [result.rows for result in done] == [100_000] * 6
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"v{at}.safetensors" for at in range(6)]
    for at in range(6):
        matrix = load(tmp_path / "out" / f"v{at}.safetensors").matrix
        assert (matrix[:, 0] == at).all()
        assert (matrix[:, 1:] == 0.25).all()
