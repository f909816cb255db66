"""Every kind of file that vecload writes for itself: its schema, what to call it, and what opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vecload.saved.schema import (
    LONGEST_MARK,
    LONGEST_NGRAM,
    MAX_DIM,
    MAX_ROWS,
    Rule,
    Schema,
    Setting,
    Tensor,
)

if TYPE_CHECKING:
    from pathlib import Path

    from vecload.saved.schema import Arrays

_FLOATS: Final = "float16 bfloat16 float32 float64"
_BYTES: Final = (0, 1 << 48)
_LONGEST_NAME: Final = 1000
_LARGEST_VALUE: Final = 1e30  # rows are mapped in float32
_NULL: Final = type(None)
_TEXT: Final = Setting((str,), high=_LONGEST_NAME)
_NAME_OR_NULL: Final = Setting((str, _NULL), high=1 << 16)
_ROW_OR_NULL: Final = Setting((int, _NULL), 0, MAX_ROWS)
_WORDS: Final = Setting((list,), items=Setting((str,), high=1 << 16))


def _cuts(arrays: Arrays) -> bool:
    """Whether word offsets cut the bytes into words: compiled code follows them without looking."""
    data, offsets = arrays["words.data"], arrays["words.offsets"]
    return bool(offsets[0] == 0 and offsets[-1] == len(data) and (offsets[1:] >= offsets[:-1]).all())


def _countable(arrays: Arrays) -> bool:
    """Whether counts are not negative and their sum fits into 64 bits."""
    counts = arrays.get("counts")
    return counts is None or not len(counts) or (counts.min() >= 0 and float(counts.sum(dtype=float)) < 2**63)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


NATIVE: Final = Schema(
    "vecload vectors",
    "1",
    tensors={
        "matrix": Tensor(_FLOATS, ("rows", "dim")),
        "words.data": Tensor("uint8", ("bytes",)),
        "words.offsets": Tensor("int64", ("rows+1",)),
        "words.slots": Tensor("uint64", ("slots",)),
    },
    sides={"dim": (1, MAX_DIM), "bytes": _BYTES, "slots": (1, 1 << 34)},
    rules=(
        Rule(
            "the hash table 'words.slots' must have more slots than there are words, and a power of two",
            lambda arrays, _: (
                len(arrays["words.slots"]).bit_count() == 1 and len(arrays["words.slots"]) > len(arrays["matrix"])
            ),
        ),
    ),
)
"""The words' offsets and slots are not read on opening: `Words` checks them before compiled code follows them."""

LONGEST_DOUBT: Final = 1 << 12
"""Characters in the findings about a file's words; a few sentences with quoted words of bounded length."""

META: Final = {
    "args": Setting((dict,), required=False),
    "attr": Setting((str,), required=False),
    "doubt": Setting((str,), high=LONGEST_DOUBT, required=False),
    "labels": Setting((list,), items=Setting((str,)), required=False),
    "transforms": Setting((list,), items=Setting((dict,)), required=False),
}
"""Entries of a native file's `meta` that change what the library does; others only describe the source."""

_COUNT: Final = Setting((int,), 0, (1 << 31) - 1, required=False)

META_ARGS: Final = {
    **dict.fromkeys(("dim", "ws", "epoch", "minCount", "neg", "lrUpdateRate"), _COUNT),
    "model": Setting((str,), required=False),
    "ntokens": Setting((int,), 0, (1 << 63) - 1, required=False),
    "t": Setting((float,), required=False),
    "wordNgrams": Setting((int,), 0, LONGEST_NGRAM, required=False),
}
"""Entries of "args" in `META`: what a fastText model was trained with, which is written into its file again."""

NGRAM_SETTINGS: Final = {
    "minn": Setting((int,), 0, LONGEST_NGRAM),
    "maxn": Setting((int,), 0, LONGEST_NGRAM),
    "bucket": Setting((int,), 0, (1 << 31) - 1),
    "kind": Setting((str,), choices=("fasttext", "floret")),
    "hash_count": Setting((int,), 1, 4),
    "seed": Setting((int,), 0, (1 << 32) - 1),
    "bow": Setting((str,), high=LONGEST_MARK),
    "eow": Setting((str,), high=LONGEST_MARK),
    "eos_ngrams": Setting((bool,), required=False),
}

_MARKS = Rule(
    "the n-gram boundary marks are not text", lambda _, kept: _encodable(kept["bow"]) and _encodable(kept["eow"])
)
_PLAIN_FLORET = Rule(
    "floret n-gram tables are never pruned", lambda arrays, kept: kept["kind"] == "fasttext" or "kept" not in arrays
)


def _all_buckets(arrays: Arrays, rows: str, bucket: int) -> bool:
    """Whether every row that an n-gram can ask for exists."""
    kept, count = arrays.get("kept"), len(arrays[rows])
    if kept is None:
        return bucket <= count
    return not len(kept) or bool(kept[:, 1].min() >= 0 and kept[:, 1].max() < count)


DENSE_NGRAMS: Final = Schema(
    "vecload vectors",
    "1",
    tensors={
        "rows": Tensor(_FLOATS, ("ngram rows", "dim")),
        "kept": Tensor("int32", ("kept", 2), required=False),
    },
    settings=NGRAM_SETTINGS,
    sides={"dim": (1, MAX_DIM)},
    rules=(
        _MARKS,
        _PLAIN_FLORET,
        Rule(
            "n-grams ask for rows that do not exist", lambda arrays, kept: _all_buckets(arrays, "rows", kept["bucket"])
        ),
    ),
)
"""Tensors of a native file that begin with "ngrams.", without this prefix, and the JSON under "ngrams"."""

QUANTIZED_NGRAMS: Final = Schema(
    "vecload vectors",
    "1",
    tensors={
        "codes": Tensor("uint8", ("ngram rows", "parts")),
        "centroids": Tensor("float32", ("256*dim",)),
        "norm_codes": Tensor("uint8", ("norms",)),
        "norm_centroids": Tensor("float32", ("norm values",)),
        "kept": Tensor("int32", ("kept", 2), required=False),
    },
    settings={**NGRAM_SETTINGS, "width": Setting((int,), 1, MAX_DIM)},
    sides={"dim": (1, MAX_DIM)},
    rules=(
        _MARKS,
        _PLAIN_FLORET,
        Rule(
            "the quantized n-gram codes do not have one part for each stretch of a row",
            lambda arrays, kept: arrays["codes"].shape[1] == -(-(arrays["centroids"].size // 256) // kept["width"]),
        ),
        Rule(
            "the quantized n-gram norms need one code for each row and 256 values",
            lambda arrays, _: (
                (arrays["norm_codes"].size, arrays["norm_centroids"].size) in ((0, 0), (len(arrays["codes"]), 256))
            ),
        ),
        Rule(
            "n-grams ask for rows that do not exist", lambda arrays, kept: _all_buckets(arrays, "codes", kept["bucket"])
        ),
    ),
)

ALIGNED: Final = Schema(
    "vecload-aligned",
    "1",
    tensors={
        "weight": Tensor(_FLOATS, ("rows", "dim")),
        "origin": Tensor("uint8", ("rows",)),
        "words.data": Tensor("uint8", ("bytes",)),
        "words.offsets": Tensor("int64", ("rows+1",)),
        "counts": Tensor("int64", ("rows",), required=False),
    },
    settings={
        "origins": Setting((list,), 3, 255, items=_TEXT),
        "spellings": Setting((int,), 0, 252),
        "specials": _WORDS,
        "unk_token": _NAME_OR_NULL,
        "pad_token": _NAME_OR_NULL,
        "padding_idx": _ROW_OR_NULL,
        "coverage": Setting((dict,)),
        "meta": Setting((dict,)),
    },
    sides={"dim": (1, MAX_DIM), "bytes": _BYTES},
    rules=(
        Rule("'words.offsets' do not cut 'words.data' into words", lambda arrays, _: _cuts(arrays)),
        Rule("'counts' are negative or too large", lambda arrays, _: _countable(arrays)),
        Rule(
            "'origin' has codes without a name in 'origins'",
            lambda arrays, kept: not len(arrays["origin"]) or int(arrays["origin"].max()) < len(kept["origins"]),
        ),
        Rule("more 'spellings' than 'origins'", lambda _, kept: kept["spellings"] <= len(kept["origins"]) - 3),
    ),
)

SPACE_MAP: Final = Schema(
    "vecload-map",
    "1",
    tensors={
        "matrix": Tensor("float64", ("source dim", "dim")),
        "target_matrix": Tensor("float64", ("target dim", "dim"), required=False),
        "source.means": Tensor("float64", ("source centers", "source dim")),
        "target.means": Tensor("float64", ("target centers", "target dim")),
    },
    settings={
        "method": _TEXT,
        "info": Setting((dict,)),
        "source": Setting((list,), 0, 100, items=Setting((str,), choices=("unit", "center"))),
        "target": Setting((list,), 0, 100, items=Setting((str,), choices=("unit", "center"))),
    },
    sides={"source dim": (1, MAX_DIM), "target dim": (1, MAX_DIM), "dim": (1, MAX_DIM)},
    rules=(
        *(
            Rule(
                f"'{side}.means' must have one row for each \"center\" in '{side}'",
                lambda arrays, kept, side=side: len(arrays[f"{side}.means"]) == kept[side].count("center"),  # type: ignore[misc]
            )
            for side in ("source", "target")
        ),
        Rule(
            "without 'target_matrix', 'matrix' must lead to the dimension of the target",
            lambda arrays, _: "target_matrix" in arrays or arrays["matrix"].shape[1] == arrays["target.means"].shape[1],
        ),
        Rule(
            f"a value is not finite or beyond {_LARGEST_VALUE:g}",
            lambda arrays, _: all(bool((np.abs(array) <= _LARGEST_VALUE).all()) for array in arrays.values()),
        ),
        Rule(
            "'pairs' in 'info' must be a whole number",
            lambda _, kept: type(kept["info"].get("pairs", 0)) is int and 0 <= kept["info"].get("pairs", 0) <= MAX_ROWS,
        ),
    ),
)

POOLER: Final = Schema(
    "vecload-pooler",
    "1",
    settings={
        "format": Setting((str,), choices=("vecload-pooler",)),
        "version": Setting((int,), choices=(1,)),
        "mode": Setting((dict,)),
        "unknown": Setting((str,), choices=("skip", "unk", "ngrams")),
        "normalize": Setting((bool,)),
        "padding_idx": _ROW_OR_NULL,
        "unk_idx": _ROW_OR_NULL,
        "tokenizer": Setting((dict,)),
    },
)
"""``pooler.json`` of a pooler's folder; `POOLER_MODE` and `POOLER_TOKENIZER` are the dicts in it."""

POOLER_MODE: Final = {
    "name": _TEXT,
    "a": Setting((float,), 0, 1e300),
    "length": Setting((float, _NULL), 0, 1e300),
    "components": Setting((int,), 0, MAX_DIM),
    "powers": Setting((list,), 0, 100, items=Setting((str,), high=20)),
}

POOLER_TOKENIZER: Final = {"kind": _TEXT, "lowercase": Setting((bool,)), "settings": Setting((str,))}

POOLER_STATE: Final = Schema(
    "",
    "",
    tensors={
        "token_weights": Tensor(_FLOATS, ("weighted",), required=False),
        "unknown_weight": Tensor(_FLOATS, (), required=False),
        "components": Tensor(_FLOATS, ("components", "dim"), required=False),
        "shares": Tensor(_FLOATS, ("components",), required=False),
        "fitted": Tensor("bool", (), required=False),
        "query": Tensor(_FLOATS, ("dim",), required=False),
    },
    sides={"dim": (1, MAX_DIM)},
)
"""``state.safetensors`` of a pooler's folder, the buffers of the module by torch's names: those that its mode needs."""

VOCAB: Final = Schema(
    "vecload-vocab",
    "1",
    settings={
        "format": Setting((str,), choices=("vecload-vocab",)),
        "version": Setting((int,), choices=(1,)),
        "unk_token": _NAME_OR_NULL,
        "pad_token": _NAME_OR_NULL,
        "specials": _WORDS,
        "words": Setting((list,), 0, MAX_ROWS, items=Setting((str,))),
        "counts": Setting((list, _NULL), 0, MAX_ROWS, items=Setting((int,), 0, (1 << 63) - 1)),
    },
    rules=(
        Rule(
            "there must be one count for each word",
            lambda _, kept: kept["counts"] is None or len(kept["counts"]) == len(kept["words"]),
        ),
        Rule("the sum of 'counts' is too large", lambda _, kept: sum(kept["counts"] or ()) < 1 << 63),
    ),
)


class Kind(NamedTuple):
    """A kind of file, and what to do with it."""

    what: str | None
    hint: str | None


SAVED: Final = {
    NATIVE.mark: Kind("word vectors in vecload's own format", "Use vecload.load."),
    ALIGNED.mark: Kind("an aligned matrix that vecload saved", "Use vecload.Aligned.load."),
    SPACE_MAP.mark: Kind("a map between two spaces that vecload saved", "Use vecload.SpaceMap.load."),
    POOLER.mark: Kind("a folder that SentencePooler.save wrote", "Use vecload.SentencePooler.load with its folder."),
    VOCAB.mark: Kind("a vocabulary that vecload saved", "Use vecload.Vocab.load."),
}

_HEAD: Final = 4096


def describe_head(head: bytes) -> Kind | None:
    """Return what a file is from its first bytes, if vecload wrote it or may have written it.

    Examples
    --------
    >>> describe_head(b'{"counts":null,"format":"vecload-vocab"').hint
    'Use vecload.Vocab.load.'
    """
    if head.startswith(b"\x93NUMPY"):
        hint = "If you have its words: vecload.Vectors(words, numpy.load(path))."
        return Kind("a NumPy array (.npy), a matrix without words", hint)
    if b"{" not in head[:9]:
        return None
    for mark, kind in SAVED.items():
        if f'"{mark}"'.encode() in head[:_HEAD]:
            return kind
    if b'{"vectors":{"dtype"' in head[:_HEAD].replace(b" ", b"") and head[8:9] == b"{":
        return Kind("sentence vectors that vecload pool wrote", "They have no words: use safetensors.numpy.load_file.")
    return None


# Files of folders that vecload writes: the file's name, names next to it that prove the kind of folder, and the kind.
_PARTS: Final = (
    ("state.safetensors", ("pooler.json",), Kind("the state of a saved SentencePooler", "{pooler}")),
    ("pooler.json", (), Kind("the settings of a saved SentencePooler", "{pooler}")),
    ("model.safetensors", ("tokenizer.json",), Kind("the tensors of an embedding model's folder", "{load}")),
    ("tokenizer.json", ("model.safetensors",), Kind("the tokenizer of an embedding model's folder", "{load}")),
    ("modules.json", ("model.safetensors",), Kind("the settings of an embedding model's folder", "{load}")),
    ("config.json", ("model.safetensors",), Kind("the settings of an embedding model's folder", "{load}")),
    ("key2row", ("vectors",), Kind("the row numbers of a spaCy folder", "{load}")),
    ("vectors", ("key2row",), Kind("the rows of a spaCy folder", "{load}")),
    ("vectors.cfg", ("vectors",), Kind("the settings of a spaCy folder", "{load}")),
    ("strings.json", ("vectors",), Kind("the strings of a spaCy folder", "{load}")),
    ("lookups.bin", ("vectors",), Kind("a table of a spaCy folder", "{load}")),
)


def describe_file(path: Path) -> Kind | None:
    """Return what a file is from its name and its neighbors, if it is a part of a folder or of a saved model."""
    for name, beside, kind in _PARTS:
        if path.name == name and all((path.parent / other).exists() for other in beside):
            hint = (kind.hint or "").format(
                pooler=f"Use vecload.SentencePooler.load({str(path.parent)!r}).",
                load=f"Load the folder: vecload.load({str(path.parent)!r}).",
            )
            return Kind(kind.what, hint)
    # gensim keeps large arrays of "model" in "model.vectors.npy" and the like.
    stem = path.name
    while path.suffix in (".npy", ".npz") and "." in stem:
        stem = stem.rpartition(".")[0]
        if stem and stem != path.name and (path.parent / stem).is_file():
            whole = str(path.parent / stem)
            return Kind("an array of a model that gensim saved", f"Load the model itself: vecload.load({whole!r}).")
    return None


def describe_folder(path: Path) -> Kind | None:
    """Return what a folder is, if vecload wrote it and `load` does not read it."""
    if (path / "pooler.json").is_file():
        vectors = str(path / "vectors.safetensors")
        hint = f"Use vecload.SentencePooler.load({str(path)!r}), or vecload.load({vectors!r}) for its words and rows."
        return Kind("the folder of a saved SentencePooler", hint)
    if (path / "tensors.tsv").is_file() and (path / "metadata.tsv").is_file():
        return Kind(
            "a folder for TensorBoard's projector", f"Load the rows: vecload.load({str(path / 'tensors.tsv')!r})."
        )
    return None
