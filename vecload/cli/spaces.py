"""Commands that measure and transform vectors: `evaluate`, `compare`, `transform`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecload.cli.outputs import Force, check_outputs

_File = Annotated[str, typer.Argument(metavar="VECTORS", help="A file of word vectors.")]
_Limit = Annotated[int | None, typer.Option(metavar="N", help="Read only the first N rows.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def evaluate(
    file: _File,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET",
            help="A file of word pairs or analogies; a set that comes with gensim: wordsim353, simlex999, "
            "questions-words; or one that `vecload catalog evaluation` lists. May be given several times; those three "
            "if not at all.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Missing words and case: gensim, gensim-dummy, web, lower or exact.")
    ] = "gensim",
    method: Annotated[str, typer.Option(help="Of analogies: 3cosadd or 3cosmul.")] = "3cosadd",
    limit: _Limit = None,
    *,
    as_json: _Json = False,
) -> None:
    """Measure vectors on word similarity and analogies.

    Example: vecload evaluate glove.6B.50d.txt --data wordsim353 --data my-pairs.tsv
    """
    from vecload import evaluation, loading

    check_outputs([file], force=False)
    sets = evaluation.read_all(data, protocol=protocol, method=method)
    vectors = loading.load(file, limit=limit)
    found = evaluation.evaluate(vectors, sets, protocol=protocol, method=method)  # type: ignore[arg-type]
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else str(found))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A file of word vectors.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    k: Annotated[int, typer.Option("--k", "-k", help="Neighbours of a word.")] = 10,
    sample: Annotated[int, typer.Option(help="Words whose neighbours are compared.")] = 1000,
    limit: _Limit = None,
    *,
    as_json: _Json = False,
) -> None:
    """Compare two files: words in common, cosines, neighbours.

    Example: vecload compare glove.6B.50d.txt transformed.safetensors
    """
    from vecload import evaluation, loading, search

    search.check_count(k)
    search.check_count(sample)
    check_outputs([a, b], force=False)
    found = evaluation.compare(loading.load(a, limit=limit), loading.load(b, limit=limit), k=k, sample=sample)
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else str(found))


def transform(
    file: _File,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its name says the format.")],
    step: Annotated[
        list[str],
        typer.Option(
            metavar="STEP",
            help="unit, center, abtt:K, pca:K, raunak:K, whiten, weight:A, limit:N, prune:N, float16, bfloat16, int8, "
            "pq:PARTS. Several are taken in turn.",
        ),
    ],
    evaluate_on: Annotated[
        list[str] | None,
        typer.Option("--evaluate", metavar="DATASET", help="Show figures before and after, as `vecload evaluate`."),
    ] = None,
    limit: _Limit = None,
    *,
    force: Force = False,
) -> None:
    """Transform vectors by declared steps.

    A .safetensors OUT keeps what vecload.transforms.undo needs. int8 and pq write the rows as they are decoded from
    that number of bits.

    Example: vecload transform glove.6B.50d.txt out.safetensors --step center --step abtt:3 --step unit
    """
    from vecload import evaluation, loading, transforms

    transforms.parse_steps(step)  # raises for an invalid step
    check_outputs([file], force=force, vectors=[output])
    sets = evaluation.read_all(evaluate_on) if evaluate_on else []
    before = loading.load(file, limit=limit)
    after = transforms.transform(before, step)
    after.save(output)
    typer.echo(f"{output}: {len(after):,} x {after.dim} {after.dtype}")
    if "loss" in after.meta:
        loss = after.meta["loss"]
        shown = f"cosine {loss['cosine']:.6f}, squared error {loss['relative']:.3e} of the values'"
        typer.echo(f"reconstruction: {shown}, {loss['bytes']:,} bytes, {100 * loss['ratio']:.1f}% of float32")
    if sets:
        typer.echo(f"\nbefore, {evaluation.evaluate(before, sets)}")
        typer.echo(f"\nafter, {evaluation.evaluate(after, sets)}")


COMMANDS = (evaluate, compare, transform)
