"""Tokens of a ``tokenizer.json`` as text: the spelling of a tokenizer replaced with the text that a token stands for.

Tokenizers mark the beginning of a word in different ways: byte-level BPE by "Ġ", SentencePiece by "▁", and WordPiece by
the lack of "##". Here, a space is at the beginning of every token that begins a word, so that tokens of different
tokenizers can be compared.

Source: the *tokenizers* library (``pre_tokenizers/byte_level.rs``, ``metaspace.rs`` and ``decoders/wordpiece.rs``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_METASPACE: Final = "▁"
_WORDPIECE: Final = "##"
_SPACE: Final = b" "
_STEPS: Final = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_PARTS: Final = ("normalizers", "pretokenizers", "processors", "decoders")
_DEEPEST: Final = 8


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
    surface = _rule(document)
    return [token.encode("utf-8", "surrogateescape") if token in added else surface(token) for token in tokens]


def _rule(document: Any) -> Callable[[str], bytes]:
    """Return the function that gives the text of a token."""
    model = document["model"]
    steps = [step for name in _STEPS for step in _flat(document.get(name))]
    kinds = {step.get("type") for step in steps}
    kind = model.get("type") or ("Unigram" if isinstance(model.get("vocab"), list) else "BPE")
    if kind == "WordPiece":
        prefix = model.get("continuing_subword_prefix") or _WORDPIECE
        return lambda token: (
            token.removeprefix(prefix).encode() if token.startswith(prefix) else _SPACE + token.encode()
        )
    if "ByteLevel" in kinds:
        return _from_byte_level
    marks = [step.get("replacement") or step.get("str_rep") for step in steps if step.get("type") == "Metaspace"]
    replaced = any(step.get("type") == "Replace" and _METASPACE in str(step) for step in steps)
    if marks or replaced or kind == "Unigram":
        mark = str(marks[0]) if marks and marks[0] else _METASPACE
        return lambda token: token.replace(mark, " ").encode("utf-8", "surrogateescape")
    suffix = model.get("end_of_word_suffix")
    if suffix:
        return lambda token: token.removesuffix(suffix).encode() + _SPACE if token.endswith(suffix) else token.encode()
    return lambda token: token.encode("utf-8", "surrogateescape")


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


def _from_byte_level(token: str) -> bytes:
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError:  # a token that was not made of bytes
        return token.encode("utf-8", "surrogateescape")
