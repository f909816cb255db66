"""The command `predict`: labels of texts by a fastText model."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from vecload.cli.console import Quiet, messages
from vecload.cli.options import TextColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 1 << 14  # texts that are classified at a time


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A supervised fastText model: .bin or .ftz.")],
    texts: Annotated[
        str, typer.Argument(metavar="TEXTS", help="Texts: one per line, JSON lines, or Parquet; - for standard input.")
    ],
    k: Annotated[int, typer.Option("-k", metavar="K", help="Number of labels; -1 for all.")] = 1,
    threshold: Annotated[float, typer.Option(metavar="P", help="Smallest probability.")] = 0.0,
    text_column: TextColumn = "text",
    *,
    strip_prefix: Annotated[bool, typer.Option("--strip-prefix", help="Print en for __label__en.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each text.")] = False,
    quiet: Quiet = False,
) -> None:
    """Print the most probable labels of each text, with their probabilities.

    Each line of the output belongs to one text, as in fastText's predict-prob. Newlines within a text are read as
    spaces.

    Example: vecload predict lid.176.ftz texts.txt -k 3 --threshold 0.1
    """
    from vecload.classification import load_classifier
    from vecload.text_input.texts import read_texts

    messages(quiet=quiet)
    classifier = load_classifier(model, strip_prefix=strip_prefix)
    rest: Iterator[str] = iter(read_texts(texts, column=text_column))
    while batch := [text.replace("\n", " ") for text in islice(rest, _BATCH)]:
        lines = []
        for labels, shares in zip(*classifier.predict(batch, k, threshold), strict=True):
            values = shares.tolist()
            if as_json:
                found = {"labels": labels, "probabilities": [round(value, 6) for value in values]}
                lines.append(json.dumps(found, ensure_ascii=False))
            else:
                lines.append(" ".join(f"{label} {value:.6g}" for label, value in zip(labels, values, strict=True)))
        typer.echo("\n".join(lines))


COMMANDS = (predict,)
