"""Ctrl-C ends a call and the program at once, also while a kernel compiles or threads run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import vecload
from vecload.threads import Pool, interruptible

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

PREPARE = """
import io, sys, time, warnings
import numpy as np, vecload
names = [f"w{{number}}" for number in range(3000)]
text = "".join(f"{{name}} 0.1 0.2 0.3\\n" for name in names).encode()
vectors = vecload.Vectors(names, np.ones((3000, 3), dtype=np.float32))
import vecload.loading, vecload.conversion, vecload.search
{before}
def use():
    {use}
print("ready", flush=True)
try:
    while True:
        use()
        print("used", flush=True)
        time.sleep(0.001)
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    {after}
    raise
"""
USES = {
    "load text": "vecload.load(io.BytesIO(text))",
    "load a vocabulary": "vecload.load(io.BytesIO(text), vocab=names)",
    "look words up": "vectors.words.lookup(names)",
    "convert to text": "vecload.convert(io.BytesIO(text), '{target}', format='word2vec')",
    "compose words": "vecload.NgramTable(np.ones((9, 2), dtype=np.float32), minn=3, maxn=6).vectors(names)",
    "encode texts": "pooler.encode(['w1 w2 w3'] * 100)",
    "find neighbors": "vectors.neighbors('w1')",
}


def interrupted(command: list[str | Path], after: float, *, cold: bool) -> tuple[float, float, int, str]:
    """Return the seconds until the interrupt is caught and until the process ends, its status and its output."""
    environment = {**os.environ, **({"VECLOAD_KERNEL_CACHE": "0"} if cold else {})}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    time.sleep(after)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    end = time.monotonic()
    caught = [float(line.split()[1]) for line in output.splitlines() if line.startswith("interrupted")]
    return (caught[0] if caught else end) - begin, end - begin, process.returncode, output


@pytest.mark.parametrize("use", USES)
def test_interrupt_while_kernels_compile_is_answered_within_a_second(use: str, tmp_path: Path) -> None:
    before = "pooler = vecload.SentencePooler(vectors)" if "pooler" in USES[use] else ""
    code = PREPARE.format(before=before, use=USES[use].format(target=tmp_path / "v.vec"), after="")
    waits, ends = [], []
    for after in (0.8, 0.5, 0.3):  # on a busy machine, a second may pass before the process runs
        caught, ended, status, output = interrupted([sys.executable, "-c", code], after, cold=True)
        assert status in (-signal.SIGINT, 1), output
        assert "interrupted" in output, output
        waits.append(caught)
        ends.append(ended)
        if caught < 0.7 and (before or ended < 1.5):
            break
    assert min(waits) < 1
    assert before or min(ends) < 2  # torch takes a while to shut down


def test_library_still_works_after_an_interrupt(tmp_path: Path) -> None:
    after = "use(); print('again', flush=True)"
    code = PREPARE.format(before="", use=USES["load text"], after=after)
    _, _, _, output = interrupted([sys.executable, "-c", code], 0.5, cold=True)
    assert "again" in output


def test_interrupted_command_ends_at_once(tmp_path: Path) -> None:
    """Interrupt the command line during a long conversion."""
    source = tmp_path / "v.txt"
    row = b" ".join(b"0.%06d" % number for number in range(100)) + b"\n"
    with source.open("wb") as file:
        for number in range(60_000):
            file.write(b"w%d " % number + row)
    code = "import sys, vecload.cli; print('ready', flush=True); vecload.cli.main()"
    command = [sys.executable, "-c", code, "convert", source, tmp_path / "v.vec", "--format", "word2vec"]
    for after in (0.6, 0.4, 0.2):
        _, ended, status, output = interrupted(command, after, cold=True)
        assert status != 0, output
        if ended < 1.5:
            break
    assert ended < 2
    assert [path.name for path in tmp_path.iterdir()] == ["v.txt"]


def test_pool_returns_results_in_order_and_errors_to_the_caller() -> None:
    with Pool(3) as pool:
        assert list(pool.map(lambda a, b: a * b, range(50), range(50))) == [number * number for number in range(50)]
        failing = pool.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            failing.result()


def test_pool_waits_for_its_work_after_an_error_but_not_after_an_interrupt() -> None:
    for error, waits in ((ValueError, True), (KeyboardInterrupt, False)):
        begun, done = threading.Event(), threading.Event()

        def work(begun: threading.Event = begun, done: threading.Event = done) -> None:
            begun.set()
            time.sleep(0.3)
            done.set()

        with pytest.raises(error), Pool(1) as pool:  # noqa: PT012 - the whole block is tested
            future, waiting = pool.submit(work), pool.submit(work)
            begun.wait()
            raise error
        assert done.is_set() == waits
        assert waiting.cancelled() != waits
        future.result()


def test_interruptible_propagates_results_and_errors() -> None:
    assert interruptible(threading.current_thread) is not threading.main_thread()
    for error in (TimeoutError("mine"), ValueError("mine")):

        def fail(error: Exception = error) -> None:
            time.sleep(0.15)
            raise error

        with pytest.raises(type(error), match="mine"):
            interruptible(fail)
    with Pool(1) as pool:  # on a worker, the call is made there
        assert pool.submit(lambda: interruptible(threading.current_thread) is threading.current_thread()).result()


def test_large_hash_table_is_built_on_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecload.words.hashing.MANY_WORDS", 100)
    words = vecload.Words.from_strings([f"w{number}" for number in range(1000)])
    assert words.lookup(["w999", "absent"] * 50).tolist() == [999, -1] * 50


def test_disabled_compiler_gives_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("cat 1 2\ndog 3 4\n")
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "vecload.cli", "convert", tmp_path / "v.txt", tmp_path / "v.bin"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    sentence = "vecload needs numba's compiler, which NUMBA_DISABLE_JIT=1 disables; unset that variable"
    assert done.stderr == f"vecload: {sentence}\n"
