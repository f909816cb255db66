"""Commands about training: `embed`, which prepares it, and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Dtype, Errors, File, Limit, Oov, Seed, VocabPath, split_list
from vecload.cli.outputs import Force, check_outputs


def embed(
    file: File,
    vocab: VocabPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The .safetensors file to write.")],
    oov: Oov = ["normal"],  # noqa: B006 - typer copies it
    pad_token: Annotated[str | None, typer.Option(metavar="WORD", help="The padding token, whose row is zero.")] = None,
    unk_token: Annotated[
        str | None, typer.Option(metavar="WORD", help="The token that replaces unknown words.")
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    missing: Annotated[int, typer.Option(metavar="K", help="List the K most frequent words not found.")] = 10,
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the embedding matrix of a vocabulary.

    OUT is the file that a training script loads: it holds the matrix (`weight`), the words, the origin of each row and
    the coverage. Read it with vecload.Aligned.load(OUT), or with safetensors alone.

    Example: vecload embed glove.6B.50d.txt --vocab words.txt --oov casefold,normal -o embedding.safetensors
    """
    from vecload import alignment
    from vecload.errors import OptionError
    from vecload.message_text import quote
    from vecload.oov.chain_builder import parse_chain
    from vecload.vocab import Vocab

    steps = split_list(oov)
    parse_chain(steps)  # raises for an unknown step
    check_outputs([file, vocab], force=force, tensors=[output])
    say = messages(quiet=quiet, instead=as_json)
    words = Vocab.load(vocab)
    if pad_token is not None or unk_token is not None:
        words = words.with_specials(pad_token=pad_token, unk_token=unk_token)
    if len(words) == len(words.specials):
        raise OptionError(f"{vocab}: the vocabulary has no words besides special tokens")
    aligned = alignment.align(file, words, oov=steps, seed=seed, limit=limit, dtype=dtype, errors=errors)
    aligned.save(output)
    not_found = [word for word, _ in aligned.coverage.missing(missing)]
    rows, dim = aligned.matrix.shape
    if as_json:
        coverage = aligned.coverage.as_dict()
        print_json(
            {"output": str(output), "rows": rows, "dim": dim, "dtype": aligned.matrix.dtype.name}
            | {"coverage": coverage, "missing": not_found}
        )
        return
    say(aligned.coverage)
    if not_found:
        say("not found: " + ", ".join(quote(word.encode("utf-8", "surrogateescape")) for word in not_found))
    say(f"{output}: {rows:,} x {dim} {aligned.matrix.dtype}")


def demo() -> None:
    """Train, align and fine-tune small vectors, without a download.

    The corpus comes with gensim.

    Example: vecload demo
    """
    from vecload import demo as walkthrough

    walkthrough.run(typer.echo)


COMMANDS = (embed, demo)
