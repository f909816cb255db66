"""Uploads to the Hugging Face Hub, and the values that are loaded from them."""

import re
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.hub_server import Hub
from vecload import hub as vecload_hub
from vecload.errors import DownloadError, OptionError, VecloadWarning

META = {"license": "CC-BY-4.0", "source": "https://example.org/vectors"}


def small(seed: int = 0, meta: dict[str, str] | None = None) -> vecload.Vectors:
    rows = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)
    return vecload.Vectors(["cat", "dog", "ラーメン"], rows, META if meta is None else meta)


def assert_equal(found: vecload.Vectors, expected: vecload.Vectors) -> None:
    assert list(found.words) == list(expected.words)
    assert found.matrix.dtype == expected.matrix.dtype
    assert found.matrix.tobytes() == expected.matrix.tobytes()


def test_push_creates_repository_and_load_reads_it(signed_in: Hub) -> None:
    vectors = small()
    url = vecload_hub.push(vectors, "org/name")
    repo = signed_in.repos["org/name"]
    assert url == f"{signed_in.url}/org/name/commit/{repo.refs['main']}"
    assert set(repo.files) == {".gitattributes", "README.md", "vectors.safetensors"}
    assert not repo.private
    loaded = vecload.load("hf://org/name")
    assert_equal(loaded, vectors)
    assert {key: loaded.meta[key] for key in META} == META


def test_push_states_given_license_in_card_and_file(signed_in: Hub) -> None:
    vecload_hub.push(small(), "org/name", license="mit")
    vecload_hub.push(vecload.align(small(), ["dog"]), "org/aligned", license="mit")
    assert vecload.load("hf://org/name").meta["license"] == "mit"
    assert vecload.Aligned.load("hf://org/aligned").meta["license"] == "mit"
    assert b"license: mit" in signed_in.repos["org/aligned"].files["README.md"]


def test_push_does_not_reveal_paths_of_this_machine(signed_in: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    folder.mkdir()
    small().save(folder / "v.txt", format="glove")
    vectors = vecload.load(folder / "v.txt")
    assert "secret" in vectors.meta["source"]
    both = vecload.align([vectors, vecload.load(folder / "v.txt")], ["cat"], combine="average")
    merged = vecload.transforms.merge([vectors, vecload.load(folder / "v.txt")])
    values = (vectors, vecload.align(vectors, ["cat"]), both, vecload.SentencePooler(vectors), merged)
    for at, value in enumerate(values):
        vecload_hub.push(value, f"org/name{at}")
        assert not any(b"secret" in data for data in signed_in.repos[f"org/name{at}"].files.values())


def test_push_keeps_ngrams_and_shared_rows(signed_in: Hub) -> None:
    table = vecload.NgramTable(np.ones((10, 4), dtype=np.float32), minn=3, maxn=4)
    vecload_hub.push(vecload.Vectors(["cat", "dog"], np.eye(2, 4, dtype=np.float32), ngrams=table), "org/ngrams")
    vecload_hub.push(vecload.Vectors(["a", "b"], np.ones((1, 2), dtype=np.float16), row_ids=[0, 0]), "org/shared")
    assert vecload.load("hf://org/ngrams").ngrams is not None
    assert vecload.load("hf://org/shared").unique_rows.shape == (1, 2)


def test_push_to_branch_and_load_by_branch_tag_and_commit(signed_in: Hub) -> None:
    first = vecload_hub.push(small(0), "org/name").rpartition("/")[2]
    repo = signed_in.repos["org/name"]
    repo.refs["v1"] = first
    vecload_hub.push(small(1), "org/name", revision="next")
    vecload_hub.push(small(2), "org/name")
    for revision, seed in (("v1", 0), (first, 0), ("next", 1), ("main", 2)):
        assert_equal(vecload.load(f"hf://org/name@{revision}"), small(seed))


def test_push_private_is_read_with_token_only(signed_in: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vecload_hub.push(small(), "org/name", private=True)
    assert signed_in.repos["org/name"].private
    assert_equal(vecload.load("hf://org/name"), small())
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "other"))
    with pytest.raises(DownloadError, match="or it is private"):
        vecload.load("hf://org/name")


@pytest.mark.parametrize("private", [True, False])
def test_push_refuses_repository_of_other_visibility(signed_in: Hub, private: bool) -> None:
    repo = signed_in.add("org/name", {"a": b""}, private=not private)
    with pytest.raises(OptionError, match="nothing was pushed"):
        vecload_hub.push(small(), "org/name", private=private)
    assert len(repo.commits) == 1


def test_load_pushed_vectors_offline_from_cache(signed_in: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    vecload_hub.push(small(), "org/name")
    vecload.load("hf://org/name")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert_equal(vecload.load("hf://org/name"), small())
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE forbids"):
        vecload_hub.push(small(), "org/name")
    monkeypatch.setenv("VECLOAD_OFFLINE", "1")
    with pytest.raises(DownloadError, match="VECLOAD_OFFLINE forbids"):
        vecload_hub.push(small(), "org/name")


def test_second_push_of_same_content_adds_no_commit(signed_in: Hub) -> None:
    first = vecload_hub.push(small(), "org/name")
    assert vecload_hub.push(small(), "org/name") == first
    assert len(signed_in.repos["org/name"].messages) == 2


def test_second_push_replaces_vectors_and_card(signed_in: Hub) -> None:
    vecload_hub.push(small(0), "org/name")
    vecload_hub.push(small(1), "org/name", license="mit", message="Other numbers")
    repo = signed_in.repos["org/name"]
    assert_equal(vecload.load("hf://org/name"), small(1))
    assert repo.files["README.md"].startswith(b"---\nlicense: mit\n")
    assert repo.messages[-1] == "Other numbers"


@pytest.mark.parametrize("edited", ["# Mine\n", None])
def test_push_keeps_edited_card(signed_in: Hub, edited: str | None) -> None:
    vecload_hub.push(small(), "org/name")
    repo = signed_in.repos["org/name"]
    card = edited or repo.files["README.md"].decode() + "\nMore.\n"
    repo.commit({**repo.files, "README.md": card.encode(), "notes.txt": b"x"})
    with pytest.warns(VecloadWarning, match="edited, so it is kept"):
        vecload_hub.push(small(1), "org/name")
    assert repo.files["README.md"].decode() == card
    assert repo.files["notes.txt"] == b"x"
    assert_equal(vecload.load("hf://org/name"), small(1))


def test_push_opens_pull_request(signed_in: Hub) -> None:
    vecload_hub.push(small(0), "org/name")
    url = vecload_hub.push(small(1), "org/name", create_pr=True)
    assert url == f"{signed_in.url}/org/name/discussions/1"
    assert_equal(vecload.load("hf://org/name"), small(0))
    assert_equal(vecload.load("hf://org/name@refs/pr/1"), small(1))


def test_push_pull_request_to_missing_repository_raises(signed_in: Hub) -> None:
    with pytest.raises(DownloadError, match="no repository org/name"):
        vecload_hub.push(small(), "org/name", create_pr=True)
    assert not signed_in.repos


def test_push_without_token_asks_to_log_in(hub: Hub) -> None:
    with pytest.raises(DownloadError, match="hf auth login"):
        vecload_hub.push(small(), "org/name")
    assert not hub.repos


@pytest.mark.parametrize(
    "request_line", ["POST .*/commit/", "POST .*/preupload/", "POST .*/batch", "PUT /lfs/", "POST /api/repos/create"]
)
def test_push_with_failing_server_raises_and_changes_no_file(
    signed_in: Hub, monkeypatch: pytest.MonkeyPatch, request_line: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # huggingface_hub waits before it repeats requests
    signed_in.failures[request_line] = 500
    with pytest.raises(DownloadError, match="push to org/name"):
        vecload_hub.push(small(), "org/name")
    assert all(set(repo.files) == {".gitattributes"} for repo in signed_in.repos.values())


def test_push_after_other_commit_asks_to_push_again(signed_in: Hub) -> None:
    vecload_hub.push(small(), "org/name")
    signed_in.failures["POST .*/commit/"] = 412
    with pytest.raises(DownloadError, match="changed at the same time: push again"):
        vecload_hub.push(small(1), "org/name")


def test_push_pooler_is_loaded_bit_for_bit(signed_in: Hub) -> None:
    pooler = vecload.SentencePooler(small(), "sif", normalize=True)
    pooler.fit(["cat dog", "dog ラーメン", "cat", "dog", "cat ラーメン"])
    vecload_hub.push(pooler, "org/pooler", license="mit")
    loaded = vecload.SentencePooler.load("hf://org/pooler")
    texts = ["cat dog ラーメン", "dog", "unknown"]
    assert loaded.encode(texts).tobytes() == pooler.encode(texts).tobytes()
    assert_equal(vecload.load("hf://org/pooler"), small())


def test_push_vectors_over_pooler_removes_its_settings(signed_in: Hub) -> None:
    vecload_hub.push(vecload.SentencePooler(small()), "org/name")
    vecload_hub.push(small(1), "org/name")
    assert set(signed_in.repos["org/name"].files) == {".gitattributes", "README.md", "vectors.safetensors"}


def test_push_aligned_beside_vectors(signed_in: Hub) -> None:
    aligned = vecload.align(small(), vecload.Vocab.from_words(["dog", "cow"]))
    vecload_hub.push(small(), "org/name")
    vecload_hub.push(aligned, "org/name")
    loaded = vecload.Aligned.load("hf://org/name")
    assert loaded.matrix.tobytes() == aligned.matrix.tobytes()
    assert loaded.coverage.found == aligned.coverage.found == 0.5
    assert_equal(vecload.load("hf://org/name"), small())


@pytest.mark.parametrize("name", ["name", "hf://org/name", "org/name@main", "a/b/c", "", "org/../x"])
def test_push_invalid_name_sends_nothing(signed_in: Hub, name: str) -> None:
    with pytest.raises(OptionError, match="write org/name"):
        vecload_hub.push(small(), name)
    assert not signed_in.requests


@pytest.mark.parametrize("value", [None, "glove.txt", np.eye(2)])
def test_push_refuses_other_values(signed_in: Hub, value: object) -> None:
    with pytest.raises(OptionError, match="pass Vectors"):
        vecload_hub.push(value, "org/name")
    assert not signed_in.requests


def header(card: str) -> str:
    found = re.match(r"---\n(.*?)---\n", card, re.S)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("stated", "argument", "lines"),
    [
        ("CC-BY-SA-4.0", None, ["license: cc-by-sa-4.0"]),
        ("CC-BY-SA-4.0", "MIT", ["license: mit"]),
        ("My Terms (2020)", None, ["license: other", 'license_name: "my-terms-2020"']),
        ("unknown", None, []),
        ("MIT AND CC0-1.0", None, ["license: other", 'license_name: "mit-and-cc0-1.0"']),
        ("a\n---\nb: c", None, ["license: other", 'license_name: "a-b-c"']),
    ],
)
def test_card_header_states_license(stated: str, argument: str | None, lines: list[str]) -> None:
    card = vecload_hub.card(small(meta={"license": stated}), "org/name", license=argument)
    assert header(card).splitlines()[: len(lines)] == lines
    assert "library_name: vecload" in header(card)
    assert ("license" in header(card)) == bool(lines)


def test_card_shows_coverage_and_evaluation() -> None:
    vectors = small()
    vocab = vecload.Vocab.from_texts(["cat cat cow_boy"])
    judged = vecload.evaluation.Pairs("judged", ("cat", "cat", "dog"), ("dog", "ラーメン", "ラーメン"), np.arange(3.0))
    evaluation = vecload.evaluate(vectors, [judged])
    card = vecload_hub.card(vecload.align(vectors, vocab), "org/name", evaluation=evaluation)
    assert "50.0% of the types of the vocabulary were found, 66.7% of the tokens." in card
    assert "| exact | 1 | 2 |" in card
    assert "| judged | " in card
    assert "https://example.org/vectors" in card
    assert "License: CC-BY-4.0" in card


def test_card_escapes_text_of_files() -> None:
    card = vecload_hub.card(small(meta={"license": "<script>alert(1)</script> [x](y) |"}), "org/name")
    assert "<script" not in card
    assert r"\[x\](y) \|" in card


def test_card_refuses_other_evaluation() -> None:
    with pytest.raises(OptionError, match=r"vecload\.evaluate"):
        vecload_hub.card(small(), "org/name", evaluation={"a": 1})
