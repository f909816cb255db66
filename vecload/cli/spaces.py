"""Commands that measure and transform vectors: `evaluate`, `compare`, `transform`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Limit, Seed, output_of, split_list
from vecload.cli.outputs import Force, check_outputs

_File = Annotated[str, typer.Argument(metavar="VECTORS", help="A file of word vectors.")]


def evaluate(
    file: _File,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET",
            help="A file of word pairs or analogies; a set that comes with gensim: wordsim353, simlex999, "
            "questions-words; or one that `vecload catalog evaluation` lists. Several by commas or repeats; "
            "those three by default.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Missing words and case: gensim, gensim-dummy, web, lower or exact.")
    ] = "gensim",
    method: Annotated[str, typer.Option(help="Of analogies: 3cosadd or 3cosmul.")] = "3cosadd",
    limit: Limit = None,
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure vectors on word similarity and analogies.

    Example: vecload evaluate glove.6B.50d.txt --data wordsim353 --data my-pairs.tsv
    """
    from vecload import evaluation, loading

    check_outputs([file], force=False)
    messages(quiet=quiet)
    sets = evaluation.read_all(split_list(data) if data else None, protocol=protocol, method=method)
    vectors = loading.load(file, limit=limit)
    found = evaluation.evaluate(vectors, sets, protocol=protocol, method=method)  # type: ignore[arg-type]
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(str(found))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A file of word vectors.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    k: Annotated[int, typer.Option("--k", "-k", help="Neighbors of a word.")] = 10,
    sample: Annotated[int, typer.Option(metavar="N", help="Number of words whose neighbors are compared.")] = 1000,
    seed: Seed = 0,
    limit: Limit = None,
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two files: words in common, cosines, neighbors.

    Example: vecload compare glove.6B.50d.txt transformed.safetensors
    """
    from vecload import evaluation, loading, search

    search.check_count(k)
    search.check_count(sample)
    check_outputs([a, b], force=False)
    messages(quiet=quiet)
    vectors = [loading.load(file, limit=limit) for file in (a, b)]
    found = evaluation.compare(*vectors, k=k, sample=sample, seed=seed)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(str(found))


def transform(
    file: _File,
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="The file to write, unless --output names it.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="The file to write; its suffix determines the format."),
    ] = None,
    *,
    step: Annotated[
        list[str],
        typer.Option(
            metavar="STEPS",
            help="unit, center, abtt:K, pca:K, raunak:K, whiten, weight:A, limit:N, prune:N, float16, bfloat16, int8, "
            "pq:PARTS. Several, by commas or repeats, are applied in order.",
        ),
    ],
    evaluate_on: Annotated[
        list[str] | None,
        typer.Option("--evaluate", metavar="DATASETS", help="Show figures before and after, as `vecload evaluate`."),
    ] = None,
    limit: Limit = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Transform vectors by declared steps.

    A .safetensors OUT keeps what vecload.transforms.undo needs. int8 and pq write the rows as they are decoded from
    that number of bits.

    Example: vecload transform glove.6B.50d.txt --step center,abtt:3,unit -o out.safetensors
    """
    from vecload import evaluation, loading, transforms

    steps = split_list(step)
    transforms.parse_steps(steps)  # raises for an invalid step
    target = output_of(out, output, "OUT")
    check_outputs([file], force=force, vectors=[target])
    say = messages(quiet=quiet, instead=as_json)
    sets = evaluation.read_all(split_list(evaluate_on)) if evaluate_on else []
    before = loading.load(file, limit=limit)
    after = transforms.transform(before, steps)
    after.save(target)
    figures = [evaluation.evaluate(vectors, sets) for vectors in (before, after)] if sets else []
    loss = after.meta.get("loss")
    if as_json:
        result = {"output": str(target), "rows": len(after), "dim": after.dim, "dtype": after.dtype.name, "loss": loss}
        print_json(result | {"evaluation": [one.as_dict() for one in figures]})
        return
    say(f"{target}: {len(after):,} x {after.dim} {after.dtype}")
    if loss is not None:
        shown = f"cosine {loss['cosine']:.6f}, squared error {loss['relative']:.3e} of the values'"
        say(f"reconstruction: {shown}, {loss['bytes']:,} bytes, {100 * loss['ratio']:.1f}% of float32")
    for when, one in zip(("before", "after"), figures, strict=False):
        say(f"\n{when}, {one}")


COMMANDS = (evaluate, compare, transform)
