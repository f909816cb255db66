"""Settings of all tests, and the real files they may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

settings.register_profile("vecload", deadline=None)  # the first example compiles kernels
settings.load_profile("vecload")

MAKE_GLOVE = Path(__file__).parent.parent.parent / "shared" / "data" / "make_glove.py"


@pytest.fixture(scope="session")
def real_glove(pytestconfig: pytest.Config) -> Path:
    """The true glove.6B.50d.txt: what VECLOAD_GLOVE names, else written once by the script beside a checkout."""
    given = os.environ.get("VECLOAD_GLOVE")
    if given:
        return Path(given)
    if not MAKE_GLOVE.exists():
        pytest.skip("set VECLOAD_GLOVE to glove.6B.50d.txt")
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("glove")
    with FileLock(folder / "lock"):
        done = subprocess.run([sys.executable, MAKE_GLOVE, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"make_glove.py failed: {done.stderr[-200:]}")
    return folder / "glove.6B.50d.txt"
