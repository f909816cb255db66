from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import Aligned, OptionError, Vectors, Vocab, Words, align, oov

KNOWN = ["the", "Paris", "NASA", "café", "##", "00", "cat", "<s>", "ｘ", "dog"]


def vectors(dim: int = 4) -> Vectors:
    rng = np.random.default_rng(1)
    return Vectors(Words.from_strings(KNOWN), rng.normal(0.5, 2, (len(KNOWN), dim)).astype(np.float32))


def reference(word: str, steps: list[str]) -> tuple[str, str] | None:
    """The spelling found and the step that found it, by the documented rule."""
    spell = {
        "casefold": lambda w: [w.lower(), w.title(), w.upper()],
        "nfc": lambda w: [unicodedata.normalize("NFC", w)],
        "nfkc": lambda w: [unicodedata.normalize("NFKC", w)],
        "digits": lambda w: [
            "".join("#" if c.isdecimal() else c for c in w),
            "".join("0" if c.isdecimal() else c for c in w),
        ],
    }
    if word in KNOWN:
        return word, "exact"
    tried = [word]
    for step in steps:
        tried += [new for known in list(tried) for new in spell[step](known)]
        found = [new for new in tried if new in KNOWN]
        if found:
            return found[0], step
    return None


pieces = st.sampled_from(
    ["The", "PARIS", "nasa", "cafe\u0301", "42", "99", "Ｃａｔ", "cow", "CAFE\u0301", "ＤＯＧ", "the", "x1"]
)


@given(
    st.lists(pieces, unique=True, min_size=1),
    st.lists(st.sampled_from(["casefold", "nfc", "nfkc", "digits"]), unique=True),
)
def test_spellings_against_the_rule(words: list[str], steps: list[str]) -> None:
    source = vectors()
    aligned = align(source, words, oov=[*steps, "zeros"])
    for row, word in enumerate(words):
        expected = reference(word, steps)
        assert aligned.origin_of(word) == (expected[1] if expected else "zeros")
        assert aligned.matrix[row].tolist() == (source[expected[0]].tolist() if expected else [0] * 4)


def test_a_path_gives_what_vectors_give(tmp_path: Path) -> None:
    file = tmp_path / "v.txt"
    lines = (f"{word} " + " ".join(map(str, vectors()[word].tolist())) for word in KNOWN)
    file.write_text("\n".join(lines), encoding="utf-8")
    vocab = Vocab.from_tokens("The cat PARIS 42 unknown cow cow".split(), specials=["<pad>", "<unk>", "<s>"])
    for steps in (["casefold", "digits", "normal"], ["uniform"], ["mean"], ["xavier"]):
        one, other = align(file, vocab, oov=steps, seed=3), align(vecload.load(file), vocab, oov=steps, seed=3)
        assert one.matrix.tobytes() == other.matrix.tobytes()
        assert one.origin.tolist() == other.origin.tolist()


def test_origins_and_coverage() -> None:
    vocab = Vocab.from_counter({"the": 60, "PARIS": 30, "cow": 7, "elk": 3}, specials=["<pad>", "<unk>", "<s>"])
    aligned = align(vectors(), vocab, oov=["casefold", "normal"])
    assert [aligned.origins[code] for code in aligned.origin] == [
        "padding",
        "special",
        "exact",
        "exact",
        "casefold",
        "normal",
        "normal",
    ]
    coverage = aligned.coverage
    assert (coverage.found, coverage.found_tokens) == (3 / 5, 0.9)
    assert coverage.missing(1) == [("cow", 7)]
    assert coverage.missing() == [("cow", 7), ("elk", 3)]
    assert str(coverage).splitlines() == [
        "origin               types                tokens",
        "padding                  1   14.3%             0    0.0%",
        "special                  1   14.3%             0    0.0%",
        "exact                    2   28.6%            60   60.0%",
        "casefold                 1   14.3%            30   30.0%",
        "normal                   2   28.6%            10   10.0%",
        "all                      7  100.0%           100  100.0%",
    ]
    assert aligned.matrix[0].tolist() == [0] * 4
    assert repr(aligned) == "<Aligned: 7 rows × 4 float32, 60.0% of the types found>"


@given(st.permutations(["cow", "elk", "yak", "gnu"]), st.integers(-(2**40), 2**40))
def test_a_drawn_row_depends_on_seed_word_and_column_only(words: list[str], seed: int) -> None:
    for step in (oov.normal(0, 1), oov.uniform(-1, 1)):
        together = align(vectors(), words, oov=[step], seed=seed)
        for row, word in enumerate(words):
            alone = align(vectors(), [word], oov=[step], seed=seed)
            assert alone.matrix[0].tolist() == together.matrix[row].tolist()
    assert not np.array_equal(together.matrix, align(vectors(), words, oov=[step], seed=seed + 1).matrix)


def test_draws_against_splitmix64_in_plain_integers() -> None:
    """The same numbers on every machine and in every version: whoever stored a seed depends on it."""
    mask = 2**64 - 1
    for word in ("cat", "北海道", "\udcff"):
        raw = word.encode("utf-8", "surrogatepass")
        state = int.from_bytes(hashlib.blake2b(raw, digest_size=8, key=b"7").digest(), "little")
        expected = []
        for _ in range(3):
            state = (state + 0x9E3779B97F4A7C15) & mask
            mixed = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
            mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & mask
            expected.append((((mixed ^ mixed >> 31) >> 11) + 0.5) / 2**53)
        assert oov.uniform_draws([word], 3, 7)[0].tolist() == expected


def test_the_spread_of_draws() -> None:
    words = [f"w{at}" for at in range(4000)]
    vocab = [*KNOWN, *words]
    found = vectors(25).matrix
    for step, mean, std in (
        ("normal", found.mean(), found.std()),
        ("uniform", found.mean(), found.std()),
        (oov.normal(-1, 0.5), -1, 0.5),
        ("xavier", 0, (2 / (len(vocab) + 25)) ** 0.5),
        ("kaiming", 0, (2 / 25) ** 0.5),
    ):
        drawn = align(vectors(25), vocab, oov=[step]).matrix[len(KNOWN) :]
        assert abs(drawn.mean() - mean) < 0.02 * max(std, 0.1)
        assert abs(drawn.std() / std - 1) < 0.02
    bound = 0.1
    drawn = align(vectors(25), words, oov=[oov.uniform(-bound, bound)]).matrix
    assert -bound <= drawn.min() < -0.99 * bound
    assert 0.99 * bound < drawn.max() <= bound
    alone = align(vectors(25), words, oov=["normal"]).matrix  # nothing found to match
    assert abs(alone.std() - 0.2) < 0.01


def test_xavier_and_kaiming_have_torchs_bounds() -> None:
    torch = pytest.importorskip("torch")
    words = [f"w{at}" for at in range(2000)]
    for name in ("xavier", "kaiming"):
        weight = torch.empty(2000, 25)
        getattr(torch.nn.init, f"{name}_uniform_")(weight)
        ours = align(vectors(25), words, oov=[name]).matrix
        assert abs(np.abs(ours).max() / weight.abs().max().item() - 1) < 0.001


def test_mean_and_zeros_and_no_filling_step() -> None:
    source = vectors()
    mean = align(source, ["cow", "cat", "the"], oov=["mean"]).matrix[0]
    np.testing.assert_allclose(mean, source[["cat", "the"]].mean(axis=0), rtol=1e-6)
    assert align(source, ["cow"], oov=["casefold"]).origin_of("cow") == "zeros"
    assert align(source, ["cow"], oov=[]).matrix.tolist() == [[0] * 4]


def test_a_step_of_ones_own() -> None:
    def lengths(words: list[str], dim: int, rng: np.random.Generator) -> np.ndarray:
        assert rng.random() == np.random.default_rng([5, 1]).random()
        rows = np.full((len(words), dim), np.nan)
        for row, word in enumerate(words):
            if word != "skip":
                rows[row] = len(word)
        return rows

    vocab = Vocab.from_words(["horse", "skip", "cat"], unk="<unk>")
    aligned = align(vectors(), vocab, oov=["casefold", lengths, "zeros"], seed=5)
    assert aligned.matrix[1].tolist() == [5] * 4
    assert [aligned.origin_of(word) for word in vocab] == ["special", "lengths", "zeros", "exact"]

    def bad(words: list[str], dim: int, rng: np.random.Generator) -> np.ndarray:
        return np.zeros(3)

    with pytest.raises(OptionError, match=r"oov: bad gave rows of shape \(3,\), expected \(2, 4\)"):
        align(vectors(), ["cow", "elk"], oov=[bad])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("normal", "oov is a list of steps: ['normal']"),
        (["lemma"], "oov: there is no step 'lemma'; there are casefold, nfc"),
        (["zeros", "casefold"], "oov: 'zeros' fills every row, so nothing is left for 'casefold' behind it"),
        ([3], "oov: 3 is neither a name nor a step nor a function"),
        ([lambda words, dim, rng: 0, "casefold"], "oov: spelling steps come first"),
    ],
)
def test_chains_that_cannot_be(steps: object, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        align(vectors(), ["cat"], oov=steps)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_save_and_load(tmp_path: Path) -> None:
    vocab = Vocab.from_counter({"the": 6, "\udcff": 3, "cow": 1}, specials=["<pad>", "<unk>"])
    aligned = align(vectors(), vocab, oov=["casefold", "normal"])
    file = tmp_path / "e.safetensors"
    aligned.save(file)
    again = Aligned.load(file)
    assert again.matrix.tobytes() == aligned.matrix.tobytes()
    assert again.origin.tolist() == aligned.origin.tolist()
    assert again.vocab == vocab
    assert str(again.coverage) == str(aligned.coverage)
    with safetensors.safe_open(file, framework="pt") as plain:  # readable without vecload
        assert plain.get_tensor("weight").shape == (5, 4)
    for cut in (0, 7, 100, -1):
        (tmp_path / "cut").write_bytes(file.read_bytes()[:cut])
        with pytest.raises(vecload.FormatError):
            Aligned.load(tmp_path / "cut")


def test_aligned_does_not_change() -> None:
    aligned = align(vectors(), ["cat"])
    with pytest.raises(ValueError, match="read-only"):
        aligned.matrix[0] = 1
