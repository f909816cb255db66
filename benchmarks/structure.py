"""Count what makes a package hard or easy to enter: modules, import cycles, hops of a call, comments, duplicates.

    python benchmarks/structure.py [CHECKOUT]

With another, older checkout, its counts are in the column "before".
"""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import tokenize
from collections import defaultdict
from pathlib import Path

import networkx as nx
from record import arguments, info, row, title, topic

WINDOW = 6  # lines that make a passage
HERE = Path(__file__).parent.parent
COUNTS = (
    "modules",
    "lines of the longest module",
    "import cycles at run time (modules in each)",
    "import cycles with types (modules in each)",
    "imports inside functions",
    "load: modules · module pairs · calls between modules",
    "encode: modules · module pairs · calls between modules",
    "public names: root · namespaces",
    f"places of passages of {WINDOW} lines that occur twice",
    "comment lines per 100 lines of code",
)

# Calls between modules are counted in a fresh process, so that imports and kernels are in the state a user has.
TRACE = """
import json, sys, os, tempfile
import vecload
path = os.path.join(tempfile.mkdtemp(), "glove.txt")
with open(path, "w") as file:
    file.writelines(f"w{row} 0.25 -0.5 1.5\\n" for row in range(100))
if MEASURED == "load":
    work = lambda: vecload.load(path)
else:
    pooler = vecload.SentencePooler(vecload.load(path), "mean")
    work = lambda: pooler.encode(["w1 w2", "w3 unknown", ""])
work()  # imports happen outside the measurement
modules, pairs, calls = set(), set(), set()
def counts(frame):  # the decorator that explains unknown keywords is not a hop of its own
    name = frame.f_globals.get("__name__", "")
    return name.startswith("vecload") and name != "vecload.keywords"
def profile(frame, event, arg):
    if event != "call":
        return
    if not counts(frame):
        return
    name = frame.f_globals["__name__"]
    modules.add(name)
    caller = frame.f_back
    while caller is not None and not counts(caller):
        caller = caller.f_back
    if caller is not None and caller.f_globals["__name__"] != name:
        pairs.add((caller.f_globals["__name__"], name))
        calls.add((caller.f_code.co_qualname, name, frame.f_code.co_qualname))
import threading
threading.setprofile(profile)
sys.setprofile(profile)
work()
sys.setprofile(None)
print(json.dumps([len(modules), len(pairs), len(calls)]))
"""

PUBLIC = """
import importlib, json
import vecload
namespaces = [getattr(vecload, name) for name in vecload.__all__]
namespaces = [value for value in namespaces if type(value).__name__ == "module"]
print(json.dumps([len(vecload.__all__), sum(len(value.__all__) for value in namespaces if hasattr(value, "__all__"))]))
"""


def run(root: Path, program: str) -> list[int]:
    """Run a program against a checkout and return the numbers it prints."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=root)
    if done.returncode:
        raise SystemExit(done.stderr)
    numbers: list[int] = json.loads(done.stdout)
    return numbers


def imports(root: Path, *, type_checking: bool) -> dict[str, set[str]]:
    """Return the modules that each module imports, as grimp finds them in a process of its own."""
    program = (
        "import grimp, json\n"
        f"graph = grimp.build_graph('vecload', exclude_type_checking_imports={not type_checking}, cache_dir=None)\n"
        "found = {name: sorted(graph.find_modules_directly_imported_by(name)) for name in graph.modules}\n"
        "found.pop('vecload', None)\n"
        "print(json.dumps(found))\n"
    )
    found = run(root, program)
    return {name: set(names) - {"vecload"} for name, names in dict(found).items()}  # type: ignore[call-overload]


def cycles(graph: dict[str, set[str]]) -> list[int]:
    """Return the sizes of the groups of modules that import each other."""
    groups = nx.strongly_connected_components(nx.DiGraph(graph))
    return sorted((len(group) for group in groups if len(group) > 1), reverse=True)


def lines_of(source: str) -> tuple[int, int, list[tuple[int, str]]]:
    """Return the numbers of code lines and comment lines of a module, and its code lines without layout."""
    comments, code = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            code.update(range(token.start[0], token.end[0] + 1))
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            text = node.body[0]
            skipped.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    text_lines = source.splitlines()
    return len(code), len(comments), [(n, text_lines[n - 1].strip()) for n in sorted(code - skipped)]


def functions_importing(source: str) -> int:
    """Return the number of import statements inside functions."""
    return sum(
        isinstance(inner, (ast.Import, ast.ImportFrom))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for inner in ast.walk(node)
    )


def measure(root: Path) -> tuple[object, ...]:
    """Return the values of `COUNTS` of one checkout."""
    sources = {path: path.read_text() for path in sorted((root / "vecload").rglob("*.py"))}
    passages = defaultdict(list)
    code = comments = local = 0
    for path, source in sources.items():
        more_code, more_comments, lines = lines_of(source)
        code, comments, local = code + more_code, comments + more_comments, local + functions_importing(source)
        for begin in range(len(lines) - WINDOW + 1):
            window = tuple(text for _, text in lines[begin : begin + WINDOW])
            if sum(len(text) for text in window) > 120:  # brackets and one-word lines say nothing
                passages[window].append((path, begin))
    repeated = {(path, begin) for places in passages.values() if len(places) > 1 for path, begin in places}
    starts = [(path, begin) for path, begin in repeated if (path, begin - 1) not in repeated]
    load, encode = run(root, f"MEASURED = 'load'\n{TRACE}"), run(root, f"MEASURED = 'encode'\n{TRACE}")
    public = run(root, PUBLIC)
    return (
        len(sources),
        max(source.count("\n") for source in sources.values()),
        cycles(imports(root, type_checking=False)) or "none",
        cycles(imports(root, type_checking=True)) or "none",
        local,
        " · ".join(map(str, load)),
        " · ".join(map(str, encode)),
        " · ".join(map(str, public)),
        len(starts),
        f"{100 * comments / code:.1f}",
    )


def main() -> None:
    chosen = arguments(__doc__, ("counts",), "the same counts", file="CHECKOUT")
    # The counts of an older checkout come first.
    roots = [*([chosen.file.resolve()] if chosen.file else []), HERE]
    with topic("structure", chosen):
        title("counts", "Counts", "count", *(info(name) for name in ("before", "after")[-len(roots) :]))
        for name, values in zip(COUNTS, zip(*(measure(root) for root in roots), strict=True), strict=True):
            row(name, *values)


if __name__ == "__main__":
    main()
