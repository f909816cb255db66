"""Commands about public files: `catalog`, `download`, and `cache ls|rm|verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json

if TYPE_CHECKING:
    from vecload.catalog import Entry

_MANY = 8  # a family of more files than this is listed as one line

cache = typer.Typer(
    help="List, remove and verify downloaded files.\n\nExample: vecload cache ls",
    invoke_without_command=True,
    rich_markup_mode="markdown",
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name in the catalog, or the name of a file that `cache ls` lists.")
]


def catalog(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words to look for in names, formats and notes.")] = "",
    *,
    lang: Annotated[str | None, typer.Option(metavar="CODE", help="Only files for this language: ja, en, ...")] = None,
    as_json: Json = False,
) -> None:
    """List public files of word vectors, and data sets to evaluate them.

    You can use a name wherever a command takes a FILE. If several families have the name, write `family:name`.

    Example: vecload catalog fasttext --lang ja
    """
    from vecload import catalog as public

    found = public.find(query, lang=lang)
    if as_json:
        print_json([asdict(entry) for entry in found])
        return
    if len(found) == 1:
        _show(found[0])
        return
    # Families such as fastText's have one file for each of hundreds of languages, which would fill many screens.
    groups: dict[str, list[Entry]] = {}
    for entry in found:
        groups.setdefault(f"{entry.family}:{entry.template}", []).append(entry)
    for name, entries in groups.items():
        if len(entries) > _MANY:
            langs = sorted({code for entry in entries for code in entry.languages})
            shown = " ".join(langs[:6]) + (" ..." if len(langs) > 6 else "")
            typer.echo(f"{name:<40} {len(entries)} files: {shown}")
            continue
        for entry in entries:
            size = f"{entry.size:,} bytes" if entry.size else entry.about
            words = f"{entry.words:,} x {entry.dim}" if entry.words else f"? x {entry.dim}"
            words = entry.format if entry.dim is None else words
            typer.echo(f"{entry.full_name:<40} {words:>16}  {entry.license:<13} {size}".rstrip())
    if not found:
        typer.echo("no file matches; `vecload catalog` lists all")


def _show(entry: Entry) -> None:
    """Print everything about one file, and mark the facts that were not checked."""
    from vecload.catalog.cache import cache_path
    from vecload.catalog.listing import MARKS

    for name in (
        "full_name languages dim words size file_size about format container member license license_url urls page "
        "citation notes"
    ).split():
        value = getattr(entry, name)
        if value in (None, "", ()):
            continue
        shown = f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, tuple):
            shown = "\n             ".join(value)
        mark = entry.marks.get(name)
        typer.echo(f"{name.replace('_', ' '):<12} {shown}" + (f"  [{MARKS[mark]}]" if mark in ("3p", "R") else ""))
    typer.echo(f"{'verified by':<12} {entry.checked_by}")
    if cache_path(entry).exists():
        typer.echo(f"{'in the cache':<12} {cache_path(entry)}")


def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names in the catalog.")],
    *,
    native: Annotated[
        bool, typer.Option("--native", help="Also write them in the native format, which loads in milliseconds.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download public files into the cache, and verify them.

    After a broken connection or Ctrl-C, run the command again to continue.

    Example: vecload download glove.6B.50d --native
    """
    from vecload import catalog as public
    from vecload.catalog.cache import native_path
    from vecload.catalog.listing import close_names
    from vecload.errors import VocabularyError

    chosen = []
    for name in names:
        entry = public.get(name)
        if entry is None:
            near = " or ".join(map(repr, close_names(name)))
            hint = f"did you mean {near}?" if near else "`vecload catalog` lists all names"
            raise VocabularyError(f"the catalog has no {name!r}; {hint}")
        chosen.append(entry)
    say = messages(quiet=quiet, instead=as_json)
    done: list[dict[str, object]] = []
    for entry in chosen:
        try:
            path = public.download(entry)
        except KeyboardInterrupt:
            typer.echo(f"\nvecload: {entry.name} is incomplete; run the command again to continue", err=True)
            raise typer.Exit(130) from None
        say(f"{entry.full_name}: {path} ({entry.license}; {entry.checked_by})")
        done.append({"name": entry.full_name, "path": str(path), "license": entry.license})
        if native and not native_path(entry).exists():
            from vecload import conversion

            conversion.convert(f"{path}/{entry.member}" if entry.member else path, native_path(entry))
            say(f"{entry.full_name}: {native_path(entry)}")
            done[-1]["native"] = str(native_path(entry))
    if as_json:
        print_json(done)


@cache.callback()
def _show_help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@cache.command()
def ls(*, as_json: Json = False) -> None:
    """List downloaded files, how they were verified, and their folder.

    Example: vecload cache ls
    """
    from vecload import catalog as public

    files = public.cached()
    if as_json:
        print_json([{"path": str(file.path), "size": file.size, "state": file.state} for file in files])
        return
    for file in files:
        typer.echo(f"{file.size:>15,}  {file.path.relative_to(public.cache_folder())}  {file.state}")
    typer.echo(f"{sum(file.size for file in files):>15,}  {public.cache_folder()}")


@cache.command()
def rm(name: Name, *, as_json: Json = False, quiet: Quiet = False) -> None:
    """Remove a downloaded file, and parts of an incomplete download.

    An archive that holds several files of the catalog is removed for all of them.

    Example: vecload cache rm glove.6B.50d
    """
    from vecload import catalog as public

    say = messages(quiet=quiet, instead=as_json)
    removed = public.remove(name)
    for path in removed:
        say(f"removed {path}")
    if as_json:
        print_json([str(path) for path in removed])


@cache.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="As for `cache rm`; without it, all files.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Hash downloaded files again, and compare with the hashes of the download.

    Example: vecload cache verify
    """
    from vecload import catalog as public

    verdicts = public.verify(name)
    if as_json:
        print_json(
            [{"path": str(file.path), "problem": wrong or None, "state": file.state} for file, wrong in verdicts]
        )
    for file, wrong in verdicts if not as_json else ():
        typer.echo(f"{file.path.relative_to(public.cache_folder())}: {wrong or 'as downloaded, ' + file.state}")
    if any(wrong for _, wrong in verdicts):
        raise typer.Exit(1)


COMMANDS = (catalog, download)
