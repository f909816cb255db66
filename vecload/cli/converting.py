"""Commands that write word vectors: `convert` and `transform`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import (
    Dtype,
    Encoding,
    Errors,
    File,
    Limit,
    OptionalVocab,
    Tensor,
    Tokens,
    WordsOfRows,
    output_of,
    split_list,
)
from vecload.cli.outputs import Force, Format, check_outputs, stream_of


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
    format: Format = None,  # noqa: A002 - the field's word
    source_format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Format to read, if the content is ambiguous.")
    ] = None,
    vocab: OptionalVocab = None,
    limit: Limit = None,
    dtype: Dtype = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Divide each row by its Euclidean norm.")] = False,
    precision: Annotated[
        int | None,
        typer.Option(metavar="P", help="For text: digits after the decimal point. [the fewest exact ones]"),
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
    errors: Errors = "raise",
    strict: Annotated[
        bool, typer.Option("--strict", help="Also refuse wrong header counts, repeated words and doubtful words.")
    ] = False,
    words: WordsOfRows = None,
    tensor: Tensor = None,
    encoding: Encoding = None,
    tokens: Tokens = "raw",
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write files of word vectors in another format.

    Rows are streamed, so the memory needed does not grow with the file. DST is written completely or not at all, and
    never replaces an input. It is compressed if its name ends in .gz, .bz2, .xz or .zst. `-` is standard output, for
    text and word2vec binary.

    Example: vecload convert glove.840B.300d.zip glove.safetensors --dtype float16

    Example: vecload convert *.vec -o vectors --format native
    """
    from vecload import conversion
    from vecload.errors import OptionError
    from vecload.vocab import Vocab

    if output is None and len(paths) < 2:
        raise OptionError("missing input or output; usage: vecload convert SRC... DST")
    *sources, target = paths if output is None else [*paths, output]
    path, to_stdout = stream_of(Path(target), as_json=as_json)
    folder = path if len(sources) > 1 or path.is_dir() else None
    pairs = [(sources[0], path)] if folder is None else conversion.targets_in(folder, sources, format)
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
            dtype=dtype,
            normalize=normalize,
            precision=precision,
            unencodable=unencodable,
            prefix=prefix,
            errors=errors,
            strict=strict,
            words=words,
            tensor=tensor,
            encoding=encoding,
            tokens=tokens,
        )
        say(done)
        results.append(asdict(done))
    if as_json:
        print_json(results if folder is not None else results[0])


def transform(
    file: File,
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="The file to write, unless --output names it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="The file to write; `-` for standard output.")
    ] = None,
    format: Format = None,  # noqa: A002 - the field's word
    *,
    step: Annotated[
        list[str],
        typer.Option(
            metavar="STEPS",
            help="unit, center, abtt:K, pca:K, ppa_pca:K, whiten, weight:A, limit:N, prune:N, float16, bfloat16, int8, "
            "pq:PARTS. Several, by commas or repeats, are applied in order.",
        ),
    ],
    evaluate_on: Annotated[
        list[str] | None,
        typer.Option("--evaluate", metavar="DATASETS", help="Show figures before and after, as `vecload evaluate`."),
    ] = None,
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Apply steps to vectors: center them, reduce their dimensions, quantize them, ...

    OUT is written in the format of its suffix, or in the one that --format names; `-` is standard output, for text and
    word2vec binary. A .safetensors file keeps what vecload.transforms.undo needs. The steps int8 and pq quantize the
    rows, and write the decoded values.

    Example: vecload transform glove.6B.50d.txt --step center,abtt:3,unit -o out.safetensors
    """
    from vecload import evaluation, loading, transforms
    from vecload.evaluation.results import read_all
    from vecload.transforms.steps import parse_steps

    steps = split_list(step)
    parse_steps(steps)  # raises for an invalid step
    target, to_stdout = stream_of(output_of(out, output, "OUT"), as_json=as_json)
    check_outputs([file], force=force, vectors=[target], format=format)
    say = messages(quiet=quiet, instead=as_json, err=to_stdout)
    sets = read_all(split_list(evaluate_on)) if evaluate_on else []
    before = loading.load(file, limit=limit, dtype=dtype, errors=errors)
    after = transforms.transform(before, steps)
    after.save(target, format)
    figures = [evaluation.evaluate(vectors, sets) for vectors in (before, after)] if sets else []
    loss = after.meta.get("loss")
    if as_json:
        result = {"output": str(target), "rows": len(after), "dim": after.dim, "dtype": after.dtype.name, "loss": loss}
        print_json(result | {"evaluation": [one.as_dict() for one in figures]})
        return
    name = "standard output" if to_stdout else target
    say(f"{name}: {len(after):,} x {after.dim} {after.dtype}")
    if loss is not None:
        shown = f"mean cosine {loss['cosine']:.6f}, relative squared error {loss['relative']:.3e}"
        say(f"reconstruction: {shown}, {loss['bytes']:,} bytes, {100 * loss['ratio']:.1f}% of float32")
    for when, one in zip(("before", "after"), figures, strict=False):
        say(f"\n{when}, {one}")


COMMANDS = (convert, transform)
