"""Valid inputs for every reader, written by the libraries that own the formats if these are installed."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import pickle
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import vecload
from tests.builders import random_rows, small_vectors
from tests.formats.test_finalfusion import file_of as finalfusion
from tests.formats.test_magnitude import saved as magnitude
from tests.fuzz.inputs import Input, from_file, from_folder
from vecload import NgramTable, Vectors

WORDS = ["the", "cat", "北海道", "é", "🙂", "of", "w5", "w7", "a-b", "New_York", "0", "dog"]
TEXTS = [["human", "interface", "computer"], ["survey", "user", "北海道", "é"], ["user", "human", "trees"]] * 3
DIM = 4

VECTORS = small_vectors(WORDS, DIM)

Maker = Callable[[Path], Iterator[Input]]
_MAKERS: dict[str, list[Maker]] = {}


def _seeds_of(*readers: str, needs: str | None = None) -> Callable[[Maker], Maker]:
    """Register a function that yields seeds for readers, if the package it needs is installed."""

    def register(make: Maker) -> Maker:
        for reader in readers:
            if needs is None or find_spec(needs) is not None:
                _MAKERS.setdefault(reader, []).append(make)
        return make

    return register


def readers() -> list[str]:
    """Return the names of all readers that have seeds."""
    return sorted(_MAKERS)


@functools.cache
def seeds(reader: str) -> tuple[Input, ...]:
    """Return the seeds of a reader."""
    found = []
    for make in _MAKERS[reader]:
        with tempfile.TemporaryDirectory() as folder:
            found += [seed for seed in make(Path(folder)) if seed.reader == reader]
    return tuple(found)


def ngram_tables() -> Iterator[NgramTable]:
    """Yield every kind of n-gram table."""
    rows = random_rows(50, DIM, seed=1)
    yield NgramTable(rows, minn=3, maxn=6)
    yield NgramTable(rows[:8], minn=2, maxn=4, bucket=50, kept=np.array([[n * 6, n] for n in range(8)], dtype=np.int32))
    yield NgramTable(rows, minn=2, maxn=3, kind="floret", hash_count=2)


def _saved(folder: Path, reader: str, name: str, form: str, vectors: Vectors, **options: object) -> Input:
    path = folder / name
    vectors.save(path, form, **options)  # type: ignore[arg-type]
    return from_file(reader, path)


@_seeds_of("text")
def _text(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "text", "a.vec", "word2vec text", VECTORS)
    yield _saved(folder, "text", "b.txt", "glove", VECTORS)
    yield Input("text", {"c.txt": b"the\t0.5\t1e-3\ncat\t-.25\t3\nNew York\t1\t2\n"}, "c.txt")
    yield Input("text", {"d.txt": b"\xef\xbb\xbf2 3\r\nthe 0.1 0.2 0.3 \r\ncaf\xc3\xa9 1 2 3 \r\n"}, "d.txt")
    yield Input("text", {"e.txt": b"/c/en/cat 1 0 0\n/c/en/dog 0 1 0\n/c/de/katze 0 0 1\n"}, "e.txt")


@_seeds_of("CSV")
def _csv(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "CSV", "a.csv", "CSV", VECTORS)
    yield _saved(folder, "CSV", "b.tsv", "TSV", VECTORS)
    yield Input("CSV", {"c.csv": b',0,1\r\n"a,b",0.1,-2e-3\r\n"say ""hi""",.5,1\r\n"x\ny",1,2\r\n'}, "c.csv")
    yield Input("CSV", {"d.csv": b'word,vector\ncat,"[0.1, 0.2]"\ndog,"[0.3\n 0.4]"\n'}, "d.csv")


@_seeds_of("JSON")
def _json(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "JSON", "a.json", "JSON", VECTORS)
    yield Input("JSON", {"b.json": b'{"a": [0.1, -2e-3],\n "\\u00e9\\ud83d\\ude42": [1, 2], "}": [3, 4]}'}, "b.json")
    yield Input("JSON", {"c.json": b'[{"id": 1, "token": "a", "values": [1, 2]}]'}, "c.json")


@_seeds_of("JSON lines")
def _json_lines(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "JSON lines", "a.jsonl", "JSON lines", VECTORS)


@_seeds_of("PyTorch", needs="torch")
def _pytorch(folder: Path) -> Iterator[Input]:
    import torch

    rows = torch.tensor(VECTORS.matrix)
    numbers = {word: row for row, word in enumerate(WORDS)}
    for name, value in {
        "a.pt": (list(WORDS), numbers, rows, DIM),
        "b.pt": {"emb": rows.T.contiguous().T, "vocab": {"_unit2id": numbers}},
    }.items():
        torch.save(value, folder / name)
        yield from_file("PyTorch", folder / name)
    torch.save((list(WORDS), rows), folder / "c.pt", _use_new_zipfile_serialization=False)
    yield from_file("PyTorch", folder / "c.pt")


@_seeds_of("pickle")
def _pickle(folder: Path) -> Iterator[Input]:
    rows = VECTORS.matrix
    values = [
        dict(zip(WORDS, rows.tolist(), strict=True)),
        (list(WORDS), rows),
        {"vectors": rows, "words": list(WORDS)},
    ]
    for number, value in enumerate(values):
        yield Input("pickle", {f"{number}.pkl": pickle.dumps(value, protocol=2 + number)}, f"{number}.pkl")


@_seeds_of("pickle", needs="joblib")
def _joblib(folder: Path) -> Iterator[Input]:
    import joblib

    joblib.dump((list(WORDS), VECTORS.matrix), folder / "v.joblib")
    yield from_file("pickle", folder / "v.joblib")


@_seeds_of("GloVe binary")
def _glove_binary(folder: Path) -> Iterator[Input]:
    files = {
        "vectors.bin": random_rows(8, DIM + 1, seed=2).astype("<f8").tobytes(),
        "vocab.txt": b"a 4\nb 3\nc 2\nd 1\n",
    }
    yield Input("GloVe binary", files, "vectors.bin")


@_seeds_of("Magnitude")
def _magnitude(folder: Path) -> Iterator[Input]:
    yield from_file("Magnitude", magnitude(folder / "v.magnitude", list(WORDS), VECTORS.matrix))


@_seeds_of("npy")
def _npy(folder: Path) -> Iterator[Input]:
    VECTORS.save(folder / "v.npy")
    yield from_folder("npy", folder, "v.npy")


@_seeds_of("TensorBoard")
def _tensorboard(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "TensorBoard", "board", "TensorBoard", VECTORS)


@_seeds_of("Hugging Face model", needs="tokenizers")
def _hugging_face(folder: Path) -> Iterator[Input]:
    import tokenizers
    from safetensors.numpy import save_file

    vocab = {word: row for row, word in enumerate(WORDS)}
    tokenizers.Tokenizer(tokenizers.models.BPE(vocab, [])).save(str(folder / "tokenizer.json"))
    save_file({"model.embed_tokens.weight": VECTORS.matrix}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    yield from_folder("Hugging Face model", folder)


@_seeds_of("finalfusion")
def _finalfusion(folder: Path) -> Iterator[Input]:
    for kind in ("simple", "bucket", "fasttext", "explicit"):
        quantized = (9, True, True) if kind in ("fasttext", "explicit") else None
        yield Input("finalfusion", {f"{kind}.fifu": finalfusion(kind, quantized=quantized)[0]}, f"{kind}.fifu")


@_seeds_of("floret")
def _floret(folder: Path) -> Iterator[Input]:
    floret = [one for one in ngram_tables() if one.kind == "floret"]
    empty = Vectors(vecload.Words.from_strings([]), np.empty((0, DIM), dtype=np.float32), ngrams=floret[0])
    yield _saved(folder, "floret", "a.floret", "floret", empty)


@_seeds_of("word2vec binary")
def _word2vec(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "word2vec binary", "a.bin", "word2vec binary", VECTORS)


@_seeds_of("word2vec binary", needs="gensim")
def _word2vec_by_gensim(folder: Path) -> Iterator[Input]:
    VECTORS.to_gensim().save_word2vec_format(str(folder / "b.bin"), binary=True)
    yield from_file("word2vec binary", folder / "b.bin")


@_seeds_of("fasttext")
def _fasttext(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "fasttext", "a.bin", "fasttext", small_vectors(WORDS, DIM, ngrams=next(ngram_tables())))


@_seeds_of("fasttext", needs="fasttext")
def _fasttext_by_fasttext(folder: Path) -> Iterator[Input]:
    import fasttext

    corpus = folder / "corpus.txt"
    lines = [f"__label__{'ab'[n % 2]} w{n % 20}語 é{n % 13} word{n % 7}\n" for n in range(400)]
    corpus.write_text("".join(lines), "utf-8")
    # With fewer than ten threads, fastText leaves parts of its matrices uninitialized.
    options = {"dim": 4, "minn": 2, "maxn": 3, "minCount": 1, "epoch": 1, "bucket": 90, "thread": 12, "verbose": 0}
    fasttext.train_unsupervised(str(corpus), **options).save_model(str(folder / "u.bin"))
    fasttext.train_supervised(str(corpus), wordNgrams=2, **options).save_model(str(folder / "s.bin"))
    pruned = fasttext.train_supervised(str(corpus), **{**options, "bucket": 900})
    pruned.quantize(input=str(corpus), qnorm=True, cutoff=300, dsub=2, retrain=True, epoch=1, thread=12, verbose=0)
    pruned.save_model(str(folder / "q.ftz"))
    for name in ("u.bin", "s.bin", "q.ftz"):
        yield from_file("fasttext", folder / name)


@_seeds_of("gensim")
def _gensim(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "gensim", "a.kv", "gensim", VECTORS)


@_seeds_of("gensim", needs="gensim")
def _gensim_by_gensim(folder: Path) -> Iterator[Input]:
    from gensim.models import FastText, Word2Vec

    model = Word2Vec(TEXTS, vector_size=4, min_count=1, epochs=1, seed=1, workers=1)
    for protocol in (0, 2, 4):
        model.wv.save(str(folder / f"{protocol}.kv"), pickle_protocol=protocol)
        yield from_file("gensim", folder / f"{protocol}.kv")
    model.save(str(folder / "m.model"))
    yield from_file("gensim", folder / "m.model")
    apart = folder / "apart"
    apart.mkdir()
    model.wv.save(str(apart / "m.kv"), sep_limit=0)
    yield from_folder("gensim", apart, "m.kv")
    fast = FastText(TEXTS, vector_size=4, min_count=1, epochs=1, seed=1, workers=1, bucket=40)
    fast.wv.save(str(folder / "f.kv"))
    yield from_file("gensim", folder / "f.kv")


@_seeds_of("spaCy")
def _spacy(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "spaCy", "a", "spaCy", VECTORS)
    floret = [one for one in ngram_tables() if one.kind == "floret"]
    empty = Vectors(vecload.Words.from_strings([]), np.empty((0, DIM), dtype=np.float32), ngrams=floret[0])
    yield _saved(folder, "spaCy", "b", "spaCy", empty)


@_seeds_of("spaCy", needs="spacy")
def _spacy_by_spacy(folder: Path) -> Iterator[Input]:
    from spacy.vocab import Vocab

    vocab = Vocab()
    vocab.reset_vectors(width=DIM)
    for word, row in zip(WORDS, VECTORS.matrix, strict=True):
        vocab.set_vector(word, row)
    vocab.to_disk(folder / "vocab")
    yield from_folder("spaCy", folder / "vocab")


@_seeds_of("native")
def _native(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "native", "a.safetensors", "native", VECTORS)
    yield _saved(folder, "native", "b.safetensors", "native", small_vectors(WORDS, DIM, "float64"))
    for number, ngrams in enumerate(ngram_tables()):
        yield _saved(folder, "native", f"n{number}.safetensors", "native", small_vectors(WORDS, DIM, ngrams=ngrams))


@_seeds_of("native", needs="fasttext")
def _native_of_fasttext(folder: Path) -> Iterator[Input]:
    for number, seed in enumerate(seeds("fasttext")):
        vectors = vecload.load(io.BytesIO(seed.files[seed.entry]))
        yield _saved(folder, "native", f"f{number}.safetensors", "native", vectors)


@_seeds_of("npz")
def _npz(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "npz", "a.npz", "npz", VECTORS)
    words = np.array(["the", "cat"])
    for number, arrays in enumerate(
        [
            {"words": words, "vectors": np.eye(2, 3, dtype=np.float32)},
            {"words": np.array([b"the", b"cat"]), "vectors": np.eye(2, 3)},
        ]
    ):
        np.savez(folder / f"{number}.npz", **arrays)
        yield from_file("npz", folder / f"{number}.npz")
    np.savez_compressed(folder / "c.npz", words=words, vectors=np.eye(2, 3, dtype=np.float32))
    yield from_file("npz", folder / "c.npz")


@_seeds_of("Parquet", "Arrow", needs="pyarrow")
def _columns(folder: Path) -> Iterator[Input]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    yield _saved(folder, "Parquet", "a.parquet", "Parquet", VECTORS)
    yield _saved(folder, "Arrow", "a.arrow", "Arrow", VECTORS)
    lists = pa.table({"word": WORDS, "vector": [row.tolist() for row in VECTORS.matrix]})
    pq.write_table(lists, folder / "b.parquet")
    yield from_file("Parquet", folder / "b.parquet")
    with pa.OSFile(str(folder / "b.arrow"), "wb") as file, pa.ipc.new_stream(file, lists.schema) as writer:
        writer.write_table(lists)
    yield from_file("Arrow", folder / "b.arrow")
    with pa.OSFile(str(folder / "c.arrow"), "wb") as file, pa.ipc.new_file(file, lists.schema) as writer:
        writer.write_table(lists)
    yield from_file("Arrow", folder / "c.arrow")


@_seeds_of("static models")
def _static(folder: Path) -> Iterator[Input]:
    yield _saved(folder, "static models", "a", "sentence-transformers", VECTORS)
    yield _saved(folder, "static models", "b", "model2vec", VECTORS)


@_seeds_of("archives")
def _archives(folder: Path) -> Iterator[Input]:
    text = _saved(folder, "text", "a.vec", "word2vec text", VECTORS).files["a.vec"]
    for name, method in (("a.zip", zipfile.ZIP_STORED), ("b.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / name, "w", method) as archive:
            archive.writestr("a.vec", text)
        yield from_file("archives", folder / name)
    for name, mode, form in (("a.tar", "w", tarfile.USTAR_FORMAT), ("b.tar.gz", "w:gz", tarfile.PAX_FORMAT)):
        with tarfile.open(folder / name, mode, format=form) as archive:
            member = tarfile.TarInfo("x" * 150 + "/a.vec" if form == tarfile.PAX_FORMAT else "a.vec")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        yield from_file("archives", folder / name)


@_seeds_of("compression")
def _compression(folder: Path) -> Iterator[Input]:
    text = b"".join(b"w%d 0.5 -1.25 %d\n" % (n, n) for n in range(100))
    packed = {"a.gz": gzip.compress(text, mtime=0), "a.bz2": bz2.compress(text), "a.xz": lzma.compress(text)}
    packed["a.lzma"] = lzma.compress(text, lzma.FORMAT_ALONE)
    if find_spec("zstandard") is not None:
        import zstandard

        packed["a.zst"] = zstandard.compress(text)
    if find_spec("lz4") is not None:
        import lz4.frame

        packed["a.lz4"] = lz4.frame.compress(text)
    for name, data in packed.items():
        yield Input("compression", {name: data}, name)


@_seeds_of("Vocab")
def _vocab(folder: Path) -> Iterator[Input]:
    vocab = vecload.Vocab.from_texts([" ".join(WORDS)] * 2, pad_token="<pad>", unk_token="<unk>", specials=["<s>"])
    vocab.save(folder / "a.json")
    yield from_file("Vocab", folder / "a.json")
    yield Input("Vocab", {"b.txt": "".join(word + "\n" for word in WORDS).encode()}, "b.txt")
    yield Input("Vocab", {"c.txt": b"the 1061396\nof 593677\nand 416629\n"}, "c.txt")
    yield Input("Vocab", {"d.tsv": b"id\tword\tcount\n0\tthe\t7\n1\tcat\t5\n2\tdog\t1\n"}, "d.tsv")
    yield Input("Vocab", {"e.json": b'["the", "cat", "dog"]'}, "e.json")
    yield Input("Vocab", {"f.json": b'{"the": 0, "cat": 1, "dog": 2}'}, "f.json")
    yield Input("Vocab", {"g.txt": "the\ncat\n".encode("utf-16")}, "g.txt")


@_seeds_of("word pairs")
def _pairs(folder: Path) -> Iterator[Input]:
    yield Input("word pairs", {"a.tsv": b"word1\tword2\tscore\nthe\tcat\t1.5\ncat\tdog\t9\n"}, "a.tsv")
    yield Input("word pairs", {"b.txt": b": capital\na b c d\ne f g h\n"}, "b.txt")
    yield Input("word pairs", {"c.csv": b"the,cat,0.5\ncat,dog,1\n"}, "c.csv")


@_seeds_of("dictionary")
def _dictionary(folder: Path) -> Iterator[Input]:
    yield Input("dictionary", {"a.txt": b"the dog\ncat\tcat\nNew York\tNew York\n"}, "a.txt")
    yield Input("dictionary", {"c.json": b'[["the", "dog"], ["cat", "cat"]]'}, "c.json")
    yield Input("dictionary", {"b.txt": "".join(f"{word} {word}\n" for word in WORDS).encode()}, "b.txt")


@_seeds_of("texts")
def _texts(folder: Path) -> Iterator[Input]:
    yield Input("texts", {"a.txt": b"the cat\n\nof the dog\r\n"}, "a.txt")
    yield Input("texts", {"b.jsonl": b'{"text": "the cat"}\n{"text": "a dog", "n": 1}\n'}, "b.jsonl")
    yield Input("texts", {"c.json": b'["the cat", {"text": "a dog"}]'}, "c.json")


@_seeds_of("texts", needs="pyarrow")
def _texts_by_pyarrow(folder: Path) -> Iterator[Input]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["the cat", "a dog", None]}).slice(0, 2), folder / "d.parquet")
    yield from_file("texts", folder / "d.parquet")


@_seeds_of("Aligned")
def _aligned(folder: Path) -> Iterator[Input]:
    vocab = vecload.Vocab.from_words(["cat", "dog", "zebra"], pad_token="<pad>", unk_token="<unk>")
    vecload.align(VECTORS, vocab).save(folder / "a.safetensors")
    yield from_file("Aligned", folder / "a.safetensors")


@_seeds_of("SpaceMap")
def _spacemap(folder: Path) -> Iterator[Input]:
    pairs = [(word, word) for word in WORDS]
    vecload.map_spaces(VECTORS, small_vectors(WORDS, DIM, "float64"), pairs=pairs).save(folder / "a.safetensors")
    yield from_file("SpaceMap", folder / "a.safetensors")


@_seeds_of("pooler")
def _pooler(folder: Path) -> Iterator[Input]:
    texts = [" ".join(text) for text in TEXTS]
    pooler = vecload.SentencePooler(small_vectors(WORDS, DIM, ngrams=next(ngram_tables())), "sif")
    pooler.fit([*texts, "the cat", "the dog"])
    pooler.save(folder / "a")
    yield from_folder("pooler", folder / "a")
    vecload.SentencePooler(VECTORS, "mean", tokenize=re.compile(r"\w+")).save(folder / "b")
    yield from_folder("pooler", folder / "b")
