"""Child processes that read one input after another, with limits on time and memory.

A child is forked from a process that has imported everything and compiled the kernels, so it starts in milliseconds.
When an input ends it (a crash, a signal of a limit), the next input gets a new one.

Time is processor time (`ITIMER_PROF`), so that a busy machine does not look like a hang; a child that waits for ever is
found by a second, much longer limit of the parent. Memory is what the process really used at its peak (``VmHWM``); a
limit on addresses only stops a child before it takes the whole machine.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import vecload
from tests.fuzz.inputs import Input

SECONDS = 2.0
"""Processor time an input may take from the call on, kernels compiled."""
MEMORY = 64 << 20
MEMORY_PER_BYTE = 2
_ADDRESSES = 2 << 30  # beyond those the child has: threads and mapped files take addresses without taking memory
_PATIENCE = 30.0  # seconds of waiting for a child that uses no processor time
_LONGEST_MESSAGE = 4000

Use = Callable[[Path, Input, "Stage"], None]
Stage = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How an input ended: `kind` is "loaded", "refused" or a finding, `where` tells findings apart."""

    kind: str
    where: str = ""
    text: str = ""
    seconds: float = 0.0
    memory: int = 0

    @property
    def found(self) -> bool:
        """Whether this breaks a promise."""
        return self.kind not in ("loaded", "refused")


class Difference(AssertionError):  # noqa: N818 - named for what it is in reports
    """Another reader gives another answer."""


class Child:
    """A forked process that runs `use` on inputs.

    Parameters
    ----------
    use
        Called with the path to open, the input, and a function that reports the stage reached: "loaded" when a reader
        accepted the input, "compared" before another library is asked, whose crashes are not ours.
    """

    def __init__(self, use: Use) -> None:
        self._use = use
        to_child, self._send = os.pipe()
        self._receive, from_child = os.pipe()
        self._folder = tempfile.TemporaryDirectory(prefix="vecload-fuzz-", dir=_memory_folder())
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._send)
            os.close(self._receive)
            try:
                self._serve(to_child, from_child)
            finally:
                os._exit(0)
        os.close(to_child)
        os.close(from_child)
        self.alive = True

    def run(self, given: Input, patience: float = 1.0) -> Outcome:
        """Run one input with limits times `patience`; the child is dead afterwards if a limit or a crash ended it."""
        _send(self._send, pickle.dumps((given, patience)))
        stage = ""
        deadline = time.monotonic() + _PATIENCE * patience
        while True:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
                self._wait()
                return Outcome("loaded" if stage == "compared" else "hang", f"waiting, {stage or 'reading'}")
            message = _receive(self._receive)
            if message is None:
                number = self._wait()
                if stage == "compared":  # the other reader crashed
                    return Outcome("loaded")
                kind = {signal.SIGPROF: "hang", signal.SIGKILL: "memory"}.get(number, "crash")
                return Outcome(kind, f"{_name(number)}, {stage or 'reading'}")
            value = pickle.loads(message)
            if isinstance(value, Outcome):
                return value
            stage = value

    def close(self) -> None:
        """End the child."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            self._wait()

    def _wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        self.alive = False
        os.close(self._send)
        os.close(self._receive)
        self._folder.cleanup()
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

    def _serve(self, receive: int, send: int) -> None:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # warnings and what libraries print
        while (message := _receive(receive)) is not None:
            given, patience = pickle.loads(message)
            outcome = self._measured(given, patience, lambda stage: _send(send, pickle.dumps(stage)))
            _send(send, pickle.dumps(outcome))

    def _measured(self, given: Input, patience: float, stage: Stage) -> Outcome:
        path = given.write(Path(self._folder.name) / "input")
        allowed = int((MEMORY + MEMORY_PER_BYTE * given.size) * patience)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + _ADDRESSES + 2 * allowed, hard))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is reset
        before = _status("VmRSS")
        memory = 0
        begin = time.process_time()

        def watched(name: str) -> None:
            nonlocal memory
            if name == "compared":  # from here on another library works, for which nothing is promised
                memory = _status("VmHWM") - before
                signal.setitimer(signal.ITIMER_PROF, 10 * SECONDS * patience)
            stage(name)

        signal.setitimer(signal.ITIMER_PROF, SECONDS * patience)
        try:
            self._use(path, given, watched)
            outcome = Outcome("loaded")
        except (vecload.VecloadError, OSError) as error:
            text = f"{type(error).__name__}: {error}"
            long = len(text) > _LONGEST_MESSAGE
            outcome = Outcome("long message" if long else "refused", _place(error) if long else "", text[:300])
        except Difference as error:
            outcome = Outcome("difference", str(error).partition(":")[0], str(error)[:1000])
        except BaseException as error:
            kind = "memory" if isinstance(error, MemoryError) else "raw exception"
            lines = "".join(traceback.format_exception(error, limit=-6))[-2000:]
            outcome = Outcome(kind, f"{type(error).__name__}, {_place(error)}", lines)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        seconds = time.process_time() - begin
        memory = memory or _status("VmHWM") - before
        if memory > allowed and not outcome.found:
            outcome = Outcome("memory", f"{outcome.kind} above the limit", f"{memory:,} bytes for {given.size:,}")
        return Outcome(outcome.kind, outcome.where, outcome.text, seconds, memory)


def settle(use: Use, given: Input, patience: float = 10.0) -> Outcome:
    """Run an input in a new child, and where it breaks a promise again with time to compile kernels first.

    An input may be the first to need a kernel for its types, which takes seconds and memory once and is no finding.
    """
    with contextlib.closing(Child(use)) as child:
        outcome = child.run(given)
    if outcome.kind not in ("hang", "memory"):
        return outcome
    with contextlib.closing(Child(use)) as child:
        outcome = child.run(given, patience)
        return child.run(given) if child.alive and not outcome.found else outcome


def _place(error: BaseException) -> str:
    """Return the innermost function of vecload on the way of an exception, and else the innermost one."""
    frames = list(traceback.walk_tb(error.__traceback__))
    root = str(Path(vecload.__file__).parent)
    own = [frame for frame, _ in frames if frame.f_code.co_filename.startswith(root)]
    own = own or [frame for frame, _ in frames]
    return _called(own[-1]) if own else "nowhere"


def _called(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"


def _status(name: str) -> int:
    """Return a size of this process in bytes, as Linux counts it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit {number}"


def _send(descriptor: int, message: bytes) -> None:
    data = memoryview(struct.pack("<Q", len(message)) + message)
    while data:
        data = data[os.write(descriptor, data) :]


def _receive(descriptor: int) -> bytes | None:
    """Read one message, or None at the end."""
    parts = []
    for size in (8, None):
        need = struct.unpack("<Q", parts[0])[0] if size is None else size
        data = b""
        while len(data) < need:
            piece = os.read(descriptor, min(1 << 20, need - len(data)))
            if not piece:
                return None
            data += piece
        parts.append(data)
    return parts[1]
