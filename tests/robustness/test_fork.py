"""Processes that are forked after threads were used: results are equal, and nothing waits forever."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems start workers with spawn")

SETUP = """
import multiprocessing, sys, threading, time
import numpy as np, torch
import tokenizers
from torch.utils.data import DataLoader, Dataset
from vecload import SentencePooler, Vectors, Words

fork = multiprocessing.get_context("fork")
rows = np.random.default_rng(0).normal(size=(5000, 32)).astype("float32")
names = [f"w{number}" for number in range(5000)]
vectors = Vectors(names, rows)
texts = [" ".join(names[(7 * i + 13 * j) % 5000] for j in range(20)) for i in range(2000)]

def subword():
    model = tokenizers.models.WordLevel({name: at for at, name in enumerate(["[UNK]", *names])}, unk_token="[UNK]")
    found = tokenizers.Tokenizer(model)
    found.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return found

poolers = [SentencePooler(vectors), SentencePooler(vectors, tokenize=subword())]

def use():
    return (
        *(np.asarray(pooler.encode(texts)) for pooler in poolers),
        vectors.words.lookup(names),
        np.array([answer[0][0] for answer in vectors.neighbors(names[:100], 3)]),
    )

def answer(send, call):
    send.send(call())

def in_child(call):
    receive, send = fork.Pipe(duplex=False)
    child = fork.Process(target=answer, args=(send, call), daemon=True)
    child.start()
    assert receive.poll(60), "the child does not answer"
    found = receive.recv()
    child.join(60)
    assert child.exitcode == 0
    return found

def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
"""

CASES = {
    "a child repeats all calls": """
expected = use()
assert_equal(in_child(use), expected)
assert_equal(use(), expected)
""",
    "a grandchild too": """
expected = use()

def again():
    multiprocessing.current_process()._config["daemon"] = False
    return in_child(use)

assert_equal(in_child(again), expected)
""",
    "fork while kernels are compiled": """
words = Words.from_strings(names)
thread = threading.Thread(target=words.lookup, args=(words,))
thread.start()
children = 0
while thread.is_alive():
    other = Words.from_strings(names[::2])
    np.testing.assert_array_equal(in_child(lambda: other.lookup(names)[:4]), [0, -1, 1, -1])
    children += 1
assert children
""",
    "workers of a DataLoader": """
expected = use()

class Texts(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, at):
        encoded = [np.asarray(pooler.encode(texts[10 * at : 10 * at + 10])) for pooler in poolers]
        return encoded, vectors.words.lookup(names[at : at + 3]), vectors.neighbors(names[at], 3)[0][0]

loader = DataLoader(Texts(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60)
for _ in range(2):
    for at, (encoded, found, nearest) in enumerate(loader):
        for one, whole in zip(encoded, expected):
            np.testing.assert_array_equal(one, whole[10 * at : 10 * at + 10])
        assert list(found) == [at, at + 1, at + 2]
        assert nearest == expected[3][at]
""",
}


@pytest.mark.parametrize("case", CASES)
def test_forked_process_computes_as_its_parent(case: str) -> None:
    # Without a cache of kernels on the disk, compiling takes long enough to fork meanwhile.
    compiling = {"VECLOAD_KERNEL_CACHE": "0"} if "compiled" in case else {}
    # With "true", the threads of tokenizers are used in the child too, where they do not exist.
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SETUP + CASES[case]],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | compiling,
    )
    assert done.returncode == 0, done.stderr[-3000:]
