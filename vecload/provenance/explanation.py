"""`Explanation`: why words of a vocabulary were not found, and what to change."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vecload.message_text import quote, shorten

TOKENIZE = r"""tokenize=re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")"""
"""Argument that separates words and punctuation in texts."""

UNSEPARATED = "not separated"
"""Name of the cause for phrases and sentences in place of words."""


@dataclass(frozen=True)
class Reason:
    """Reason why a word was not found: the vectors have another spelling of it; ``str()`` is a short sentence."""

    word: str
    spelling: str
    """The spelling in the vectors."""
    causes: tuple[str, ...]
    """Names of the differences, such as "case" or "punctuation"."""

    def __str__(self) -> str:
        word, spelling = _both(self)
        relation = "begins with" if UNSEPARATED in self.causes else "is in the vectors as"
        return f"{word} {relation} {spelling} ({' + '.join(self.causes)})"


@dataclass(frozen=True)
class Difference:
    """Words that were not found for the same reason."""

    causes: tuple[str, ...]
    """Names of the differences."""
    words: int
    """Number of words."""
    tokens: int | None
    """Number of tokens that they are, or None without counts."""
    examples: tuple[Reason, ...]
    """The most frequent of the words."""

    @property
    def name(self) -> str:
        """The differences as one name, such as "punctuation + case"."""
        return " + ".join(self.causes)


@dataclass(frozen=True)
class Explanation:
    """Reasons why words of a vocabulary were not found; ``str()`` is a table with advice.

    Parameters
    ----------
    missing
        Number of words that were not found.
    examined
        Number of these that were searched for under other spellings: at most the 100,000 most frequent ones.
    complete
        Whether all words of the vectors were compared. Otherwise, they may have more words under another spelling.
    seen
        Number of words of the vectors that were compared.
    differences
        The differences and the number of words with each; the most frequent first. A word counts once.
    reasons
        The reason for each word that the vectors have under another spelling, by word.
    oov
        Chain of steps that finds these words, as far as steps can.
    remedies
        Changes that help where steps do not, such as reading the vocabulary in another encoding.
    unexplained
        The most frequent words that were not found under any spelling.
    ngrams
        Whether rows for these can be composed from the vectors' character n-grams, by the step "ngrams" in `oov`.
    """

    missing: int
    examined: int
    complete: bool
    seen: int
    differences: tuple[Difference, ...]
    reasons: Mapping[str, Reason] = field(repr=False)
    oov: tuple[str, ...]
    remedies: tuple[str, ...]
    unexplained: tuple[str, ...]
    ngrams: bool = False

    @property
    def found(self) -> int:
        """Number of missing words that the vectors have under another spelling."""
        return len(self.reasons)

    @property
    def advice(self) -> str:
        """The arguments or changes that find the words, in one line; empty without any."""
        chain = [f"{self.chain} ({self.option})"] if self.oov else []
        return "; ".join([*self.remedies, *chain])

    @property
    def chain(self) -> str:
        """The argument for `align`, such as ``oov=["casefold", "normal"]``."""
        return f"oov=[{', '.join(f'{step!r}' for step in self.oov)}]".replace("'", '"')

    @property
    def option(self) -> str:
        """The same for commands, such as ``--oov casefold,normal``."""
        return f"--oov {','.join(self.oov)}"

    @property
    def headline(self) -> str:
        """First line: the number of missing words that would be found, and the steps that find them."""
        if not self.missing:
            return "all words were found"
        words = f"{self.examined:,} words not found"
        if self.examined < self.missing:
            words = f"the {self.examined:,} most frequent of {self.missing:,} words not found"
        checked = "" if self.complete else f" (among the first {self.seen:,} words of the vectors)"
        advice = self.advice if self.remedies or not self.oov else f"use {self.advice}"
        if not self.found:
            rest = f"; compose their rows from n-grams: {advice}" if self.ngrams else ""
            return f"none of {words} would be found under another spelling{checked}{rest}"
        named = ", ".join(f"{one.name} {one.words:,}" for one in self.differences)
        least = "" if self.complete else "at least "
        found = f"{least}{self.found:,} of {words} would be found under another spelling{checked}"
        return f"{found}: {named}; {advice}"

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values for JSON."""
        return {
            "missing": self.missing,
            "examined": self.examined,
            "found_under_another_spelling": self.found,
            "complete": self.complete,
            "seen": self.seen,
            "differences": [
                {
                    "causes": list(one.causes),
                    "words": one.words,
                    "tokens": one.tokens,
                    "examples": [{"word": reason.word, "spelling": reason.spelling} for reason in one.examples],
                }
                for one in self.differences
            ],
            "oov": list(self.oov),
            "remedies": list(self.remedies),
            "unexplained": list(self.unexplained),
            "ngrams": self.ngrams,
        }

    def __str__(self) -> str:
        if not self.found:
            return self.headline
        rows = [(one.name, one.words, ", ".join(map(_arrow, one.examples))) for one in self.differences]
        if self.found < self.examined:
            name = "not explained, has n-grams" if self.ngrams else "not explained"
            rows.append((name, self.examined - self.found, ", ".join(map(_quoted, self.unexplained))))
        width = max(len(name) for name, _, _ in rows)
        lines = [self.headline, "", f"{'difference':<{width}}{'words':>10}{'':>8}  examples"]
        for name, words, examples in rows:
            lines.append(f"{name:<{width}}{words:>10,}{words / self.examined:>8.1%}  {examples}")
        lines += ["", *self.remedies]
        if self.oov:
            lines.append(f"{self.chain}, or {self.option}")
        if any("punctuation" in one.causes for one in self.differences):
            lines.append(f"for texts: {TOKENIZE}")
        return "\n".join(lines)


def _quoted(word: str) -> str:
    return quote(word.encode("utf-8", "surrogateescape"))


def _both(reason: Reason) -> tuple[str, str]:
    """Return the word and its spelling in quotes; with escapes if they look the same."""
    pair = reason.word, reason.spelling
    if unicodedata.normalize("NFC", reason.word) == unicodedata.normalize("NFC", reason.spelling):
        return shorten(ascii(pair[0])), shorten(ascii(pair[1]))
    return _quoted(pair[0]), _quoted(pair[1])


def _arrow(reason: Reason) -> str:
    return " → ".join(_both(reason))
