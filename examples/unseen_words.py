"""Compose vectors for unseen words (typos, compounds, Japanese) from the character n-grams of fastText.

    python examples/unseen_words.py [MODEL [WORD...]]

MODEL is a fastText .bin file, or a catalog name such as fasttext:cc.ja.300.bin. Without it, the example trains two
small models with gensim: an English one on news texts, and a Japanese one on the sentences in this file, which are
just enough to show how words share characters. For each word it prints whether the model has the word, some of the
n-grams whose mean is its vector, and the nearest words.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import vecload

ENGLISH = ("goverment", "australlian", "terrrorist", "firefighting", "policewoman")
JAPANESE = ("京都大学院", "新大阪駅", "電気自動車")
SENTENCES = """
京都 の 大学 で 学生 が 研究 する
京都大学 の 学生 が 研究 を 発表 する
東京大学 の 教授 が 研究 を 発表 する
大学院 の 学生 と 教授 が 論文 を 書く
大阪 の 駅 で 電車 に 乗る
大阪駅 で 電車 を 待つ
東京駅 から 新幹線 に 乗る
自動車 の 会社 が 電気 の 車 を 売る
自動車 は 電気 で 走る
電車 は 電気 で 走る
""".split("\n")


def main() -> None:
    """Run the example."""
    if sys.argv[1:]:
        model, *asked = sys.argv[1:]
        show(vecload.load(model), asked or [*ENGLISH, *JAPANESE])
        return
    with tempfile.TemporaryDirectory() as folder:
        for words, sentences, ngrams in ((ENGLISH, news(), (4, 5)), (JAPANESE, japanese(), (1, 2))):
            file = Path(folder) / "model.bin"
            train(sentences, file, ngrams)
            show(vecload.load(file), words)


def show(vectors: vecload.Vectors, words: list[str] | tuple[str, ...]) -> None:
    """Print each word with its n-grams and nearest neighbors."""
    if vectors.ngrams is None:
        sys.exit(f"{vectors} has no n-grams; use a fastText .bin file")
    print(f"{len(vectors):,} words, n-grams of {vectors.ngrams.minn} to {vectors.ngrams.maxn} characters")
    for word in words:
        grams = vectors.ngrams.ngrams(word)
        known = (
            "in the vocabulary" if word in vectors else f"unseen, {len(grams)} n-grams such as {' '.join(grams[1:4])}"
        )
        near = ", ".join(f"{other} {score:.2f}" for other, score in vectors.neighbors(word, 3))
        print(f"  {word}: {known}\n    near {near}")


def train(sentences: list[list[str]], file: Path, ngrams: tuple[int, int]) -> None:
    """Train a model with gensim and write it in the format of fastText."""
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model

    shortest, longest = ngrams
    model = FastText(
        sentences, vector_size=100, min_count=2, min_n=shortest, max_n=longest, bucket=50_000,
        sg=1, epochs=20, seed=1, workers=1,
    )  # fmt: skip
    save_facebook_model(model, str(file))


def news() -> list[list[str]]:
    """Return the 300 news texts that gensim ships (Lee, Pincombe and Welsh 2005)."""
    from gensim.test.utils import datapath
    from gensim.utils import tokenize

    return [
        list(tokenize(line, lowercase=True))
        for line in Path(datapath("lee_background.cor")).read_text("latin-1").splitlines()
    ]


def japanese() -> list[list[str]]:
    """Return the Japanese sentences, repeated often enough for training."""
    return [line.split() for line in SENTENCES if line] * 20


if __name__ == "__main__":
    main()
