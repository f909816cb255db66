"""All writers of vecload, as functions that write one of two values to a path.

`python -m tests.robustness.writers` is a fork server: it imports and compiles everything once, then forks a child for
each line of JSON on its standard input, so that hundreds of writes can be interrupted without starting Python again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import vecload
from tests.builders import random_rows, small_vectors
from vecload import NgramTable, Vectors, Vocab, formats

_ROWS, _DIM = 3000, 16
_KINDS = {"fastText": "fasttext", "floret": "floret"}
Write = Callable[[Path, int], object]


@cache
def vectors(value: int, ngrams: str = "") -> Vectors:
    """Return one of two tables; a floret table has no words."""
    count = 0 if ngrams == "floret" else _ROWS - 100 * value
    table = None
    if ngrams:
        table = NgramTable(random_rows(500, _DIM, seed=value), minn=2, maxn=4, kind=ngrams)  # type: ignore[arg-type]
    return small_vectors([f"w{at}é" for at in range(count)], _DIM, seed=value, ngrams=table)


@cache
def aligned(value: int) -> vecload.Aligned:
    words = [f"w{at}é" for at in range(1000 - value)]
    return vecload.align(vectors(value), Vocab.from_words(words, unk_token="<unk>", pad_token="<pad>"))


@cache
def space_map(value: int) -> vecload.SpaceMap:
    return vecload.map_spaces(vectors(value), vectors(1 - value))


@cache
def pooler(value: int) -> Any:
    return vecload.SentencePooler(vectors(value), "sif").fit(["w1é w2é", "w3é w1é w4é"])


@cache
def source(value: int) -> bytes:
    return b"".join(b"w%d %d %r\n" % (at, at, 0.1 * at + value) for at in range(20_000))


def convert(target: Path, value: int) -> None:
    import io

    vecload.convert(io.BytesIO(source(value)), target)


def pool(target: Path, value: int) -> None:
    from vecload.pooling import files

    files.pool_file(pooler(value), (f"w{at}é w{at + 1}é" for at in range(5000)), target, progress=False)


def report(target: Path, value: int) -> None:
    vecload.report(vectors(value), target, title="t", limit=20)


def _save(form: str, ngrams: str = "") -> Write:
    return lambda target, value: vectors(value, ngrams).save(target, form)


def _writers() -> dict[str, Write]:
    """Return the writers by the name of their file or folder."""
    found: dict[str, Write] = {}
    for form in formats.all_formats():
        if form.write is not None:
            suffix = next(iter((*form.suffixes, *form.shared_suffixes)), "")
            name = f"{form.name.replace(' ', '-')}{suffix}"
            found[name] = _save(form.name, _KINDS.get(form.name, ""))
    found["model2vec"] = _save("model2vec")
    found["ngrams.safetensors"] = _save("native", "fasttext")
    for suffix in (".gz", ".bz2", ".xz", ".zst"):
        found[f"text.vec{suffix}"] = _save("text")
    found["word2vec.bin.gz"] = _save("word2vec binary")
    found["convert.vec"] = found["convert.safetensors"] = found["convert.vec.gz"] = convert
    found["convert.parquet"] = found["convert.npz"] = convert
    found["aligned.safetensors"] = lambda target, value: aligned(value).save(target)
    found["map.safetensors"] = lambda target, value: space_map(value).save(target)
    found["vocab.json"] = found["vocab.txt"] = lambda target, value: aligned(value).vocab.save(target)
    found["pooler"] = lambda target, value: pooler(value).save(target)
    found["exported"] = lambda target, value: pooler(value).export(target, "sentence-transformers")
    found["pool.npy"] = found["pool.parquet"] = found["pool.safetensors"] = pool
    found["report.html"] = report
    return found


WRITERS = _writers()
FOLDERS = ("sentence-transformers", "model2vec", "spaCy", "TensorBoard", "pooler", "exported")
"""Names of writers of folders, which never replace another folder."""


def digest(path: Path) -> str:
    """Return a digest of a file, or of the names and contents in a folder; "" if the path is missing."""
    if not path.exists():
        return ""
    found = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        found.update(file.relative_to(path.parent).as_posix().encode() + b"\0")
        found.update(file.read_bytes() if file.is_file() else b"")
    return found.hexdigest()


def write(name: str, target: Path, value: int) -> None:
    """Write a value. An existing folder is moved away first, because writers only create folders."""
    if name in FOLDERS and target.exists():
        away = target.with_name("old")
        shutil.rmtree(away, ignore_errors=True)
        target.rename(away)
    WRITERS[name](target, value)


def _forever(name: str, target: Path) -> None:
    value = 0
    while True:
        write(name, target, value)
        value = 1 - value


def _killed(name: str, target: str, seconds: float) -> None:
    child = os.fork()
    if not child:
        _forever(name, Path(target))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _forked(work: Callable[[], object], seconds: float) -> str:
    """Run a call in a child, and return "done", its error, or how the child ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            work()
            answer = "done"
        except BaseException as error:  # report every error to the parent
            kind = "OSError" if isinstance(error, OSError) else type(error).__name__
            answer = f"{kind}: {error}"
        os.write(writing, answer.encode()[:2000])
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + seconds
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return f"not done in {seconds} s"
        time.sleep(0.005)
    with os.fdopen(reading, "rb") as file:
        return file.read().decode() or "ended without an answer"


def _limited(name: str, target: str, size: int) -> str:
    """Write with a limit on the size of files, as on a full disk."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        write(name, Path(target), 1)

    return _forked(work, 60)


def _written(name: str, target: str, user: int | None = None) -> str:
    def work() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        write(name, Path(target), 1)

    return _forked(work, 60)


def _together(name: str, target: str, writers: int, times: int) -> list[str]:
    """Write one target from several processes at once, and return how each ended."""

    def work(value: int) -> None:
        for _ in range(times):
            with contextlib.suppress(vecload.errors.OptionError) if name in FOLDERS else contextlib.nullcontext():
                WRITERS[name](Path(target), value)

    children = []
    for at in range(writers):
        child = os.fork()
        if not child:
            try:
                work(at % 2)
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) for child in children]


_TASKS = {"killed": _killed, "limited": _limited, "written": _written, "together": _together}


def _serve() -> None:
    """Run tasks from standard input, one line of JSON each."""
    warnings.simplefilter("ignore")
    scratch = Path(sys.argv[1])
    names = sys.argv[2:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a child is not an answer
    digests = {}
    for name in names:
        digests[name] = []
        for value in (0, 1):
            target = scratch / str(value) / name
            target.parent.mkdir(exist_ok=True)
            write(name, target, value)
            digests[name].append(digest(target))
    answers.write(json.dumps(digests) + "\n")
    answers.flush()
    for line in sys.stdin:
        task, *arguments = json.loads(line)
        answers.write(json.dumps(_TASKS[task](*arguments)) + "\n")
        answers.flush()


class ForkServer:
    """Process that has imported and compiled everything, and forks a child for each task."""

    def __init__(self, scratch: Path, names: list[str]) -> None:
        command = [sys.executable, "-m", "tests.robustness.writers", str(scratch), *names]
        root = Path(__file__).parent.parent.parent
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.digests: dict[str, list[str]] = self._answer()
        """Digests of both values, by writer."""

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the fork server ended with {self._process.wait()}"
        return json.loads(line)

    def run(self, task: str, *arguments: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, *map(_plain, arguments)]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


@contextlib.contextmanager
def fork_server(scratch: Path, names: list[str]) -> Iterator[ForkServer]:
    made = ForkServer(scratch, names)
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    _serve()
