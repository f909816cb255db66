"""License and source: from every file that states them to every file that has a place for them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy

from tests.builders import random_rows, small_vectors
from vecload import Vectors, align, convert, info, load
from vecload.attribution import LONGEST, attribution, read_card
from vecload.transforms import merge, to_half, transform

LICENSE, SOURCE = "CC-BY-SA-3.0", "https://example.org/vectors.zip"
STATED = {"license": LICENSE, "source": SOURCE}

KEEPING = {
    "native": "v.safetensors",
    "npz": "v.npz",
    "Parquet": "v.parquet",
    "Arrow": "v.arrow",
    "spaCy": "v_spacy",
    "sentence-transformers": "v_st",
    "model2vec": "v_m2v",
}
LOSING = {"text": "v.txt", "word2vec binary": "v.bin", "gensim": "v.kv", "TensorBoard": "v_tb"}


def stated_vectors(meta=STATED):
    return small_vectors(["cat", "dog", "cow"], 4, meta=meta)


def stated(meta):
    return {key: value for key, value in meta.items() if key in STATED}


@pytest.mark.parametrize("form", KEEPING)
def test_license_and_source_survive_save(tmp_path, form):
    target = tmp_path / KEEPING[form]
    stated_vectors().save(target, form)
    loaded = load(target)
    assert stated(loaded.meta) == STATED
    assert info(target).attribution == STATED
    assert stated(load(target, vocab=["dog"]).meta) == STATED


@pytest.mark.parametrize("source", KEEPING)
@pytest.mark.parametrize("target", KEEPING)
def test_license_and_source_survive_conversion(tmp_path, source, target):
    first, second = tmp_path / KEEPING[source], tmp_path / "to" / KEEPING[target]
    second.parent.mkdir()
    stated_vectors().save(first, source)
    convert(first, second, format=target)
    assert stated(load(second).meta) == STATED


@pytest.mark.parametrize("form", [*KEEPING, *LOSING])
def test_path_of_file_is_not_stored_as_source(tmp_path, form):
    (tmp_path / "private").mkdir()
    stated_vectors({}).save(tmp_path / "private" / "v.txt")
    target = tmp_path / (KEEPING | LOSING)[form]
    load(tmp_path / "private" / "v.txt").save(target, form)
    for file in target.rglob("*") if target.is_dir() else [target]:
        assert b"private" not in file.read_bytes()
    assert stated(load(target).meta) == {"source": str(target)}


@pytest.mark.parametrize("form", LOSING)
def test_formats_without_metadata_name_the_file(tmp_path, form):
    stated_vectors().save(tmp_path / LOSING[form], form)
    assert stated(load(tmp_path / LOSING[form]).meta) == {"source": str(tmp_path / LOSING[form])}


def test_arrow_tables_in_memory_state_them():
    assert stated(Vectors.from_arrow(pa.table(stated_vectors())).meta) == STATED


def test_operations_keep_them():
    vectors = stated_vectors()
    for kept in (vectors[:2], vectors.select(["dog"]), transform(vectors, ["unit"]), to_half(vectors, "float16")):
        assert stated(kept.meta) == STATED
    aligned = align(vectors, ["cat", "dog"])
    assert stated(aligned.meta) == STATED


def test_merged_licenses_are_joined():
    other = small_vectors(["cat"], 4, meta={"license": "MIT"})
    assert merge([stated_vectors(), other]).meta["license"] == "CC-BY-SA-3.0 AND MIT"
    assert align([stated_vectors(), other], ["cat"], combine="first").meta["license"] == "CC-BY-SA-3.0 AND MIT"
    assert "license" not in merge([stated_vectors(), small_vectors(["cat"], 4)]).meta


def test_safetensors_metadata_is_read(tmp_path):
    safetensors.numpy.save_file({"m": random_rows(2, 3)}, tmp_path / "m.safetensors", metadata=STATED)
    assert stated(load(tmp_path / "m.safetensors", words=["a", "b"]).meta) == STATED


@pytest.mark.parametrize(
    ("header", "license"),
    [
        ("license: mit", "mit"),
        ("license: 'mit' # a comment", "mit"),
        ('license: "my\\u0020terms"', "my terms"),
        ("license: other\nlicense_name: my-terms", "my-terms"),
        ("license: [mit, apache-2.0]", "mit AND apache-2.0"),
        ("license:\n- mit\n- apache-2.0\ntags: [x]", "mit AND apache-2.0"),
        ("license:\n  - mit\ntags: [x]", "mit"),
        ("license: unknown", None),
        ("tags: [license]", None),
        ("license: [", None),
        ('license: "\\ud800"', None),
        ('license: "GPL, version 3"', "GPL, version 3"),
    ],
)
def test_card_states_license(tmp_path, header, license):  # noqa: A002
    (tmp_path / "README.md").write_text(f"---\nlibrary_name: x\n{header}\n---\nlicense: gpl\n", encoding="utf-8")
    assert read_card(tmp_path).get("license") == license


def test_card_without_header_states_nothing(tmp_path):
    assert read_card(tmp_path) == {}
    (tmp_path / "README.md").write_bytes(b"license: mit\n\xff")
    assert read_card(tmp_path) == {}


def test_spacy_pipeline_states_them(tmp_path):
    stated_vectors({}).save(tmp_path / "v", "spaCy")
    meta = {"lang": "en", "license": LICENSE, "url": SOURCE, "vectors": {"width": 4}}
    (tmp_path / "v" / "meta.json").write_text(json.dumps(meta))
    assert stated(load(tmp_path / "v").meta) == STATED
    (tmp_path / "v" / "meta.json").write_text("[1")
    assert "license" not in load(tmp_path / "v").meta


HOSTILE = ["x" * 10_000_000, "MIT\x1b[31m\x00\n\u202eTIM", "\udcff", 7, None, ["MIT"], {"a": 1}, ""]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_stated_text_is_printable_and_bounded(text):
    for value in attribution({"license": text, "source": text}).values():
        assert value.isprintable()
        assert len(value) <= LONGEST


@pytest.mark.parametrize(
    "source", ["/home/me/v.txt", "v.txt", "file:///v", "javascript:x", "https://", "https://[", "https://x y", "http:"]
)
def test_source_must_be_web_address(source):
    assert attribution({"source": source}) == {}


@pytest.mark.parametrize("form", ["Parquet", "Arrow", "npz", "spaCy", "native"])
def test_hostile_license_in_file_is_bounded_where_printed(tmp_path, form):
    target = tmp_path / KEEPING[form]
    hostile = "MIT\x1b[31m\n" + "x" * 1_000_000
    vectors = stated_vectors({})
    if form == "Parquet" or form == "Arrow":
        table = pa.table(vectors).replace_schema_metadata({"license": hostile})
        if form == "Parquet":
            pa.parquet.write_table(table, target)
        else:
            with pa.ipc.new_file(target, table.schema) as sink:
                sink.write_table(table)
    elif form == "npz":
        np.savez(target, words=np.array(["a"]), matrix=np.ones((1, 2), "f4"), license=np.array(hostile))
    elif form == "spaCy":
        vectors.save(target, form)
        (target / "meta.json").write_text(json.dumps({"license": hostile}))
    else:
        vectors.save(target, form)
        safe = safetensors.numpy.load_file(target)
        with safetensors.safe_open(target, "np") as file:
            metadata = file.metadata()
        metadata["meta"] = json.dumps(
            {"license": hostile[:2500], "source": 3}
        )  # the first page of the file names the format
        safetensors.numpy.save_file(safe, target, metadata)
    shown = str(info(target))
    assert "\x1b" not in shown
    assert len(shown) < 2000
    assert len(load(target).meta.get("license", "")) <= LONGEST
