"""Texts as padded row numbers and lengths, or row numbers and offsets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from vecload import Vocab
from vecload.errors import MissingWordError, OptionError

VOCAB = Vocab.from_texts(["the cat sat on the mat"], specials=["<pad>", "<unk>"])
TEXTS = st.lists(st.lists(st.sampled_from(["the", "cat", "cow", "mat"])).map(" ".join))


@given(TEXTS)
def test_padded_ids_equal_those_of_torchs_pad_sequence(texts: list[str]) -> None:
    ids, lengths = VOCAB.encode_batch(texts)
    single = [torch.from_numpy(VOCAB.encode(text.split())) for text in texts]
    expected = pad_sequence(single, batch_first=True, padding_value=VOCAB.padding_idx) if texts else torch.empty(0, 0)
    assert ids.tolist() == expected.tolist()
    assert ids.shape == tuple(expected.shape)
    assert lengths.tolist() == [len(text.split()) for text in texts]
    assert ids.dtype == lengths.dtype == np.int64


@given(TEXTS)
def test_offsets_separate_the_texts(texts: list[str]) -> None:
    ids, offsets = VOCAB.encode_batch(texts, layout="offsets")
    bags = [bag.tolist() for bag in np.split(ids, offsets[1:])] if texts else []
    assert bags == [VOCAB.encode(text.split()).tolist() for text in texts]


def test_offsets_are_accepted_by_embedding_bag() -> None:
    bag = torch.nn.EmbeddingBag(len(VOCAB), 3, mode="sum")
    texts = ["the cat", "", "mat mat cow"]
    ids, offsets = VOCAB.encode_batch(texts, layout="offsets", as_numpy=False)
    expected = [bag.weight[VOCAB.encode(text.split())].sum(0) for text in texts]
    torch.testing.assert_close(bag(ids, offsets), torch.stack(expected))


@pytest.mark.parametrize("layout", ["padded", "offsets"])
def test_tensors_equal_arrays(layout: str) -> None:
    arrays = VOCAB.encode_batch(["the cat", "mat"], layout=layout)  # type: ignore[call-overload]
    tensors = VOCAB.encode_batch(["the cat", "mat"], layout=layout, as_numpy=False)  # type: ignore[call-overload]
    for array, tensor in zip(arrays, tensors, strict=True):
        assert tensor.dtype == torch.int64
        assert tensor.tolist() == array.tolist()


def test_max_length_keeps_the_first_tokens() -> None:
    assert VOCAB.encode_batch(["the cat sat", "mat"], max_length=2).ids.tolist() == [[2, 3], [4, 0]]
    assert VOCAB.encode_batch(["the cat sat", "mat"], max_length=2, layout="offsets").ids.tolist() == [2, 3, 4]


def test_token_lists_and_lowercase_are_encoded() -> None:
    assert VOCAB.encode_batch([["THE", "cat"], "The MAT"], lowercase=True).ids.tolist() == [[2, 3], [2, 4]]


def test_encode_batch_with_invalid_arguments_raises() -> None:
    with pytest.raises(OptionError, match="texts must be a list of strings, not one string"):
        VOCAB.encode_batch("the cat")
    with pytest.raises(OptionError, match="unknown layout 'ragged'; choose from: padded, offsets"):
        VOCAB.encode_batch(["the"], layout="ragged")  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="max_length=0 is less than 1"):
        VOCAB.encode_batch(["the"], max_length=0)
    with pytest.raises(OptionError, match="make it with pad_token='<pad>', or use layout='offsets'"):
        Vocab.from_words(["the"]).encode_batch(["the"])
    with pytest.raises(MissingWordError, match="'cow' is not in the vocabulary"):
        Vocab.from_words(["the"], pad_token="<pad>").encode_batch(["cow"])
