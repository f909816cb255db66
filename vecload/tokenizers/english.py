"""Split English texts by the rules of torchtext's tokenizer "basic_english"."""

from __future__ import annotations

import re
from typing import Final

BASIC_ENGLISH: Final = "basic_english"

# torchtext replaces one pattern after the other. Removing quotation marks can create a line break tag, for example from
# '<br" />', so they are removed first. No other replacement creates a match of a later pattern, so a single pass over
# the text gives the same tokens.
_REPLACED: Final = re.compile(r"<br />|['.,()!?;:]")
_REPLACEMENTS: Final = {"<br />": " ", ";": " ", ":": " "}


def basic_english(text: str) -> list[str]:
    """Return the tokens of a text by torchtext's rules.

    The text is lower-cased. Apostrophes, full stops, commas, parentheses, exclamation and question marks are tokens.
    Quotation marks are removed without splitting the word; ``<br />``, semicolons and colons are removed and split it.

    Examples
    --------
    >>> basic_english("You can now install TorchText using pip!")
    ['you', 'can', 'now', 'install', 'torchtext', 'using', 'pip', '!']
    """
    return _REPLACED.sub(_replacement, text.lower().replace('"', "")).split()


def _replacement(match: re.Match[str]) -> str:
    found = match.group()
    return _REPLACEMENTS.get(found, f" {found} ")
