"""``torchtext.vocab``: vocabularies that map tokens to indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from vecload.compat.torchtext.advice import advise
from vecload.errors import OptionError, VocabularyError, list_of_strings


class TokenError(VocabularyError, RuntimeError):
    """A token or index that a vocabulary cannot look up or add.

    torchtext raises RuntimeError for these, and scripts written for it catch that.
    """


class Vocab(nn.Module):
    """Mutable vocabulary with the methods and semantics of torchtext's class of this name.

    `vocab` and `build_vocab_from_iterator` make one. Calling it is `lookup_indices`. It is a module, so that it can be
    part of ``nn.Sequential``; TorchScript cannot compile it.

    Parameters
    ----------
    tokens
        All tokens in the order of their indices, each once.

    Raises
    ------
    TokenError
        If a token occurs more than once.

    Examples
    --------
    >>> from collections import OrderedDict
    >>> words = vocab(OrderedDict(dog=5, cat=2), specials=["<unk>"])
    >>> words.set_default_index(words["<unk>"])
    >>> words(["cat", "cow"]), words.lookup_token(1), len(words)
    ([2, 0], 'dog', 3)
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        super().__init__()
        self._itos = list_of_strings("tokens", tokens)
        self._stoi: dict[str, int] = {}
        for index, token in enumerate(self._itos):
            if self._stoi.setdefault(token, index) != index:
                raise TokenError(f"duplicate token {token!r}: found at indices {self._stoi[token]} and {index}")
        self._default_index: int | None = None
        advise("Vocab", "vecload.Vocab.from_texts(texts, tokenize=..., specials=[...]), or vecload.Vocab.from_words")

    def forward(self, tokens: Iterable[str]) -> list[int]:
        """Return the index of each token, as `lookup_indices` does."""
        return self.lookup_indices(tokens)

    def __len__(self) -> int:
        return len(self._itos)

    def __contains__(self, token: object) -> bool:
        return token in self._stoi

    def __getitem__(self, token: str) -> int:
        """Return the index of a token, or the default index.

        Raises
        ------
        TokenError
            If the token is unknown and there is no default index.
        """
        return self.lookup_indices([token])[0]

    def lookup_indices(self, tokens: Iterable[str]) -> list[int]:
        """Return the index of each token, the default index for unknown ones.

        Raises
        ------
        TokenError
            If a token is unknown and there is no default index.
        OptionError
            If `tokens` is one string, or holds anything but strings.
        """
        found = []
        for token in list_of_strings("tokens", tokens):
            index = self._stoi.get(token, self._default_index)
            if index is None:
                raise TokenError(
                    f"token {token!r} not found and default index is not set; call set_default_index, for example "
                    'with vocab["<unk>"]'
                )
            found.append(index)
        return found

    def lookup_token(self, index: int) -> str:
        """Return the token of an index.

        Raises
        ------
        TokenError
            If the index is negative or too large.
        """
        if not 0 <= index < len(self):
            raise TokenError(f"index {index} is out of range for a vocabulary of size {len(self):,}")
        return self._itos[index]

    def lookup_tokens(self, indices: Iterable[int]) -> list[str]:
        """Return the token of each index.

        Raises
        ------
        TokenError
            If an index is negative or too large.
        """
        return [self.lookup_token(index) for index in indices]

    def set_default_index(self, index: int | None) -> None:
        """Set the index of unknown tokens; None makes them an error. The index need not be one of a token."""
        self._default_index = index

    def get_default_index(self) -> int | None:
        """Return the index of unknown tokens, or None if it is not set."""
        return self._default_index

    def append_token(self, token: str) -> None:
        """Add a token at the end.

        Raises
        ------
        TokenError
            If the token is in the vocabulary already.
        """
        self.insert_token(token, len(self))

    def insert_token(self, token: str, index: int) -> None:
        """Add a token at an index, and increase the indices of later tokens by one.

        The default index does not change, as in torchtext, so set it again after an insertion before its token.

        Raises
        ------
        TokenError
            If the token is in the vocabulary already, or the index is not from 0 to the size.
        """
        list_of_strings("token", [token])
        if token in self:
            raise TokenError(f"token {token!r} is in the vocabulary already, with index {self._stoi[token]}")
        if not 0 <= index <= len(self):
            raise TokenError(f"index {index} is out of range for inserting into a vocabulary of size {len(self):,}")
        self._itos.insert(index, token)
        for later in range(index, len(self)):
            self._stoi[self._itos[later]] = later

    def get_stoi(self) -> dict[str, int]:
        """Return a new dictionary from tokens to indices."""
        return dict(self._stoi)

    def get_itos(self) -> list[str]:
        """Return a new list of the tokens in the order of their indices."""
        return list(self._itos)


def vocab(
    ordered_dict: Mapping[str, int],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,  # noqa: FBT001, FBT002 - the signature is torchtext's
) -> Vocab:
    """Return a vocabulary of the tokens of a dictionary, in its order.

    Parameters
    ----------
    ordered_dict
        Tokens and their counts. Unlike torchtext, this function does not change it.
    min_freq
        Minimum count of a token.
    specials
        Tokens to add whatever their counts, in this order.
    special_first
        Whether the specials are placed before the other tokens or after them.

    Raises
    ------
    TokenError
        If a special token occurs more than once.
    OptionError
        If `specials` is one string.

    Examples
    --------
    >>> vocab({"b": 2, "a": 1, "<unk>": 3, "c": 2}, min_freq=2, specials=["<unk>"], special_first=False).get_itos()
    ['b', 'c', '<unk>']
    """
    added = list_of_strings("specials", specials or [])
    tokens = [token for token, count in ordered_dict.items() if count >= min_freq and token not in added]
    return Vocab([*added, *tokens] if special_first else [*tokens, *added])


def build_vocab_from_iterator(
    iterator: Iterable[Iterable[str]],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,  # noqa: FBT001, FBT002 - the signature is torchtext's
    max_tokens: int | None = None,
) -> Vocab:
    """Count tokens, and return a vocabulary of them: most frequent first, equal counts by code point.

    Parameters
    ----------
    iterator
        Yields the tokens of one text at a time. As in torchtext, the tokens of a string are its characters.
    min_freq, specials, special_first
        As in `vocab`.
    max_tokens
        Maximum size of the vocabulary, specials included. As in torchtext, a special token that is also among the most
        frequent tokens counts twice, so the vocabulary may be smaller.

    Raises
    ------
    OptionError
        If `max_tokens` is not larger than the number of specials, or `specials` is one string.
    TokenError
        If a special token occurs more than once.

    Examples
    --------
    >>> build_vocab_from_iterator([["b", "a"], ["c", "b"]], specials=["<unk>"], max_tokens=3).get_itos()
    ['<unk>', 'b', 'a']
    """
    counter: Counter[str] = Counter()
    for tokens in iterator:
        counter.update(tokens)
    added = list_of_strings("specials", specials or [])
    ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    if max_tokens is not None:
        if max_tokens <= len(added):
            raise OptionError(f"max_tokens={max_tokens} must be larger than the number of specials, {len(added)}")
        ranked = ranked[: max_tokens - len(added)]
    return vocab(dict(ranked), min_freq, added, special_first)
