"""`Vocab`: the words of a model, in the order of the rows of its embedding."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload import errors, text_input
from vecload.catalog.hugging_face import local_path
from vecload.errors import FormatError, OptionError, VocabularyError, list_of_strings, refuse_string
from vecload.notebook import HEAD, Bar, table
from vecload.sources import atomic_write
from vecload.tokenizers import Tokenize, Tokenizer
from vecload.vocab.counting import checked_tokens, most_frequent, tokens_of
from vecload.vocab.encoding import WordIds
from vecload.vocab.serialization import Parts, as_json, from_json, from_tokenizer, is_saved
from vecload.vocab.specials import PADS, UNKS, arrange_specials
from vecload.words import Words, read_only


@dataclass(frozen=True, eq=False, repr=False)
class Vocab(WordIds):
    """The words of a model, each with a row number, special tokens first.

    Use one of the class methods to make one.

    Parameters
    ----------
    words
        All words in row order, each once.
    counts
        Number of times each word was seen, int64, shape (n,), or None.
    specials
        The special tokens among the words.
    unk_token
        Token for unknown words. Without it, an unknown word is an error.
    pad_token
        Token for padding.

    Examples
    --------
    >>> vocab = Vocab.from_texts(["the cat", "the dog"], specials=["<pad>", "<unk>"])
    >>> list(vocab), vocab.padding_idx, vocab.unk_idx
    (['<pad>', '<unk>', 'the', 'cat', 'dog'], 0, 1)
    >>> vocab.encode("the cow".split())
    array([2, 1])
    """

    words: Words
    counts: npt.NDArray[np.int64] | None = None
    specials: tuple[str, ...] = ()
    unk_token: str | None = None
    pad_token: str | None = None

    def __post_init__(self) -> None:
        rows = self.words.lookup(self.words)
        twice = np.flatnonzero(rows != np.arange(len(rows)))
        if len(twice):
            raise VocabularyError(f"{self.words[int(twice[0])]!r} occurs more than once in the vocabulary")
        for special in (*self.specials, self.unk_token, self.pad_token):
            if special is not None and special not in self.words:
                raise VocabularyError(f"the special word {special!r} is not in the vocabulary")
        if self.counts is not None:
            if self.counts.shape != (len(self),):
                raise OptionError(f"{len(self):,} words need the same number of counts, not shape {self.counts.shape}")
            object.__setattr__(self, "counts", read_only(self.counts))

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str | Sequence[str]],
        *,
        tokenize: Tokenize = None,
        lowercase: bool = False,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk_token: str | None = None,
        pad_token: str | None = None,
    ) -> Vocab:
        """Count the tokens of texts.

        Parameters
        ----------
        texts
            Any iterable of texts, read once, so it may be a stream. A text is a string, or a list of its tokens.
        tokenize
            How texts are split: None or "whitespace" at ASCII white space; a function from a text to its tokens; a
            compiled regular expression, whose matches are the tokens; "basic_english" (torchtext's rules); "sudachi" or
            "fugashi" for Japanese; a Hugging Face tokenizer. Not used for lists of tokens.
        lowercase
            Whether to lower-case texts and tokens first.
        min_freq
            Minimum count of a token.
        max_size
            Maximum number of words, specials included. The most frequent are kept; of those with equal counts, the
            first by code point, so that the vocabulary is the same on every machine.
        specials
            Words placed first, whatever their counts.
        unk_token, pad_token
            Tokens for unknown words and for padding, placed first (padding before unknown) unless among
            `specials`. By default, "<unk>" or "[UNK]" and "<pad>" or "[PAD]" if they are among the specials.

        Raises
        ------
        OptionError
            If `texts` is one string, or a text is neither a string nor a list of strings.

        Examples
        --------
        >>> list(Vocab.from_texts(["b a c", "a b"], min_freq=2, pad_token="<pad>"))
        ['<pad>', 'a', 'b']
        """
        refuse_string("texts", texts)
        tokens = chain.from_iterable(tokens_of(texts, Tokenizer.of(tokenize, lowercase=lowercase)))
        return cls.from_tokens(
            tokens, min_freq=min_freq, max_size=max_size, specials=specials, unk_token=unk_token, pad_token=pad_token
        )

    @classmethod
    def from_tokens(
        cls,
        tokens: Iterable[str],
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk_token: str | None = None,
        pad_token: str | None = None,
    ) -> Vocab:
        """Count tokens. Options are as in `from_texts`.

        Raises
        ------
        OptionError
            If `tokens` is one string, or holds anything but strings: `from_texts` accepts lists of tokens.
        """
        refuse_string("tokens", tokens)
        return cls.from_counter(
            Counter(checked_tokens(tokens)),
            min_freq=min_freq,
            max_size=max_size,
            specials=specials,
            unk_token=unk_token,
            pad_token=pad_token,
        )

    @classmethod
    def from_counter(
        cls,
        counter: Mapping[str, int],
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk_token: str | None = None,
        pad_token: str | None = None,
    ) -> Vocab:
        """Take words and their counts. Options are as in `from_texts`.

        Examples
        --------
        >>> list(Vocab.from_counter({"cat": 2, "dog": 5}, max_size=1))
        ['dog']
        """
        return cls(
            *most_frequent(
                counter,
                min_freq=min_freq,
                max_size=max_size,
                specials=specials,
                unk_token=unk_token,
                pad_token=pad_token,
            )
        )

    @classmethod
    def from_text_file(
        cls,
        path: text_input.Input,
        *,
        column: str = "text",
        tokenize: Tokenize = None,
        lowercase: bool = False,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        unk_token: str | None = None,
        pad_token: str | None = None,
        progress: bool | None = None,
    ) -> Vocab:
        """Count the tokens of a file of texts, as it is read.

        The other options are as in `from_texts`.

        Parameters
        ----------
        path
            A path, URL, archive member, ``-`` or binary file: one text per line, JSON lines, a JSON list, or Parquet.
        column
            Field or column of the texts in JSON and Parquet.
        progress
            Whether to show a progress bar; None shows one if standard error is a terminal.
        """
        texts = text_input.read_texts(path, column=column, progress=progress)
        tokens = chain.from_iterable(tokens_of(texts, Tokenizer.of(tokenize, lowercase=lowercase)))
        return cls.from_tokens(
            tokens, min_freq=min_freq, max_size=max_size, specials=specials, unk_token=unk_token, pad_token=pad_token
        )

    @classmethod
    def from_words(
        cls,
        words: Iterable[str],
        *,
        specials: Sequence[str] = (),
        unk_token: str | None = None,
        pad_token: str | None = None,
    ) -> Vocab:
        """Keep words in their order; specials that are not among them are placed first.

        Raises
        ------
        VocabularyError
            If a word occurs more than once.

        Examples
        --------
        >>> list(Vocab.from_words(["dog", "cat"], pad_token="<pad>"))
        ['<pad>', 'dog', 'cat']
        """
        words = list_of_strings("words", words)
        front, unk_token, pad_token = arrange_specials(specials, unk_token, pad_token)
        there = set(words)
        new = [word for word in front if word not in there]
        return cls(Words.from_strings([*new, *words]), None, tuple(front), unk_token, pad_token)

    @classmethod
    def from_vectors(
        cls,
        vectors: Collection[str],
        *,
        specials: Sequence[str] = (),
        unk_token: str | None = None,
        pad_token: str | None = None,
    ) -> Vocab:
        """Take all words of `Vectors`, in file order."""
        return cls.from_words(vectors, specials=specials, unk_token=unk_token, pad_token=pad_token)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any) -> Vocab:
        """Take the vocabulary of a Hugging Face tokenizer: a ``tokenizers.Tokenizer``, or one of ``transformers``.

        The row of a token is its id. Ids that the tokenizer does not use become specials named ``<unused-ID>``.
        """
        return cls(*from_tokenizer(tokenizer))

    def with_specials(
        self, *, specials: Sequence[str] = (), unk_token: str | None = None, pad_token: str | None = None
    ) -> Vocab:
        """Return a vocabulary with more specials, placed first unless they are among the words."""
        more = list_of_strings("specials", specials)
        front, unk_token, pad_token = arrange_specials(
            [*self.specials, *more], unk_token or self.unk_token, pad_token or self.pad_token
        )
        new = [word for word in front if word not in self.words]
        counts = None if self.counts is None else np.concatenate([np.zeros(len(new), dtype=np.int64), self.counts])
        return Vocab(Words.from_strings([*new, *self.words]), counts, tuple(front), unk_token, pad_token)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary: ``.json`` keeps all of it, ``.txt`` only the words, one per line.

        Raises
        ------
        VocabularyError
            If a ``.txt`` file of the words would be read back differently: a word is empty or holds a line end, or all
            words look like words with counts.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".json", ".txt"):
            raise OptionError(f"{os.fspath(path)}: save a vocabulary as .json, or as .txt with one word per line")
        parts = Parts(self.words, self.counts, self.specials, self.unk_token, self.pad_token)
        content = text_input.format_word_list(self) if suffix == ".txt" else as_json(parts)
        with atomic_write(path) as part:
            part.write_bytes(content)

    @classmethod
    def load(cls, path: text_input.Input) -> Vocab:
        """Read a vocabulary that `save` wrote, or any list of words, recognized from its content.

        Word lists have one word per line, or a word and its count on every line, or are JSON: a list of words, or an
        object of words and their counts or row numbers. The guide "Aligning a vocabulary" has the rules. Words named
        like the usual padding and unknown tokens become those: "<pad>", "[PAD]", "<unk>", "[UNK]".

        Parameters
        ----------
        path
            A path, URL, archive member, ``-`` or binary file, compressed or not, in UTF-8, UTF-16 or UTF-32.

        Raises
        ------
        FormatError
            If the file has no words, has vectors, repeats a word, or has ambiguous columns.
        """
        with errors.as_format_errors(name := text_input.input_name(path)):
            document = text_input.read_document(local_path(path))
            if is_saved(document.json):
                try:
                    return cls(*from_json(document.json, name))
                except VocabularyError as error:
                    raise FormatError(f"the parts of the file do not match: {error}", file=name) from error
            words, counts, unused = text_input.parse_word_list(document, name)
            front, unk_token, pad_token = arrange_specials(
                [*unused, *(word for word in (*PADS, *UNKS) if word in words)], None, None
            )
            counted = None if counts is None else np.array(counts, dtype=np.int64)
            return cls(Words.from_strings(words), counted, tuple(front), unk_token, pad_token)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocab):
            return NotImplemented
        counts = [None if vocab.counts is None else vocab.counts.tolist() for vocab in (self, other)]
        named = [(vocab.words, vocab.specials, vocab.unk_token, vocab.pad_token) for vocab in (self, other)]
        return counts[0] == counts[1] and named[0] == named[1]

    __hash__ = None  # type: ignore[assignment]

    def _repr_html_(self) -> str:
        words = list(self.words[:HEAD])
        caption = repr(self).strip("<>")
        if self.counts is None:
            return table(caption, ["row", "word"], list(enumerate(words)))
        counts = self.counts[:HEAD].tolist()
        most = max([*counts, 1])
        rows = [
            [row, word, Bar(count / most, f"{count:,}")]
            for row, (word, count) in enumerate(zip(words, counts, strict=True))
        ]
        return table(caption, ["row", "word", "count"], rows)

    def __repr__(self) -> str:
        specials = f", {len(self.specials)} of them specials" if self.specials else ""
        return f"<Vocab: {len(self):,} words{specials}>"
