"""Find the tokens that two tokenizers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from vecload.errors import OptionError
from vecload.tokenizers.token_forms import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.tokenizers.token_forms import TokenForms

Match = Callable[[Sequence[str | None], Sequence[str | None]], Any]
"""Function ``(source_texts, target_texts) -> ids``: the id of the source token for each target token, or -1."""

Mode = Literal["exact", "fuzzy", "symbols", "spelling"]
Overlap = Mode | Match
"""Rule by which tokens of two tokenizers are the same."""

# Roles that can stand in for each other: BERT's [CLS] and [SEP] are what other models call the beginning and the end.
_COUNTERPARTS: Final = {"cls": "bos", "sep": "eos", "bos": "cls", "eos": "sep"}


def check_overlap(overlap: Any) -> None:
    """Raise OptionError for an unknown overlap."""
    if not callable(overlap) and overlap not in get_args(Mode):
        raise OptionError(f"unknown overlap {overlap!r}; choose from: {', '.join(get_args(Mode))}, or pass a function")


def align_tokens(source: TokenForms, target: TokenForms, overlap: Overlap = "exact") -> npt.NDArray[np.int64]:
    """Return the id of the source token that is the same as each target token, or -1: int64, shape (len(target),).

    Special tokens match by role. Of several source tokens with one form, the first wins.

    Parameters
    ----------
    source, target
        Tokens in canonical form.
    overlap
        "exact": equal canonical forms. "fuzzy": equal up to case and spaces around them, exact ones first, then those
        that differ by spaces only, and by case only. "symbols": exact, and without any letter. "spelling": equal as
        they are spelled, for tokenizers of one kind. A function: see `Match`; it gets texts that begin with a space
        where a word begins.

    Raises
    ------
    OptionError
        For an unknown overlap, and for a function that returns invalid ids.
    """
    check_overlap(overlap)
    if overlap == "spelling":
        # Here the same tokenizer was changed, so special tokens have kept their spelling, too.
        at = _lookup(source.tokens, target.tokens)
        return np.where(at >= 0, at, _by_role(source, target))
    if callable(overlap):
        at = _checked(overlap(_strings(source), _strings(target)), len(target), source)
    else:
        at = _lookup(source.texts, target.texts)
        # An added token is plain text, and whether it begins a word depends on the text around it.
        spelled = _lookup(_added(source), _added(target))
        at = np.where(at >= 0, at, spelled)
    if overlap == "symbols":
        letters = np.array([text is not None and any(map(str.isalpha, text)) for text in _strings(target)], dtype=bool)
        at[letters] = -1
    elif overlap == "fuzzy":
        _match_fuzzily(source, target, at)
    roles = _by_role(source, target)
    return np.where(roles >= 0, roles, at)


def _lookup(source: Sequence[Any], target: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Return where each form of the target is in the source for the first time, or -1."""
    first: dict[Any, int] = {}
    for row, form in enumerate(source):
        first.setdefault(form, row)
    return np.array([-1 if form is None else first.get(form, -1) for form in target], dtype=np.int64)


def _added(forms: TokenForms) -> list[str | None]:
    return [token if row in forms.added else None for row, token in enumerate(forms.tokens)]


def _strings(forms: TokenForms) -> list[str | None]:
    return [None if text is None else text.decode("utf-8", "surrogateescape") for text in forms.texts]


def _keys(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys under which a text can match another one, the best first."""
    bare = text.strip(" ") or text
    yield "case", bare
    yield "space", text.lower()
    yield "both", bare.lower()


def _match_fuzzily(source: TokenForms, target: TokenForms, at: npt.NDArray[np.int64]) -> None:
    """Fill in the rows of `at` that are -1, in place."""
    first: dict[tuple[str, str], int] = {}
    for row, text in enumerate(_strings(source)):
        if text is not None and row not in source.added:
            for key in _keys(text):
                first.setdefault(key, row)
    texts = _strings(target)
    for row in np.flatnonzero(at < 0).tolist():
        text = texts[row]
        if text is not None and row not in target.added:
            at[row] = next((first[key] for key in _keys(text) if key in first), -1)


def _by_role(source: TokenForms, target: TokenForms) -> npt.NDArray[np.int64]:
    at = np.full(len(target), -1, dtype=np.int64)
    for other in ({}, _COUNTERPARTS):
        for role in ROLES:
            row, found = target.roles.get(role, -1), source.roles.get(other.get(role, role), -1)
            if row >= 0 and found >= 0 and at[row] < 0:
                at[row] = found
    return at


def _checked(given: Any, count: int, source: TokenForms) -> npt.NDArray[np.int64]:
    at = np.asarray(given)
    if at.shape != (count,) or at.dtype.kind not in "iu":
        raise OptionError(f"overlap must return {count:,} ids, got {at.dtype} of shape {at.shape}")
    at = at.astype(np.int64)
    if count and not -1 <= at.min() <= at.max() < len(source):
        raise OptionError(f"overlap must return ids from -1 to {len(source) - 1:,}, got {at.min()} to {at.max()}")
    holes = [row for row in np.unique(at[at >= 0]).tolist() if source.tokens[row] is None]
    if holes:
        raise OptionError(f"overlap returned the id {holes[0]}, which has no source token")
    return at
