"""The command `check`: how many words of a vocabulary a file of vectors has, and why the others were not found."""

from __future__ import annotations

from typing import Annotated

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import File, Limit, Lowercase, TextColumn, Tokenize, split_list
from vecload.cli.outputs import check_outputs


def check(
    file: File,
    vocab: Annotated[
        str | None, typer.Option(metavar="WORDS", help="A vocabulary: one word per line, or any other word list.")
    ] = None,
    texts: Annotated[
        str | None, typer.Option(metavar="TEXTS", help="Texts whose words to check: lines, JSON lines, or Parquet.")
    ] = None,
    text_column: TextColumn = "text",
    tokenize: Tokenize = "whitespace",
    lowercase: Lowercase = False,  # noqa: FBT002 - a flag
    oov: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEPS",
            help="Spellings to try first: nfc, nfkc, strip, casefold, separators, digits, nfd, aliases:FILE.",
        ),
    ] = None,
    limit: Limit = None,
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find out why a file does not have the words of a vocabulary or of texts.

    Shows how many words are found, and how many more would be found under another spelling: in another case, without
    punctuation, in another encoding. The last lines are the options to use.

    Example: vecload check glove.6B.50d.txt --vocab words.txt

    Example: vecload check glove.6B.50d.txt --texts reviews.jsonl --tokenize basic_english
    """
    from vecload import alignment
    from vecload.errors import OptionError
    from vecload.oov.chain_builder import parse_chain
    from vecload.tokenizers import Tokenizer
    from vecload.vocab import Vocab

    source = vocab or texts
    if source is None or (vocab and texts):
        raise OptionError("name the words to check by either --vocab WORDS or --texts TEXTS")
    steps = split_list(oov or [])
    parse_chain(steps)
    tokenizer = Tokenizer.of(tokenize, lowercase=lowercase)
    check_outputs([file, source], force=False)
    messages(quiet=quiet)
    if vocab is not None:
        words = Vocab.load(vocab)
    else:
        words = Vocab.from_text_file(source, column=text_column, tokenize=tokenizer)
    if len(words) == len(words.specials):
        raise OptionError(f"{source}: no words besides special tokens")
    coverage = alignment.check(file, words, oov=steps, limit=limit)
    if as_json:
        print_json(coverage.as_dict())
        return
    typer.echo(coverage.table)
    typer.echo()
    typer.echo(str(coverage.explanation))


COMMANDS = (check,)
