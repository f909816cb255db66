"""Commands that look at files: `info`, `formats`, `neighbors` and `analogy`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vecload.cli.console import Json, Quiet, is_terminal, messages, print_json, scores, table
from vecload.cli.options import Dtype, Encoding, Errors, File, Limit, Tensor, Tokens, WordsOfRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vecload.inspection import Info
    from vecload.search import Method, Metric
    from vecload.vectors import Vectors

Count = Annotated[int, typer.Option("--k", "-k", metavar="K", help="Number of words to show.")]


def info(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files of word vectors.")],
    *,
    words: WordsOfRows = None,
    tensor: Tensor = None,
    encoding: Encoding = None,
    tokens: Tokens = "raw",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show format, rows, dimension and norms of files.

    Only the first rows are read, so it takes about a second for files of any size. Several files, and archives of
    several files, are shown as a table.

    Example: vecload info glove.6B.zip/glove.6B.50d.txt

    Example: vecload info *.vec glove.6B.zip
    """
    from vecload import loading
    from vecload.errors import VecloadError
    from vecload.sources import SeveralMembersError

    messages(quiet=quiet)
    # An archive with several members is one argument but several rows of a table. So the files must be opened before it
    # is known whether the output is a table. In a table, the error of one file must not hide the other rows.
    sources: list[str] = []
    several = len(files) > 1
    looked: list[Info] = []
    failed = False
    for file in files:
        try:
            looked.append(loading.info(file, words=words, tensor=tensor, encoding=encoding, tokens=tokens))
        except SeveralMembersError as error:
            sources += error.members
            several = True
        except (VecloadError, OSError) as error:
            if not several:
                raise
            failed = _report(error)
    for source in sources:
        try:
            looked.append(loading.info(source, words=words, tensor=tensor, encoding=encoding, tokens=tokens))
        except (VecloadError, OSError) as error:
            failed = _report(error)
    if as_json:
        facts = [asdict(one) for one in looked]
        print_json(facts if several else facts[0])
    elif not several:
        typer.echo(str(looked[0]))
    elif looked:
        heading = ["file", "format", "rows", "dim", "values", "bytes on disk"]
        typer.echo(table([heading, *map(_row, looked)], right=[2, 3, 5]))
    if failed:
        raise typer.Exit(1)


def _row(one: Info) -> list[str]:
    stored = "?" if one.stored is None else f"{one.stored:,}"
    return [one.source, one.format, one.rows_text, str(one.dim), one.values.rpartition(": ")[2], stored]


def _report(error: Exception) -> bool:
    """Print the error of one of several files or words, and return True."""
    text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    typer.echo(f"vecload: {text}", err=True)
    return True


def formats(*, as_json: Json = False) -> None:
    """List the formats that are read and written.

    Example: vecload formats
    """
    from vecload import formats as known

    found: list[dict[str, Any]] = [
        {
            "name": form.name,
            "aliases": list(form.aliases),
            "reads": form.read is not None,
            "writes": form.write is not None,
            "suffixes": list(form.suffixes),
            "folder": form.writes_folder,
        }
        for form in known.all_formats()
    ]
    if as_json:
        print_json(found)
        return
    typer.echo(f"{'name':<22} {'other names':<38} reads writes suffixes")
    for form in found:
        reads, writes = ("yes" if form[verb] else "no" for verb in ("reads", "writes"))
        names = ", ".join(form["aliases"]) or "-"
        suffixes = " ".join(form["suffixes"]) or ("a folder" if form["folder"] else "-")
        typer.echo(f"{form['name']:<22} {names:<38} {reads:<5} {writes:<6} {suffixes}")


def neighbors(
    file: File,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD...", help="Words whose neighbors to find; without words, start a prompt."),
    ] = None,
    k: Count = 10,
    metric: Annotated[str, typer.Option(metavar="NAME", help="cosine, dot or euclidean.")] = "cosine",
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the nearest words.

    Missing words are reported, and neighbors of the others are shown. Without words, the command is a prompt that keeps
    the vectors loaded; an empty line or Ctrl-D ends it.

    Example: vecload neighbors glove.6B.50d.txt frog toad -k 5

    Example: vecload neighbors glove.6B.50d.txt
    """
    from vecload import loading
    from vecload.errors import MissingWordError, OptionError
    from vecload.search.exact import check_metric
    from vecload.search.ranking import check_count

    check_count(k)
    check_metric(metric)
    if not words and file == "-":
        raise OptionError("standard input cannot be both the vectors and the words; name words, or a file")
    if not words and as_json and sys.stdin.isatty():
        raise OptionError("--json needs words, as arguments or from a pipe; leave it out for the prompt")
    messages(quiet=quiet)
    vectors = loading.load(file, limit=limit, dtype=dtype, errors=errors)
    answers: dict[str, Any] = {}
    # Missing words make the exit code 1, except at the prompt, where the person has seen the message.
    missing = False
    for word in words or _asked(vectors):
        try:
            found = vectors.neighbors(word, k, metric=cast("Metric", metric))
        except MissingWordError as error:
            missing = _report(error)
            answers[word] = None
            continue
        if as_json:
            answers[word] = [{"word": near, "score": float(score)} for near, score in found]
        else:
            _show(word, found, fills=1.0 if metric == "cosine" else None)
    if as_json:
        print_json(answers)
    if missing and not (words is None and sys.stdin.isatty()):
        raise typer.Exit(1)


def analogy(
    file: File,
    words: Annotated[list[str], typer.Argument(metavar="A B C", help="A is to B as C is to ...")],
    k: Count = 10,
    method: Annotated[str, typer.Option(metavar="NAME", help="3cosadd or 3cosmul.")] = "3cosadd",
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the words that complete an analogy: A is to B as C is to ...

    Example: vecload analogy glove.6B.50d.txt man king woman
    """
    from vecload import loading
    from vecload.errors import OptionError
    from vecload.search.analogies import check_method
    from vecload.search.ranking import check_count

    if len(words) != 3:
        raise OptionError(f"an analogy needs three words, A B C: found {len(words)}")
    a, b, c = words
    check_count(k)
    check_method(method)
    messages(quiet=quiet)
    vectors = loading.load(file, limit=limit, dtype=dtype, errors=errors)
    found = vectors.analogy(a, b, c, k, method=cast("Method", method))
    if as_json:
        print_json([{"word": word, "score": float(score)} for word, score in found])
    else:
        _show(f"{a} : {b} :: {c}", found, fills=1.0 if method == "3cosadd" else None)


def _asked(vectors: Vectors) -> Iterator[str]:
    """Yield words that are typed in a terminal, or the lines of a pipe."""
    if not sys.stdin.isatty():
        yield from filter(None, (line.rstrip("\r\n") for line in sys.stdin))
        return
    typer.echo(f"{len(vectors):,} words of {vectors.dim} dimensions; type a word, or an empty line to end")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            typer.echo()
            return
        if not line:
            return
        # Words may contain spaces, so a line is one word if the vectors have it.
        yield from [line] if line in vectors else line.split()


def _show(label: str, found: list[tuple[str, float]], *, fills: float | None) -> None:
    """Print words and scores, on a terminal with bars: `fills` is the score of a full bar, None the largest one."""
    if is_terminal():
        typer.echo(f"{label}\n{scores(found, largest=fills)}")
    else:
        typer.echo(f"{label}: " + ", ".join(f"{word} {score:.4f}" for word, score in found))


COMMANDS = (info, formats, neighbors, analogy)
