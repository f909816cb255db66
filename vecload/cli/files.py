"""Commands about files of vectors: `info`, `embed`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(file: Annotated[str, typer.Argument(metavar="FILE", help="A file of word vectors.")]) -> None:
    """Show format, rows, dimension and norms of a file.

    Looks at the first rows only, so it takes a second whatever the size.

    Example: vecload info glove.6B.zip/glove.6B.50d.txt
    """
    from vecload import loading

    typer.echo(str(loading.info(file)))


def embed(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of word vectors.")],
    vocab: Annotated[
        Path, typer.Option(metavar="WORDS", help="The vocabulary: one word a line, or a .json that `Vocab.save` wrote.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The .safetensors file to write.")],
    oov: Annotated[
        str,
        typer.Option(
            metavar="STEPS",
            help="What to try for words the file does not have, in this order: casefold, nfc, nfkc, digits; then one "
            "of normal, uniform, xavier, kaiming, zeros, mean.",
        ),
    ] = "normal",
    pad: Annotated[str | None, typer.Option(metavar="WORD", help="The padding word: its row is zero.")] = None,
    unk: Annotated[str | None, typer.Option(metavar="WORD", help="The word that stands for unknown ones.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random rows.")] = 0,
    missing: Annotated[int, typer.Option(metavar="K", help="List the K most frequent words not found.")] = 10,
) -> None:
    """Write the embedding matrix of a vocabulary.

    OUT is the file a training script loads: it holds the matrix (`weight`), the words, where each row comes from and
    the coverage. Read it with vecload.Aligned.load(OUT), or with safetensors alone.

    Example: vecload embed glove.6B.50d.txt --vocab words.txt --oov casefold,normal -o embedding.safetensors
    """
    from vecload import alignment
    from vecload.vocab import Vocab

    words = Vocab.load(vocab)
    if pad is not None or unk is not None:
        words = words.with_specials(pad=pad, unk=unk)
    aligned = alignment.align(file, words, oov=[step.strip() for step in oov.split(",")], seed=seed)
    aligned.save(output)
    typer.echo(str(aligned.coverage))
    absent = aligned.coverage.missing(missing)
    if absent:
        typer.echo("not found: " + " ".join(word for word, _ in absent))
    typer.echo(f"{output}: {len(aligned.matrix):,} x {aligned.matrix.shape[1]} {aligned.matrix.dtype}")


def demo() -> None:
    """See the whole way once, with no download.

    Trains small vectors on a corpus that gensim ships, loads and aligns them, initialises a layer and fine-tunes it.
    """
    from vecload import demo as shown

    shown.run(typer.echo)


COMMANDS = (info, embed, demo)
