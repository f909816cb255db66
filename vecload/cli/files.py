"""Commands that write files for models: `convert`, `embed`; and `demo`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Limit, Oov, OptionalVocab, Seed, VocabPath, split_list
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


def embed(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of word vectors.")],
    vocab: VocabPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The .safetensors file to write.")],
    oov: Oov = ["normal"],  # noqa: B006 - typer copies it
    pad_token: Annotated[str | None, typer.Option(metavar="WORD", help="The padding word: its row is zero.")] = None,
    unk_token: Annotated[
        str | None, typer.Option(metavar="WORD", help="The word that stands for unknown ones.")
    ] = None,
    seed: Seed = 0,
    missing: Annotated[int, typer.Option(metavar="K", help="List the K most frequent words not found.")] = 10,
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the embedding matrix of a vocabulary.

    OUT is the file a training script loads: it holds the matrix (`weight`), the words, where each row comes from and
    the coverage. Read it with vecload.Aligned.load(OUT), or with safetensors alone.

    Example: vecload embed glove.6B.50d.txt --vocab words.txt --oov casefold,normal -o embedding.safetensors
    """
    from vecload import alignment
    from vecload.errors import OptionError
    from vecload.oov import chain
    from vecload.vocab import Vocab

    steps = split_list(oov)
    chain(steps)  # raises for an unknown step
    check_outputs([file, vocab], force=force, tensors=[output])
    say = messages(quiet=quiet, instead=as_json)
    words = Vocab.load(vocab)
    if pad_token is not None or unk_token is not None:
        words = words.with_specials(pad_token=pad_token, unk_token=unk_token)
    if len(words) == len(words.specials):
        raise OptionError(f"{vocab}: the vocabulary has no words besides special tokens")
    aligned = alignment.align(file, words, oov=steps, seed=seed)
    aligned.save(output)
    absent = [word for word, _ in aligned.coverage.missing(missing)]
    rows, dim = aligned.matrix.shape
    if as_json:
        coverage = aligned.coverage.as_dict()
        print_json(
            {"output": str(output), "rows": rows, "dim": dim, "dtype": aligned.matrix.dtype.name}
            | {"coverage": coverage, "missing": absent}
        )
        return
    say(aligned.coverage)
    if absent:
        say("not found: " + " ".join(absent))
    say(f"{output}: {rows:,} x {dim} {aligned.matrix.dtype}")


def demo() -> None:
    """Train, align and fine-tune small vectors, without a download.

    The corpus is one that gensim ships.

    Example: vecload demo
    """
    from vecload import demo as shown

    shown.run(typer.echo)


COMMANDS = (convert, embed, demo)
