"""Check ids in eager mode and in graphs, and answer torch.fx and TorchScript, which run no Python of layers."""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from vecload.errors import OptionError


def record_call(module: torch.nn.Module, input: torch.fx.Proxy, *rest: Any, **options: Any) -> torch.fx.Proxy:  # noqa: A002 - as in forward
    """Record a module as one call in the graph that torch.fx is making, as torch.fx does with torch's own layers.

    Raises
    ------
    OptionError
        If the module itself is traced, so that there is no graph to record a call in.

    Examples
    --------
    >>> import vecload
    >>> model = torch.nn.Sequential(vecload.layers.StoredEmbedding(torch.eye(2)), torch.nn.Linear(2, 1))
    >>> [node.op for node in torch.fx.symbolic_trace(model).graph.nodes]
    ['placeholder', 'call_module', 'call_module', 'output']
    """
    # torch.fx treats modules of torch.nn as leaves and traces into others, where a proxy has no values to look up.
    tracer: Any = input.tracer
    path = tracer.path_of_module(module)
    if not path:
        name = type(module).__name__
        raise OptionError(
            f"torch.fx cannot trace a {name} by itself: trace a model that contains it, or use torch.export"
        )
    call: torch.fx.Proxy = tracer.create_proxy("call_module", path, (input, *rest), options)
    return call


def refuse_script(module: torch.nn.Module) -> NoReturn:
    """Refuse TorchScript; called from the hook that ``torch.jit.script`` runs first.

    Raises
    ------
    OptionError
        Always.
    """
    name = type(module).__name__
    raise OptionError(f"torch.jit.script cannot compile a {name}: use torch.export, torch.compile or torch.jit.trace")


def out_of_range(ids: torch.Tensor, rows: int) -> IndexError:
    """Return an error that names the first id without a row.

    Examples
    --------
    >>> out_of_range(torch.tensor([0, -1]), 3)
    IndexError('index out of range: id -1 in a layer of 3 rows (0 to 2)')
    """
    wrong = ids[(ids < 0) | (ids >= rows)]
    span = f"0 to {rows - 1:,}" if rows else "none"
    return IndexError(f"index out of range: id {int(wrong[0])} in a layer of {rows:,} rows ({span})")


def assert_in_range(ids: torch.Tensor, rows: int) -> None:
    """Make a graph check the ids when it runs: compiled code would follow negative ids to other rows.

    Parameters
    ----------
    ids
        Ids of any shape.
    rows
        Number of rows.
    """
    # An ordinary `if` would end the graph, because it needs a value. torch.export and inductor keep this assertion.
    torch._assert_async(((ids >= 0) & (ids < rows)).all(), f"index out of range: an id in a layer of {rows:,} rows")
