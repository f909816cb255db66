"""Type hints of everything public resolve at run time, as documentation builders and validation libraries need."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator

import pytest

import vecload

SPECIAL = {"__init__", "__call__", "__getitem__", "__iter__", "__len__", "__contains__", "__array__"}


def public_values() -> dict[str, object]:
    """Return everything in `vecload.__all__`, and in the `__all__` of the namespaces among it."""
    found: dict[str, object] = {}
    waiting = [(name, getattr(vecload, name)) for name in vecload.__all__]
    for name, value in waiting:
        found[name] = value
        if inspect.ismodule(value):  # a namespace, which may hold others, as `compat` does
            waiting += [(f"{name}.{inner}", getattr(value, inner)) for inner in value.__all__]
    return found


def functions_of(name: str, value: object) -> Iterator[tuple[str, typing.Any]]:
    """Yield the functions of a public value: itself, or the public methods and properties of a class of vecload's."""
    if inspect.isfunction(value):
        yield name, value
    if not inspect.isclass(value):
        return
    for owner in value.__mro__:
        if not owner.__module__.startswith("vecload"):
            continue
        for inner, member in vars(owner).items():
            if inner.startswith("_") and inner not in SPECIAL:
                continue
            function = (
                getattr(member, "__func__", None) or getattr(member, "fget", None) or getattr(member, "func", member)
            )
            if inspect.isfunction(function):
                yield f"{name}.{inner}", function


CALLABLES = dict(pair for name, value in public_values().items() for pair in functions_of(name, value))


def test_public_callables_are_found() -> None:
    assert len(CALLABLES) > 150
    assert {"load", "Vectors.neighbors", "Vectors.index", "Vocab.encode_batch", "Aligned.embedding"} <= set(CALLABLES)
    assert {"compat.torchtext.GloVe.__init__", "compat.torchtext.vocab"} <= set(CALLABLES)
    assert {"SentencePooler.forward", "search.nearest", "layers.anchor", "Info.__init__"} <= set(CALLABLES)


def test_unknown_name_in_a_hint_raises() -> None:
    def unresolved(value: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(NameError, match="Nowhere"):
        typing.get_type_hints(unresolved)


@pytest.mark.parametrize("name", CALLABLES)
def test_type_hints_of_public_callables_resolve(name: str) -> None:
    typing.get_type_hints(CALLABLES[name])


@pytest.mark.parametrize("name", [name for name, value in public_values().items() if inspect.isclass(value)])
def test_type_hints_of_public_classes_resolve(name: str) -> None:
    typing.get_type_hints(public_values()[name])
