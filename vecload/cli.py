"""The command line. Arguments are read first; the rooms that do the work are imported after.

Exit codes: 0 done, 1 the file or the data is not what it should be, 2 the command was used wrongly.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="vecload",
    help="""Files of pretrained word vectors, ready for a model.

    FILE is a GloVe, word2vec text or fastText .vec file, plain or packed with gzip, bzip2, xz, zstd or zip; what it is,
    is told from its bytes. `-` is standard input, `archive.zip/member` one file of several.
    """,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_BAD_DATA = 1
_BAD_USE = 2


@app.command()
def info(file: Annotated[str, typer.Argument(metavar="FILE", help="A file of word vectors.")]) -> None:
    """Show format, rows, dimension and norms of a file.

    Looks at the first rows only, so it takes a second whatever the size.

    Example: vecload info glove.6B.zip/glove.6B.50d.txt
    """
    from vecload import loading

    typer.echo(str(loading.info(file)))


@app.command()
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


@app.command()
def demo() -> None:
    """See the whole way once, with no download.

    Trains small vectors on a corpus that gensim ships, loads and aligns them, initialises a layer and fine-tunes it.
    """
    from vecload import demo as shown

    shown.run(typer.echo)


def main() -> None:
    """Run the command line, with errors as one paragraph."""
    from vecload.errors import MissingExtra, OptionError, VecloadError

    try:
        app()
    except (OptionError, MissingExtra) as error:
        _stop(error, _BAD_USE)
    except VecloadError as error:
        _stop(error, _BAD_DATA)
    except BrokenPipeError:  # `vecload info ... | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BAD_DATA)
    except OSError as error:
        _stop(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), _BAD_USE)


def _stop(error: object, code: int) -> None:
    typer.echo(f"vecload: {error}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
