"""Imports of the first kernel, and their effect on other code in the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import gc, sys
import numpy as np
from vecload.kernels import plain_rows, hash_table
import numba

assert "scipy.linalg" not in sys.modules
assert gc.isenabled()

@numba.njit
def product(a, b):
    return np.dot(a, b), np.convolve(a[0], b[0])

a = np.arange(6.0).reshape(2, 3)
made, folded = product(a, a.T.copy())
assert made.tolist() == (a @ a.T).tolist()
assert folded.tolist() == np.convolve(a[0], a.T[0]).tolist()
assert "scipy.linalg.cython_blas" in sys.modules
print("done")
"""


def test_other_code_can_compile_linear_algebra_after_the_first_kernel_was_loaded() -> None:
    pytest.importorskip("scipy")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr
