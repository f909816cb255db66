"""Run the tests of a module for mutants of it, a seeded sample of them: python -m tests.mutation --sample 60 --seed 1.

cosmic-ray makes the mutants. Each is written to a copy of the checkout, in which the tests of its module run until the
first failure, or until they take far longer than without the mutant. A mutant that no test notices survives.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parent.parent.parent
CORE = {
    "alignment/file_lookup.py": "tests/alignment tests/oov",
    "alignment/aligning.py": "tests/alignment tests/oov",
    "oov/composers.py": "tests/oov tests/alignment/test_alignment.py",
    "oov/initializers.py": "tests/oov",
    "provenance/coverage.py": "tests/provenance tests/alignment/test_coverage.py",
    "search/exact.py": "tests/search",
    "search/products.py": "tests/search",
    "search/quantized.py": "tests/search/test_quantized.py",
    "search/ranking.py": "tests/search",
    "search/shared_rows.py": "tests/vectors/test_shared_rows.py tests/search",
    "vectors/rows.py": "tests/vectors",
    "vocab/counting.py": "tests/vocab",
    "vocab/vocab.py": "tests/vocab",
    "words/hashing.py": "tests/words tests/robustness/test_hash_tables.py",
    "words/packed.py": "tests/words tests/formats/test_native.py",
    "words/unique.py": "tests/words",
    "arrays.py": "tests/test_arrays.py tests/transforms tests/search/test_search.py tests/vectors/test_exchange.py",
    "formats/native.py": "tests/formats/test_native.py tests/formats/test_every_format.py tests/golden",
    "formats/fasttext/entries.py": "tests/formats/fasttext",
    "classification/plain.py": "tests/classification",
    "mapping/solvers.py": "tests/mapping",
    "sources/atomic.py": "tests/sources",
}
"""Modules whose errors would be wrong vectors, and their own tests."""

COMPARISONS = ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Eq_NotEq", "NotEq_Eq", "Lt_Gt", "Gt_Lt", "Is_IsNot", "IsNot_Is")
OPERATORS = (
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in COMPARISONS),
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Div")),
    *(f"core/{name}" for name in ("NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot")),
    *(f"core/{name}" for name in ("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ZeroIterationForLoop")),
    *(f"core/{name}" for name in ("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd")),
)
PATIENCE = 4  # times the time of the tests without a mutant, and a minute


@dataclass
class Mutant:
    """A change of one token, and the fate of the mutant: "killed", "survived" or "explained"."""

    module: str
    operator: str
    occurrence: int
    diff: str = ""
    fate: str = ""


def mutants(module: str) -> list[Mutant]:
    """Return all mutants of a module."""
    source = (ROOT / "vecload" / module).read_text(encoding="utf-8")
    found = []
    for name in OPERATORS:
        operator = get_operator(name)()
        count = sum(len(list(operator.mutation_positions(node))) for node in ast_nodes(get_ast(source)))
        found += [Mutant(module, name, occurrence) for occurrence in range(count)]
    return found


def sample(modules: list[str], count: int, seed: int) -> list[Mutant]:
    """Return about the same number of mutants of each module, in random order."""
    choose = random.Random(seed)
    left = {module: choose.sample(found := mutants(module), len(found)) for module in modules}
    chosen: list[Mutant] = []
    while len(chosen) < count and any(left.values()):
        for module in choose.sample(modules, len(modules)):
            if left[module] and len(chosen) < count:
                mutant = left[module].pop()
                mutated(mutant)
                if not is_trivial(mutant):
                    chosen.append(mutant)
    return chosen


def mutated(mutant: Mutant) -> str:
    """Return the code of a mutant's module, and store the difference."""
    source = (ROOT / "vecload" / mutant.module).read_text(encoding="utf-8")
    changed: str = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
    mutant.diff = "\n".join(list(lines)[3:])
    return changed


def is_trivial(mutant: Mutant) -> bool:
    """Return whether a mutant only changes imports for types, or the star that cosmic-ray takes for a product."""
    _, removed, added = key(mutant)
    return "TYPE_CHECKING" in removed or removed.replace("*,", "/,") == added


def is_explained(mutant: Mutant) -> bool:
    """Return whether explained.json has the reason why no test can notice a mutant, or any change of its line."""
    module, removed, added = key(mutant)
    entries = json.loads(Path(__file__).with_name("explained.json").read_text(encoding="utf-8"))
    return any(
        (entry["module"], entry["line"]) == (module, removed) and entry.get("mutant", added) == added
        for entry in entries
    )


def run_tests(copy: Path, module: str, limit: float) -> bool | None:
    """Return whether the tests of a module pass in a copy; None if they take too long."""
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, *CORE[module].split()], cwd=copy, env=environment, capture_output=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode == 0


def key(mutant: Mutant) -> tuple[str, str, str]:
    """Return a mutant as module, line and changed line."""
    lines = mutant.diff.splitlines()
    removed, added = (" ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
    return mutant.module, removed, added


def try_out(mutant: Mutant, copies: queue.Queue[Path], limits: dict[str, float]) -> Mutant:
    """Run the tests for a mutant in a free copy, and store its fate."""
    copy = copies.get()
    try:
        path = copy / "vecload" / mutant.module
        path.write_text(mutated(mutant), encoding="utf-8")
        passed = run_tests(copy, mutant.module, limits[mutant.module])
        shutil.copy2(ROOT / "vecload" / mutant.module, path)
        mutant.fate = "killed" if not passed else "explained" if is_explained(mutant) else "survived"
    finally:
        copies.put(copy)
    print(f"{mutant.fate:<9} {mutant.module}: {mutant.diff!r}", flush=True)
    return mutant


def find_limit(module: str, copies: queue.Queue[Path]) -> float:
    """Return after how many seconds the tests of a mutant take too long: a multiple of those without a mutant."""
    copy = copies.get()
    try:
        begin = time.monotonic()
        if not run_tests(copy, module, 1e6):
            sys.exit(f"the tests of {module} fail without a mutant: {CORE[module]}")
        return PATIENCE * (time.monotonic() - begin) + 60
    finally:
        copies.put(copy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="number of mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", action="append", choices=list(CORE), help="only this module; may be repeated")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    chosen = sample(options.module or list(CORE), options.sample, options.seed)
    copies: queue.Queue[Path] = queue.Queue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        for job in range(options.jobs):
            copy = Path(folder) / str(job) / ROOT.name
            left_out = shutil.ignore_patterns(".venv*", ".git", "site", "*_cache", ".hypothesis")
            shutil.copytree(ROOT, copy, ignore=left_out)
            copies.put(copy)
        modules = list(dict.fromkeys(mutant.module for mutant in chosen))
        limits = dict(zip(modules, pool.map(lambda module: find_limit(module, copies), modules), strict=True))
        done = list(pool.map(lambda mutant: try_out(mutant, copies, limits), chosen))
    survivors = [mutant for mutant in done if mutant.fate == "survived"]
    print(f"{len(done) - len(survivors)} of {len(done)} mutants killed or explained")
    if options.json:
        options.json.write_text(json.dumps([asdict(mutant) for mutant in done], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
