"""The command `shrink`: smaller fastText models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Seed
from vecload.cli.outputs import Force, check_outputs

# The choices of `vecload.shrink`; a test compares them.
_Quantize = Literal["pq", "int8"]
_SUFFIXES = (".bin", ".ftz", ".safetensors")


def shrink(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="A fastText model of word vectors.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The .bin, .ftz or .safetensors file to write.")
    ],
    words: Annotated[int | None, typer.Option(metavar="N", help="Keep the N most frequent words.")] = None,
    vocab: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep only the words of this vocabulary.")] = None,
    buckets: Annotated[
        int | None, typer.Option(metavar="N", help="Rows of n-grams; for .bin a divisor of the number in the model.")
    ] = None,
    dim: Annotated[int | None, typer.Option(metavar="N", help="Values in a vector.")] = None,
    quantize: Annotated[
        _Quantize | None,
        typer.Option(metavar="NAME", help="pq, a byte for two values, or int8, a byte for one. [pq for .ftz]"),
    ] = None,
    norms: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--norms", help="Quantize the length of each row separately.")
    ] = False,
    report: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--report/--no-report", help="Compare the new model with the original one.")
    ] = True,
    seed: Seed = 0,
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a smaller fastText model that still composes unseen words, and print the loss.

    Example: vecload shrink cc.ja.300.bin -o small.bin --words 100000 --buckets 200000 --dim 100
    """
    from vecload import shrinking
    from vecload.vocab import Vocab

    inputs = [source, *([vocab] if vocab is not None else [])]
    check_outputs(inputs, force=force, others=[(output, _SUFFIXES)])
    say = messages(quiet=quiet, instead=as_json)
    made = shrinking.shrink(
        source,
        output,
        words=words,
        buckets=buckets,
        dim=dim,
        quantize=quantize,
        norms=norms,
        vocab=None if vocab is None else list(Vocab.load(vocab)),
        report=report,
        seed=seed,
    )
    if as_json:
        print_json({"output": str(output)} | made.as_dict())
        return
    say(made)


COMMANDS = (shrink,)
