"""The command `map`: one space of vectors onto another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Seed, dictionary_files, split_list
from vecload.cli.outputs import Force, check_outputs, refuse_stdin

if TYPE_CHECKING:
    from vecload.evaluation.bilingual import Retrieval
    from vecload.mapping.learning import Method


def map_(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The vectors to map.")],
    target: Annotated[str, typer.Argument(metavar="TGT", help="The vectors whose space they are mapped onto.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write the mapped vectors.")],
    dictionary: Annotated[
        str,
        typer.Option(
            "--dictionary",
            "-d",
            metavar="D",
            help="What is known to mean the same: a file with a source and a target word on each line, or its name in "
            "`vecload catalog muse`; or identical, numerals, unsupervised.",
        ),
    ] = "identical",
    method: Annotated[
        str, typer.Option(help="least-squares, procrustes, refine, self-learning, vecmap or rcsls.")
    ] = "procrustes",
    normalize: Annotated[
        list[str] | None,
        typer.Option(metavar="STEPS", help="unit and center in any order, by commas or repeats; iterative; or none."),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Compare the N most frequent words, where all words are compared.")
    ] = 20_000,
    test: Annotated[
        float, typer.Option(metavar="SHARE", help="Hold out this share of a dictionary file's words, and translate it.")
    ] = 0.0,
    seed: Seed = 0,
    target_output: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Where to write the target vectors in the common space.")
    ] = None,
    map_output: Annotated[Path | None, typer.Option(metavar="OUT", help="Where to write the map itself.")] = None,
    report: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--report", help="Write a page about both spaces next to OUT, ending in .html.")
    ] = False,
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Map one space of vectors onto another, so that words of both can be compared.

    OUT and the vectors of --target-output are in one space. A map that needs only the words of the dictionary (without
    centering, and without a method that compares all words) is learned without reading others.

    Example: vecload map wiki.de.vec wiki.en.vec -d de-en.txt --test 0.2 -o de.safetensors --report
    """
    from vecload.evaluation import induction
    from vecload.loading import load
    from vecload.mapping import SEEDS, map_spaces, read_dictionary, split_pairs
    from vecload.mapping.learning import check_options, looks_at_pairs_only, steps_of
    from vecload.reports import SUFFIXES, check_report
    from vecload.reports import report as write_report

    page = output.with_suffix(".html")
    given = ",".join(split_list(normalize or [])) or None
    steps = steps_of(method, [] if given == "none" else given)
    check_options(method, dictionary, limit)
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
    few = not isinstance(pairs, str) and looks_at_pairs_only(method, steps)
    known = [None, None] if not few else [{pair[at] for pair in pairs} for at in (0, 1)]
    vectors, goal = load(source, vocab=known[0]), load(target, vocab=known[1])
    found = map_spaces(
        vectors,
        goal,
        pairs=pairs,
        method=cast("Method", method),  # what is none of them is refused there
        normalize=steps,
        limit=limit,
        seed=seed,
    )
    say(repr(found))
    result: dict[str, Any] = {"output": str(output), "method": found.method, "pairs": found.info.get("pairs")}
    mapped = found.apply(load(source) if few else vectors)
    mapped.save(output)
    say(f"{output}: {len(mapped):,} × {mapped.dim}")
    result |= {"rows": len(mapped), "dim": mapped.dim}
    if map_output is not None:
        found.save(map_output)
    if not (target_output or held_out or report):
        if as_json:
            print_json(result)
        return
    goal = found.apply_target(load(target) if few else goal)
    if target_output is not None:
        goal.save(target_output)
    retrievals: tuple[Retrieval, ...] = ("nn", "csls") if held_out else ()
    for retrieval in retrievals:
        score = induction(mapped, goal, held_out, retrieval=retrieval)
        shares = ", ".join(f"P@{k} {100 * share:.1f}%" for k, share in score.precision.items())
        result.setdefault("held out", {})[retrieval] = {
            "precision": score.precision,
            "used": score.used,
            "total": score.total,
        }
        say(f"held out, {retrieval}: {shares} ({score.used:,} of {score.total:,} words)")
    if report:
        shown = None if pairs == "unsupervised" else held_out or pairs
        write_report((mapped, goal), page, title=f"{source} onto {target}", pairs=shown)
        say(f"{page}")
    if as_json:
        print_json(result)


map_.__name__ = "map"  # the command; Python has a map of its own
COMMANDS = (map_,)
