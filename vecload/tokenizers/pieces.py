"""`Pieces`: the tokens that a tokenizer would cut the text of another tokenizer's token into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vecload.tokenizers.token_forms import TokenForms


class Pieces:
    """Cutter of texts in canonical form.

    A text is cut by the tokenizer's own model, without its pre-tokenizer. Encoding would add a space before each text
    or drop the one that is there, so pieces of tokens that continue a word would be those of a whole word.

    Parameters
    ----------
    forms
        Tokens of the tokenizer.
    """

    def __init__(self, forms: TokenForms) -> None:
        self._forms = forms
        self._backend = forms.backend
        self._model = forms.backend.model
        self._unknown = forms.roles.get("unk", -1)
        self._ids = {token: row for row, token in enumerate(forms.tokens) if token is not None}

    def of_text(self, text: bytes) -> list[int]:
        """Return the ids of the pieces of a token's canonical form; empty if it has unknown parts."""
        kind = self._forms.spelling.kind
        normalized = self._normalized(text)
        if normalized is None:  # not whole characters
            if kind == "bytes":
                return self._cut(self._forms.spelling.spell(text))
            return self._known([self._ids.get(f"<0x{byte:02X}>", -1) for byte in text])
        if kind == "wordpiece":
            return self._word_pieces(normalized)
        if kind == "suffix":  # the model adds the mark itself, to the end of whatever it cuts
            return self._cut(normalized.strip(" "))
        return self._cut(self._forms.spelling.spell(normalized.encode("utf-8", "surrogateescape")))

    def of_description(self, text: str, without: Iterable[int]) -> list[int]:
        """Return the ids of a text as the tokenizer encodes it, less unknown tokens and those in `without`."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        dropped = {self._unknown, *without}
        return [row for row in ids if row not in dropped]

    def _normalized(self, text: bytes) -> str | None:
        """Return a text after the tokenizer's normalizer, with the spaces before it unchanged."""
        try:
            whole = text.decode()
        except UnicodeDecodeError:
            return None
        body = whole.lstrip(" ")
        spaces = whole[: len(whole) - len(body)]
        normalizer = self._backend.normalizer
        if normalizer is None or not body:
            return whole
        mark = self._forms.spelling.mark
        normalized: str = normalizer.normalize_str(body)
        if self._forms.spelling.kind == "metaspace":
            # SentencePiece's normalizers add a mark to the beginning, and replace spaces.
            normalized = normalized.replace(mark, " ")
        return spaces + normalized.strip(" ")

    def _cut(self, spelled: str) -> list[int]:
        try:
            return self._known([piece.id for piece in self._model.tokenize(spelled)] if spelled else [])
        except Exception:  # plain, for unknown words, without an unknown token
            return []

    def _known(self, ids: list[int]) -> list[int]:
        return [] if any(row < 0 or row == self._unknown for row in ids) else ids

    def _word_pieces(self, text: str) -> list[int]:
        """Cut a text into words and each word into the longest tokens, as WordPiece does."""
        words = [word for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(text)] if text.strip() else []
        ids: list[int] = []
        for at, word in enumerate(words):
            ids.extend(self._longest(word, starts=at > 0 or text.startswith(" ")))
        return self._known(ids)

    def _longest(self, word: str, *, starts: bool) -> Iterator[int]:
        begin = 0
        while begin < len(word):
            mark = "" if starts and begin == 0 else self._forms.spelling.mark
            for end in range(len(word), begin, -1):
                row = self._ids.get(mark + word[begin:end])
                # Punctuation and ideographs, among others, have tokens without the mark only.
                if row is None and begin == 0:
                    row = self._ids.get(word[:end])
                if row is not None:
                    yield row
                    begin = end
                    break
            else:
                yield -1
                return


def encode_ids(backend: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text, without special tokens.

    Examples
    --------
    >>> encode_ids(tokenizer, ["a cat"])  # doctest: +SKIP
    [[5, 917]]
    """
    return [found.ids for found in backend.encode_batch(list(texts), add_special_tokens=False)]
