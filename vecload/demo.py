"""Demo for the command line: from a text corpus to a fine-tuned layer, with data that is part of gensim."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vecload.alignment import align
from vecload.errors import require
from vecload.loading import info, load
from vecload.vocab import Vocab

if TYPE_CHECKING:
    from collections.abc import Callable

    from vecload.layers import PartialEmbedding

_STEPS = 60
_QUERIES = ("government", "police", "cricket")
_NEXT = """
Next, try:
   vecload catalog --lang en                      list public files of word vectors
   vecload neighbors glove.6B.50d frog toad       download one, and look up the nearest words
   vecload report glove.6B.50d -o page.html       explore it in a browser"""


def run(say: Callable[[str], None]) -> None:
    """Train small vectors, save them as text, load and align them, and fine-tune a layer.

    Parameters
    ----------
    say
        Called with each line to show.

    Raises
    ------
    MissingDependencyError
        If gensim, which has the corpus, is not installed.
    """
    word2vec = require("gensim.models.word2vec", "gensim")
    folder = Path(require("gensim.test.utils", "gensim").datapath(""))
    corpus = (folder / "lee_background.cor").read_text(encoding="utf-8").lower()
    texts = [" ".join(re.findall(r"[a-z0-9]+", line)) for line in corpus.split("\n")]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "lee.50d.txt"
        say("1. Train 50-dimensional vectors on the Lee corpus with gensim (300 news texts) and save them as text.")
        model = word2vec.Word2Vec(
            [text.split() for text in texts], vector_size=50, min_count=3, epochs=40, workers=1, seed=1
        )
        model.wv.save_word2vec_format(str(file))

        say("\n2. vecload.info(file)")
        say(_indent(info(file)))

        # The first call may compile kernels, which are cached on disk.
        load(file)
        begin = time.perf_counter()
        vectors = load(file)
        say(f"\n3. vecload.load(file), {1000 * (time.perf_counter() - begin):.0f} ms\n   {vectors!r}")
        for query in _QUERIES:
            say(f"   nearest to {query!r}: {', '.join(word for word, _ in vectors.neighbors(query, 4))}")

        say("\n4. vecload.align(file, vocab, oov=['casefold', 'normal'])")
        vocab = Vocab.from_texts(texts, min_freq=2, specials=["<pad>", "<unk>"])
        aligned = align(file, vocab, oov=["casefold", "normal"])
        say(_indent(aligned.coverage))
        say(f"   most frequent words not found: {', '.join(word for word, _ in aligned.coverage.missing(6))}")

    say("\n5. aligned.embedding(): fine-tune it to tell words of sport from words of government")
    _fine_tune(aligned.embedding(), vocab, say)
    say(_NEXT)


def _indent(value: object) -> str:
    return "\n".join("   " + line for line in str(value).splitlines())


def _fine_tune(layer: torch.nn.Embedding | PartialEmbedding, vocab: Vocab, say: Callable[[str], None]) -> None:
    sport = "cricket match test team players wicket tour captain win play".split()
    state = "government minister president prime federal cabinet parliament leader party election".split()
    known = [(word, label) for label, words in enumerate((sport, state)) for word in words if word in vocab]
    rows = torch.from_numpy(vocab.encode([word for word, _ in known]))
    labels = torch.tensor([label for _, label in known])
    torch.manual_seed(0)
    model = torch.nn.Sequential(layer, torch.nn.Linear(layer.embedding_dim, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(_STEPS + 1):
        scores = model(rows)
        loss = torch.nn.functional.cross_entropy(scores, labels)
        if step % 20 == 0:
            right = int((scores.argmax(1) == labels).sum())
            say(f"   step {step:>2}: loss {loss.item():.3f}, {right} of {len(labels)} right")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert layer.padding_idx is not None
    say(f"   the padding row after training: largest value {layer.weight[layer.padding_idx].abs().max().item()}")
