"""Settings of all tests, and real files for some of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.hub_server import TOKEN, Hub, serving_hub, use_hub

settings.register_profile("vecload", deadline=None)  # the first example compiles kernels
settings.load_profile("vecload")

# A shell starts background jobs with SIGINT ignored, `nohup` ignores SIGHUP, and the commands under test inherit both.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if signal.getsignal(_signal := getattr(signal, _name, signal.SIGINT)) == signal.SIG_IGN:
        signal.signal(_signal, _handler)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Serve a Hub on the loopback interface, and let huggingface_hub use it with a cache of its own."""
    pytest.importorskip("huggingface_hub")
    with serving_hub() as served:
        use_hub(served, monkeypatch, tmp_path / "hf")
        yield served


@pytest.fixture
def signed_in(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Serve a Hub with the token of a user who can write to all repositories."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


MAKE_GLOVE = Path(__file__).parent.parent.parent / "shared" / "data" / "make_glove.py"


@pytest.fixture(scope="session")
def real_glove(pytestconfig: pytest.Config) -> Path:
    """Return the real glove.6B.50d.txt: the path in VECLOAD_GLOVE, else a file made by a script of ../shared."""
    given = os.environ.get("VECLOAD_GLOVE")
    if given:
        return Path(given)
    if not MAKE_GLOVE.exists():
        pytest.skip("needs glove.6B.50d.txt: set VECLOAD_GLOVE to its path")
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("glove")
    with FileLock(folder / "lock"):
        done = subprocess.run([sys.executable, MAKE_GLOVE, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"make_glove.py failed: {done.stderr[-200:]}")
    return folder / "glove.6B.50d.txt"
