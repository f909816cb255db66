"""How texts are cut into tokens, as a value that can be written down."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vecload.errors import OptionError, list_of_strings
from vecload.tokenizers import japanese

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WHITESPACE = "whitespace"
_TOKEN = re.compile(r"[^\t-\r ]+")


@dataclass(frozen=True)
class Tokenizer:
    """A way to cut texts.

    Parameters
    ----------
    kind
        "whitespace", "regex", "tokenizers" (Hugging Face), "sudachi", "fugashi" or "function".
    cut
        Texts → their tokens; None for ASCII white space, which compiled code cuts without making strings.
    lowercase
        Whether texts are lower-cased first.
    settings
        What is written down with the kind.
    """

    kind: str
    cut: Callable[[Sequence[str]], list[Sequence[str]]] | None
    lowercase: bool = False
    settings: str = ""

    @classmethod
    def of(cls, tokenize: Any, *, lowercase: bool = False) -> Tokenizer:
        """The tokenizer that `SentencePooler` was given.

        Examples
        --------
        >>> Tokenizer.of(re.compile(r"[a-z]+")).cut(["to be, or"])
        [['to', 'be', 'or']]
        """
        if isinstance(tokenize, Tokenizer):
            return tokenize
        if tokenize is None or tokenize == WHITESPACE:
            return cls(WHITESPACE, None, lowercase)
        if isinstance(tokenize, re.Pattern):
            if tokenize.groups or isinstance(tokenize.pattern, bytes):
                raise OptionError(
                    f"{tokenize.pattern!r}: a pattern of text without groups, whose matches are the tokens"
                )
            find = tokenize.findall
            settings = json.dumps({"pattern": tokenize.pattern, "flags": tokenize.flags})
            return cls("regex", lambda texts: [find(text) for text in texts], lowercase, settings)
        if isinstance(tokenize, str):
            return cls(tokenize, japanese.cutter(tokenize), lowercase)
        whole = getattr(tokenize, "backend_tokenizer", tokenize)  # transformers keeps one of tokenizers inside
        if hasattr(whole, "encode_batch"):
            return cls("tokenizers", lambda texts: _subwords(whole, texts), lowercase, whole.to_str())
        if callable(tokenize):
            return cls("function", lambda texts: [list(tokenize(text)) for text in texts], lowercase)
        raise OptionError(f"tokenize={tokenize!r} is no way to cut texts: see SentencePooler")

    def split(self, texts: Sequence[str | Sequence[str]]) -> list[Sequence[str]]:
        """Return the tokens of each text; a text that is a list of tokens already keeps them.

        Raises
        ------
        OptionError
            If a text is neither a string nor a list of strings.

        Examples
        --------
        >>> Tokenizer.of(None, lowercase=True).split(["To be", ["Or", "Not"]])
        [['to', 'be'], ['or', 'not']]
        """
        made: list[Sequence[str]] = []
        whole: list[str] = []
        for at, text in enumerate(texts):
            if isinstance(text, str):
                whole.append(text)
                made.append(text)
            elif isinstance(text, (list, tuple)):
                made.append(list_of_strings(f"text {at}", text))
            else:
                found = f"found {type(text).__name__} at position {at}"
                raise OptionError(f"texts must be strings or lists of tokens: {found}")
        if self.lowercase:
            whole = [text.lower() for text in whole]
            made = [text if isinstance(text, str) else [token.lower() for token in text] for text in made]
        cut = iter((self.cut or _at_ascii_space)(whole))
        return [next(cut) if isinstance(text, str) else text for text in made]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the same tokenizer of."""
        return {"kind": self.kind, "lowercase": self.lowercase, "settings": self.settings}

    @classmethod
    def from_json(cls, kept: dict[str, Any], tokenize: Any) -> Tokenizer:
        """The tokenizer that was saved; a function, which cannot be, is `tokenize`.

        Raises
        ------
        OptionError
            When a function is needed and none is given, or the other way round.
        """
        kind, lowercase, settings = kept["kind"], bool(kept["lowercase"]), kept["settings"]
        if (kind == "function") != (tokenize is not None):
            told = "was saved with a function: pass it again as tokenize=" if tokenize is None else "has a tokenizer"
            raise OptionError(f"the pooler {told}")
        if kind == "regex":
            pattern = json.loads(settings)
            tokenize = re.compile(pattern["pattern"], pattern["flags"])
        elif kind == "tokenizers":
            from vecload.errors import require

            tokenize = require("tokenizers", "tokenizers").Tokenizer.from_str(settings)
        elif kind != "function":
            tokenize = kind
        return cls.of(tokenize, lowercase=lowercase)


def _at_ascii_space(texts: Sequence[str]) -> list[Sequence[str]]:
    return [_TOKEN.findall(text) for text in texts]


def _subwords(tokenizer: Any, texts: Sequence[str]) -> list[Sequence[str]]:
    return [found.tokens for found in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
