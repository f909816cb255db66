"""The command `report`: a page in which vectors can be explored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Dtype, Errors, File, Oov, Seed, dictionary_files, split_list
from vecload.cli.outputs import Force, check_outputs

if TYPE_CHECKING:
    from vecload.reports import Layout


def report(
    file: File,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The .html file to write.")],
    vocab: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Show the rows of this vocabulary, as `vecload embed` would make them."),
    ] = None,
    oov: Oov = ["casefold", "normal"],  # noqa: B006 - typer copies it
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Show FILE with another file in the same space.")
    ] = None,
    dictionary: Annotated[
        str,
        typer.Option(
            "--dictionary",
            "-d",
            metavar="D",
            help="With --against, pairs of words whose cosines to show: a file, identical or numerals.",
        ),
    ] = "identical",
    evaluate: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--evaluate", help="Add the table of `vecload evaluate`.")
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Number of words on the map, the most frequent first.")
    ] = 10_000,
    layout: Annotated[str, typer.Option(metavar="NAME", help="How words are placed: pca, umap or tsne.")] = "pca",
    dtype: Dtype = None,
    errors: Errors = "raise",
    seed: Seed = 0,
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page to explore a file, the rows of a vocabulary, or two spaces.

    The page is one file that works without a network: search words, zoom, follow neighbors, and filter by origin.

    Example: vecload report glove.6B.50d.txt --vocab words.txt -o report.html
    """
    from vecload.alignment import align
    from vecload.errors import OptionError
    from vecload.evaluation import evaluate as measure
    from vecload.evaluation.results import read_all
    from vecload.loading import load
    from vecload.mapping import read_dictionary
    from vecload.mapping.dictionaries import SEEDS
    from vecload.oov.chain_builder import parse_chain
    from vecload.reports import SUFFIXES, check_report
    from vecload.reports import report as write_report
    from vecload.vocab import Vocab

    if vocab is not None and (against is not None or evaluate):
        raise OptionError("--vocab shows the rows of a vocabulary only; leave out --against and --evaluate")
    steps = split_list(oov)
    parse_chain(steps)  # raises for an unknown step
    check_report(limit, layout)
    inputs = [file, *(one for one in (vocab, against) if one is not None), *dictionary_files(dictionary)]
    check_outputs(inputs, force=force, others=[(output, SUFFIXES)])
    say = messages(quiet=quiet, instead=as_json)
    if vocab is not None:
        subject = align(file, Vocab.load(vocab), oov=steps, dtype=dtype, errors=errors)
        write_report(
            subject, output, vocab_name=Path(vocab).name, limit=limit, layout=cast("Layout", layout), seed=seed
        )
        explanation = subject.coverage.explanation
        if explanation is not None and explanation.found:
            say(explanation.headline)
    else:
        pairs = dictionary if dictionary in SEEDS else read_dictionary(dictionary)
        sets = read_all() if evaluate else []
        vectors = load(file, dtype=dtype, errors=errors)
        figures = measure(vectors, sets) if evaluate else None
        both = vectors if against is None else (vectors, load(against, dtype=dtype, errors=errors))
        write_report(
            both, output, evaluation=figures, pairs=pairs, limit=limit, layout=cast("Layout", layout), seed=seed
        )
    say(output)
    if as_json:
        print_json({"output": str(output)})


COMMANDS = (report,)
