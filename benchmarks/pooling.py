"""Time sentence vectors with vecload, nn.EmbeddingBag, model2vec, sentence-transformers and gensim.

    python benchmarks/pooling.py [glove.6B.50d.txt] [--quick]

All libraries get the same 400,000 words and rows and the same sentences. A time is the best of several rounds, and the
libraries alternate within each round. The first call of each, which compiles and loads, is not timed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from measure import generate
from record import ahead, arguments, higher, info, lower, note, row, title, topic

import vecload
from vecload.pooling import SentencePooler, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SENTENCES = 100_000
STREAMED = 10_000_000


def sentences(words: list[str], count: int, seed: int = 0) -> Iterator[str]:
    """Yield sentences of 5 to 40 words. Words follow Zipf's law, as in real text."""
    rng = np.random.default_rng(seed)
    shares = np.cumsum(1 / np.arange(1, len(words) + 1))
    while count > 0:
        lengths = rng.integers(5, 41, min(count, 10_000))
        drawn = np.searchsorted(shares, rng.random(int(lengths.sum())) * shares[-1])
        picked = [words[at] for at in drawn.tolist()]
        begin = 0
        for length in lengths.tolist():
            yield " ".join(picked[begin : begin + length])
            begin += length
        count -= len(lengths)


def best(cases: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the best time of each case in seconds. The cases alternate."""
    for case in cases.values():
        case()
    times = dict.fromkeys(cases, float("inf"))
    for _ in range(rounds):
        for name, case in cases.items():
            begin = time.perf_counter()
            case()
            times[name] = min(times[name], time.perf_counter() - begin)
    return times


def rows_to_vectors(vectors: vecload.Vectors, texts: list[str], rounds: int) -> None:
    rows = [vectors.words.lookup(text.split()) for text in texts]
    tokens = torch.from_numpy(np.concatenate(rows))
    lengths = torch.tensor([len(part) for part in rows])
    offsets = lengths.cumsum(0) - lengths
    title(
        "row_numbers",
        "Row numbers → vectors",
        *("mode", info("nn.EmbeddingBag, s"), lower("vecload, s"), ahead("times as fast")),
    )
    weight = torch.tensor(vectors.matrix)
    times = {}
    for mode in ("mean", "sum", "max"):
        theirs = torch.nn.EmbeddingBag.from_pretrained(weight, mode=mode)
        ours = SentencePooler(vectors, mode)
        with torch.no_grad():
            assert torch.equal(ours(tokens, offsets), theirs(tokens, offsets))
            cases = {"theirs": partial(theirs, tokens, offsets), "ours": partial(ours, tokens, offsets)}
            times[mode] = best(cases, rounds)
        row(mode, *(f"{seconds:.4f}" for seconds in times[mode].values()),
            f"{times[mode]['theirs'] / times[mode]['ours']:.2f}")  # fmt: skip
    mean, sif = SentencePooler(vectors), SentencePooler(vectors, "sif").fit(texts)
    with torch.no_grad():
        both = best({"mean": lambda: mean(tokens, offsets), "sif": lambda: sif(tokens, offsets)}, rounds)
    title(
        "sif",
        "SIF compared with mean, on row numbers",
        *("", lower("seconds"), lower("times mean", portable=True)),
    )
    for name, seconds in both.items():
        row(name, f"{seconds:.4f}", f"{seconds / both['mean']:.2f}")


def text_to_vectors(vectors: vecload.Vectors, texts: list[str], rounds: int) -> None:
    mean = SentencePooler(vectors)
    sif = SentencePooler(vectors, "sif").fit(texts)
    cases: dict[str, Callable[[], object]] = {
        "vecload, mean": lambda: mean.encode(texts, progress=False),
        "vecload, SIF": lambda: sif.encode(texts, progress=False),
    }
    cases |= peers(vectors, texts)
    times = best(cases, rounds)
    words = sum(len(text.split()) for text in texts)
    title(
        "raw_text",
        f"Raw text → vectors: {len(texts):,} sentences, {words:,} words, {len(vectors):,} × {vectors.dim}",
        *("", lower("seconds"), higher("sentences/s"), ahead("times vecload's mean"), ahead("times vecload's SIF")),
    )
    for name, seconds in times.items():
        row(name, f"{seconds:.3f}", f"{len(texts) / seconds:,.0f}",
            f"{seconds / times['vecload, mean']:.1f}", f"{seconds / times['vecload, SIF']:.1f}")  # fmt: skip


def peers(vectors: vecload.Vectors, texts: list[str]) -> dict[str, Callable[[], object]]:
    """Return the call of each other library on the same words, rows and sentences."""
    import tokenizers
    from gensim.models import KeyedVectors
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    words = {word: at for at, word in enumerate(vectors.words)}
    words.setdefault("[UNK]", len(words))
    matrix = np.zeros((len(words), vectors.dim), dtype=np.float32)
    matrix[: len(vectors)] = vectors.matrix
    model = tokenizers.models.WordLevel(words, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    static = StaticModel(matrix, tokenizer, config={}, normalize=False)
    embedding = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=matrix)], device="cpu")
    keyed = KeyedVectors(vectors.dim)
    keyed.add_vectors(list(vectors.words), np.array(vectors.matrix))
    few = texts[: len(texts) // 10]

    def gensim() -> None:
        for _ in range(10):  # a tenth of the sentences, ten times: it caches nothing
            for text in few:
                keyed.get_mean_vector(text.split(), pre_normalize=False)

    return {
        "model2vec encode": lambda: static.encode(texts, show_progress_bar=False, use_multiprocessing=False),
        "model2vec encode, its processes": lambda: static.encode(texts, show_progress_bar=False),
        "StaticEmbedding encode": lambda: embedding.encode(texts, batch_size=1024, show_progress_bar=False),
        "gensim get_mean_vector": gensim,
    }


def scaling(vectors: vecload.Vectors, texts: list[str], rounds: int, folder: Path) -> None:
    """Measure speed for several numbers of threads and of Ray workers."""
    title("scaling", "Scaling of the mean, from raw text", "", lower("seconds"), higher("sentences/s"))
    source = folder / "texts.txt"
    source.write_text("\n".join(texts), encoding="utf-8")
    SentencePooler(vectors).save(folder / "pooler")
    code = (
        "import os, sys, time; os.sched_setaffinity(0, range(int(sys.argv[1])))\n"
        "from vecload import SentencePooler\n"
        "pooler = SentencePooler.load(sys.argv[2]); texts = open(sys.argv[3], encoding='utf-8').read().split('\\n')\n"
        "pooler.encode(texts, progress=False); best = 9e9\n"
        f"for _ in range({rounds}):\n"
        "    begin = time.perf_counter(); pooler.encode(texts, progress=False)\n"
        "    best = min(best, time.perf_counter() - begin)\n"
        "print(best)"
    )
    for threads in (1, 2):
        command = [sys.executable, "-c", code, str(threads), str(folder / "pooler"), str(source)]
        seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        row(f"{threads} thread{'s' * (threads > 1)}", f"{seconds:.3f}", f"{len(texts) / seconds:,.0f}")
    import pyarrow
    import pyarrow.parquet
    import ray

    from vecload.distributed import pool_parquet

    parts, repeats = 4, {"few": 1, "many": 6}  # of all texts in each part
    counts = {name: parts * count * len(texts) for name, count in repeats.items()}
    for name, count in repeats.items():
        (folder / name).mkdir()
        table = pyarrow.table({"text": texts * count})
        for part in range(parts):
            pyarrow.parquet.write_table(table, folder / name / f"{part}.parquet")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    for workers in (1, 2):
        seconds = {}
        for name in counts:
            begin = time.perf_counter()
            pool_parquet(str(folder / name), folder / f"{name}{workers}", pooler=folder / "pooler", workers=workers)
            seconds[name] = time.perf_counter() - begin
        label = f"{workers} Ray worker{'s' * (workers > 1)}, Parquet to Parquet"
        row(f"{label}, with the start", f"{seconds['many']:.1f}", f"{counts['many'] / seconds['many']:,.0f}")
        more, longer = counts["many"] - counts["few"], seconds["many"] - seconds["few"]
        row(f"{label}, without it", f"{longer:.1f}", f"{more / longer:,.0f}")
    ray.shutdown()


def streamed(glove: Path, count: int) -> None:
    """Measure peak memory while generated sentences are pooled and written to a file."""
    code = f"import pooling; pooling.stream_all({str(glove.resolve())!r}, {count})"
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=here)
    base, size, peak, seconds = map(float, done.stdout.split())
    title("streamed", f"{count:,} sentences streamed to a .npy file", "", lower("MB"))
    row("words and rows", f"{size / 1e6:.0f}")
    row("imports and sentence maker, before the rows are loaded", f"{base / 1e6:.0f}")
    row("peak", f"{peak / 1e6:.0f}")
    row("peak less words and rows", f"{(peak - size) / 1e6:.0f}")
    note(f"{count / seconds:,.0f} sentences/s, mostly the time of generating sentences")


def stream_all(glove: str, count: int) -> None:
    """Pool generated sentences; `streamed` runs this in a separate process."""

    def peak() -> int:
        """Return the peak memory of this program; getrusage would include that of its parent."""
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    base = peak()
    vectors = vecload.load(glove)
    words = [vectors.words[at] for at in range(0, len(vectors), 40)]
    size = vectors.matrix.nbytes + vectors.words.nbytes
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        files.pool_file(SentencePooler(vectors), sentences(words, count), Path(scratch) / "out.npy", progress=False)
        print(base, size, peak(), time.perf_counter() - begin)


def with_tokenizers(vectors: vecload.Vectors, texts: list[str], rounds: int) -> None:
    """Measure raw text to vectors with tokenizers of other libraries, beside these tokenizers alone."""
    import fugashi
    import sudachipy
    import tokenizers

    pages = [
        path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent.parent / "docs").glob("*.ja.md"))
    ]
    japanese = [line for page in pages for line in page.splitlines() if len(line) > 10 and not line.isascii()]
    japanese *= max(1, len(texts) // 10 // len(japanese))
    sudachi = sudachipy.Dictionary().tokenizer(mode=sudachipy.SplitMode.A)
    tagger = fugashi.Tagger("-Owakati")
    split = {
        "sudachi": lambda: [[word.surface() for word in sudachi.tokenize(text)] for text in japanese],
        "fugashi": lambda: [[word.surface for word in tagger(text)] for text in japanese],
    }
    words = {"[UNK]": 0} | {word: at for at, word in enumerate(vectors.words, 1)}
    subword = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    subword.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    split["Hugging Face tokenizer"] = lambda: subword.encode_batch_fast(texts)
    cases = {}
    for name, alone in split.items():
        known, asked, tokenizer = vectors, texts, subword
        if name in ("sudachi", "fugashi"):
            found = sorted({word for sentence in alone() for word in sentence})
            known = vecload.Vectors(found, np.random.default_rng(0).normal(size=(len(found), 50)).astype(np.float32))
            asked, tokenizer = japanese, name
        pooler = SentencePooler(known, tokenize=tokenizer)
        cases[f"{name} alone"] = alone
        cases[name] = lambda pooler=pooler, asked=asked: pooler.encode(asked, progress=False)
    times = best(cases, rounds)
    title(
        "tokenizers",
        f"Tokenizers of other libraries: {len(japanese):,} Japanese lines, {len(texts):,} English sentences",
        *("", info("tokenizer alone, s"), lower("to vectors, s"), lower("times the tokenizer", portable=True)),
    )
    for name in split:
        alone, whole = times[f"{name} alone"], times[name]
        row(name, f"{alone:.3f}", f"{whole:.3f}", f"{whole / alone:.2f}")


def quality(vectors: vecload.Vectors) -> None:
    """Compute the Spearman correlation with human similarity ratings of 50 news items (Lee, Pincombe and Welsh 2005).

    gensim ships the ratings, and 300 more items to estimate word frequencies from.
    """
    from gensim.test.utils import datapath
    from gensim.utils import simple_preprocess

    from vecload.evaluation.correlation import spearman

    def read(name: str) -> list[str]:
        with Path(datapath(name)).open(encoding="latin-1") as file:
            return [" ".join(simple_preprocess(line)) for line in file]

    items, background = read("lee.cor"), read("lee_background.cor")
    judged = np.loadtxt(datapath("similarities0-1.txt"))
    above = np.triu_indices(len(items), 1)
    title("quality", "Quality: Lee's 50 news items, 1 225 pairs", "", higher("Spearman", portable=True))
    for mode in ("mean", "tfidf", "sif", "usif"):
        pooler = SentencePooler(vectors, mode, normalize=True)
        if mode != "mean":
            pooler.fit([*background, *items])
        made = pooler.encode(items)
        row(mode, f"{spearman((made @ made.T)[above], judged[above]):.3f}")


def main() -> None:
    parts = ("row_numbers", "raw_text", "tokenizers", "quality", "streamed", "scaling")
    chosen = arguments(__doc__, parts, "fewer rounds and sentences", file="glove.6B.50d.txt")
    rounds = 2 if chosen.quick else 5
    packages = ("vecload", "numpy", "numba", "torch", "model2vec", "sentence-transformers", "gensim", "ray")
    with topic("pooling", chosen, *packages), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        glove = chosen.file or generate(folder / "glove.txt", 400_000, 50, 5)
        vectors = vecload.load(glove)
        texts = list(sentences(list(vectors.words), SENTENCES // (10 if chosen.quick else 1)))
        measures = {
            "row_numbers": lambda: rows_to_vectors(vectors, texts, 5 * rounds),  # short runs need more rounds
            "raw_text": lambda: text_to_vectors(vectors, texts, rounds),
            "tokenizers": lambda: with_tokenizers(vectors, texts, rounds),
            "quality": lambda: quality(vectors),
            "streamed": lambda: streamed(glove, STREAMED // (100 if chosen.quick else 1)),
            "scaling": lambda: scaling(vectors, texts, rounds, folder),
        }
        for name in chosen.only:
            if chosen.file or name != "quality":
                measures[name]()
            else:
                print(f"\n{name}: skipped, because it needs the file glove.6B.50d.txt")


if __name__ == "__main__":
    main()
