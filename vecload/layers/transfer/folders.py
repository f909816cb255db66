"""Move a model in a folder to another tokenizer, and write both into a new folder."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError

from vecload import progress
from vecload.errors import FormatError, OptionError, require
from vecload.layers.transfer.transferring import Transfer, check_arguments, transfer_embedding
from vecload.sources import atomic_write
from vecload.tokenizers.token_forms import token_forms

if TYPE_CHECKING:
    from types import ModuleType

# Files that belong to a tokenizer in a folder of Hugging Face.
_TOKENIZER_FILES: Final = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "chat_template.jinja",
)  # fmt: skip


def transfer_folder(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    source_tokenizer: str | os.PathLike[str],
    target_tokenizer: str | os.PathLike[str],
    *,
    donor: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Transfer:
    """Write a model with another tokenizer into a folder, which appears when it is complete.

    Parameters
    ----------
    folder
        Folder of a Hugging Face model.
    output
        Folder to write; it must not exist, or be empty.
    source_tokenizer, target_tokenizer
        Folders of the tokenizers. The files of the target tokenizer are copied into the output.
    donor
        Folder of the donor model, whose tokenizer is in the same folder.
    options
        Other arguments of `transfer_embedding`.

    Raises
    ------
    OptionError
        As for `transfer_embedding`; all that can be checked before the model is loaded is checked then.
    FormatError
        If a folder does not have a model.
    MissingDependencyError
        If *transformers* is not installed.
    """
    transformers = require("transformers", "transformers")
    check_arguments(**{**options, "donor": donor})
    source = token_forms(source_tokenizer, "source_tokenizer")
    target = token_forms(target_tokenizer, "target_tokenizer")
    if progress.hidden or not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    with atomic_write(output, folder=True) as part:
        model = load_model(transformers, folder)
        if donor is not None:
            options |= {"donor": load_model(transformers, donor), "donor_tokenizer": donor}
        moved = transfer_embedding(model, source, target, **options)
        model.save_pretrained(part)
        _copy_tokenizer(Path(target_tokenizer), part)
    return moved


def load_model(transformers: ModuleType, folder: str | os.PathLike[str]) -> Any:
    """Load a model as the class that its configuration names, in the type that it is stored in.

    Raises
    ------
    OptionError
        If the folder does not exist, or *transformers* does not have the class.
    FormatError
        If the model cannot be loaded.
    """
    if not Path(folder, "config.json").is_file():
        raise OptionError(f"{os.fspath(folder)} is not the folder of a model: it has no config.json")
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
        names = config.architectures or ["AutoModel"]
        kind = getattr(transformers, names[0], None)
        if kind is None:
            raise OptionError(
                f"{os.fspath(folder)}: transformers {transformers.__version__} has no class {names[0]}, which "
                "config.json names; use transfer_embedding from Python for models with code of their own"
            )
        return kind.from_pretrained(folder, dtype="auto")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, OptionError):
            raise
        raise FormatError(f"the model cannot be loaded ({error})", file=os.fspath(folder)) from error


def _copy_tokenizer(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target / "tokenizer.json")
        return
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
