"""Time reading CSV, wide Parquet, JSON and the embedding of a model; compare with pandas, json and safetensors.

    python benchmarks/tables.py [--quick]

Every case runs in a separate process, in turns. A time is the best of all runs of the whole call, up to a row-major
float32 matrix and a list of words, with a warm page cache. Peak memory is above that of the imports.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import in_turn, run
from record import ahead, arguments, info, lower, row, title, topic

VECLOAD = "import vecload; run = lambda: vecload.load(path)"
CSV = {
    "vecload": (VECLOAD, 3),
    "pandas": (
        "import numpy as np, pandas as pd\n"
        "def run():\n"
        "    frame = pd.read_csv(path, index_col=0, keep_default_na=False)\n"
        "    return list(frame.index), np.ascontiguousarray(frame.to_numpy(dtype=np.float32))",
        1,
    ),
}
PARQUET = {
    "vecload": (VECLOAD, 3),
    "pandas": (
        "import numpy as np, pandas as pd\n"
        "def run():\n"
        "    frame = pd.read_parquet(path).set_index('word')\n"
        "    return list(frame.index), np.ascontiguousarray(frame.to_numpy(dtype=np.float32))",
        3,
    ),
}
JSON = {
    "vecload": (VECLOAD, 3),
    "json.load and NumPy": (
        "import json, numpy as np\n"
        "def run():\n"
        "    with open(path) as file:\n"
        "        found = json.load(file)\n"
        "    return list(found), np.array(list(found.values()), dtype=np.float32)",
        1,
    ),
}
FILES = (
    ("CSV, 6 decimals", "digits.csv", CSV),
    ("CSV, as pandas writes float32", "pandas.csv", CSV),
    ("wide Parquet", "wide.parquet", PARQUET),
    ("JSON, an object of lists", "vectors.json", JSON),
)

MODEL = {
    "vecload, the input embedding": "import vecload; run = lambda: vecload.load(path).matrix.sum()",
    "safetensors, all tensors": "from safetensors.numpy import load_file\n"
    "run = lambda: sum(tensor.sum() for tensor in load_file(path + '/model.safetensors').values())",
}

# The first peak of a process is that of the process that started it, so the tables are written by another one.
WRITE = """
import json, sys
import numpy as np, pandas as pd
folder, rows, dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
words = [f"w{at}" for at in range(rows)]
values = np.random.default_rng(0).normal(0, 0.4, (rows, dim)).astype(np.float32)
frame = pd.DataFrame(values, index=pd.Index(words, name="word")).rename(columns="d{}".format)
frame.to_csv(folder + "/digits.csv", float_format="%.6f")
frame.to_csv(folder + "/pandas.csv")
frame.reset_index().to_parquet(folder + "/wide.parquet")
with open(folder + "/vectors.json", "w") as file:
    json.dump(dict(zip(words, values.astype(float).round(6).tolist())), file)
"""
# A model of a gigabyte, an eighth of which is its input embedding.
WRITE_MODEL = """
import json, sys
import numpy as np
from safetensors.numpy import save_file
folder, rows, dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tensors = {f"model.layers.{at}.weight": np.ones((rows, dim), dtype=np.float32) for at in range(7)}
tensors["model.embed_tokens.weight"] = np.ones((rows, dim), dtype=np.float32)
save_file(tensors, folder + "/model.safetensors")
vocab = {f"w{at}": at for at in range(rows)}
for name, value in {"config": {}, "tokenizer": {"model": {"type": "BPE", "vocab": vocab, "merges": []}}}.items():
    with open(f"{folder}/{name}.json", "w") as file:
        json.dump(value, file)
"""
WRITE_JSON = """
import sys
import numpy as np, vecload
rows, dim = int(sys.argv[2]), int(sys.argv[3])
values = np.random.default_rng(0).normal(0, 0.4, (rows, dim)).astype(np.float32)
vecload.Vectors([f"w{at}" for at in range(rows)], values).save(sys.argv[1], precision=6)
"""


def write(code: str, path: Path, rows: int, dim: int) -> None:
    """Run code that writes files of random vectors."""
    subprocess.run([sys.executable, "-c", code, str(path), str(rows), str(dim)], check=True)


def files(folder: Path, rows: int, dim: int, turns: int) -> None:
    write(WRITE, folder, rows, dim)
    title(
        "files",
        f"Tables and JSON, {rows:,} × {dim}",
        *("file", info("bytes"), lower("vecload, s"), "other", info("other, s"), ahead("other / vecload")),
    )
    for label, name, cases in FILES:
        path = folder / name
        best = in_turn(cases, path, dim, turns)
        ours = best.pop("vecload")
        for other, seconds in best.items():
            row(label, f"{path.stat().st_size:,}", f"{ours:.3f}", other, f"{seconds:.3f}", f"{seconds / ours:.1f}")


def json_memory(folder: Path, rows: int, dim: int) -> None:
    title(
        "json_memory",
        "JSON: peak memory above the imports'",
        *("rows", info("bytes in"), info("matrix and words, MB"), lower("peak, MB")),
    )
    path = folder / "large.json"
    write(WRITE_JSON, path, rows, dim)
    _, peak, size = run(VECLOAD, path, dim, 1)
    row(f"{rows:,} × {dim}", f"{path.stat().st_size:,}", f"{size / 1e6:.0f}", f"{peak / 1e6:.0f}")


def input_embedding(folder: Path, rows: int, dim: int) -> None:
    model = folder / "model"
    model.mkdir()
    write(WRITE_MODEL, model, rows, dim)
    size = (model / "model.safetensors").stat().st_size
    title(
        "input_embedding",
        f"Input embedding of a model of {size:,} bytes, every value read",
        *("", lower("seconds"), lower("peak, MB")),
    )
    for case, code in MODEL.items():
        seconds, peak, _ = run(code, model, dim, 1)
        row(case, f"{seconds:.3f}", f"{peak / 1e6:.0f}")


def main() -> None:
    chosen = arguments(__doc__, ("files", "json_memory", "input_embedding"), "small tables, one turn per case")
    turns, part = (1, 10) if chosen.quick else (3, 1)
    packages = ("vecload", "numpy", "numba", "pandas", "pyarrow")
    with topic("tables", chosen, *packages), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        measures = {
            "files": lambda: files(folder, 100_000 // part, 100, turns),
            "json_memory": lambda: json_memory(folder, 350_000 // part, 100),
            "input_embedding": lambda: input_embedding(folder, 32_000 // part, 1024),
        }
        for name in chosen.only:
            measures[name]()


if __name__ == "__main__":
    main()
