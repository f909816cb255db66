"""Translate words by mapping one space of vectors onto another.

    python examples/translate_words.py [SOURCE TARGET DICTIONARY WORD ...]

SOURCE and TARGET are vector files of two languages. DICTIONARY has one pair of words per line. Without them, the
example describes a toy world of people, animals and food in 20,000 English and 20,000 Japanese sentences. The
sentences are not translations of each other, but words with the same meaning are used in the same way. The example
trains vectors for each language, learns a map from half of the dictionary and translates the other half.
"""

from __future__ import annotations

import sys

import numpy as np
from gensim.models import Word2Vec

import vecload

PEOPLE = {"grandmother": "祖母", "grandfather": "祖父", "teacher": "先生", "student": "学生", "doctor": "医者"}
ANIMALS = {"cat": "猫", "dog": "犬", "horse": "馬", "cow": "牛", "bird": "鳥", "rabbit": "兎", "monkey": "猿"}
FOODS = {"fish": "魚", "rice": "米", "bread": "パン", "apple": "林檎", "egg": "卵", "tea": "お茶", "carrot": "人参"}
PLACES = {"house": "家", "garden": "庭", "school": "学校", "river": "川", "market": "市場", "forest": "森"}
TASTES = {"eats": "食べる", "buys": "買う", "finds": "見つける", "likes": "好む", "brings": "運ぶ", "hides": "隠す"}
MOODS = {"old": "古い", "small": "小さい", "white": "白い", "good": "良い", "warm": "温かい", "new": "新しい"}

PAIRS = PEOPLE | ANIMALS | FOODS | PLACES | TASTES | MOODS
"""The dictionary: English words and their Japanese translations."""

_SUBJECTS = [*PEOPLE, *ANIMALS]


def worlds() -> dict[str, np.ndarray]:
    """Return the probabilities of verbs, foods, places and adjectives: one table each."""
    rng = np.random.default_rng(0)

    def table(rows: int, columns: int) -> np.ndarray:
        return rng.dirichlet(np.full(columns, 0.3), rows)

    return {
        "verb": table(len(_SUBJECTS), len(TASTES)),
        "food": table(len(_SUBJECTS) * len(TASTES), len(FOODS)),
        "place": table(len(_SUBJECTS), len(PLACES)),
        "mood": table(len(FOODS), len(MOODS)),
    }


def events(count: int, seed: int) -> list[tuple[str, str, str, str, str]]:
    """Return random events as English words: subject, verb, adjective, food and place."""
    tables, rng = worlds(), np.random.default_rng(seed)
    found = []
    for subject in rng.integers(len(_SUBJECTS), size=count).tolist():
        verb = int(rng.choice(len(TASTES), p=tables["verb"][subject]))
        food = int(rng.choice(len(FOODS), p=tables["food"][subject * len(TASTES) + verb]))
        place = int(rng.choice(len(PLACES), p=tables["place"][subject]))
        mood = int(rng.choice(len(MOODS), p=tables["mood"][food]))
        words = [*TASTES][verb], [*MOODS][mood], [*FOODS][food], [*PLACES][place]
        found.append((_SUBJECTS[subject], *words))
    return found


def english(event: tuple[str, ...]) -> list[str]:
    """Say an event in English."""
    subject, verb, mood, food, place = event
    return ["the", subject, verb, mood, food, "in", "the", place]


def japanese(event: tuple[str, ...]) -> list[str]:
    """Say an event in Japanese, which has the verb at the end."""
    subject, verb, mood, food, place = (PAIRS[word] for word in event)
    return [subject, "が", place, "で", mood, food, "を", verb]


def train(sentences: list[list[str]]) -> vecload.Vectors:
    """Train word vectors on tokenized sentences."""
    model = Word2Vec(sentences, vector_size=24, window=8, sg=1, epochs=3, workers=1, seed=1)
    return vecload.Vectors.from_gensim(model.wv)


def main() -> None:
    """Learn a map from half of a dictionary and print translations of the other half."""
    if len(sys.argv) > 4:
        source, target = (vecload.load(name, limit=200_000) for name in sys.argv[1:3])
        known, asked = sys.argv[3], sys.argv[4:]
    else:
        source = train([english(event) for event in events(20_000, seed=1)])
        target = train([japanese(event) for event in events(20_000, seed=2)])
        pairs = list(PAIRS.items())
        known, asked = pairs[::2], [word for word, _ in pairs[1::2]]
    space_map = vecload.map_spaces(source, target, pairs=known)
    mapped, common = space_map.apply(source), space_map.apply_target(target)
    print(f"{len(source)} and {len(target)} words, {len(asked)} to translate")
    right = 0
    for word in asked:
        nearest = common.neighbors(mapped[word], k=3)
        right += nearest[0][0] == PAIRS.get(word)
        print(f"  {word:<12}" + "  ".join(f"{other} {cosine:.2f}" for other, cosine in nearest))
    if len(sys.argv) <= 4:
        print(f"{right} of {len(asked)} right")


if __name__ == "__main__":
    main()
