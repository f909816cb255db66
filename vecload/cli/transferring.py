"""The command `transfer`: move a model to another tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vecload.cli.console import Json, Quiet, messages, print_json
from vecload.cli.options import Seed

if TYPE_CHECKING:
    from typing import Any

# The choices of `vecload.transfer_embedding`; a test compares them.
_Method = Literal["focus", "wechsel", "omp", "subwords", "mean", "normal"]
_Overlap = Literal["exact", "fuzzy", "symbols", "spelling"]
_Folder = Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="The folder of a Hugging Face model.")]


def transfer(
    model: _Folder,
    target_tokenizer: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of the new tokenizer, with tokenizer.json.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write the model to.")],
    source_tokenizer: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of the model's tokenizer. [MODEL_DIR]")
    ] = None,
    method: Annotated[
        _Method, typer.Option(metavar="NAME", help="focus, wechsel, omp, subwords, mean or normal.")
    ] = "focus",
    vectors: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="For focus and wechsel: vectors of the target language or of its tokens."),
    ] = None,
    source_vectors: Annotated[
        str | None, typer.Option(metavar="FILE", help="For wechsel: vectors of the source language.")
    ] = None,
    space_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="For wechsel: what `vecload map --map-output` wrote.")
    ] = None,
    donor: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For omp: the folder of a model that has the new tokenizer.")
    ] = None,
    overlap: Annotated[
        _Overlap, typer.Option(metavar="NAME", help="Tokens that are the same: exact, fuzzy, symbols or spelling.")
    ] = "exact",
    k: Annotated[
        int | None, typer.Option("-k", metavar="K", help="Nearest tokens in wechsel [10], or atoms in omp [64].")
    ] = None,
    temperature: Annotated[float, typer.Option(metavar="T", help="For wechsel: divisor of the cosines.")] = 0.1,
    pad_to_multiple_of: Annotated[
        int, typer.Option(metavar="N", help="Round the number of rows up to a multiple.")
    ] = 1,
    seed: Seed = 0,
    missing: Annotated[int, typer.Option(metavar="K", help="List the first K tokens that were not copied.")] = 10,
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give a language model the rows of another tokenizer.

    Rows of tokens that both tokenizers have are copied; the others are made by --method. The new folder has the model
    and the tokenizer.

    Example: vecload transfer gpt2 --target-tokenizer my-tokenizer --vectors cc.ja.300.bin -o gpt2-ja
    """
    from vecload.layers.transfer.folders import transfer_folder
    from vecload.mapping import SpaceMap
    from vecload.message_text import quote

    say = messages(quiet=quiet, instead=as_json)
    options: dict[str, Any] = {"vectors": vectors, "source_vectors": source_vectors}
    if space_map is not None:
        options["space_map"] = SpaceMap.load(space_map)
    moved = transfer_folder(
        model,
        output,
        source_tokenizer or model,
        target_tokenizer,
        donor=donor,
        method=method,
        overlap=overlap,
        k=k,
        temperature=temperature,
        pad_to_multiple_of=pad_to_multiple_of,
        seed=seed,
        **options,
    )
    rows, dim = moved.layer.weight.shape
    others = [token for token, _ in moved.coverage.missing(missing)]
    if as_json:
        print_json({"output": str(output), "rows": rows, "dim": dim} | {"coverage": moved.coverage.as_dict()})
        return
    say(moved.coverage)
    if others:
        say("not copied: " + ", ".join(quote(token.encode("utf-8", "surrogateescape")) for token in others))
    say(f"{output}: {rows:,} x {dim} {str(moved.layer.weight.dtype).removeprefix('torch.')}")


COMMANDS = (transfer,)
