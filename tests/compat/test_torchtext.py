"""`vecload.compat.torchtext` against the documented behavior of torchtext 0.18, which cannot be installed here."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import vecload
from vecload.compat.torchtext import (
    CharNGram,
    FastText,
    GloVe,
    TokenError,
    Vectors,
    Vocab,
    advice,
    build_vocab_from_iterator,
    get_tokenizer,
    ngrams_iterator,
    vocab,
)
from vecload.errors import DownloadError, FormatError, MissingDependencyError, OptionError, VecloadWarning

SHARED = Path(vecload.__file__).parents[2] / "shared" / "cases" / "api" / "p2_before_torchtext.py"
SHARED_FROM_WORKTREE = Path(vecload.__file__).parents[3] / "shared" / "cases" / "api" / "p2_before_torchtext.py"
WORDS = ["the", "cat", "dog", "sat", "Paris", "a"]


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(WORDS), 50)).astype(np.float32)


def text_of(words: list[str], matrix: np.ndarray) -> str:
    return "".join(f"{word} {' '.join(map(repr, row.tolist()))}\n" for word, row in zip(words, matrix, strict=True))


@pytest.fixture
def folder(tmp_path: Path, matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the working directory of an old script: a small GloVe file in ``.vector_cache``, and no network."""
    (tmp_path / ".vector_cache").mkdir()
    (tmp_path / ".vector_cache" / "glove.6B.50d.txt").write_text(text_of(WORDS, matrix))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VECLOAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VECLOAD_OFFLINE", "1")
    return tmp_path


def test_tutorial_script_runs_with_only_its_imports_changed(folder: Path, matrix: np.ndarray) -> None:
    path = next((path for path in (SHARED, SHARED_FROM_WORKTREE) if path.exists()), None)
    if path is None:
        pytest.skip("shared/cases is not beside this checkout")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [
        line.replace("from torchtext.data.utils", "from vecload.compat.torchtext").replace(
            "from torchtext.vocab", "from vecload.compat.torchtext"
        )
        for line in lines
    ]
    differing = [old for old, new in zip(lines, changed, strict=True) if old != new]
    assert len(differing) == 2
    assert all(line.startswith("from torchtext") for line in differing)
    posts = [(0, "The cat sat on the mat."), (1, "A dog slept in Paris"), (1, "")]
    script: dict[str, Any] = {"train_iter": posts}
    exec(compile("".join(changed), str(path), "exec"), script)

    words = script["vocab"]
    # "y" was inserted at 0 and "x" appended; the default index is still the number that was set.
    assert words.get_itos()[:4] == ["y", "<pad>", "<unk>", "the"]
    assert words.get_itos()[-1] == "x"
    assert words["zyzzyx"] == words.get_default_index() == 1
    saved = torch.load("v.pt", weights_only=False)
    assert saved.get_itos() == words.get_itos()
    assert saved.get_default_index() == 1

    labels, padded = script["collate"](posts)
    assert labels.tolist() == [0, 1, 1]
    assert padded.shape == (3, 7)
    assert words.lookup_tokens(padded[0].tolist()) == ["the", "cat", "sat", "on", "the", "mat", "."]
    labels, ids, offsets = script["collate_bag"](posts[:2])
    model = script["Bag"]()
    assert torch.equal(model.e.weight[words["cat"]], torch.from_numpy(matrix[1]))
    assert not model.e.weight[words["paris"]].any()
    before = model.e.weight.detach().clone()
    nn.functional.cross_entropy(model(ids, offsets), labels).backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert not torch.equal(before, model.e.weight)
    assert torch.equal(script["glove"].vectors, torch.from_numpy(matrix))


class TestVocab:
    def test_vocab_keeps_order_and_drops_rare_tokens(self) -> None:
        counts = OrderedDict(dog=1, cat=3, a=2)
        assert vocab(counts).get_itos() == ["dog", "cat", "a"]
        assert vocab(counts, min_freq=2).get_itos() == ["cat", "a"]

    @pytest.mark.parametrize(
        ("first", "expected"), [(True, ["<unk>", "<pad>", "cat", "a"]), (False, ["cat", "a", "<unk>", "<pad>"])]
    )
    def test_specials_are_placed_as_requested_whatever_their_counts(self, first: bool, expected: list[str]) -> None:
        counts = OrderedDict([("cat", 3), ("<unk>", 9), ("a", 2)])
        assert vocab(counts, 2, ["<unk>", "<pad>"], first).get_itos() == expected
        assert counts["<unk>"] == 9

    def test_build_vocab_orders_by_count_then_code_point(self) -> None:
        texts = (iter(text.split()) for text in ["b a Z c", "c b"])
        assert build_vocab_from_iterator(texts).get_itos() == ["b", "c", "Z", "a"]

    def test_build_vocab_options_combine_as_in_torchtext(self) -> None:
        texts = [["<unk>", "<unk>", "<unk>", "b", "b", "a"]]
        build = build_vocab_from_iterator
        assert build(texts, specials=["<unk>"], max_tokens=3).get_itos() == ["<unk>", "b"]
        assert build(texts, specials=["<pad>"], max_tokens=3, special_first=False).get_itos() == ["<unk>", "b", "<pad>"]
        assert build(texts, min_freq=2, max_tokens=9).get_itos() == ["<unk>", "b"]
        assert build(texts, 3, ["<pad>"], False).get_itos() == ["<unk>", "<pad>"]

    def test_build_vocab_from_strings_counts_characters(self) -> None:
        assert build_vocab_from_iterator(["abb", "b"]).get_itos() == ["b", "a"]

    def test_build_vocab_with_max_tokens_below_specials_raises(self) -> None:
        with pytest.raises(OptionError, match="max_tokens=2 must be larger than the number of specials, 2"):
            build_vocab_from_iterator([["a"]], specials=["<pad>", "<unk>"], max_tokens=2)

    @pytest.mark.parametrize("make", [lambda **options: vocab({"a": 1}, **options), build_vocab_from_iterator])
    def test_specials_as_one_string_raise(self, make: Any) -> None:
        options = {"iterator": [["a"]]} if make is build_vocab_from_iterator else {}
        with pytest.raises(OptionError, match="specials must be a list of strings"):
            make(**options, specials="<unk>")

    @pytest.mark.parametrize("tokens", [["a", "b", "a"], ["a", "a"]])
    def test_duplicate_tokens_raise(self, tokens: list[str]) -> None:
        with pytest.raises(TokenError, match="duplicate token 'a': found at indices 0 and"):
            Vocab(tokens)
        with pytest.raises(RuntimeError, match="duplicate"):
            vocab({}, specials=tokens)

    def test_unknown_token_without_default_index_raises_runtime_error(self) -> None:
        words = Vocab(["a"])
        assert words.get_default_index() is None
        for call in (lambda: words["b"], lambda: words(["a", "b"]), lambda: words.lookup_indices(["b"])):
            with pytest.raises(RuntimeError, match="token 'b' not found and default index is not set"):
                call()

    @pytest.mark.parametrize("default", [0, -1, 100])
    def test_unknown_token_gets_any_default_index(self, default: int) -> None:
        words = Vocab(["a"])
        words.set_default_index(default)
        assert words["b"] == words.get_default_index() == default
        assert words(["a", "b"]) == words.lookup_indices(["a", "b"]) == [0, default]
        words.set_default_index(None)
        with pytest.raises(TokenError):
            words["b"]

    @pytest.mark.parametrize("tokens", ["ab", [1], [None]])
    def test_lookup_of_anything_but_a_list_of_strings_raises(self, tokens: Any) -> None:
        words = Vocab(["a", "b"])
        words.set_default_index(0)
        with pytest.raises(OptionError, match="tokens must be"):
            words(tokens)

    def test_insert_token_shifts_later_tokens_and_not_the_default_index(self) -> None:
        words = Vocab(["a", "b", "c"])
        words.set_default_index(2)
        words.insert_token("x", 1)
        words.insert_token("y", 4)
        words.append_token("z")
        assert words.get_itos() == ["a", "x", "b", "c", "y", "z"]
        assert words.get_stoi() == {token: index for index, token in enumerate(words.get_itos())}
        assert words.get_default_index() == 2
        assert len(words) == 6
        assert "x" in words
        assert "missing" not in words

    @pytest.mark.parametrize(
        ("token", "index", "message"),
        [("a", 0, "'a' is in the vocabulary already, with index 0"), ("x", -1, "out of range"), ("x", 3, "of size 2")],
    )
    def test_invalid_insertion_raises_and_changes_nothing(self, token: str, index: int, message: str) -> None:
        words = Vocab(["a", "b"])
        with pytest.raises(RuntimeError, match=message):
            words.insert_token(token, index)
        assert words.get_itos() == ["a", "b"]
        assert words.get_stoi() == {"a": 0, "b": 1}

    def test_append_of_a_known_token_raises(self) -> None:
        with pytest.raises(RuntimeError, match="already"):
            Vocab(["a"]).append_token("a")

    @pytest.mark.parametrize("index", [-1, 2])
    def test_lookup_of_an_index_out_of_range_raises(self, index: int) -> None:
        words = Vocab(["a", "b"])
        assert words.lookup_tokens([1, 0]) == ["b", "a"]
        with pytest.raises(RuntimeError, match=f"index {index} is out of range"):
            words.lookup_token(index)
        with pytest.raises(TokenError):
            words.lookup_tokens([0, index])

    def test_returned_lists_and_dictionaries_are_copies(self) -> None:
        words = Vocab(["a"])
        words.get_itos().append("b")
        words.get_stoi()["b"] = 1
        assert words.get_itos() == ["a"]
        assert "b" not in words

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda words: pickle.loads(pickle.dumps(words))])
    def test_copies_are_equal_and_independent(self, duplicate: Any) -> None:
        words = Vocab(["a"])
        words.set_default_index(0)
        other = duplicate(words)
        other.append_token("b")
        assert other(["b", "c"]) == [1, 0]
        assert words.get_itos() == ["a"]

    def test_vocab_is_a_module_for_pipelines(self) -> None:
        assert nn.Sequential(Vocab(["a", "b"]))(["b"]) == [1]


class TestVectors:
    def test_glove_reads_the_cached_file(self, folder: Path, matrix: np.ndarray) -> None:
        glove = GloVe("6B", 50)
        assert glove.itos == WORDS
        assert glove.stoi["cat"] == 1
        assert glove.dim == 50
        assert len(glove) == 6
        assert "cat" in glove
        assert glove.vectors.dtype == torch.float32
        assert torch.equal(glove.vectors, torch.from_numpy(matrix))
        assert torch.equal(glove["cat"], torch.from_numpy(matrix[1]))

    def test_glove_reads_the_archive_that_torchtext_downloaded(self, folder: Path) -> None:
        cached = folder / ".vector_cache" / "glove.6B.50d.txt"
        (folder / "other").mkdir()
        with zipfile.ZipFile(folder / "other" / "glove.6B.zip", "w") as archive:
            archive.write(cached, cached.name)
        assert GloVe(name="6B", dim="50", cache="other").itos == WORDS

    def test_glove_reads_the_cache_of_vecload(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cached = folder / ".vector_cache" / "glove.6B.50d.txt"
        from vecload.catalog.cache import cache_path

        entry = vecload.catalog.get("glove.6B.50d")
        assert entry is not None
        place = cache_path(entry)
        place.parent.mkdir(parents=True, mode=0o700)
        for each in (place.parent, place.parent.parent):
            each.chmod(0o700)
        with zipfile.ZipFile(place, "w") as archive:
            archive.write(cached, cached.name)
        place.chmod(0o600)
        assert GloVe("6B", 50, cache=folder / "nothing", max_vectors=2).itos == ["the", "cat"]

    def test_glove_without_any_copy_or_network_says_how_to_get_it(self, folder: Path) -> None:
        with pytest.raises(DownloadError, match=r"glove\.6B\.100d.*vecload download"):
            GloVe("6B", 100)

    def test_unknown_name_raises_with_the_nearest_one(self, folder: Path) -> None:
        with pytest.raises(OptionError, match=r"GloVe has no vectors named 'glove\.7B\.50d'; did you mean"):
            GloVe("7B", 50)
        with pytest.raises(OptionError, match=r"FastText has no vectors named 'wiki\.klingon'"):
            FastText("klingon")

    def test_fasttext_skips_the_header(self, folder: Path) -> None:
        (folder / ".vector_cache" / "wiki.simple.vec").write_text("2 3\ncat 1 2 3 \ndog 4 5 6 \n")
        vectors = FastText(language="simple")
        assert vectors.itos == ["cat", "dog"]
        assert vectors.get_vecs_by_tokens(["dog"]).tolist() == [[4, 5, 6]]

    def test_vectors_reads_a_path_or_a_name_in_the_cache(self, folder: Path) -> None:
        (folder / "my.vec").write_text("cat 1 2 3\ndog 4 5 6\n")
        assert Vectors("my.vec", cache=".").itos == Vectors(folder / "my.vec").itos == ["cat", "dog"]
        assert Vectors("glove.6B.50d.txt", ".vector_cache", None, None, 2).itos == ["the", "cat"]

    @pytest.mark.parametrize(("limit", "rows"), [(None, 6), (0, 6), (4, 4), (99, 6)])
    def test_max_vectors_limits_the_rows(self, folder: Path, limit: int | None, rows: int) -> None:
        assert GloVe("6B", 50, max_vectors=limit).itos == WORDS[:rows]

    def test_vectors_of_a_url_are_read_from_the_archive_there(self, folder: Path) -> None:
        (folder / "served").mkdir()
        with zipfile.ZipFile(folder / "served" / "mine.zip", "w") as archive:
            archive.writestr("mine.txt", "cat 1 2 3\n")
        (folder / "served" / "plain.txt").write_text("dog 1 2 3\n")
        served = (folder / "served").as_uri()
        assert Vectors("mine.txt", url=f"{served}/mine.zip").itos == ["cat"]
        assert Vectors("plain.txt", url=f"{served}/plain.txt").itos == ["dog"]
        assert Vectors("mine.txt", cache="served", url="https://example.invalid/mine.zip").itos == ["cat"]

    def test_error_for_a_missing_file_names_both_paths(self, folder: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"missing\.vec.*other/missing\.vec is missing too"):
            Vectors("missing.vec", cache="other")

    def test_damaged_file_raises_with_its_line(self, folder: Path) -> None:
        (folder / "bad.vec").write_text("cat 1 2 3\ndog 4 5\n")
        with pytest.raises(FormatError, match="line 2"):
            Vectors("bad.vec")

    def test_unknown_words_are_zeros_by_default(self, folder: Path) -> None:
        glove = GloVe("6B", 50)
        assert glove["cow"].shape == (50,)
        assert not glove["cow"].any()
        assert not glove.get_vecs_by_tokens(["cow", "Cat"]).any()

    def test_unk_init_makes_the_rows_of_unknown_words_only(self, folder: Path) -> None:
        glove = GloVe("6B", 50, unk_init=lambda row: row.fill_(7))
        found = glove.get_vecs_by_tokens(["cow", "cat"])
        assert (found[0] == 7).all()
        assert torch.equal(found[1], glove.vectors[1])
        torch.manual_seed(0)
        drawn = GloVe("6B", 50, unk_init=torch.Tensor.normal_)["cow"]
        torch.manual_seed(0)
        assert torch.equal(drawn, torch.empty(50).normal_())

    def test_lower_case_backup_looks_up_the_written_form_first(self, folder: Path) -> None:
        glove = GloVe("6B", 50)
        glove.itos.append("paris")
        glove.stoi["paris"] = 0
        found = glove.get_vecs_by_tokens(["Paris", "PARIS", "Cat", "cat", "Cow"], lower_case_backup=True)
        assert torch.equal(found[:4], glove.vectors[[4, 0, 1, 1]])
        assert not found[4].any()

    def test_one_word_gives_one_row(self, folder: Path) -> None:
        glove = GloVe("6B", 50)
        assert glove.get_vecs_by_tokens("Cat", lower_case_backup=True).shape == (50,)
        assert glove.get_vecs_by_tokens([]).shape == (0, 50)
        assert torch.cosine_similarity(glove["cat"], glove["cat"], dim=0).item() == pytest.approx(1)

    def test_looked_up_rows_are_copies_and_single_ones_views(self, folder: Path) -> None:
        glove = GloVe("6B", 50)
        glove.get_vecs_by_tokens(["cat"]).zero_()
        assert glove["cat"].any()
        glove["cat"].zero_()
        assert not glove.vectors[1].any()

    def test_char_ngram_is_refused_with_advice(self) -> None:
        with pytest.raises(OptionError, match=r"CharNGram is not supported.*oov=\[\"ngrams\"\]"):
            CharNGram(cache="elsewhere")


class TestTokenizers:
    def test_get_tokenizer_of_none_splits_at_white_space(self) -> None:
        assert get_tokenizer(None)(" To  be,\tor\n") == ["To", "be,", "or"]

    def test_basic_english_follows_torchtext(self) -> None:
        split = get_tokenizer("basic_english")
        assert split('You can now install "TorchText"; it\'s (nearly) free!<br />Right?') == (
            "you can now install torchtext it ' s ( nearly ) free ! right ?".split()
        )
        assert pickle.loads(pickle.dumps(split)) is split

    def test_basic_english_of_another_language_raises(self) -> None:
        with pytest.raises(ValueError, match="English only: found language='de'"):
            get_tokenizer("basic_english", language="de")

    def test_function_is_returned_as_it_is(self) -> None:
        assert get_tokenizer(list) is list

    @pytest.mark.parametrize("name", ["basic_englsh", "", 3])
    def test_unknown_tokenizer_raises_with_the_choices(self, name: Any) -> None:
        with pytest.raises(OptionError, match=r"unknown tokenizer .*choose from: basic_english, spacy, moses, toktok"):
            get_tokenizer(name)

    def test_spacy_loads_the_pipeline_that_a_short_name_stood_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spacy = pytest.importorskip("spacy")
        asked = []

        def load(name: str) -> Any:
            asked.append(name)
            if name != "en_core_web_sm":
                raise OSError(f"no pipeline {name}")
            return spacy.blank("en")

        monkeypatch.setattr(spacy, "load", load)
        assert get_tokenizer("spacy")("Don't stop!") == ["Do", "n't", "stop", "!"]
        assert asked == ["en", "en_core_web_sm"]
        with pytest.raises(OSError, match="no pipeline of_nobody"):
            get_tokenizer("spacy", "of_nobody")

    @pytest.mark.parametrize(
        ("name", "module", "package"),
        [
            ("moses", "sacremoses", "sacremoses"),
            ("toktok", "nltk.tokenize.toktok", "nltk"),
            ("revtok", "revtok", "revtok"),
            ("subword", "revtok", "revtok"),
        ],
    )
    def test_tokenizers_of_other_packages(
        self, name: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingDependencyError, match=f"'{name}' needs {package}: pip install {package}"):
            get_tokenizer(name)

        def tokenize(text: str, *, decap: bool = False) -> list[str]:
            return [*text.split(), str(decap)]

        made = SimpleNamespace(tokenize=tokenize)
        fake = SimpleNamespace(tokenize=tokenize, MosesTokenizer=lambda: made, ToktokTokenizer=lambda: made)
        for part in {module, module.partition(".")[0], module.rpartition(".")[0] or module}:
            monkeypatch.setitem(sys.modules, part, fake)
        assert get_tokenizer(name)("a b") == ["a", "b", str(name == "subword")]

    @pytest.mark.parametrize(
        ("size", "expected"),
        [(1, "a b c"), (2, "a b c a_b b_c"), (3, "a b c a_b b_c a_b_c"), (9, "a b c a_b b_c a_b_c")],
    )
    def test_ngrams_iterator_yields_shorter_ones_first(self, size: int, expected: str) -> None:
        assert list(ngrams_iterator(["a", "b", "c"], size)) == [gram.replace("_", " ") for gram in expected.split()]


class TestAdvice:
    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (lambda: GloVe("6B", 50), r"GloVe keeps .*use vecload\.load\('\.vector_cache/glove\.6B\.50d\.txt'\)"),
            (lambda: Vectors("glove.6B.50d.txt"), r"Vectors keeps .*use vecload\.load\("),
            (lambda: vocab({"a": 1}), r"Vocab keeps .*use vecload\.Vocab\.from_texts"),
        ],
    )
    def test_each_class_warns_once_with_its_replacement(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, make: Any, expected: str
    ) -> None:
        monkeypatch.setattr(advice, "given", set())
        with pytest.warns(VecloadWarning, match=expected) as noted:
            _ = make(), make()
        assert len(noted) == 1
        assert noted[0].filename == __file__

    def test_fasttext_warns_with_its_replacement(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "wiki.simple.vec").write_text("2 3\ncat 1 2 3\ndog 4 5 6\n")
        monkeypatch.setattr(advice, "given", set())
        with pytest.warns(VecloadWarning, match=r"FastText keeps .*vecload\.align\('wiki\.simple\.vec', vocab\)"):
            FastText("simple")


def test_compat_is_imported_on_first_use_only() -> None:
    code = (
        "import sys, vecload; print('vecload.compat' in sys.modules);"
        "vecload.compat.torchtext.GloVe; print('vecload.compat' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
