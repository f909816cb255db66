"""Commands that measure vectors: `evaluate` and `compare`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Dtype, Errors, File, Limit, Seed, split_list
from vecload.cli.outputs import check_outputs


def evaluate(
    file: File,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET",
            help="A file of word pairs or analogies; a data set that comes with gensim: wordsim353, simlex999, "
            "questions-words; or one that `vecload catalog evaluation` lists. Separate several by commas, or repeat "
            "the option. [the three of gensim]",
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How missing words and case are treated: gensim, gensim-dummy, web, lower or exact."
        ),
    ] = "gensim",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="How analogies are solved: 3cosadd or 3cosmul.")
    ] = "3cosadd",
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure vectors by word similarity and analogies.

    Example: vecload evaluate glove.6B.50d.txt --data wordsim353 --data my-pairs.tsv
    """
    from vecload import evaluation, loading
    from vecload.evaluation.results import read_all

    check_outputs([file], force=False)
    messages(quiet=quiet)
    sets = read_all(split_list(data) if data else None, protocol=protocol, method=method)
    vectors = loading.load(file, limit=limit, dtype=dtype, errors=errors)
    found = evaluation.evaluate(vectors, sets, protocol=protocol, method=method)  # type: ignore[arg-type]
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(str(found))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A file of word vectors.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other file.")],
    k: Annotated[int, typer.Option("--k", "-k", metavar="K", help="Number of neighbors of a word.")] = 10,
    sample: Annotated[int, typer.Option(metavar="N", help="Number of words whose neighbors are compared.")] = 1000,
    seed: Seed = 0,
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two files: common words, cosines of their rows, neighbors in common.

    Example: vecload compare glove.6B.50d.txt transformed.safetensors
    """
    from vecload import evaluation, loading
    from vecload.search.ranking import check_count

    check_count(k)
    check_count(sample)
    check_outputs([a, b], force=False)
    messages(quiet=quiet)
    vectors = [loading.load(file, limit=limit, dtype=dtype, errors=errors) for file in (a, b)]
    found = evaluation.compare(*vectors, k=k, sample=sample, seed=seed)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(str(found))


COMMANDS = (evaluate, compare)
