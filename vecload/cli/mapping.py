"""The command `map`: move one space of vectors onto another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Dtype, Errors, Seed, dictionary_files, split_list
from vecload.cli.outputs import Force, check_outputs, refuse_stdin

if TYPE_CHECKING:
    from vecload.evaluation.bilingual import Retrieval
    from vecload.mapping.learning import Method


def map_(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The file of vectors to map.")],
    target: Annotated[str, typer.Argument(metavar="TGT", help="The file of vectors whose space they are mapped onto.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The file to write the mapped vectors to.")
    ],
    dictionary: Annotated[
        str,
        typer.Option(
            "--dictionary",
            "-d",
            metavar="D",
            help="Pairs of words with the same meaning: a file with a source and a target word on each line, its name "
            "in `vecload catalog muse`, identical, numerals or unsupervised.",
        ),
    ] = "identical",
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="least-squares, procrustes, refine, self-learning, vecmap or rcsls."),
    ] = "procrustes",
    normalize: Annotated[
        list[str] | None,
        typer.Option(metavar="STEPS", help="unit and center in any order; iterative; or none."),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Use only the first N rows where a method compares all words.")
    ] = 20_000,
    test: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Hold out this share of a dictionary file, from 0 to 1, and measure on it."),
    ] = 0.0,
    ridge: Annotated[
        float, typer.Option(metavar="FACTOR", help="For least-squares: factor of the squared norm of the matrix.")
    ] = 0.0,
    seed: Seed = 0,
    target_output: Annotated[
        Path | None, typer.Option(metavar="OUT", help="The file to write the target vectors to, in the common space.")
    ] = None,
    map_output: Annotated[
        Path | None, typer.Option(metavar="OUT", help="The .safetensors file to write the map to.")
    ] = None,
    report: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--report", help="Also write a page about both spaces: OUT with the suffix .html.")
    ] = False,
    dtype: Dtype = None,
    errors: Errors = "raise",
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Map one space of vectors onto another, so that words of both can be compared.

    The vectors in OUT and those of --target-output are in the same space. To learn a map from a dictionary file alone,
    without centering and by a method that does not compare all words, only the rows of its words are read.

    Example: vecload map wiki.de.vec wiki.en.vec -d de-en.txt --test 0.2 -o de.safetensors --report
    """
    from vecload.evaluation import induction
    from vecload.loading import load
    from vecload.mapping import map_spaces, read_dictionary, split_pairs
    from vecload.mapping.dictionaries import SEEDS
    from vecload.mapping.learning import check_options, needs_only_pairs, normalization_steps
    from vecload.reports import SUFFIXES, check_report
    from vecload.reports import report as write_report

    page = output.with_suffix(".html")
    given = ",".join(split_list(normalize or [])) or None
    steps = normalization_steps(method, [] if given == "none" else given)
    check_options(method, dictionary, limit, ridge)
    pages = [(page, SUFFIXES)] if report else []
    if report:
        check_report()
    tensors = [map_output] if map_output is not None else []
    inputs = [source, target, *dictionary_files(dictionary)]
    check_outputs(inputs, force=force, vectors=[output, target_output], tensors=tensors, others=pages)
    refuse_stdin(inputs, "map")
    if test and dictionary in SEEDS:
        raise typer.BadParameter("only a part of a dictionary file can be held out", param_hint="--test")
    say = messages(quiet=quiet, instead=as_json)
    pairs = dictionary if dictionary in SEEDS else read_dictionary(dictionary)
    held_out: list[tuple[str, str]] = []
    if test and not isinstance(pairs, str):
        pairs, held_out = split_pairs(pairs, test=test, seed=seed)
    # To learn a map from pairs alone, the other rows are not needed, so both files are read twice: first only the rows
    # of the pairs, and after that all rows that are mapped.
    read = partial(load, dtype=dtype, errors=errors)
    pairs_only = not isinstance(pairs, str) and needs_only_pairs(method, steps)
    known = [{pair[side] for pair in pairs} for side in (0, 1)] if pairs_only else [None, None]
    vectors, goal = read(source, vocab=known[0]), read(target, vocab=known[1])
    found = map_spaces(
        vectors,
        goal,
        pairs=pairs,
        method=cast("Method", method),  # checked above
        normalize=steps,
        limit=limit,
        ridge=ridge,
        seed=seed,
    )
    say(repr(found))
    result: dict[str, Any] = {"output": str(output), "method": found.method, "pairs": found.info.get("pairs")}
    mapped = found.apply(read(source) if pairs_only else vectors)
    mapped.save(output)
    say(f"{output}: {len(mapped):,} x {mapped.dim}")
    result |= {"rows": len(mapped), "dim": mapped.dim}
    if map_output is not None:
        found.save(map_output)
    if not (target_output or held_out or report):
        if as_json:
            print_json(result)
        return
    goal = found.apply_target(read(target) if pairs_only else goal)
    if target_output is not None:
        goal.save(target_output)
    if held_out:
        retrievals: tuple[Retrieval, ...] = ("nn", "csls")
        scores = {retrieval: induction(mapped, goal, held_out, retrieval=retrieval) for retrieval in retrievals}
        for retrieval, score in scores.items():
            shares = ", ".join(f"P@{k} {100 * share:.1f}%" for k, share in score.precision.items())
            say(f"held out, {retrieval}: {shares} ({score.used:,} of {score.total:,} words)")
        result["held out"] = {
            retrieval: {"precision": score.precision, "used": score.used, "total": score.total}
            for retrieval, score in scores.items()
        }
    if report:
        shown = None if pairs == "unsupervised" else held_out or pairs
        write_report((mapped, goal), page, title=f"{source} onto {target}", pairs=shown)
        say(f"{page}")
    if as_json:
        print_json(result)


# The function cannot be named map in this module, because Python has a function with this name.
map_.__name__ = "map"
COMMANDS = (map_,)
