"""Answer questions: retrieve a passage by sentence vectors, then let a small reader choose the answer in it.

    python examples/answer_questions.py [VECTORS [QUESTION ...]]

The passages describe 120 invented people. Retrieval needs no training: a question and its passage share a
name, and smooth inverse frequency (SIF) gives rare words such as names a high weight. The reader scores every word of
the passage as a candidate. It sees the mean of the question's words, the candidate and its neighbors. It is trained on
questions about 90 people and tested on questions about the other 30. VECTORS is any file that vecload reads. Without
it, the example trains small vectors on news texts that gensim ships.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from gensim.models import Word2Vec
from gensim.test.utils import datapath

import vecload

PEOPLE, TRAINED, STEPS = 120, 90, 300
NAMES = [start + middle + end for start in "BDFGKLMNRTVZ" for middle in ("ali", "eno", "iru", "ova") for end in "krn"]
CITIES = "london paris sydney melbourne brisbane adelaide perth canberra jerusalem washington".split()
JOBS = "doctor teacher farmer lawyer pilot nurse soldier writer engineer minister".split()
YEARS = [str(year) for year in range(1940, 2000)]
QUESTIONS = {
    "city": ["where was {} born", "in which town did {} grow up", "which place does {} come from"],
    "job": ["what is the work of {}", "how does {} earn money", "what does {} do"],
    "year": ["when was {} born", "in which year did the life of {} begin", "how old is {}"],
}
PASSAGES = [
    "{name} was born in {city} in {year} and became a {job}",
    "the {job} {name} comes from {city} and has lived since {year}",
    "{city} is the home of {name} who is a {job} born in {year}",
]


def world() -> list[dict[str, str]]:
    """Return one dictionary per person: name, city, year, job and a passage that states them."""
    rng = np.random.default_rng(0)
    people = []
    for name in rng.permutation(NAMES)[:PEOPLE].tolist():
        person = {"name": name}
        for key, choices in (("city", CITIES), ("year", YEARS), ("job", JOBS)):
            person[key] = str(rng.choice(choices))
        people.append(person | {"passage": str(rng.choice(PASSAGES)).format(**person)})
    return people


def small_vectors() -> vecload.Vectors:
    """Train vectors on the Lee corpus."""
    lines = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").lower().splitlines()
    texts = [line.split() for line in lines]
    return vecload.Vectors.from_gensim(Word2Vec(texts, vector_size=50, min_count=2, epochs=20, workers=1, seed=1).wv)


class Reader(torch.nn.Module):
    """Network with one hidden layer that scores the words of a passage as answers to a question."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = torch.nn.Sequential(torch.nn.Linear(5 * dim, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))

    def forward(self, questions: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (n, length), of `words` (n, length, dim) as answers to `questions` (n, dim)."""
        length = words.shape[1]
        around = torch.nn.functional.pad(words, (0, 0, 2, 1))
        windows = [around[:, shift : shift + length] for shift in range(4)]  # two words before, itself, one after
        return self.score(torch.cat([questions[:, None].expand_as(words), *windows], dim=-1)).squeeze(-1)


class Answerer:
    """Retrieval over passages, and a reader that picks the answer."""

    def __init__(self, vectors: vecload.Vectors, passages: list[str], questions: list[str]) -> None:
        self.passages = [passage.split() for passage in passages]
        vocab = vecload.Vocab.from_texts([*passages, *questions], specials=["<unk>"])
        # The vectors have no names: each name gets its own random row, the same wherever it occurs.
        aligned = vecload.align(vectors, vocab, oov=["casefold", "normal"])
        # Fit the weights on questions too: words that many questions share do not help to find the passage.
        self.pooler = vecload.SentencePooler(aligned, "sif").fit([*passages, *questions])
        self.found = unit(self.pooler.encode(passages))
        # The reader needs words such as "where" and "when", which SIF gives little weight: a plain mean keeps them.
        self.mean = vecload.SentencePooler(aligned, "mean")
        rows = [torch.from_numpy(aligned.matrix[vocab.encode(words)]) for words in self.passages]
        self.rows = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        self.lengths = torch.tensor([len(words) for words in self.passages])
        self.reader = Reader(aligned.matrix.shape[1])

    def retrieve(self, questions: list[str]) -> list[int]:
        """Return the number of the nearest passage for each question."""
        return np.argmax(self.pooler.encode(questions) @ self.found.T, axis=1).tolist()

    def scores(self, questions: list[str], passages: list[int]) -> torch.Tensor:
        """Return a score per word of a passage, one row per question, with -inf after the end of the passage."""
        scores = self.reader(torch.from_numpy(self.mean.encode(questions)), self.rows[passages])
        return scores.masked_fill(torch.arange(scores.shape[1]) >= self.lengths[passages, None], -torch.inf)

    def answer(self, questions: list[str]) -> list[tuple[str, int]]:
        """Return the answer to each question and the number of the passage that contains it."""
        passages = self.retrieve(questions)
        chosen = self.scores(questions, passages).argmax(dim=1).tolist()
        return [(self.passages[passage][word], passage) for passage, word in zip(passages, chosen, strict=True)]


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length one."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Train the reader, and print its progress and some answers."""
    vectors = vecload.load(sys.argv[1], limit=200_000) if len(sys.argv) > 1 else small_vectors()
    people = world()
    cases = [
        (template.format(person["name"]), at, person[key])
        for at, person in enumerate(people)
        for key, templates in QUESTIONS.items()
        for template in templates
    ]
    train, test = ([case for case in cases if (case[1] < TRAINED) == known] for known in (True, False))
    asked, places, wanted = ([case[part] for case in test] for part in range(3))
    answerer = Answerer(vectors, [person["passage"] for person in people], [question for question, _, _ in train])
    right = np.mean(np.array(answerer.retrieve(asked)) == places)
    print(f"{len(people)} passages; the nearest one is the right one for {right:.0%} of {len(test)} questions")
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(answerer.reader.parameters(), lr=3e-3)
    for step in range(STEPS + 1):
        if step % (STEPS // 3) == 0:
            right = np.mean([word == answer for (word, _), answer in zip(answerer.answer(asked), wanted, strict=True)])
            print(f"step {step:>3}: {right:.0%} of the questions about people not seen in training answered right")
        some = [train[at] for at in np.random.default_rng(step).choice(len(train), 32, replace=False)]
        scores = answerer.scores([question for question, _, _ in some], [at for _, at, _ in some])
        targets = torch.tensor([answerer.passages[at].index(answer) for _, at, answer in some])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(scores, targets).backward()
        optimizer.step()
    questions = sys.argv[2:] or asked[:9:4]
    for question, (word, at) in zip(questions, answerer.answer(questions), strict=True):
        print(f"\n{question}?\n  {word}\n  in: {' '.join(answerer.passages[at])}")


if __name__ == "__main__":
    main()
