from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from tests.strategies import UTF8_CHARACTERS
from vecload import Vocab, Words
from vecload.errors import OptionError, VocabularyError

TOKENS = st.lists(st.text(UTF8_CHARACTERS, min_size=1, max_size=4), max_size=80)


@given(TOKENS, st.integers(1, 3), st.one_of(st.none(), st.integers(2, 12)))
def test_from_tokens_equals_build_vocab_of_torchtext(words: list[str], min_freq: int, max_size: int | None) -> None:
    """Compare with the documented rule: specials, then tokens by (-count, token), at most max_tokens."""
    specials = ["<pad>", "<unk>"]
    counter = Counter(words)
    kept = [(word, count) for word, count in counter.items() if count >= min_freq and word not in specials]
    expected = (specials + [word for word, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0]))])[:max_size]
    vocab = Vocab.from_tokens(words, min_freq=min_freq, max_size=max_size, specials=specials)
    assert list(vocab) == expected
    assert vocab.counts is not None
    assert vocab.counts.tolist() == [counter[word] for word in expected]
    assert vocab.encode(words).tolist() == [expected.index(word) if word in expected else 1 for word in words]
    assert vocab.decode(range(len(vocab))) == expected


@given(st.lists(st.binary(min_size=1, max_size=6), unique=True, max_size=40))
def test_json_file_keeps_the_whole_vocabulary(tmp_path_factory: pytest.TempPathFactory, raws: list[bytes]) -> None:
    words = [raw.decode("utf-8", "surrogateescape") for raw in raws]
    vocab = Vocab.from_counter({word: at + 1 for at, word in enumerate(words)}, pad_token="<pad>", unk_token="<unk>")
    file = tmp_path_factory.mktemp("vocab") / "v.json"
    vocab.save(file)
    assert Vocab.load(file) == vocab


def test_specials_are_placed_first() -> None:
    assert list(Vocab.from_words(["a"], unk_token="<unk>", pad_token="<pad>")) == ["<pad>", "<unk>", "a"]
    vocab = Vocab.from_tokens(["<unk>", "a"], specials=["<s>", "<unk>"])
    assert (list(vocab), vocab.unk_idx, vocab.padding_idx) == (["<s>", "<unk>", "a"], 1, None)
    assert vocab.counts is not None
    assert vocab.counts.tolist() == [0, 1, 1]
    more = vocab.with_specials(pad_token="<pad>")
    assert (list(more), more.padding_idx, more.unk_idx) == (["<pad>", "<s>", "<unk>", "a"], 0, 2)


def test_unknown_word_raises_without_an_unknown_token() -> None:
    vocab = Vocab.from_words(["a"])
    message = "'b' is not in the vocabulary, which has no unknown token; pass unk_token='<unk>'"
    for call in (lambda: vocab["b"], lambda: vocab.encode(["a", "b"])):
        with pytest.raises(VocabularyError) as caught:
            call()
        assert str(caught.value) == message
    with pytest.raises(VocabularyError, match="row 7 is out of range for a vocabulary of size 1"):
        vocab.decode([7])
    assert vocab.with_specials(unk_token="?")["b"] == 0


def test_vocab_with_invalid_arguments_raises() -> None:
    with pytest.raises(VocabularyError, match="'a' occurs more than once"):
        Vocab.from_words(["a", "b", "a"])
    with pytest.raises(OptionError, match="max_size=1 is less than the number of specials, 2"):
        Vocab.from_tokens([], max_size=1, specials=["<pad>", "<unk>"])
    with pytest.raises(OptionError, match=r"v.pkl: save a vocabulary as .json"):
        Vocab.from_words([]).save("v.pkl")
    with pytest.raises(AttributeError):
        Vocab.from_words([]).unk = "x"  # type: ignore[misc]


def test_vocab_from_vectors_survives_pickling() -> None:
    vectors = vecload.Vectors(vecload.Words.from_strings(["b", "a"]), np.zeros((2, 3), dtype=np.float32))
    vocab = Vocab.from_vectors(vectors, unk_token="<unk>")
    assert list(vocab) == ["<unk>", "b", "a"]
    assert pickle.loads(pickle.dumps(vocab)) == vocab


def test_vocab_from_a_tokenizer_keeps_ids() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordLevel({"[UNK]": 0, "[PAD]": 1, "the": 2, "cat": 5}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.add_special_tokens(["[UNK]", "[PAD]"])
    vocab = Vocab.from_tokenizer(tokenizer)
    assert list(vocab) == ["[UNK]", "[PAD]", "the", "<unused-3>", "<unused-4>", "cat"]
    assert (vocab.unk_idx, vocab.padding_idx) == (0, 1)
    assert vocab.specials == ("[UNK]", "[PAD]", "<unused-3>", "<unused-4>")


def test_vocab_from_a_transformers_tokenizer_keeps_ids() -> None:
    class Tokenizer:
        all_special_tokens = ("<s>", "<pad>")
        unk_token = None
        pad_token = "<pad>"

        def get_vocab(self) -> dict[str, int]:
            return {"a": 2, "<s>": 0, "<pad>": 1}

    vocab = Vocab.from_tokenizer(Tokenizer())
    assert (list(vocab), vocab.padding_idx, vocab.unk_idx) == (["<s>", "<pad>", "a"], 1, None)


def test_vocabularies_are_equal_if_all_parts_are() -> None:
    words = Words.from_strings(["<pad>", "cat"])
    counted = [Vocab(words, None if counts is None else np.array(counts)) for counts in (None, [1, 2], [1, 3])]
    for at, one in enumerate(counted):
        assert [one == other for other in counted] == [at == number for number in range(3)]
    padded = Vocab(words, specials=("<pad>",), pad_token="<pad>")
    assert padded == Vocab(words, specials=("<pad>",), pad_token="<pad>")
    assert padded not in (Vocab(words, specials=("<pad>",)), Vocab(words, pad_token="<pad>"), Vocab(words))
    assert Vocab(words) != Vocab(words, unk_token="cat")


@pytest.mark.parametrize("parts", [{"specials": ("cat", "cow")}, {"unk_token": "cow"}, {"pad_token": "cow"}])
def test_unknown_special_word_raises(parts: dict[str, Any]) -> None:
    with pytest.raises(VocabularyError, match="the special word 'cow' is not in the vocabulary"):
        Vocab(Words.from_strings(["cat"]), **parts)
