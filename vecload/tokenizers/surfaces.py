"""Tokens as text: the spelling of a tokenizer replaced with the text that a token stands for.

Tokenizers mark the beginning of a word in different ways: byte-level BPE by "Ġ", SentencePiece by "▁", and WordPiece by
the lack of "##". Here, a space is at the beginning of every token that begins a word, so that tokens of different
tokenizers can be compared.

Source: the *tokenizers* library (``pre_tokenizers/byte_level.rs``, ``metaspace.rs`` and ``decoders/wordpiece.rs``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_METASPACE: Final = "▁"
_WORDPIECE: Final = "##"
_SPACE: Final = b" "
_STEPS: Final = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_PARTS: Final = ("normalizers", "pretokenizers", "processors", "decoders")
_DEEPEST: Final = 8


@dataclass(frozen=True)
class Spelling:
    r"""Rule by which a tokenizer spells the text of its tokens.

    Parameters
    ----------
    kind
        "wordpiece": `mark` begins tokens that continue a word; "bytes": characters stand for bytes; "metaspace":
        `mark` stands for a space; "suffix": `mark` ends tokens that end a word; "plain": tokens are their text.
    mark
        The mark.

    Examples
    --------
    >>> Spelling("bytes").text("Ġcat"), Spelling("metaspace", "▁").spell(b" cat")
    (b' cat', '▁cat')
    """

    kind: Literal["wordpiece", "bytes", "metaspace", "suffix", "plain"]
    mark: str = ""

    def text(self, token: str) -> bytes:
        """Return the text of a token as bytes, which need not be whole characters."""
        raw = token.encode("utf-8", "surrogateescape")
        mark = self.mark.encode()
        if self.kind == "wordpiece":
            return raw.removeprefix(mark) if raw.startswith(mark) else _SPACE + raw
        if self.kind == "bytes":
            # A character that is not one of GPT-2's belongs to a token that was not made of bytes.
            return bytes(_BYTES[one] for one in token) if all(one in _BYTES for one in token) else raw
        if self.kind == "metaspace":
            return raw.replace(mark, _SPACE)
        if self.kind == "suffix":
            return raw.removesuffix(mark) + _SPACE if raw.endswith(mark) else raw
        return raw

    def spell(self, text: bytes) -> str:
        """Return the characters by which the tokenizer's model knows a text: the inverse of `text`."""
        if self.kind == "bytes":
            return "".join(_CHARACTERS[byte] for byte in text)
        spelled = text.decode("utf-8", "surrogateescape")
        if self.kind == "wordpiece":
            return spelled[1:] if text.startswith(_SPACE) else self.mark + spelled
        if self.kind == "metaspace":
            return spelled.replace(" ", self.mark)
        if self.kind == "suffix":
            return spelled[:-1] + self.mark if text.endswith(_SPACE) else spelled
        return spelled


def spelling_of(document: Any) -> Spelling:
    """Return the rule of a parsed ``tokenizer.json``.

    Examples
    --------
    >>> spelling_of({"model": {"type": "BPE"}, "pre_tokenizer": {"type": "ByteLevel"}})
    Spelling(kind='bytes', mark='')
    """
    model = document["model"]
    steps = [step for name in _STEPS for step in _flat(document.get(name))]
    kinds = {step.get("type") for step in steps}
    kind = model.get("type") or ("Unigram" if isinstance(model.get("vocab"), list) else "BPE")
    if kind == "WordPiece":
        return Spelling("wordpiece", model.get("continuing_subword_prefix") or _WORDPIECE)
    if "ByteLevel" in kinds:
        return Spelling("bytes")
    marks = [step.get("replacement") or step.get("str_rep") for step in steps if step.get("type") == "Metaspace"]
    replaced = any(step.get("type") == "Replace" and _METASPACE in str(step) for step in steps)
    if marks or replaced or kind == "Unigram":
        return Spelling("metaspace", str(marks[0]) if marks and marks[0] else _METASPACE)
    suffix = model.get("end_of_word_suffix")
    return Spelling("suffix", suffix) if suffix else Spelling("plain")


def surface_forms(document: Any, tokens: Iterable[str]) -> list[bytes]:
    r"""Return the text of tokens as bytes, which need not be whole characters.

    Special and other added tokens are unchanged, and so are the byte tokens of SentencePiece (``<0xC3>``).

    Parameters
    ----------
    document
        The parsed ``tokenizer.json``.
    tokens
        Tokens as they are spelled in it.

    Examples
    --------
    >>> document = {"model": {"type": "BPE"}, "pre_tokenizer": {"type": "ByteLevel"}}
    >>> surface_forms(document, ["Ġcat", "s", "Ã©"])
    [b' cat', b's', b'\xc3\xa9']
    >>> surface_forms({"model": {"type": "WordPiece"}}, ["cat", "##s"])
    [b' cat', b's']
    """
    added = {entry["content"] for entry in document.get("added_tokens") or ()}
    spelling = spelling_of(document)
    return [token.encode("utf-8", "surrogateescape") if token in added else spelling.text(token) for token in tokens]


def _flat(step: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield a step and the steps of sequences in it."""
    if not isinstance(step, dict) or depth > _DEEPEST:
        return
    yield step
    for name in _PARTS:
        for part in step.get(name) or ():
            yield from _flat(part, depth + 1)


def _byte_characters() -> dict[str, int]:
    """Return the byte that each character of byte-level BPE stands for (GPT-2's ``bytes_to_unicode``)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}


_BYTES: Final = _byte_characters()
_CHARACTERS: Final = {byte: character for character, byte in _BYTES.items()}
