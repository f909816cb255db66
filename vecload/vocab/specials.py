"""Order of the special tokens of a vocabulary, and the usual names of padding and unknown tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecload.errors import list_of_strings

if TYPE_CHECKING:
    from collections.abc import Sequence

PADS = ("<pad>", "[PAD]")
UNKS = ("<unk>", "[UNK]")


def arrange_specials(
    specials: Sequence[str], unk_token: str | None, pad_token: str | None
) -> tuple[list[str], str | None, str | None]:
    """Return the specials in order, with `pad_token` and `unk_token` among them, and those two."""
    front = list(dict.fromkeys(list_of_strings("specials", specials)))
    pad_token = pad_token or next((word for word in PADS if word in front), None)
    unk_token = unk_token or next((word for word in UNKS if word in front), None)
    front = [*(word for word in (pad_token, unk_token) if word is not None and word not in front), *front]
    return front, unk_token, pad_token
