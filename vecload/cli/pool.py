"""The command `pool`: files of texts to files of sentence vectors."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vecload.pooling import SentencePooler

_SETTINGS = "pool.json"


def pool(
    vectors: Annotated[
        str,
        typer.Argument(metavar="VECTORS", help="Word vectors, or a folder that SentencePooler.save wrote."),
    ],
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXTS...", help="Texts: one per line, JSON lines, or Parquet.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The .npy, .parquet or .safetensors to write; for several, a folder."
        ),
    ],
    mode: Annotated[
        str | None,
        typer.Option(metavar="MODE", help="mean, sum, max, sqrt-n, sif, usif, tfidf, pmeans or fasttext. [mean]"),
    ] = None,
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="Field or column of the texts in JSON lines and Parquet.")
    ] = "text",
    format: Annotated[  # noqa: A002 - the field's word
        str, typer.Option(metavar="KIND", help="npy, parquet or safetensors: the files written to a folder.")
    ] = "npy",
) -> None:
    """Turn texts into sentence vectors.

    Texts are cut at white space and streamed, so they may be larger than memory. Words that VECTORS lack are passed
    over (mode fasttext composes them from n-grams), and a text without any other is zeros; a saved pooler does what it
    was made to. The modes sif, usif and tfidf weigh words by a corpus: that of a saved pooler, else TEXTS themselves,
    which are read once more for it.

    With several TEXTS, OUT is a folder. Each of its files appears whole or not at all, and those that are there are
    not made again: run the same command again to go on after an interruption.

    Example: vecload pool glove.6B.50d.txt sentences.txt -o sentences.npy --mode sif
    """
    from vecload.errors import OptionError
    from vecload.pooling import files
    from vecload.text_input import read_texts

    for path in texts:
        if not path.exists():
            raise FileNotFoundError(2, "no such file", str(path))
    if len(texts) == 1 and not output.is_dir():
        files.suffix_of(output)
        pooler = _pooler(vectors, mode, texts, text_column)
        count = files.pool_file(pooler, read_texts(texts[0], column=text_column), output)
        typer.echo(f"{output}: {count:,} x {pooler.output_dim} float32")
        return
    targets = [output / f"{path.name}.{format}" for path in texts]
    files.suffix_of(targets[0])
    if len(set(targets)) < len(targets):
        raise OptionError("two of the TEXTS have one name, and so would their vectors: pool them into two folders")
    _settle(output, vectors, mode, text_column, texts)
    left = [(path, target) for path, target in zip(texts, targets, strict=True) if not target.exists()]
    if len(left) < len(texts):
        typer.echo(f"{len(texts) - len(left)} of {len(texts)} files are there already")
    if not left:
        return
    pooler = _pooler(vectors, mode, texts, text_column)
    for path, target in left:
        count = files.pool_file(pooler, read_texts(path, column=text_column), target)
        typer.echo(f"{target}: {count:,} x {pooler.output_dim} float32")


def _pooler(vectors: str, mode: str | None, texts: list[Path], column: str) -> SentencePooler:
    """The pooler that was saved, or one of a file, fitted on the texts where it has to be."""
    from vecload.errors import OptionError
    from vecload.loading import load
    from vecload.pooling import SentencePooler
    from vecload.pooling.modes import FITTED, of
    from vecload.text_input import read_texts

    if (Path(vectors) / "pooler.json").is_file():
        pooler = SentencePooler.load(vectors)
        if mode is not None and mode != pooler.mode.name:
            raise OptionError(f"{vectors} is a pooler of mode {pooler.mode.name!r}: leave --mode out")
        return pooler
    chosen = of(mode or "mean")
    if chosen.name == "attention":
        raise OptionError("mode 'attention' has to be trained: save a trained pooler, and name its folder")
    pooler = SentencePooler(load(vectors), chosen)
    if chosen.name in FITTED:
        pooler.fit(chain.from_iterable(read_texts(path, column=column) for path in texts))
    return pooler


def _settle(folder: Path, vectors: str, mode: str | None, column: str, texts: list[Path]) -> None:
    """Make the folder, or see that what is in it was made in the same way.

    Raises
    ------
    OptionError
        When it was not: old and new vectors would lie side by side.
    """
    from vecload.errors import OptionError
    from vecload.sources import replacing

    settings = {"vectors": vectors, "mode": mode, "text_column": column}
    if mode in ("sif", "usif", "tfidf"):  # fitted on all of the texts
        settings["texts"] = json.dumps([str(path) for path in texts])
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / _SETTINGS
    if kept.exists():
        if json.loads(kept.read_text(encoding="utf-8")) != settings:
            raise OptionError(f"{folder} holds vectors that were made otherwise ({kept.name} says how): name another")
        return
    with replacing(kept) as part:
        part.write_text(json.dumps(settings), encoding="utf-8")


COMMANDS = (pool,)
