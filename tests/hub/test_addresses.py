"""Reading from addresses of the Hugging Face Hub."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.hub_server import TOKEN, Hub
from vecload.catalog.hugging_face import HubAddress, choose_files, parse_address
from vecload.errors import DownloadError, MissingDependencyError, OptionError

GLOVE = b"cat 1 2\ndog 3 4\n"
CARD = b"---\nlicense: mit\n---\n"


def saved(value: object, path: Path) -> bytes:
    value.save(path)
    return path.read_bytes()


def small() -> vecload.Vectors:
    return vecload.Vectors(["cat", "dog"], np.array([[1, 2], [3, 4]], dtype=np.float32))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://org/name", ("model", "org/name", None, "")),
        ("hf://org/name/", ("model", "org/name", None, "")),
        ("hf://org/na.me-2@v1/a/b.txt", ("model", "org/na.me-2", "v1", "a/b.txt")),
        ("hf://models/org/name@main", ("model", "org/name", "main", "")),
        ("hf://datasets/org/name/a.txt", ("dataset", "org/name", None, "a.txt")),
        ("hf://org/name@refs/pr/3/a.txt", ("model", "org/name", "refs/pr/3", "a.txt")),
        ("hf://org/name@feature%2Fone", ("model", "org/name", "feature/one", "")),
    ],
)
def test_parse_address_splits_parts(text: str, parts: tuple[object, ...]) -> None:
    assert parse_address(text) == HubAddress(*parts)


@pytest.mark.parametrize(
    "text", ["hf://", "hf://name", "hf://org/name@", "hf://org/name/../x", "hf://org/name//x", "hf://o rg/name"]
)
def test_parse_address_invalid_raises_option_error(text: str) -> None:
    with pytest.raises(OptionError, match="hf://org/name@revision/path"):
        parse_address(text)


@pytest.mark.parametrize(
    ("names", "path", "files"),
    [
        (["README.md", "glove.txt"], "glove.txt", {"glove.txt"}),
        ([".gitattributes", "config.json", "v.bin", "v.py"], "v.bin", {"v.bin"}),
        (["a.txt", "vectors.safetensors", "pooler.json"], "vectors.safetensors", {"vectors.safetensors"}),
        (["m.model", "m.model.vectors.npy"], "m.model", {"m.model", "m.model.vectors.npy"}),
        (["v_vectors.tsv", "v_metadata.tsv"], "v_vectors.tsv", {"v_vectors.tsv", "v_metadata.tsv"}),
        (
            ["README.md", "model.safetensors", "tokenizer.json", "config.json", "onnx/model.onnx"],
            "",
            {"README.md", "model.safetensors", "tokenizer.json", "config.json"},
        ),
        (
            ["modules.json", "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json"],
            "",
            {"modules.json", "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json"},
        ),
    ],
)
def test_choose_files_without_path(names: list[str], path: str, files: set[str]) -> None:
    chosen = choose_files(parse_address("hf://org/name"), names)
    assert (chosen.path, set(chosen.files)) == (path, files)


def test_load_several_candidates_lists_addresses(hub: Hub) -> None:
    hub.add("org/name", {"README.md": CARD, "a.txt": GLOVE, "b.txt": GLOVE})
    with pytest.raises(DownloadError, match=r"add a path: hf://org/name@main/a\.txt, hf://org/name@main/b\.txt"):
        vecload.load("hf://org/name@main")


@pytest.mark.parametrize("files", [{}, {"README.md": CARD}])
def test_load_without_candidates_lists_files(hub: Hub, files: dict[str, bytes]) -> None:
    hub.add("org/name", files)
    with pytest.raises(DownloadError, match=r"has no|empty"):
        vecload.load("hf://org/name")


def test_load_reads_single_file_path_folder_and_archive_member(hub: Hub) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/a.txt", GLOVE)
        archive.writestr("in/b.txt", b"cow 5 6\npig 7 8\n")
    hub.add("org/one", {"README.md": CARD, "glove.txt": GLOVE})
    hub.add("org/more", {"a.txt": GLOVE, "en/b[1].txt": b"cow 5 6\n", "c.zip": packed.getvalue()})
    for address, words in (
        ("hf://org/one", ["cat", "dog"]),
        ("hf://org/more/a.txt", ["cat", "dog"]),
        ("hf://org/more/en", ["cow"]),
        ("hf://org/more/en/b[1].txt", ["cow"]),
        ("hf://org/more/c.zip/in/b.txt", ["cow", "pig"]),
    ):
        assert list(vecload.load(address).words) == words


def test_load_downloads_only_chosen_files(hub: Hub) -> None:
    hub.add("org/name", {"a.txt": GLOVE, "b.txt": GLOVE})
    vecload.load("hf://org/name/a.txt")
    assert not any(line.endswith("b.txt") for line in hub.requests)


def test_load_branch_tag_and_commit(hub: Hub) -> None:
    repo = hub.add("org/name", {"v.txt": GLOVE})
    first = repo.refs["v1"] = repo.refs["main"]
    repo.commit({"v.txt": b"cow 5 6\n"})
    assert list(vecload.load("hf://org/name").words) == ["cow"]
    for revision in ("v1", first):
        assert list(vecload.load(f"hf://org/name@{revision}").words) == ["cat", "dog"]


def test_load_records_commit_and_page(hub: Hub, tmp_path: Path) -> None:
    first = hub.add("org/name", {"en/v 1.txt": GLOVE, "en/w.txt": GLOVE}).refs["main"]
    vectors = vecload.load("hf://org/name/en/v 1.txt")
    pinned, page = f"hf://org/name@{first}/en/v 1.txt", f"{hub.url}/org/name/tree/{first}/en/v%201.txt"
    assert vectors.meta["hub"] == pinned
    assert vectors.meta["source"] == page
    assert vecload.info("hf://org/name/en/v 1.txt").attribution["source"] == page
    hub.repos["org/name"].commit({"en/v 1.txt": b"cow 5 6\n"})
    assert np.array_equal(vecload.load(pinned).matrix, vectors.matrix)
    assert vecload.align(pinned, ["cat"]).meta["hub"] == pinned
    vecload.convert(pinned, tmp_path / "v.safetensors")
    assert vecload.load(tmp_path / "v.safetensors").meta["hub"] == pinned
    assert vecload.load(tmp_path / "v.safetensors").meta["source"] == page


@pytest.mark.parametrize("revision", ["", "@main"])
def test_load_records_original_source_of_file(hub: Hub, tmp_path: Path, revision: str) -> None:
    meta = {"source": "https://example.org/original", "license": "MIT"}
    vecload.Vectors(["cat"], np.ones((1, 2), dtype=np.float32), meta).save(tmp_path / "vectors.safetensors")
    sha = hub.add("org/name", {"vectors.safetensors": (tmp_path / "vectors.safetensors").read_bytes()}).refs["main"]
    vectors = vecload.load(f"hf://org/name{revision}")
    assert {key: vectors.meta[key] for key in meta} == meta
    assert vectors.meta["hub"] == f"hf://org/name@{sha}/vectors.safetensors"


def test_license_of_card_travels_with_every_file_of_the_repository(hub: Hub, tmp_path: Path) -> None:
    card = b"---\nlicense: cc-by-4.0\nsource: https://example.org/other\n---\n"
    hub.add("org/name", {"README.md": card, "a.txt": GLOVE, "en/b.txt": GLOVE, "en/README.md": CARD})
    for address in ("hf://org/name/a.txt", "hf://org/name/en"):
        vectors = vecload.load(address)
        assert vectors.meta["license"] == "cc-by-4.0"
        assert vectors.meta["source"].startswith(f"{hub.url}/org/name/tree/")
        assert vecload.info(address).attribution["license"] == "cc-by-4.0"
    vecload.convert("hf://org/name/a.txt", tmp_path / "v.safetensors")
    assert vecload.load(tmp_path / "v.safetensors").meta["license"] == "cc-by-4.0"


@pytest.mark.parametrize("card", [b"", CARD[4:], b"---\nlicense: other\n---\n", b"\xff\x00", None])
def test_missing_license_of_repository_stays_missing(hub: Hub, card: bytes | None) -> None:
    hub.add("org/name", {"v.txt": GLOVE} | ({} if card is None else {"README.md": card}))
    assert "license" not in vecload.load("hf://org/name").meta


def test_license_of_file_precedes_that_of_repository(hub: Hub, tmp_path: Path) -> None:
    vecload.Vectors(["cat"], [[1.0, 2.0]], {"license": "CC0-1.0"}).save(tmp_path / "v.safetensors")
    hub.add("org/name", {"README.md": CARD, "v.safetensors": (tmp_path / "v.safetensors").read_bytes()})
    assert vecload.load("hf://org/name/v.safetensors").meta["license"] == "CC0-1.0"


def test_load_interrupted_download_is_completed_by_next_load(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # huggingface_hub waits before it repeats requests
    lines = "".join(f"w{i} {i} 0.5\n" for i in range(2000)).encode()
    hub.add("org/name", {"v.txt": lines})
    hub.cut = 1000
    with pytest.raises(DownloadError):
        vecload.load("hf://org/name")
    hub.cut = None
    assert len(vecload.load("hf://org/name")) == 2000


def test_load_sees_new_commit_of_branch(hub: Hub) -> None:
    repo = hub.add("org/name", {"v.txt": GLOVE})
    vecload.load("hf://org/name")
    repo.commit({"v.txt": b"cow 5 6\n"})
    assert list(vecload.load("hf://org/name").words) == ["cow"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf://org/missing", "no repository org/missing, or it is private.*hf auth login"),
        ("hf://org/name@v9", "org/name has no such branch, tag or commit"),
        ("hf://org/name/b.txt", "no such file; the repository has v.txt"),
        ("hf://org/private", "or it is private"),
        ("hf://org/gated", "access to org/gated is restricted: accept its terms"),
        ("hf://datasets/org/name/v.txt", "no repository org/name"),
    ],
)
def test_load_missing_raises_error_with_advice(hub: Hub, address: str, message: str) -> None:
    hub.add("org/name", {"v.txt": GLOVE})
    hub.add("org/private", {"v.txt": GLOVE}, private=True)
    hub.add("org/gated", {"v.txt": GLOVE}, gated=True)
    with pytest.raises(DownloadError, match=message):
        vecload.load(address)


def test_load_private_with_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/private", {"v.txt": GLOVE}, private=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert len(vecload.load("hf://org/private")) == 2


def test_load_invalid_token_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/name", {"v.txt": GLOVE})
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(DownloadError, match="token is invalid"):
        vecload.load("hf://org/name")


def offline_by_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def offline_by_vecload(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECLOAD_OFFLINE", "1")


def server_fails(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.failures["GET"] = 500


def no_server(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.parametrize("fail", [offline_by_hub, offline_by_vecload, server_fails, no_server])
def test_load_without_connection_reads_cache(hub: Hub, monkeypatch: pytest.MonkeyPatch, fail) -> None:
    hub.add("org/name", {"v.txt": GLOVE, "w.txt": GLOVE})
    hub.add("org/other", {"v.txt": GLOVE})
    vecload.load("hf://org/name@main/v.txt")
    fail(hub, monkeypatch)
    hub.requests.clear()
    assert len(vecload.load("hf://org/name@main/v.txt")) == 2
    for address in ("hf://org/name/w.txt", "hf://org/other", "hf://org/name@v9"):
        with pytest.raises(DownloadError, match=r"not in the cache|no such file"):
            vecload.load(address)
    if fail in (offline_by_hub, offline_by_vecload):
        assert not hub.requests


def test_load_without_huggingface_hub_names_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"vecload\[hub\]"):
        vecload.load("hf://org/name")


def test_other_functions_take_addresses(hub: Hub, tmp_path: Path) -> None:
    vectors = small()
    vocab = vecload.Vocab.from_words(["dog", "cow"])
    aligned = vecload.align(vectors, vocab)
    space_map = vecload.map_spaces(vectors, vectors, pairs=[("cat", "cat"), ("dog", "dog")])
    hub.add(
        "org/name",
        {
            "v.txt": GLOVE,
            "vocab.json": saved(vocab, tmp_path / "vocab.json"),
            "aligned.safetensors": saved(aligned, tmp_path / "a.safetensors"),
            "map.safetensors": saved(space_map, tmp_path / "m.safetensors"),
        },
    )
    assert vecload.info("hf://org/name/v.txt").words == ("cat", "dog")
    assert vecload.Vocab.load("hf://org/name/vocab.json") == vocab
    assert vecload.Aligned.load("hf://org/name/aligned.safetensors").matrix.tobytes() == aligned.matrix.tobytes()
    assert vecload.SpaceMap.load("hf://org/name/map.safetensors").matrix.tobytes() == space_map.matrix.tobytes()
    assert vecload.convert("hf://org/name/v.txt", tmp_path / "out.safetensors").rows == 2
    assert vecload.align("hf://org/name/v.txt", vocab).coverage.found == 0.5


@pytest.mark.parametrize("layout", ["sentence-transformers", "model2vec"])
def test_load_static_embedding_folder(hub: Hub, tmp_path: Path, layout: str) -> None:
    vecload.SentencePooler(small()).export(tmp_path / "model", layout)
    files = {
        path.relative_to(tmp_path / "model").as_posix(): path.read_bytes()
        for path in (tmp_path / "model").rglob("*")
        if path.is_file()
    }
    hub.add("org/static", {**files, "onnx/model.safetensors": b"x"})
    assert list(vecload.load("hf://org/static").words) == ["cat", "dog"]
    assert not any("onnx" in line for line in hub.requests)


def test_pooler_load_reads_repository_and_folder(hub: Hub, tmp_path: Path) -> None:
    pooler = vecload.SentencePooler(small())
    pooler.save(tmp_path / "pooler")
    files = {path.name: path.read_bytes() for path in (tmp_path / "pooler").iterdir()}
    hub.add("org/pooler", files)
    hub.add("org/deep", {f"a/b/{name}": data for name, data in files.items()})
    for address in ("hf://org/pooler", "hf://org/deep/a/b"):
        loaded = vecload.SentencePooler.load(address)
        assert loaded.encode(["cat dog"]).tobytes() == pooler.encode(["cat dog"]).tobytes()
    assert list(vecload.load("hf://org/pooler").words) == ["cat", "dog"]
    with pytest.raises(DownloadError, match=r"has none of pooler\.json"):
        vecload.SentencePooler.load("hf://org/deep")
