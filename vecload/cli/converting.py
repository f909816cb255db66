"""Commands that write word vectors: `convert` and `transform`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Limit, OptionalVocab, output_of, split_list
from vecload.cli.outputs import STDOUT, Force, check_outputs


def convert(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="SRC... [DST]", help="Files to read, and the file to write unless --output names it."),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DST", help="The file to write; for several files, a folder."),
    ] = None,
    *,
    format: Annotated[  # noqa: A002 - the field's word
        str | None,
        typer.Option(metavar="NAME", help="Format to write (see vecload formats); by default that of DST's suffix."),
    ] = None,
    source_format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Format to read, if the content leaves doubt.")
    ] = None,
    vocab: OptionalVocab = None,
    limit: Limit = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="float16, bfloat16, float32 or float64."),
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Divide each row by its Euclidean norm.")] = False,
    precision: Annotated[
        int | None,
        typer.Option(metavar="P", help="For text: P digits after the decimal point, not the fewest exact ones."),
    ] = None,
    unencodable: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="For words that the format cannot represent: raise an error, skip the row, or escape (as %20).",
        ),
    ] = "raise",
    prefix: Annotated[
        str,
        typer.Option(metavar="P", help="Keep only words with this prefix, and strip it: /c/en/ for example."),
    ] = "",
    errors: Annotated[str, typer.Option(metavar="HOW", help="For malformed rows: raise an error or skip.")] = "raise",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse wrong header counts, repeated words and doubtful words, too.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write files of word vectors in another format.

    Rows are streamed, so memory does not grow with the file. DST appears whole or not at all, and is never one of the
    inputs. A name that ends in .gz, .bz2, .xz or .zst gives a compressed file; `-` is standard output, for text and
    word2vec binary.

    Example: vecload convert glove.840B.300d.zip glove.safetensors --dtype float16

    Example: vecload convert *.vec -o vectors --format native
    """
    from vecload import conversion
    from vecload.errors import OptionError
    from vecload.vocab import Vocab

    if output is None and len(paths) < 2:
        raise OptionError("name what to read and what to write: vecload convert SRC... DST")
    *sources, target = paths if output is None else [*paths, output]
    folder = Path(target) if len(sources) > 1 or Path(target).is_dir() else None
    if folder is not None:
        pairs = conversion.targets_in(folder, sources, format)
    else:
        pairs = [(sources[0], Path(STDOUT if target == "-" else target))]
    to_stdout = target in ("-", STDOUT)
    if to_stdout and as_json:
        raise OptionError("standard output cannot hold both the vectors and --json; name a file")
    check_outputs([*sources, *([] if vocab is None else [vocab])], force=force)
    conversion.check_conversions(
        pairs,
        folder=folder,
        others=[] if vocab is None else [vocab],
        format=format,
        precision=precision,
        unencodable=unencodable,
        overwrite=force,
    )
    say = messages(quiet=quiet, instead=as_json, err=to_stdout)
    wanted = None if vocab is None else Vocab.load(vocab)
    results = []
    for source, path in pairs:
        done = conversion.convert(
            source,
            path,
            format=format,
            source_format=source_format,
            vocab=wanted,
            limit=limit,
            dtype=dtype,  # type: ignore[arg-type] # checked by `convert`
            normalize=normalize,
            precision=precision,
            unencodable=unencodable,
            prefix=prefix,
            errors=errors,  # type: ignore[arg-type]
            strict=strict,
        )
        say(done)
        results.append(asdict(done))
    if as_json:
        print_json(results if folder is not None else results[0])


def transform(
    file: Annotated[str, typer.Argument(metavar="VECTORS", help="A file of word vectors.")],
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


COMMANDS = (convert, transform)
