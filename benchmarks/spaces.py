"""Time neighbors, analogies, CSLS and mapping; compare with gensim and torch.

    python benchmarks/spaces.py [glove.6B.50d.txt] [--quick]

Every case runs in a separate process, alternating with the other libraries. Loading vectors and computing norms is not
timed. gensim answers fewer questions, and its time is scaled up. Without a file, one with the shape of glove.6B.50d is
generated, and analogies, self-learning and least squares are skipped.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import generate, in_turn, run
from record import ahead, arguments, higher, lower, row, title, topic
from tokenizers import Tokenizer

import vecload
from vecload.evaluation import induction
from vecload.tokenizers.token_forms import token_forms

LOAD = """
import numpy as np, vecload
vectors = vecload.load(path)
vectors.norms
words = list(vectors.words)[::len(vectors) // 1000][:1000]
"""
GENSIM = (
    LOAD
    + """
from gensim.models import KeyedVectors
peer = KeyedVectors(vectors.dim, len(vectors))
peer.index_to_key = list(vectors.words)
peer.key_to_index = {word: at for at, word in enumerate(peer.index_to_key)}
peer.vectors = np.array(vectors.matrix)
peer.fill_norms()
"""
)
TORCH = (
    LOAD
    + """
import torch
matrix = torch.from_numpy(vectors.matrix / vectors.norms[:, None])
queries = torch.from_numpy(vectors[words] / np.linalg.norm(vectors[words], axis=1, keepdims=True))
"""
)
NEIGHBORS = {
    "vecload, 1,000 words in one call": LOAD + "run = lambda: vectors.neighbors(words, 10)",
    "torch, product and topk": TORCH + "run = lambda: torch.topk(queries @ matrix.T, 10)",
    "gensim, one call per word": GENSIM + "run = lambda: [peer.most_similar(word) for word in words[::10]]",
}
DRAWN = """
import numpy as np, vecload
rows = np.random.default_rng(0).standard_normal((ROWS, 300), dtype=np.float32)
norms = np.linalg.norm(rows, axis=1)
asked = rows[:: len(rows) // 1000][:1000].copy()
"""
LARGE = {
    "vecload, 1,000 vectors in one call": DRAWN
    + "run = lambda: vecload.search.nearest(rows, asked, 10, norms=norms, progress=False)",
    "torch, product and topk": DRAWN
    + """
import torch
matrix = torch.from_numpy(rows / norms[:, None])
queries = torch.from_numpy(asked / np.linalg.norm(asked, axis=1, keepdims=True))
run = lambda: torch.topk(queries @ matrix.T, 10)
""",
}
QUESTIONS = """
from vecload import evaluation
some = evaluation.read_analogies("questions-words")
some = evaluation.Analogies("some", tuple((name, quadruples[::{step}]) for name, quadruples in some.sections))
protocol = evaluation.Protocol("all", case="fold", limit=400_000)
"""
ANALOGIES = {
    "vecload": LOAD
    + QUESTIONS
    + "run = lambda: evaluation.analogies(vectors, some, protocol=protocol, progress=False)",
    "gensim": GENSIM
    + QUESTIONS
    + """
import tempfile
file = tempfile.NamedTemporaryFile("w", suffix=".txt")
for name, quadruples in some.sections:
    file.write(f": {{name}}\\n" + "".join(" ".join(one) + "\\n" for one in quadruples))
file.flush()
run = lambda: peer.evaluate_word_analogies(file.name, restrict_vocab=400_000)
""",
}
CSLS = """
import numpy as np, vecload
rng = np.random.default_rng(0)
def random_spaces(rows):
    words = vecload.Words.from_strings(map(str, range(rows)))
    return (vecload.Vectors(words, rng.standard_normal((rows, dim), dtype=np.float32)) for _ in range(2))
vecload.search.csls(*random_spaces(100), k=1)
# Generating the vectors takes 1 % of the time, and their memory counts.
def run(): vecload.search.csls(*random_spaces({rows}), k=1)
"""


def neighbors(path: Path, turns: int) -> None:
    title("neighbors", "Ten neighbors of 1,000 words among all", "", lower("seconds"), ahead("× vecload"))
    rounds = {"vecload, 1,000 words in one call": 3, "torch, product and topk": 3, "gensim, one call per word": 1}
    best = in_turn({name: (NEIGHBORS[name], count) for name, count in rounds.items()}, path, 50, turns)
    # It answered a tenth of the questions.
    best["gensim, one call per word"] *= 10
    for name, seconds in best.items():
        row(name, f"{seconds:.2f}", f"{seconds / best['vecload, 1,000 words in one call']:.2f}")


def large_neighbors(rows: int, turns: int) -> None:
    title(
        "large_neighbors",
        f"Ten neighbors of 1,000 vectors among {rows:,} × 300, drawn at random",
        "", lower("seconds"), ahead("× vecload"),
    )  # fmt: skip
    cases = {name: (setup.replace("ROWS", str(rows)), 2) for name, setup in LARGE.items()}
    best = in_turn(cases, Path(), 300, turns)
    for name, seconds in best.items():
        row(name, f"{seconds:.2f}", f"{seconds / next(iter(best.values())):.2f}")


def analogies(path: Path, turns: int, step: int) -> None:
    title("analogies", "questions-words.txt, limit 400,000", "", lower("seconds per analogy"), ahead("× vecload"))
    steps = {"vecload": step, "gensim": 40 * step}
    best = {}
    for name, every in steps.items():
        case = {name: (ANALOGIES[name].replace("{step}", str(every)).replace("{{", "{").replace("}}", "}"), 1)}
        best[name] = in_turn(case, path, 50, turns)[name] / (19_544 / every)
    for name, seconds in best.items():
        row(name, f"{seconds:.5f}", f"{seconds / best['vecload']:.0f}")


def csls(sizes: tuple[int, ...]) -> None:
    title(
        "csls",
        "CSLS of all rows with all, dimension 300",
        *("rows × rows", lower("seconds"), lower("seconds / (rows / 10,000)²"), lower("peak, MB")),
    )
    for rows in sizes:
        seconds, peak, _ = run(CSLS.format(rows=rows), Path(), 300, 1)
        row(f"{rows:,}", f"{seconds:.1f}", f"{seconds / (rows / 10_000) ** 2:.2f}", f"{peak / 1e6:.0f}")
    row("200,000, extrapolated from the last line", f"{seconds * (200_000 / rows) ** 2:.0f}", "", "")


MAPPING = """
import numpy as np, vecload
from vecload import Vectors, Words
rng = np.random.default_rng(0)
rows = rng.normal(size=(200_000, 300)).astype(np.float32)
words = Words.from_strings(map(str, range(len(rows))))
source, target = Vectors(words, rows), Vectors(words, np.roll(rows, 1, axis=1))
pairs = [(str(at), str(at)) for at in range(5000)]
"""
PROCRUSTES = {
    "normalized, 200,000 words per side": MAPPING
    + "run = lambda: vecload.map_spaces(source, target, pairs=pairs, normalize=['unit', 'center', 'unit']).matrix",
    "not normalized": MAPPING + "run = lambda: vecload.map_spaces(source, target, pairs=pairs, normalize=[]).matrix",
}


def mapping(scratch: Path, turns: int) -> None:
    title("procrustes", "Orthogonal Procrustes, 300 dimensions, 5,000 pairs, after loading", "", lower("seconds"))
    for name, seconds in in_turn({name: (setup, 3) for name, setup in PROCRUSTES.items()}, scratch, 300, turns).items():
        row(name, f"{seconds:.2f}")


def wordllama() -> vecload.Vectors:
    """Return the vectors of whole words that the package wordllama has: tokens of a space and lowercase letters."""
    from safetensors.numpy import load_file

    folder = Path(importlib.util.find_spec("wordllama").origin).parent
    table = next(iter(load_file(next(folder.rglob("*_256.safetensors"))).values()))
    forms = token_forms(Tokenizer.from_file(str(next(folder.rglob("*_tokenizer_config.json")))))
    words = {
        text[1:].decode(): row
        for row, text in enumerate(forms.texts)
        if text and text[:1] == b" " and text[1:].isalpha() and text[1:].islower() and len(text) > 3
    }
    return vecload.Vectors(list(words), table[list(words.values())].astype(np.float32))


def least_squares(path: Path) -> None:
    """Learn a linear map between GloVe and wordllama's vectors, with and without normalization."""
    glove, other = vecload.load(path, limit=50_000), wordllama()
    shared = [word for word in other.words if word in glove]
    spaces = {"GloVe": vecload.Vectors(shared, glove[shared]), "wordllama": vecload.Vectors(shared, other[shared])}
    order = np.random.default_rng(0).permutation(len(shared))
    known, tested = ([(shared[at], shared[at]) for at in part] for part in np.split(order, [4000]))
    title(
        "least_squares",
        f"Least squares between two spaces of {len(shared):,} English words, 4,000 of them known, P@1 of the others",
        *("direction", "normalization", higher("nearest neighbor", portable=True), higher("CSLS", portable=True)),
    )
    for source, target in (("GloVe", "wordllama"), ("wordllama", "GloVe")):
        for steps in ((), ("unit", "center", "unit")):
            given = spaces[source], spaces[target]
            space = vecload.map_spaces(*given, pairs=known, method="least-squares", normalize=steps)
            mapped = space.apply(given[0]), space.apply_target(given[1])
            shares = [induction(*mapped, tested, retrieval=kind).precision[1] for kind in ("nn", "csls")]
            row(f"{source} → {target}", ", ".join(steps) or "none", *(f"{share:.1%}" for share in shares))


def unsupervised(path: Path, seeds: int) -> None:
    """Map the 4,000 most frequent words to a rotated, shuffled copy with noise, without a dictionary.

    The noise has a fifth of the standard deviation of the values.
    """
    title(
        "self_learning",
        "Self-learning without a dictionary: a rotation of real vectors",
        *("seed", higher("P@1, nearest neighbor", portable=True), lower("seconds")),
    )
    glove = vecload.load(path, limit=4000)
    pairs = [(word, word) for word in glove]
    for seed in range(seeds):
        begin = time.perf_counter()
        rng = np.random.default_rng(seed)
        rotation = np.linalg.qr(rng.normal(size=(glove.dim, glove.dim)))[0]
        other = glove.matrix @ rotation + 0.2 * glove.matrix.std() * rng.normal(size=glove.matrix.shape)
        order = rng.permutation(len(glove))
        target = vecload.Vectors(glove.words.take(order), other[order].astype(np.float32))
        found = vecload.map_spaces(glove, target, pairs="unsupervised", method="self-learning", seed=seed)
        share = induction(found.apply(glove), found.apply_target(target), pairs, retrieval="nn").precision[1]
        row(seed, f"{100 * share:.1f}%", f"{time.perf_counter() - begin:.0f}")


def main() -> None:
    real = ("analogies", "self_learning", "least_squares")  # these need words
    parts = ("neighbors", "large_neighbors", "analogies", "csls", "procrustes", "self_learning", "least_squares")
    chosen = arguments(__doc__, parts, "one turn, an eighth of the analogies, small CSLS", file="glove.6B.50d.txt")
    turns = 1 if chosen.quick else 3
    packages = ("vecload", "numpy", "numba", "gensim", "torch")
    with topic("spaces", chosen, *packages), tempfile.TemporaryDirectory() as scratch:
        path = chosen.file or generate(Path(scratch) / "glove.6B.50d.txt", 400_000, 50, 5)
        measures = {
            "neighbors": lambda: neighbors(path, turns),
            "large_neighbors": lambda: large_neighbors(100_000 if chosen.quick else 1_000_000, turns),
            "analogies": lambda: analogies(path, turns, 8 if chosen.quick else 1),
            "csls": lambda: csls((5_000, 10_000, 20_000) if chosen.quick else (10_000, 20_000, 40_000)),
            "procrustes": lambda: mapping(Path(scratch), turns),
            "self_learning": lambda: unsupervised(path, 1 if chosen.quick else 10),
            "least_squares": lambda: least_squares(path),
        }
        for name in chosen.only:
            if chosen.file or name not in real:
                measures[name]()
            else:
                print(f"\n{name}: skipped, because it needs the file glove.6B.50d.txt")


if __name__ == "__main__":
    main()
