"""Write docs/api.md, which lists everything public with one line each, from ``__all__`` and the docstrings.

Usage: ``python docs/make_api.py``
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PAGE = Path(__file__).with_name("api.md")
HEAD = """# API reference

All public names, with one line each. The full documentation of a name is its docstring, which `help` and the site show.

`docs/make_api.py` writes this page, and a test compares it with the `__all__` of each module.
"""


def sections() -> Iterator[tuple[str, list[str]]]:
    """Yield the root and each namespace, with its public names."""
    waiting = ["vecload"]
    for name in waiting:
        module = importlib.import_module(name)
        # Namespaces follow in sections of their own.
        inner = [f"{name}.{one}" for one in sorted(module.__all__) if inspect.ismodule(getattr(module, one))]
        waiting += inner
        yield (
            name,
            sorted(set(module.__all__) - {one.rpartition(".")[2] for one in inner}, key=lambda one: (one.lower(), one)),
        )


def summary(namespace: str, name: str) -> str:
    """Return the first sentence of the docstring of a public name."""
    value = getattr(importlib.import_module(namespace), name)
    text = inspect.getdoc(value) if inspect.isclass(value) or inspect.isroutine(value) else described(namespace, name)
    if not text:
        raise SystemExit(f"{namespace}.{name} has no docstring")
    # A sentence ends before a capital letter: "Glorot et al. 2010" does not end one.
    sentence = re.split(r"(?<=\.)\s+(?=[A-Z`])|\n\n", text.strip())[0]
    return " ".join(sentence.split()).rstrip(".:") + "."


def described(namespace: str, name: str) -> str:
    """Return the string after the assignment of a constant or a type, anywhere in the package of its namespace."""
    found = Path(importlib.import_module(namespace).__file__ or "")
    for path in sorted(found.parent.rglob("*.py")) if found.name == "__init__.py" else [found]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            named = any(isinstance(one, ast.Name) and one.id == name for one in targets)
            if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return str(after.value.value)
    return ""


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    for namespace, names in sections():
        module = importlib.import_module(namespace)
        lead = (module.__doc__ or "").strip().splitlines()[0]
        rows = [f"| `{namespace}.{name}` | {summary(namespace, name)} |" for name in names]
        table = "\n".join(["| name | |", "| --- | --- |", *rows]) + "\n" if rows else ""
        parts.append(f"## {namespace}\n\n{lead}\n\n{table}")
    return "\n".join(parts)


def reference_pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the Markdown of a page for each namespace, which mkdocstrings fills in from the docstrings."""
    for namespace, names in sections():
        lead = (importlib.import_module(namespace).__doc__ or "").strip().splitlines()[0]
        entries = [f"::: {namespace}.{name}" for name in names]
        yield namespace, "\n\n".join([f"# {namespace}", lead, *entries]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
