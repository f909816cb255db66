"""The command `pool`: from files of texts to files of sentence vectors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Dtype, Errors, Limit, Lowercase, TextColumn, Tokenize
from vecload.cli.outputs import Force, check_outputs

if TYPE_CHECKING:
    from vecload.pooling import SentencePooler

_SETTINGS = "pool.json"


def pool(
    vectors: Annotated[
        str,
        typer.Argument(metavar="VECTORS", help="A file of word vectors, or a folder written by SentencePooler.save."),
    ],
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXTS...", help="Texts: one per line, JSON lines, or Parquet.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="The .npy, .parquet or .safetensors file to write; or a folder."
        ),
    ],
    mode: Annotated[
        str | None,
        typer.Option(metavar="MODE", help="mean, sum, max, sqrt-n, sif, usif, tfidf, pmeans or fasttext. [mean]"),
    ] = None,
    text_column: TextColumn = "text",
    format: Annotated[  # noqa: A002 - the field's word
        str, typer.Option(metavar="KIND", help="Kind of the files in a folder: npy, parquet or safetensors.")
    ] = "npy",
    tokenize: Tokenize = "whitespace",
    lowercase: Lowercase = False,  # noqa: FBT002 - a flag
    limit: Limit = None,
    dtype: Dtype = None,
    errors: Errors = "raise",
    *,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn texts into sentence vectors.

    Texts are streamed, so they may be larger than memory. Words without a vector are skipped,
    and the vector of a text without known words is zero; the mode fasttext composes unknown words from n-grams. A saved
    pooler keeps its own tokenizer and rules. The modes sif, usif and tfidf weight words by their frequency: in the
    corpus that a saved pooler was fitted on, or in TEXTS, which are then read twice.

    With several TEXTS, OUT is a folder. Each file in it is written completely or not at all, and existing files are
    kept: to continue after an interruption, run the same command again. With --force, all files are written again.

    Example: vecload pool glove.6B.50d.txt sentences.txt -o sentences.npy --mode sif
    """
    # Paths are checked before torch is imported, which takes longer than all checks together.
    single = len(texts) == 1 and not output.is_dir()
    check_outputs([vectors, *texts], force=force, others=[(output, ())] if single else [])

    from vecload.errors import OptionError
    from vecload.pooling import files
    from vecload.pooling.modes import FITTED
    from vecload.text_input import read_texts

    settings = _Settings(vectors, mode, text_column, tokenize, lowercase, limit, dtype, errors)
    _check_options(settings, texts)
    if not _is_saved(vectors) and mode in FITTED:
        _check_repeatable(texts, mode)
    say = messages(quiet=quiet, instead=as_json)
    done: list[dict[str, object]] = []
    if single:
        files.suffix_of(output)
        pooler = _pooler(settings, texts)
        count = files.pool_file(pooler, read_texts(texts[0], column=text_column), output)
        say(f"{output}: {count:,} x {pooler.output_dim} float32")
        if as_json:
            print_json({"output": str(output), "texts": count, "dim": pooler.output_dim})
        return
    targets = [output / f"{Path(path).name}.{format}" for path in texts]
    files.suffix_of(targets[0])
    if len(set(targets)) < len(targets):
        raise OptionError("two of the TEXTS have the same file name, and so would their vectors; use two folders")
    # In a fitted mode, each sentence vector depends on all texts.
    _check_settings(output, {**asdict(settings), "texts": texts if mode in FITTED else None}, force=force)
    left = [(path, target) for path, target in zip(texts, targets, strict=True) if force or not target.exists()]
    check_outputs([vectors, *texts], force=force, others=[(target, ()) for _, target in left])
    if len(left) < len(texts):
        say(f"{len(texts) - len(left)} of {len(texts)} files exist already")
    if not left:
        if as_json:
            print_json(done)
        return
    pooler = _pooler(settings, texts)
    for path, target in left:
        count = files.pool_file(pooler, read_texts(path, column=text_column), target)
        say(f"{target}: {count:,} x {pooler.output_dim} float32")
        done.append({"output": str(target), "texts": count, "dim": pooler.output_dim})
    if as_json:
        print_json(done)


@dataclass(frozen=True)
class _Settings:
    """Options that change the sentence vectors."""

    vectors: str
    mode: str | None
    text_column: str
    tokenize: str = "whitespace"
    lowercase: bool = False
    limit: int | None = None
    dtype: Dtype = None
    errors: Errors = "raise"


def _pooler(settings: _Settings, texts: list[str]) -> SentencePooler:
    """Return the saved pooler, or a new one for a file of vectors, fitted on the texts if its mode needs that."""
    from vecload.errors import OptionError
    from vecload.loading import load
    from vecload.pooling import SentencePooler
    from vecload.pooling.modes import FITTED, as_mode
    from vecload.text_input import read_texts

    if _is_saved(settings.vectors):
        pooler = SentencePooler.load(settings.vectors)
        if settings.mode not in (None, pooler.mode.name):
            raise OptionError(f"{settings.vectors} is a pooler with mode {pooler.mode.name!r}; leave out --mode")
        return pooler
    mode = as_mode(settings.mode or "mean")
    vectors = load(settings.vectors, limit=settings.limit, dtype=settings.dtype, errors=settings.errors)
    pooler = SentencePooler(vectors, mode, tokenize=settings.tokenize, lowercase=settings.lowercase)
    if mode.name in FITTED:
        pooler.fit(chain.from_iterable(read_texts(path, column=settings.text_column) for path in texts))
    return pooler


def _is_saved(vectors: str) -> bool:
    """Return whether this is the folder of a saved pooler."""
    return (Path(vectors) / "pooler.json").is_file()


def _check_repeatable(texts: list[str], mode: str | None) -> None:
    """Raise OptionError for texts from standard input or a pipe, which cannot be read twice: to fit, and to pool."""
    from vecload.errors import OptionError

    for text in texts:
        path = Path(text)
        if text == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
            raise OptionError(f"mode {mode!r} reads the texts twice, which is impossible with {text}; name a file")


def _check_options(settings: _Settings, texts: list[str]) -> None:
    """Raise an error for invalid options, options that a saved pooler has already, and missing packages."""
    from vecload.errors import OptionError, require
    from vecload.pooling.modes import as_mode
    from vecload.tokenizers import Tokenizer

    Tokenizer.of(settings.tokenize)
    plain = _Settings(settings.vectors, settings.mode, settings.text_column)
    if _is_saved(settings.vectors) and settings != plain:
        options = "--tokenize, --lowercase, --limit, --dtype and --errors"
        raise OptionError(f"{settings.vectors} is a saved pooler, which has its own settings; leave out {options}")
    if as_mode(settings.mode or "mean").name == "attention":
        raise OptionError("mode 'attention' has to be trained: save a trained pooler, and name its folder")
    if any(text.endswith(".parquet") for text in texts):
        require("pyarrow.parquet", "arrow")


def _check_settings(folder: Path, settings: dict[str, object], *, force: bool) -> None:
    """Create the folder and save the settings in it, or check that its files were written with the same settings.

    Raises
    ------
    OptionError
        If the settings differ and --force is not given.
    """
    from vecload.errors import OptionError
    from vecload.sources import atomic_write

    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / _SETTINGS
    if kept.exists() and not force:
        if json.loads(kept.read_text(encoding="utf-8")) != settings:
            raise OptionError(
                f"the files in {folder} were written with other settings (see {kept.name}); choose another folder, or "
                "use --force"
            )
        return
    with atomic_write(kept) as part:
        part.write_text(json.dumps(settings), encoding="utf-8")


COMMANDS = (pool,)
