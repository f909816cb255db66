from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import SEEDS, UTF8_CHARACTERS
from vecload import Words, oov
from vecload.errors import OptionError
from vecload.oov import Found
from vecload.oov.chain_builder import make_rows, parse_chain, step_name, step_names
from vecload.oov.initializers import uniform_draws
from vecload.oov.normalizers import find_spellings, respellings
from vecload.oov.steps import BLOCK


class Nothing:
    """A file without words."""

    def rows(self, words: Sequence[str]) -> np.ndarray:
        return np.full((len(words), 8), np.nan)

    ngrams = rows


NOTHING = Nothing()


def found(rows: int = 50, dim: int = 8, num_embeddings: int = 200) -> Found:
    return Found(np.random.default_rng(4).normal(0.3, 1.7, (rows, dim)).astype(np.float32), num_embeddings, dim)


def splitmix64(state: int, count: int) -> list[int]:
    """SplitMix64 in plain integers."""
    mask, outputs = 2**64 - 1, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & mask
        outputs.append(mixed ^ mixed >> 31)
    return outputs


def slow_draws(word: str, columns: int, seed: int) -> list[float]:
    raw = word.encode("utf-8", "surrogateescape")
    state = int.from_bytes(hashlib.blake2b(raw, digest_size=8, key=str(seed).encode()).digest(), "little")
    return [((output >> 11) + 0.5) / 2**53 for output in splitmix64(state, columns)]


def test_reference_splitmix64_returns_published_numbers() -> None:
    """From Rosetta Code, "Pseudo-random numbers/Splitmix64"."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(1234567, 5) == published


@pytest.mark.parametrize("word", ["cat", "", "北海道", "\udcff"])
def test_uniform_draws_equal_those_of_plain_integers(word: str) -> None:
    """The numbers are the same on every machine and in every version, because users store seeds."""
    assert uniform_draws([word], 3, 7)[0].tolist() == slow_draws(word, 3, 7)
    assert uniform_draws([word], 3, -1)[0].tolist() == slow_draws(word, 3, 2**64 - 1)


def test_normal_applies_box_muller_to_two_draws_per_column() -> None:
    draws = slow_draws("cat", 6, 7)
    expected = [
        -1 + 0.5 * math.sqrt(-2 * math.log(one)) * math.cos(2 * math.pi * other)
        for one, other in zip(draws[::2], draws[1::2], strict=True)
    ]
    assert oov.normal(-1, 0.5).fill(["cat"], found(dim=3), 7)[0] == pytest.approx(expected, abs=1e-15)


@given(st.lists(st.text(UTF8_CHARACTERS), min_size=1, unique=True), st.data())
def test_draw_depends_only_on_seed_word_and_column(words: list[str], data: st.DataObject) -> None:
    seed = data.draw(SEEDS)
    order = data.draw(st.permutations(range(len(words))))
    cut = data.draw(st.integers(0, len(words) - 1))
    for draw in (
        lambda some, columns: uniform_draws(some, columns, seed),
        lambda some, columns: oov.normal(0, 1).fill(some, found(dim=columns), seed),
    ):
        together = draw(words, 5)
        assert np.array_equal(draw([words[at] for at in order], 5), together[order])
        assert np.array_equal(draw(words[cut:], 3), together[cut:, :3])
    assert len(np.unique(uniform_draws(words, 5, seed))) == 5 * len(words)


def test_draws_are_uncorrelated_and_uniform() -> None:
    words = [f"w{at}" for at in range(20_000)]
    draws = uniform_draws(words, 8, 0)
    counts = np.apply_along_axis(lambda column: np.histogram(column, 20, (0, 1))[0], 0, draws)
    assert np.square(counts - 1000).sum(axis=0).max() / 1000 < 44  # chi-squared, 19 degrees: p = 0.001
    unit = oov.normal(0, 1).fill(words, found(), 0)
    for width, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        assert abs((np.abs(unit) < width).mean() - share) < 0.004
    for rows in (draws, unit):
        assert np.abs(np.corrcoef(rows.T) - np.eye(8)).max() < 0.03  # column with column
        assert abs(np.corrcoef(rows[:-1].ravel(), rows[1:].ravel())[0, 1]) < 0.01  # word with the next word
    other = uniform_draws(words, 8, 1)
    assert abs(np.corrcoef(draws.ravel(), other.ravel())[0, 1]) < 0.01  # seed with seed


@pytest.mark.parametrize("rows", [1, BLOCK, 2 * BLOCK + 1])
def test_found_has_mean_and_deviation_of_all_rows(rows: int) -> None:
    these = found(rows)
    np.testing.assert_allclose(these.mean, these.rows.astype(np.float64).mean(axis=0), rtol=1e-12)
    values = these.rows.astype(np.float64)
    assert these.spread == pytest.approx((values.mean(), values.std()), rel=1e-12)


def test_found_ignores_rows_that_are_not_finite() -> None:
    rows = np.array([[1, 2], [np.nan, 9], [3, 4], [np.inf, 9]], dtype=np.float16)
    assert Found(rows, 9, 2).mean.tolist() == [2, 3]
    assert Found(rows, 9, 2).spread == (2.5, math.sqrt(1.25))
    assert Found(rows[[1]], 9, 2).spread == (0, 2**-0.5)
    assert Found(rows[:0], 9, 2).mean.tolist() == [0, 0]


@pytest.mark.parametrize("step", [oov.normal(), oov.uniform()])
def test_matched_draws_have_the_deviation_of_the_found_rows(step: oov.Filling) -> None:
    words = [f"w{at}" for at in range(20_000)]
    these = found()
    drawn = step.fill(words, these, 0)
    middle, spread = these.spread
    assert drawn.mean() == pytest.approx(middle, abs=4 * spread / drawn.size**0.5)  # four standard errors
    assert drawn.std() == pytest.approx(spread, rel=0.01)
    nothing = step.fill(words, Found(np.empty((0, 25)), 1, 25), 0)
    assert (nothing.mean(), nothing.std()) == pytest.approx((0, 0.2), abs=0.002)


@pytest.mark.parametrize("make", [oov.normal, oov.uniform])
def test_draws_match_each_dimension_or_the_norm(make: Callable[..., oov.Filling]) -> None:
    words = [f"w{at}" for at in range(20_000)]
    rng = np.random.default_rng(2)
    these = Found(rng.normal(rng.normal(size=6) * 3, rng.uniform(0.1, 4, 6), (300, 6)), 9, 6)
    values = these.rows
    drawn = make(match="dimension").fill(words, these, 0)
    np.testing.assert_allclose(drawn.mean(axis=0), values.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), values.std(axis=0), rtol=0.02)
    np.testing.assert_allclose(these.deviation, values.std(axis=0), rtol=1e-12)
    scaled = make(match="norm").fill(words[:100], these, 0)
    median = np.median(np.linalg.norm(values, axis=1))
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), median, rtol=1e-12)
    unscaled = make().fill(words[:100], these, 0)
    np.testing.assert_allclose(scaled / median, unscaled / np.linalg.norm(unscaled, axis=1, keepdims=True), rtol=1e-12)
    nothing = Found(np.empty((0, 25)), 1, 25)
    assert (nothing.median_norm, nothing.deviation.tolist()) == (1, [0.2] * 25)
    assert oov.normal(0, 0, match="norm").fill(["cat"], these, 0).tolist() == [[0] * 6]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("mother-in-law", ["mother", "in", "law"]),
        ("New_York\u3000City", ["New", "York", "City"]),
        ("camelCaseWord", ["camel", "Case", "Word"]),
        ("parseHTTPResponse", ["parse", "HTTP", "Response"]),
        ("HTTP", ["HTTP"]),
        ("élanVital", ["élan", "Vital"]),
        ("word2Vec", ["word2Vec"]),
        ("A1Bc", ["A1Bc"]),
        ("ABc", ["A", "Bc"]),
        ("AbC", ["Ab", "C"]),
        ("aBC", ["a", "BC"]),
        ("--", []),
        ("", []),
    ],
)
def test_split_returns_parts_of_compounds_and_camel_case(word: str, parts: list[str]) -> None:
    assert oov.mean_of_parts().parts(word) == parts


def test_uniform_draws_stay_within_limits() -> None:
    drawn = oov.uniform(-0.5, 2).fill([f"w{at}" for at in range(5000)], found(), 0)
    assert -0.5 <= drawn.min() < -0.499
    assert 1.999 < drawn.max() <= 2
    assert oov.uniform(3, 3).fill(["cat"], found(), 0).tolist() == [[3] * 8]


@pytest.mark.parametrize("name", ["xavier", "kaiming"])
def test_xavier_and_kaiming_have_the_limits_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    weight = torch.empty(3000, 25)
    getattr(torch.nn.init, f"{name}_uniform_")(weight, generator=torch.Generator().manual_seed(0))
    _, (step,) = parse_chain([name])
    ours = step.fill([f"w{at}" for at in range(3000)], found(dim=25, num_embeddings=3000), 0)
    assert np.abs(ours).max() == pytest.approx(weight.abs().max().item(), rel=1e-3)
    assert ours.std() == pytest.approx(weight.std().item(), rel=0.02)
    assert abs(ours.mean()) < 0.01 * ours.std() * 3


def test_zeros_and_mean_make_constant_rows() -> None:
    assert oov.zeros().fill(["a", "b"], found(), 0).tolist() == [[0] * 8] * 2
    assert np.array_equal(oov.mean().fill(["a", "b"], found(), 0), [found().mean] * 2)


@pytest.mark.parametrize(
    ("steps", "word", "expected"),
    [
        (["casefold"], "pARIS", [("paris", 0), ("Paris", 0), ("PARIS", 0)]),
        (["nfc"], "cafe\u0301", [("café", 0)]),
        (["nfkc"], "ﬁ②", [("fi2", 0)]),
        (["digits"], "b2b-4٣", [("b#b-##", 0), ("b0b-00", 0)]),
        (["nfc"], "cat", []),
        (["nfd"], "café", [("cafe\u0301", 0)]),
        (["strip"], "(cat),", [("(cat)", 0), ("cat),", 0), ("(cat", 0), ("cat)", 0), ("cat", 0)]),
        (["strip"], "cat\n", [("cat", 0)]),
        (["strip"], "「東京」。"[2:], [("京」", 0), ("京", 0)]),
        (["strip"], "=====cat", [("cat", 0)]),
        (["strip"], "don't", []),
        (["strip"], "...", []),
        (["strip"], "caf\udce9,", [("caf\udce9", 0)]),
        (["separators"], "New York", [("New_York", 0), ("New-York", 0), ("NewYork", 0)]),
        (["separators"], "-x_", []),
        (["strip", "casefold"], "Cat,", [("Cat", 0), ("cat,", 1), ("CAT,", 1), ("cat", 1), ("CAT", 1)]),
        (
            ["nfkc", "casefold"],
            "Ｃａｔ",
            [("Cat", 0), ("ｃａｔ", 1), ("ＣＡＴ", 1), ("cat", 1), ("CAT", 1)],
        ),
        (["digits", "casefold"], "A1", [("A#", 0), ("A0", 0), ("a1", 1), ("a#", 1), ("a0", 1)]),
    ],
)
def test_respellings_are_in_the_order_of_steps(steps: list[str], word: str, expected: list[tuple[str, int]]) -> None:
    assert list(respellings(word, parse_chain(steps)[0]).items()) == expected


def test_find_spellings_returns_the_first_known_spelling() -> None:
    spellings, _ = parse_chain(["casefold", "digits"])
    there = Words.from_strings(["CAT", "Cat", "b#", "b0"])
    assert list(find_spellings(there, ["cat", "B7", "cow"], spellings)) == [(1, 0), (2, 1), (-1, -1)]


def test_parse_chain_resolves_names_to_steps() -> None:
    for made in (oov.normal, oov.uniform, oov.xavier, oov.kaiming, oov.zeros, oov.mean):
        for spelled in (made.__name__, made, made()):
            _, (step,) = parse_chain([spelled])
            assert isinstance(step, oov.Filling)
            assert step.name == made.__name__
    own = oov.Spelling("reversed", lambda word: [word[::-1]])
    spellings, fillings = parse_chain((own, "casefold"))
    assert [step.name for step in spellings] == ["reversed", "casefold"]
    assert [step_name(step) for step in fillings] == ["zeros"]


def test_step_names_are_unique() -> None:
    def exact(words: list[str], dim: int, rng: np.random.Generator) -> None: ...

    steps = [exact, exact, oov.Filling("exact 2", oov.zeros().fill), oov.zeros()]
    assert step_names(steps, taken=["exact"]) == ("exact", "exact 2", "exact 3", "exact 2 2", "zeros")


def leave(words: list[str], dim: int, rng: np.random.Generator) -> np.ndarray:
    return np.full((len(words), dim), np.nan)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("normal", "oov must be a list of strings, not one string: found 'normal'; pass ['normal']"),
        (None, "oov must be a list of steps, got None; pass [None]"),
        (
            ["lemma"],
            "unknown oov step 'lemma'; choose from: nfc, nfkc, strip, casefold, separators, digits, nfd, aliases:FILE, "
            "ngrams, mean-of-parts, normal, uniform, xavier, kaiming, zeros, mean, or pass a function",
        ),
        (["zeros", "casefold"], "oov: 'zeros' makes a row for every word, so 'casefold' after it is never reached"),
        ([oov.normal(0, 1), "mean"], "oov: 'normal' makes a row for every word, so 'mean' after it is never reached"),
        ([3], "oov: a step must be a name, a step of vecload.oov or a function, got 3"),
        (
            ["subword-composition", "zeros"],
            "oov: 'subword-composition' needs its tokenizer: vecload.oov.subwords(tokenizer)",
        ),
        ([oov.subwords], "oov: 'subword-composition' needs its tokenizer: vecload.oov.subwords(tokenizer)"),
        (["ngrams", "casefold"], "oov: steps that look for other spellings must be before steps that make rows"),
        ([leave, "casefold"], "oov: steps that look for other spellings must be before steps that make rows"),
    ],
)
def test_chain_with_invalid_steps_raises(steps: list[object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_chain(steps)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: oov.normal(std=-1), "normal: std=-1 is negative"),
        (lambda: oov.normal(math.nan), "normal: mean=nan is not a finite number"),
        (
            lambda: oov.normal(match="row"),  # type: ignore[arg-type]
            "normal: match='row' is not one of 'global', 'dimension', 'norm'",
        ),
        (lambda: oov.subwords(3), "oov: subwords needs a Hugging Face tokenizer, got int"),
        (
            lambda: oov.uniform(high=-9, match="dimension").fill(["cat"], Found(np.array([[1.0, 3.0]]), 2, 2), 0),
            "uniform: low=3 is above high=-9, the limit matched to the rows that were found",
        ),
        (lambda: oov.uniform(1, -1), "uniform: low=1 is above high=-1"),
        (lambda: oov.uniform(high=math.inf), "uniform: high=inf is not a finite number"),
        (
            lambda: oov.uniform(low=9).fill(["cat"], Found(np.array([[1.0, 3.0]]), 2, 2), 0),
            "uniform: low=9 is above high=3.73205, the limit matched to the rows that were found",
        ),
    ],
)
def test_steps_with_invalid_arguments_raise(make: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.zeros(8), "oov: step returned rows of shape (8,), expected (2, 8)"),
        (np.zeros((2, 9)), "oov: step returned rows of shape (2, 9), expected (2, 8)"),
        (None, "oov: step returned rows of shape (), expected (2, 8)"),
        ([["a"] * 8] * 2, "oov: step must return an array of numbers (could not convert string to float: 'a')"),
    ],
)
def test_function_with_invalid_result_raises(made: object, message: str) -> None:
    def step(words: list[str], dim: int, rng: np.random.Generator) -> object:
        return made

    words = Words.from_strings(["a", "b", "c"])
    with pytest.raises(OptionError) as caught:
        list(make_rows(step, words, np.array([0, 2]), found(), NOTHING, seed=0, number=0))
    assert str(caught.value) == message


def test_error_of_a_function_is_not_changed() -> None:
    def step(words: list[str], dim: int, rng: np.random.Generator) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        list(make_rows(step, Words.from_strings(["a"]), np.array([0]), found(), NOTHING, seed=0, number=0))


def test_normalizer_added_to_the_table_needs_no_other_change_to_be_used() -> None:
    script = """
from vecload.oov.normalizers import SPELLINGS, Spelling
SPELLINGS["reversed"] = Spelling("reversed", lambda word: [word[::-1]])
import vecload
vectors = vecload.Vectors.from_dict({"cat": [1.0, 0.0]})
aligned = vecload.align(vectors, vecload.Vocab.from_words(["tac"]), oov=["reversed", "normal"])
assert aligned["tac"].tolist() == [1.0, 0.0]
"""
    subprocess.run([sys.executable, "-c", script], check=True)
