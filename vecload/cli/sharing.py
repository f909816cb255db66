"""The command `push`: upload vectors to the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from vecload.cli.console import Json, print_json


def push(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file of word vectors, an output of `embed`, or the folder of a pooler."),
    ],
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository, which is created if needed.")],
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who can see the repository. [the default of the organization]"),
    ] = None,
    revision: Annotated[str | None, typer.Option(metavar="BRANCH", help="The branch. [main]")] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="Message of the commit.")
    ] = None,
    license: Annotated[  # noqa: A002 - the word of the model card
        str | None, typer.Option(metavar="NAME", help="License, such as cc-by-4.0. [the one that FILE states]")
    ] = None,
    *,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    as_json: Json = False,
) -> None:
    """Upload vectors with a model card to the Hugging Face Hub, and print the address of the commit.

    Log in first with `hf auth login`, or set HF_TOKEN.

    Example: vecload push glove.6B.50d.txt org/name --private
    """
    from vecload import hub

    value = hub.read_shared(file)
    url = hub.push(
        value,
        repository,
        private=private,
        revision=revision,
        message=message,
        license=license,
        create_pr=create_pr,
    )
    if as_json:
        print_json({"url": url})
    else:
        typer.echo(url)


COMMANDS = (push,)
