"""Rows made of parts, and of several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import Aligned, Vectors, Vocab, Words, align, oov
from vecload.errors import OptionError
from vecload.formats.contract import ReadRequest
from vecload.loading import load_rows
from vecload.ngrams import NgramTable

pytestmark = pytest.mark.filterwarnings("ignore:.*no word of the vocabulary was found")


def made(words: list[str], dim: int = 3, seed: int = 0, **options: Any) -> Vectors:
    matrix = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32)
    return Vectors(Words.from_strings(words), matrix, **options)


WIKI = made(["new", "York", "mother", "in", "law", "cat"])
STEPS = ["casefold", "mean-of-parts", "zeros"]


def test_mean_of_parts_averages_known_parts() -> None:
    words = ["New_York", "mother-in-law", "NewYork", "catFish", "fish", "Fish-Bowl"]
    aligned = align(WIKI, words, oov=STEPS)
    for word, parts in (
        ("New_York", ["new", "York"]),  # "New" under another spelling
        ("mother-in-law", ["mother", "in", "law"]),
        ("NewYork", ["new", "York"]),
        ("catFish", ["cat"]),
    ):
        np.testing.assert_allclose(aligned.matrix[words.index(word)], WIKI[parts].mean(axis=0), rtol=1e-6)
        assert aligned.origin_of(word) == "mean-of-parts"
    assert [aligned.origin_of(word) for word in words[-2:]] == ["zeros", "zeros"]
    assert aligned.coverage.found == 0
    assert {count.origin: count.types for count in aligned.coverage.counts}["mean-of-parts"] == 4
    assert aligned.new.all()


def test_steps_are_tried_in_order() -> None:
    table = NgramTable(np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32), minn=3, maxn=4)
    source = made(["cat", "fish"], ngrams=table)
    words = ["Cat", "cat-fish", "", "zyx"]
    for steps, expected in (
        (["casefold", "ngrams", "mean-of-parts"], ["casefold", "ngrams", "zeros", "ngrams"]),
        (["casefold", "mean-of-parts", "ngrams", "mean"], ["casefold", "mean-of-parts", "mean", "ngrams"]),
        (["mean-of-parts", oov.ngrams(), "normal"], ["ngrams", "mean-of-parts", "normal", "ngrams"]),
    ):
        aligned = align(source, words, oov=steps)
        assert [aligned.origin_of(word) for word in words] == expected
        assert np.array_equal(aligned.matrix[3], table["zyx"])
    assert align(WIKI, ["zyx"], oov=["ngrams", "zeros"]).origin_of("zyx") == "zeros"  # a file without a table
    vocab = Vocab.from_words(["zyx"], pad_token="<pad>", unk_token="<unk>")
    aligned = align(source, vocab, oov=["ngrams", "zeros"])
    assert [aligned.origin_of(word) for word in vocab] == ["padding", "special", "ngrams"]


def test_align_reads_only_words_spellings_and_parts_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "v.txt"
    lines = (f"{word} " + " ".join(map(str, WIKI[word].tolist())) for word in WIKI)
    file.write_text("\n".join(lines), encoding="utf-8")
    read = []

    def spy(source: Path, request: ReadRequest, **options: Any) -> Vectors:
        read.append(load_rows(source, request, **options))
        return read[0]

    monkeypatch.setattr("vecload.alignment.aligning.load_rows", spy)
    one = align(file, ["NewYork", "catFish"], oov=STEPS)
    assert list(read[0]) == ["new", "York", "cat"]
    assert one.matrix.tobytes() == align(WIKI, ["NewYork", "catFish"], oov=STEPS).matrix.tobytes()


def test_ngrams_of_a_model_equal_those_of_gensim() -> None:
    fasttext = pytest.importorskip("gensim.models.fasttext")
    from gensim.test.utils import datapath

    file = datapath("lee_fasttext_new.bin")
    words, steps = ["the", "zyzzyx", "AUSTRALIA", "The"], ["casefold", "ngrams", "normal"]
    aligned = align(file, words, oov=steps)
    assert [aligned.origin_of(word) for word in words] == ["exact", "ngrams", "casefold", "exact"]
    peer = fasttext.load_facebook_vectors(file)
    expected = [peer[word] for word in ("the", "zyzzyx", "Australia", "The")]
    np.testing.assert_allclose(aligned.matrix, expected, rtol=1e-5, atol=1e-6)
    assert aligned.matrix.tobytes() == align(vecload.load(file), words, oov=steps).matrix.tobytes()


def test_subwords_averages_subwords_of_a_tokenizer() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    pieces = ["[UNK]", "un", "##happi", "##ness", "cat", "##s"]
    plain = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    source = made(["un", "happi", "ness", "s"])
    words = ["unhappiness", "cats", "dog", "un"]
    for tokenizer in (plain, transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]")):
        aligned = align(source, words, oov=[oov.subwords(tokenizer), "zeros"])
        np.testing.assert_allclose(aligned.matrix[0], source[["un", "happi", "ness"]].mean(axis=0), rtol=1e-6)
        assert np.array_equal(aligned.matrix[1], source["s"])
        assert [aligned.origin_of(word) for word in words] == [
            "subword-composition",
            "subword-composition",
            "zeros",
            "exact",
        ]

    class Slow:
        """As transformers' tokenizers that are not fast."""

        def tokenize(self, word: str) -> list[str]:
            return ["un", "##happi", "##ness"] if word == "unhappiness" else ["[UNK]"]

        def convert_tokens_to_string(self, tokens: list[str]) -> str:
            return " ".join(tokens)

    assert oov.subwords(Slow()).parts("unhappiness") == ["un", "happi", "ness"]


DOMAIN = made(["NEW", "cat", "gene"], seed=1)


def test_combine_first_takes_the_first_source_with_the_word() -> None:
    words = ["cat", "gene", "NEW", "York", "GENE", "york", "gene-cat", "elk"]
    aligned = align([WIKI, DOMAIN], words, combine="first", oov=STEPS)
    origins = [aligned.origin_of(word) for word in words]
    assert origins == [
        "exact",
        "exact (2)",
        "exact (2)",  # goes before "new" in the first
        "exact",
        "casefold (2)",
        "casefold",
        "mean-of-parts",
        "zeros",
    ]
    expected = [WIKI["cat"], DOMAIN["gene"], DOMAIN["NEW"], WIKI["York"], DOMAIN["gene"], WIKI["York"]]
    assert np.array_equal(aligned.matrix[:6], expected)
    np.testing.assert_allclose(aligned.matrix[6], (DOMAIN["gene"] + WIKI["cat"]) / 2, rtol=1e-6)
    assert aligned.coverage.found == 6 / 8
    assert aligned.new.tolist() == [False] * 6 + [True] * 2
    assert list(aligned.meta["sources"]) == [{}, {}]


def test_combine_average_takes_the_mean_of_sources_with_the_word() -> None:
    words = ["cat", "gene", "new", "elk"]
    aligned = align([WIKI, DOMAIN], words, combine="average", oov=["casefold", "zeros"])
    expected = [(WIKI["cat"] + DOMAIN["cat"]) / 2, DOMAIN["gene"], (WIKI["new"] + DOMAIN["NEW"]) / 2, np.zeros(3)]
    np.testing.assert_allclose(aligned.matrix, expected, rtol=1e-6)
    assert [aligned.origin_of(word) for word in words] == ["exact", "exact", "exact", "zeros"]


def test_combine_average_prefers_exact_words_to_spellings_in_each_source() -> None:
    # The first rows are row 0, which a mistake may take for a missing row.
    sources = [made(["The", "the"]), made(["the", "The"], seed=1), made(["dog", "the"], seed=2)]
    aligned = align(sources, ["The", "the"], combine="average", oov=["casefold"])
    exact = [[sources[0]["The"], sources[1]["The"], sources[2]["the"]], [source["the"] for source in sources]]
    np.testing.assert_allclose(aligned.matrix, np.mean(exact, axis=1), rtol=1e-6)


def test_combine_concatenate_puts_rows_side_by_side() -> None:
    wide = made(["cat", "gene"], dim=5, seed=2)
    vocab = Vocab.from_words(["cat", "gene", "CAT", "elk"], pad_token="<pad>", unk_token="<unk>")
    aligned = align([WIKI, wide], vocab, combine="concatenate", oov=["casefold", "normal"], seed=4)
    assert aligned.matrix.shape == (6, 8)
    assert np.array_equal(aligned.matrix[2], [*WIKI["cat"], *wide["cat"]])
    assert np.array_equal(aligned.matrix[3, 3:], wide["gene"])
    assert np.array_equal(aligned.matrix[3, :3], align(WIKI, vocab, oov=["casefold", "normal"], seed=4).matrix[3])
    assert aligned.matrix[0].tolist() == [0] * 8
    origins = [aligned.origin_of(word) for word in vocab]
    assert origins == ["padding", "special", "exact", "exact", "casefold", "normal"]
    same = align([WIKI, WIKI], ["elk"], combine="concatenate").matrix[0]
    assert not np.array_equal(same[:3], same[3:])  # drawn apart
    numpys = align([WIKI, wide], vocab, combine="concatenate", oov=["casefold", "normal"], seed=np.int64(4))  # type: ignore[arg-type]
    assert np.array_equal(numpys.matrix, aligned.matrix)


@given(
    st.lists(st.sampled_from(["cat", "CAT", "new", "NEW", "gene", "York", "york", "in", "elk"]), unique=True),
    st.permutations([WIKI, DOMAIN, made(["elk", "york", "cat"], seed=5)]),
)
def test_first_and_average_equal_a_slow_reference(words: list[str], sources: list[Vectors]) -> None:
    first = align(sources, words, combine="first", oov=["casefold", "zeros"])
    average = align(sources, words, combine="average", oov=["casefold", "zeros"])
    for row, word in enumerate(words):
        steps = [[word], [word.lower(), word.title(), word.upper()]]
        hits = [
            (number, at, next(source[one] for one in some if one in source))
            for number, some in enumerate(steps)
            for at, source in enumerate(sources)
            if any(one in source for one in some)
        ]
        expected = hits[0][2] if hits else np.zeros(3)
        assert np.array_equal(first.matrix[row], expected)
        own = {at: vector for _, at, vector in reversed(hits)}
        mean = np.mean([vector.astype(np.float64) for vector in own.values()], axis=0) if own else np.zeros(3)
        np.testing.assert_allclose(average.matrix[row], mean, rtol=1e-6)


@pytest.mark.parametrize(
    ("sources", "combine", "message"),
    [
        (
            [WIKI, DOMAIN],
            None,
            "several sources need combine='first' (the first source with the word), 'average' or 'concatenate'",
        ),
        (WIKI, "first", "combine='first' applies to several sources; pass them in a list"),
        ([WIKI, DOMAIN], "sum", "combine='sum' is not one of 'first', 'average', 'concatenate'"),
        ([], "first", "there are no vectors to align"),
        (
            [WIKI, made(["a"], dim=4)],
            "average",
            "sources of dimensions [3, 4] can only be combined by combine='concatenate'",
        ),
        (
            [WIKI, made(["a"], dim=4)],
            "first",
            "sources of dimensions [3, 4] can only be combined by combine='concatenate'",
        ),
        ([WIKI] * 130, "first", "263 origins do not fit into one byte; pass fewer sources or fewer steps"),
    ],
)
def test_combining_incompatible_sources_raises(sources: Any, combine: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        align(sources, ["cat"], combine=combine, oov=["casefold"])
    assert str(caught.value) == message


def test_align_keeps_bfloat16(tmp_path: Path) -> None:
    source = Vectors(WIKI.words, WIKI.matrix.astype(ml_dtypes.bfloat16))
    aligned = align(source, ["cat", "NewYork", "elk"], oov=["mean-of-parts", "normal"])
    assert aligned.matrix.dtype == ml_dtypes.bfloat16
    aligned.save(tmp_path / "b.safetensors")
    again = Aligned.load(tmp_path / "b.safetensors")
    assert again.matrix.tobytes() == aligned.matrix.tobytes()
    assert str(again.embedding(mode="freeze").weight.dtype) == "torch.bfloat16"
    assert str(again.embedding(mode="new-rows").weight.dtype) == "torch.float32"  # as any layer that trains a row
    mixed = align([source, WIKI], ["cat"], combine="average")
    assert mixed.matrix.dtype == np.float32
