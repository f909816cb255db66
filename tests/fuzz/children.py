"""Child processes that read one input after another, with limits on time and memory.

A child is forked from a process that has imported everything and compiled the kernels, so it starts in milliseconds.
If an input ends it (by a crash or a limit), the next input gets a new child.

Time is processor time (`ITIMER_PROF`), so that a busy machine does not look like a hang. A second, much longer limit of
the parent detects a child that waits forever. Memory is the peak resident memory (``VmHWM``). A limit on addresses only
protects the machine.
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
"""Processor time for an input in seconds, from the call, with kernels compiled."""
MEMORY = 64 << 20
MEMORY_PER_BYTE = 2
_ADDRESSES = 2 << 30  # beyond those of the child: threads and mapped files take addresses but no memory
_PATIENCE = 30.0  # seconds of waiting for a child that uses no processor time
_LONGEST_MESSAGE = 4000

Use = Callable[[Path, Input, "Stage"], None]
Stage = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """Outcome of an input: `kind` is "loaded", "refused" or a finding; `where` distinguishes findings."""

    kind: str
    where: str = ""
    text: str = ""
    seconds: float = 0.0
    memory: int = 0

    @property
    def found(self) -> bool:
        """Whether the outcome violates a guarantee."""
        return self.kind not in ("loaded", "refused")


class Difference(AssertionError):  # noqa: N818 - the name is shown in reports
    """Different answer of another reader."""


class Child:
    """Forked process that runs `use` on inputs.

    Parameters
    ----------
    use
        Called with the path to open, the input, and a function that reports the stage reached: "loaded" after a reader
        accepted the input, "compared" before another library reads it, whose crashes are not vecload's.
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
        """Run one input with limits multiplied by `patience`; a limit or a crash ends the child."""
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # warnings and output of libraries
        while (message := _receive(receive)) is not None:
            given, patience = pickle.loads(message)
            outcome = self._measured(given, patience, lambda stage: _send(send, pickle.dumps(stage)))
            _send(send, pickle.dumps(outcome))

    def _measured(self, given: Input, patience: float, stage: Stage) -> Outcome:
        path = given.write(Path(self._folder.name) / "input")
        allowed = int((MEMORY + MEMORY_PER_BYTE * given.size) * patience)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + _ADDRESSES + 2 * allowed, hard))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # reset the peak memory
        before = _status("VmRSS")
        memory = 0
        begin = time.process_time()

        def watched(name: str) -> None:
            nonlocal memory
            if name == "compared":  # from here on another library works, for which vecload guarantees nothing
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
    """Run an input in a new child. If it violates a guarantee, run it again with time to compile kernels first.

    An input may be the first one that needs a kernel for its types. Compiling takes seconds and memory, but is not a
    finding.
    """
    with contextlib.closing(Child(use)) as child:
        outcome = child.run(given)
    if outcome.kind not in ("hang", "memory"):
        return outcome
    with contextlib.closing(Child(use)) as child:
        outcome = child.run(given, patience)
        return child.run(given) if child.alive and not outcome.found else outcome


def _place(error: BaseException) -> str:
    """Return the innermost function of vecload in a traceback, else the innermost function."""
    frames = list(traceback.walk_tb(error.__traceback__))
    root = str(Path(vecload.__file__).parent)
    own = [frame for frame, _ in frames if frame.f_code.co_filename.startswith(root)]
    own = own or [frame for frame, _ in frames]
    return _called(own[-1]) if own else "nowhere"


def _called(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"


def _status(name: str) -> int:
    """Return a memory figure of this process in bytes, from /proc."""
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
    """Read one message, or return None at the end."""
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
