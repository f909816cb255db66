"""``torchtext.vocab``: pretrained vectors by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

import torch

from vecload import catalog
from vecload.catalog.listing import close_names
from vecload.compat.torchtext.advice import advise
from vecload.errors import OptionError, list_of_strings
from vecload.loading import load
from vecload.message_text import did_you_mean

_CACHE: Final = ".vector_cache"
_ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz")


class Vectors:
    r"""Words and their vectors as tensors, with the attributes and methods of torchtext's class of this name.

    Parameters
    ----------
    name
        Path of a file in any format that `vecload.load` reads, or its name in `cache`. If there is no such file and no
        `url`, any other source that `vecload.load` accepts.
    cache
        Folder to search for the file, and for an archive that contains it and is named like the last part of `url`. The
        default is ``.vector_cache``. Nothing is written to it.
    url
        Address of the file, or of an archive that contains it. It is read if the file is not in `cache`.
    unk_init
        Function from a tensor of zeros, shape (dim,), to the vector of an unknown word. The default is zeros.
    max_vectors
        Read only the first rows of the file.

    Attributes
    ----------
    itos : list of str
        Words in the order of their rows.
    stoi : dict
        Row number of each word.
    vectors : torch.Tensor
        The matrix, float32, shape (number of words, dim).
    dim : int
        Number of values per vector.
    unk_init : callable
        As passed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError, DownloadError
        As `vecload.load` raises them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "my.vec").write_text("cat 0.5 1 2\ndog 0 1 3\n")
    ...     vectors = Vectors("my.vec", cache=folder)
    >>> vectors["dog"], vectors["cow"], vectors.stoi
    (tensor([0., 1., 3.]), tensor([0., 0., 0.]), {'cat': 0, 'dog': 1})
    """

    itos: list[str]
    stoi: dict[str, int]
    vectors: torch.Tensor
    dim: int
    unk_init: Callable[[torch.Tensor], torch.Tensor]

    def __init__(
        self,
        name: str | os.PathLike[str],
        cache: str | os.PathLike[str] | None = None,
        url: str | None = None,
        unk_init: Callable[[torch.Tensor], torch.Tensor] | None = None,
        max_vectors: int | None = None,
    ) -> None:
        name = os.fspath(name)
        archive = url.rpartition("/")[2] if url and url.endswith(_ARCHIVES) else None
        remote = name if url is None else f"{url}/{name}" if archive else url
        source = _find(name, cache, archive) or remote
        try:
            self._load(source, unk_init, max_vectors)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}; {Path(cache or _CACHE) / name} is missing too") from error
        advise("Vectors", f"vecload.load({source!r})")

    def _load(
        self, source: str, unk_init: Callable[[torch.Tensor], torch.Tensor] | None, max_vectors: int | None
    ) -> None:
        # torchtext reads the whole file if max_vectors is 0.
        loaded = load(source, limit=max_vectors or None, dtype="float32")
        self.itos = list(loaded.words)
        self.stoi = {word: row for row, word in enumerate(self.itos)}
        self.vectors = loaded.to_torch()
        self.dim = loaded.dim
        self.unk_init = torch.Tensor.zero_ if unk_init is None else unk_init

    def _load_named(
        self,
        called: str,
        name: str,
        file: str,
        cache: str | os.PathLike[str] | None,
        unk_init: Callable[[torch.Tensor], torch.Tensor] | None,
        max_vectors: int | None,
    ) -> None:
        """Load a file of the catalog, from the folder of torchtext's cache or from vecload's."""
        entry = catalog.get(name)
        place = _find(file, cache, entry.file if entry and entry.container else None)
        if place is None and entry is None:
            raise OptionError(f"{called} has no vectors named {name!r}{did_you_mean(name, close_names(name))}")
        source = place or name
        self._load(source, unk_init, max_vectors)
        advise(called, f"vecload.load({source!r}), or vecload.align({source!r}, vocab) for the rows of a vocabulary")

    def __len__(self) -> int:
        return len(self.vectors)

    def __contains__(self, token: object) -> bool:
        return token in self.stoi

    def __getitem__(self, token: str) -> torch.Tensor:
        """Return the vector of a word, shape (dim,): a view of `vectors`, or the result of `unk_init`."""
        row = self.stoi.get(token)
        return self.unk_init(torch.zeros(self.dim)) if row is None else self.vectors[row]

    def get_vecs_by_tokens(self, tokens: str | Sequence[str], lower_case_backup: bool = False) -> torch.Tensor:  # noqa: FBT001, FBT002 - the signature is torchtext's
        """Return copies of the vectors of words.

        Parameters
        ----------
        tokens
            A word, or a list of words.
        lower_case_backup
            Whether a word that is unknown as it is written is looked up in lower case.

        Returns
        -------
        torch.Tensor
            Shape (dim,) for a word, (number of words, dim) for a list.
        """
        listed = [tokens] if isinstance(tokens, str) else list_of_strings("tokens", tokens)
        if lower_case_backup:
            listed = [token if token in self.stoi else token.lower() for token in listed]
        if not listed:  # which torch.stack refuses
            return self.vectors.new_empty((0, self.dim))
        rows = torch.stack([self[token] for token in listed])
        return rows[0] if isinstance(tokens, str) else rows


class GloVe(Vectors):
    """GloVe vectors by name and dimension.

    Parameters
    ----------
    name, dim
        "6B" with 50, 100, 200 or 300; "twitter.27B" with 25, 50, 100 or 200; "42B" and "840B" with 300.
    cache
        Folder that is searched first, for the file (``glove.6B.50d.txt``) and for its archive (``glove.6B.zip``). The
        default is ``.vector_cache``. If it has neither, the archive is taken from vecload's cache, or downloaded there
        and verified.
    unk_init, max_vectors
        As in `Vectors`.

    Raises
    ------
    OptionError
        If there is no such file.
    DownloadError
        If the file cannot be downloaded.
    """

    def __init__(
        self,
        name: str = "840B",
        dim: int | str = 300,
        *,
        cache: str | os.PathLike[str] | None = None,
        unk_init: Callable[[torch.Tensor], torch.Tensor] | None = None,
        max_vectors: int | None = None,
    ) -> None:
        named = f"glove.{name}.{dim}d"
        self._load_named("GloVe", named, f"{named}.txt", cache, unk_init, max_vectors)


class FastText(Vectors):
    """fastText vectors of Wikipedia by language.

    Parameters
    ----------
    language
        As in the names of the files: "en" for ``wiki.en.vec``.
    cache, unk_init, max_vectors
        As in `GloVe`.

    Raises
    ------
    OptionError
        If there is no such file.
    DownloadError
        If the file cannot be downloaded.
    """

    def __init__(
        self,
        language: str = "en",
        *,
        cache: str | os.PathLike[str] | None = None,
        unk_init: Callable[[torch.Tensor], torch.Tensor] | None = None,
        max_vectors: int | None = None,
    ) -> None:
        named = f"wiki.{language}"
        self._load_named("FastText", named, f"{named}.vec", cache, unk_init, max_vectors)


class CharNGram:
    """Name of a class of torchtext that is not supported: making one raises an error with advice.

    Raises
    ------
    OptionError
        Always.
    """

    def __init__(self, *_: object, **__: object) -> NoReturn:
        raise OptionError(
            "CharNGram is not supported: its file stores n-grams as words in a way of its own; use a fastText model, "
            'which composes vectors from character n-grams: vecload.align("cc.en.300.bin", vocab, oov=["ngrams"])'
        )


def _find(file: str, cache: str | os.PathLike[str] | None, archive: str | None) -> str | None:
    """Return the path of a file: as given, in the cache, or in an archive in the cache."""
    folder = Path(_CACHE if cache is None else cache)
    for path in (Path(file), folder / file):
        if path.exists():
            return str(path)
    return None if archive is None or not (folder / archive).is_file() else f"{folder / archive}/{file}"
