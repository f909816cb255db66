"""Ids of special tokens in the configurations of a Hugging Face model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.tokenizers.token_forms import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.tokenizers.token_forms import TokenForms

_SUFFIX: Final = "_token_id"
_NONE: Final = -1


def update_ids(model: Any, source: TokenForms, target: TokenForms, at: npt.NDArray[np.int64]) -> None:
    """Replace the ids of special tokens in the configurations of a model with those of another tokenizer, in place.

    An id is replaced with that of the same role or, if the old tokenizer has another token for the role, of the same
    token. Ids that are not set are not changed.

    Parameters
    ----------
    model
        The model.
    source, target
        Tokens of the old and the new tokenizer.
    at
        Old id of each new token, or -1.
    """
    for config in _configurations(model):
        for name, value in list(vars(config).items()):
            if not name.endswith(_SUFFIX) or value is None:
                continue
            role = name.removesuffix(_SUFFIX)
            several = isinstance(value, (list, tuple))
            ids = [_new_id(role, int(one), source, target, at) for one in (value if several else [value])]
            kept = sorted({one for one in ids if one is not None} or {target.roles.get(role, _NONE)})
            setattr(config, name, None if kept == [_NONE] else kept if several else kept[0])


def _configurations(model: Any) -> Iterator[Any]:
    seen: set[int] = set()
    config = model.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    for one in (config, text, getattr(model, "generation_config", None)):
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one


def _new_id(role: str, old: int, source: TokenForms, target: TokenForms, at: npt.NDArray[np.int64]) -> int | None:
    # A model can have several end tokens, only one of which has the role in its tokenizer.
    if role in ROLES and role in target.roles and source.roles.get(role, old) == old:
        return target.roles[role]
    rows = np.flatnonzero(at == old)
    return int(rows[0]) if len(rows) else None
