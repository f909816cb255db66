"""The API reference lists everything public and nothing else, and the public face stays small."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import vecload

PAGE = Path(vecload.__file__).parent.parent / "docs" / "api.md"
NAMESPACES = {
    "catalog", "classification", "compat", "distributed", "errors", "evaluation", "formats", "hub", "layers", "mapping",
    "oov", "pooling", "provenance", "search", "shrinking", "transforms",
}  # fmt: skip


def public_names() -> set[str]:
    """Return the full names in `vecload.__all__` and in the `__all__` of each namespace, without the namespaces."""
    found = set()
    waiting = ["vecload"]
    for name in waiting:
        module = importlib.import_module(name)
        for inner in module.__all__:
            if inspect.ismodule(getattr(module, inner)):
                waiting.append(f"{name}.{inner}")
            else:
                found.add(f"{name}.{inner}")
    return found


def listed_names(page: str) -> list[str]:
    return re.findall(r"^\| `([\w.]+)` \| \S.* \|$", page, flags=re.MULTILINE)


def test_reference_lists_exactly_the_public_names() -> None:
    if not PAGE.exists():
        pytest.skip("not a checkout")
    listed = listed_names(PAGE.read_text(encoding="utf-8"))
    advice = "run `python docs/make_api.py`"
    assert len(listed) == len(set(listed)), advice
    assert set(listed) == public_names(), advice


def test_a_line_without_a_description_is_not_listed() -> None:
    assert listed_names("| `vecload.a` | Do it. |\n| `vecload.b` |  |\n") == ["vecload.a"]


def test_root_has_few_names_besides_namespaces() -> None:
    spaces = {name for name in vecload.__all__ if inspect.ismodule(getattr(vecload, name))}
    assert spaces == NAMESPACES
    assert len(set(vecload.__all__) - spaces) <= 27


@pytest.mark.parametrize("name", sorted(NAMESPACES))
def test_all_names_of_a_namespace_exist_once_and_are_public(name: str) -> None:
    module = getattr(vecload, name)
    assert len(module.__all__) == len(set(module.__all__))
    for public in module.__all__:
        assert not public.startswith("_")
        assert hasattr(module, public)
