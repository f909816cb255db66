"""`Vocab`: the words a model knows, in the order of its embedding's rows."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload import wordlists
from vecload.errors import FormatError, MissingWordError, OptionError, VocabularyError
from vecload.sources import replacing
from vecload.words import Words, read_only

if TYPE_CHECKING:
    import numpy.typing as npt

Tokenize = Callable[[str], Iterable[str]]

_PADS = ("<pad>", "[PAD]")
_UNKS = ("<unk>", "[UNK]")
_FORMAT = "vecload-vocab"


@dataclass(frozen=True, eq=False, repr=False)
class Vocab:
    """The words a model knows: one row each, specials in front.

    Made by one of its class methods.

    Parameters
    ----------
    words
        All words in row order, each once.
    counts
        How often each was seen, int64, shape (n,); None where nothing was counted.
    specials
        Those of the words that stand for no text.
    unk
        The word that stands for unknown ones. Without it an unknown word is an error.
    pad
        The word that fills up short texts.

    Examples
    --------
    >>> vocab = Vocab.from_texts(["the cat", "the dog"], specials=["<pad>", "<unk>"])
    >>> list(vocab), vocab.pad_idx, vocab.unk_idx
    (['<pad>', '<unk>', 'the', 'cat', 'dog'], 0, 1)
    >>> vocab.encode("the cow".split())
    array([2, 1])
    """

    words: Words
    counts: npt.NDArray[np.int64] | None = None
    specials: tuple[str, ...] = ()
    unk: str | None = None
    pad: str | None = None

    def __post_init__(self) -> None:
        rows = self.words.lookup(self.words)
        twice = np.flatnonzero(rows != np.arange(len(rows)))
        if len(twice):
            raise VocabularyError(f"{self.words[int(twice[0])]!r} comes twice in the vocabulary")
        for special in (*self.specials, self.unk, self.pad):
            if special is not None and special not in self.words:
                raise VocabularyError(f"the special word {special!r} is not in the vocabulary")
        if self.counts is not None:
            if self.counts.shape != (len(self),):
                raise OptionError(f"{len(self):,} words need as many counts, not shape {self.counts.shape}")
            object.__setattr__(self, "counts", read_only(self.counts))

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        tokenize: Tokenize = str.split,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk: str | None = None,
        pad: str | None = None,
    ) -> Vocab:
        """Count the tokens of texts.

        Parameters
        ----------
        texts
            Any iterable of texts; read once, so it may be a stream.
        tokenize
            Gives the tokens of a text.
        min_freq
            Leave out tokens seen less often.
        max_size
            Keep so many words, specials included: the most frequent, and of those seen equally often the first by
            code point, which makes the vocabulary the same on every machine.
        specials
            Words in front, whatever their counts.
        unk, pad
            The words for unknown tokens and for padding; put in front (pad first) if `specials` has them not. When not
            given, "<unk>" or "[UNK]" and "<pad>" or "[PAD]" among the specials are taken.

        Examples
        --------
        >>> list(Vocab.from_texts(["b a c", "a b"], min_freq=2, pad="<pad>"))
        ['<pad>', 'a', 'b']
        """
        if isinstance(texts, str):
            raise OptionError("texts is one string: pass a list of texts, or a path to from_text_file")
        tokens = chain.from_iterable(map(tokenize, texts))
        return cls.from_tokens(tokens, min_freq=min_freq, max_size=max_size, specials=specials, unk=unk, pad=pad)

    @classmethod
    def from_tokens(
        cls,
        tokens: Iterable[str],
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk: str | None = None,
        pad: str | None = None,
    ) -> Vocab:
        """Count tokens; the options are those of `from_texts`."""
        return cls.from_counter(
            Counter(tokens), min_freq=min_freq, max_size=max_size, specials=specials, unk=unk, pad=pad
        )

    @classmethod
    def from_counter(
        cls,
        counter: Mapping[str, int],
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk: str | None = None,
        pad: str | None = None,
    ) -> Vocab:
        """Take words and their counts; the options are those of `from_texts`.

        Examples
        --------
        >>> list(Vocab.from_counter({"cat": 2, "dog": 5}, max_size=1))
        ['dog']
        """
        if min_freq < 1:
            raise OptionError(f"min_freq={min_freq} is less than 1")
        front, unk, pad = _front(specials, unk, pad)
        if max_size is not None and max_size < len(front):
            raise OptionError(f"max_size={max_size} leaves no room for the {len(front)} specials")
        taken = set(front)
        types = sorted(
            (word for word, count in counter.items() if count >= min_freq and word not in taken),
            key=lambda word: (-counter[word], word),
        )
        words = [*front, *types][:max_size]
        counts = np.array([counter.get(word, 0) for word in words], dtype=np.int64)
        return cls(Words.from_strings(words), counts, tuple(front), unk, pad)

    @classmethod
    def from_text_file(
        cls,
        path: str | os.PathLike[str],
        *,
        tokenize: Tokenize = str.split,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk: str | None = None,
        pad: str | None = None,
        progress: bool | None = None,
    ) -> Vocab:
        """Count the tokens of a text file, plain or compressed, a line at a time.

        The options are those of `from_texts`.
        A bar is shown when standard error is a terminal, or as `progress` says.
        """
        lines = wordlists.read_lines(path, progress=progress)
        tokens = chain.from_iterable(map(tokenize, lines))
        return cls.from_tokens(tokens, min_freq=min_freq, max_size=max_size, specials=specials, unk=unk, pad=pad)

    @classmethod
    def from_words(
        cls, words: Iterable[str], *, specials: Sequence[str] = (), unk: str | None = None, pad: str | None = None
    ) -> Vocab:
        """Take words as they are, in their order; specials that are not among them go in front.

        Raises
        ------
        VocabularyError
            When a word comes twice.

        Examples
        --------
        >>> list(Vocab.from_words(["dog", "cat"], pad="<pad>"))
        ['<pad>', 'dog', 'cat']
        """
        words = list(words)
        front, unk, pad = _front(specials, unk, pad)
        there = set(words)
        new = [word for word in front if word not in there]
        return cls(Words.from_strings([*new, *words]), None, tuple(front), unk, pad)

    @classmethod
    def from_vectors(
        cls, vectors: Collection[str], *, specials: Sequence[str] = (), unk: str | None = None, pad: str | None = None
    ) -> Vocab:
        """All words of `Vectors`, in file order."""
        return cls.from_words(vectors, specials=specials, unk=unk, pad=pad)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any) -> Vocab:
        """The vocabulary of a Hugging Face tokenizer: a ``tokenizers.Tokenizer``, or one of ``transformers``.

        A token's row is its id. Ids that the tokenizer leaves out become specials named ``<unused-ID>``.
        """
        ids: dict[str, int] = dict(tokenizer.get_vocab())
        size = max(ids.values(), default=-1) + 1
        words = [f"<unused-{row}>" for row in range(size)]
        for token, row in ids.items():
            words[row] = token
        special = {word for row, word in enumerate(words) if ids.get(word) != row}
        if hasattr(tokenizer, "all_special_tokens"):  # transformers
            special.update(tokenizer.all_special_tokens)
            unk, pad = tokenizer.unk_token, tokenizer.pad_token
        else:
            special.update(token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special)
            unk = getattr(tokenizer.model, "unk_token", None)
            pad = (tokenizer.padding or {}).get("pad_token") or next((word for word in _PADS if word in ids), None)
        specials = tuple(word for word in words if word in special)
        unk, pad = (word if word in ids else None for word in (unk, pad))
        return cls(Words.from_strings(words), None, specials, unk, pad)

    def with_specials(self, *, specials: Sequence[str] = (), unk: str | None = None, pad: str | None = None) -> Vocab:
        """The same words with more specials, put in front unless they are there already."""
        front, unk, pad = _front([*self.specials, *specials], unk or self.unk, pad or self.pad)
        new = [word for word in front if word not in self.words]
        counts = None if self.counts is None else np.concatenate([np.zeros(len(new), dtype=np.int64), self.counts])
        return Vocab(Words.from_strings([*new, *self.words]), counts, tuple(front), unk, pad)

    @property
    def pad_idx(self) -> int | None:
        """Row of the padding word; None without one."""
        return None if self.pad is None else self.words.get(self.pad)

    @property
    def unk_idx(self) -> int | None:
        """Row of the word for unknown ones; None without one."""
        return None if self.unk is None else self.words.get(self.unk)

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __getitem__(self, word: str) -> int:
        """Row of a word, or of `unk`.

        Raises
        ------
        MissingWordError
            When the word is unknown and there is no `unk`.
        """
        return int(self.encode([word])[0])

    def encode(self, tokens: Iterable[str]) -> npt.NDArray[np.int64]:
        """Rows of many tokens, int64, shape (k,); unknown ones get the row of `unk`.

        Raises
        ------
        MissingWordError
            When a token is unknown and there is no `unk`.
        """
        tokens = list(tokens)
        rows = self.words.lookup(tokens)
        absent = rows < 0
        if absent.any():
            if self.unk is None:
                word = tokens[int(np.argmax(absent))]
                raise MissingWordError(
                    f"{word!r} is not in the vocabulary, which has no unknown word: pass unk='<unk>'", [word]
                )
            rows[absent] = self.words.get(self.unk)
        return rows

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Words of many rows.

        Raises
        ------
        VocabularyError
            When there is no such row.
        """
        rows = [int(row) for row in ids]
        for row in rows:
            if not 0 <= row < len(self):
                raise VocabularyError(f"row {row} is not one of the vocabulary's {len(self):,}")
        return [self.words[row] for row in rows]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary: ``.json`` keeps all of it, ``.txt`` the words only, one a line.

        Raises
        ------
        VocabularyError
            When a word holds a line feed or ends in a carriage return, or is empty, which ``.txt`` cannot keep.
        """
        content = wordlists.as_lines(self) if _suffix(path) == ".txt" else _as_json(self)
        with replacing(path) as part:
            part.write_bytes(content.encode("utf-8", "surrogateescape"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocab:
        """Read a vocabulary that `save` wrote, or any ``.txt`` with one word a line.

        In a ``.txt``, words named like the usual specials are taken as such: "<unk>", "[UNK]", "<pad>", "[PAD]".

        Raises
        ------
        FormatError
            When the file is not a vocabulary.
        """
        if _suffix(path) == ".json":
            return _from_json(path)
        words = wordlists.read_words(path)
        return cls.from_words(words, specials=[word for word in (*_PADS, *_UNKS) if word in words])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocab):
            return NotImplemented
        counts = [None if vocab.counts is None else vocab.counts.tolist() for vocab in (self, other)]
        named = [(vocab.words, vocab.specials, vocab.unk, vocab.pad) for vocab in (self, other)]
        return counts[0] == counts[1] and named[0] == named[1]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        specials = f", {len(self.specials)} of them specials" if self.specials else ""
        return f"<Vocab: {len(self):,} words{specials}>"


def _front(specials: Sequence[str], unk: str | None, pad: str | None) -> tuple[list[str], str | None, str | None]:
    """The specials in their order with `pad` and `unk` among them, and which those two are."""
    if isinstance(specials, str):
        raise OptionError(f"specials is one string: pass [{specials!r}]")
    front = list(dict.fromkeys(specials))
    pad = pad or next((word for word in _PADS if word in front), None)
    unk = unk or next((word for word in _UNKS if word in front), None)
    front = [*(word for word in (pad, unk) if word is not None and word not in front), *front]
    return front, unk, pad


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".json", ".txt"):
        raise OptionError(f"{os.fspath(path)}: a vocabulary is a .json file, or a .txt with one word a line")
    return suffix


def _as_json(vocab: Vocab) -> str:
    kept = {
        "format": _FORMAT,
        "version": 1,
        "unk": vocab.unk,
        "pad": vocab.pad,
        "specials": vocab.specials,
        "words": list(vocab),
        "counts": None if vocab.counts is None else vocab.counts.tolist(),
    }
    return json.dumps(kept, indent=1)  # its escapes keep words that are not valid UTF-8


def _from_json(path: str | os.PathLike[str]) -> Vocab:
    name = os.fspath(path)
    try:
        kept = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise FormatError(f"not JSON ({error})", file=name) from error
    if not isinstance(kept, dict) or kept.get("format") != _FORMAT:
        raise FormatError("not a vocabulary that vecload saved", file=name, expected=f'"format": "{_FORMAT}"')
    try:
        counts = None if kept["counts"] is None else np.array(kept["counts"], dtype=np.int64)
        words = Words.from_strings(kept["words"])
        return Vocab(words, counts, tuple(kept["specials"]), kept["unk"], kept["pad"])
    except (KeyError, TypeError, AttributeError, ValueError, VocabularyError) as error:
        raise FormatError(f"a vocabulary that does not hold together ({error})", file=name) from error
