"""The schema of every kind of file that vecload writes for itself.

``docs/native-format.md`` describes the native format. Everything else here is private to vecload and may change with
the version in its schema.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.saved.validation import (
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
    from vecload.saved.validation import Arrays

_FLOATS: Final = "float16 bfloat16 float32 float64"
_BYTES: Final = (0, 1 << 48)
_LONGEST_NAME: Final = 1000
# Maps are applied in float32, whose range ends at 3.4e38; sums of products of larger values would overflow.
_LARGEST_VALUE: Final = 1e30
_NULL: Final = type(None)
_TEXT: Final = Setting((str,), high=_LONGEST_NAME)
_NAME_OR_NULL: Final = Setting((str, _NULL), high=1 << 16)
_ROW_OR_NULL: Final = Setting((int, _NULL), 0, MAX_ROWS)
_WORDS: Final = Setting((list,), items=Setting((str,), high=1 << 16))


def _valid_offsets(arrays: Arrays) -> bool:
    """Return whether the offsets split the bytes into words.

    Kernels use the offsets without bounds checks, so this check keeps them inside the array.
    """
    data, offsets = arrays["words.data"], arrays["words.offsets"]
    return bool(offsets[0] == 0 and offsets[-1] == len(data) and (offsets[1:] >= offsets[:-1]).all())


def _valid_row_ids(arrays: Arrays) -> bool:
    """Return whether each word has a row of the matrix."""
    ids = arrays.get("row_ids")
    return ids is None or not len(ids) or bool(ids.min() >= 0 and ids.max() < len(arrays["matrix"]))


def _countable(arrays: Arrays) -> bool:
    """Return whether no count is negative and their sum fits into 64 bits."""
    counts = arrays.get("counts")
    return counts is None or not len(counts) or (counts.min() >= 0 and float(counts.sum(dtype=float)) < 2**63)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _known_encoding(name: str) -> bool:
    try:
        return not codecs.lookup(name).name.startswith(("idna", "punycode")) and bool("a".encode(name))
    except (LookupError, TypeError, ValueError):
        return False


NATIVE: Final = Schema(
    "vecload vectors",
    "1",
    tensors={
        "matrix": Tensor(_FLOATS, ("rows", "dim")),
        "row_ids": Tensor("int64", ("words",), required=False),
        "words.data": Tensor("uint8", ("bytes",)),
        "words.offsets": Tensor("int64", ("words+1",)),
        "words.slots": Tensor("uint64", ("slots",)),
    },
    sizes={"dim": (1, MAX_DIM), "bytes": _BYTES, "slots": (1, 1 << 34)},
    rules=(
        Rule(
            "the hash table 'words.slots' must have more slots than there are words, and a power of two",
            lambda arrays, _: (
                len(arrays["words.slots"]).bit_count() == 1
                and len(arrays["words.slots"]) >= len(arrays["words.offsets"])
            ),
        ),
        Rule(
            "without 'row_ids', there must be one row for each word",
            lambda arrays, _: "row_ids" in arrays or len(arrays["words.offsets"]) == len(arrays["matrix"]) + 1,
        ),
        Rule("'row_ids' must be numbers of rows of the matrix", lambda arrays, _: _valid_row_ids(arrays)),
    ),
)
"""Word vectors in the native format.

Word offsets and hash slots are not read when a file is opened, so that opening takes constant time; `Words` checks
them before kernels use them. Row numbers are read, where words share rows.
"""

LONGEST_DOUBT: Final = 1 << 12
"""Maximum number of characters of "doubt" in `META`: a few sentences that quote words of bounded length."""

META: Final = {
    "args": Setting((dict,), required=False),
    "attr": Setting((str,), required=False),
    "doubt": Setting((str,), high=LONGEST_DOUBT, required=False),
    "labels": Setting((list,), items=Setting((str,)), required=False),
    "transforms": Setting((list,), items=Setting((dict,)), required=False),
}
"""Entries of a native file's `meta` that the library uses; all others only describe the source."""

_COUNT: Final = Setting((int,), 0, (1 << 31) - 1, required=False)

META_ARGS: Final = {
    **dict.fromkeys(("dim", "ws", "epoch", "minCount", "neg", "lrUpdateRate", "minn", "maxn", "bucket"), _COUNT),
    **dict.fromkeys(("model", "loss"), Setting((str,), required=False)),
    "ntokens": Setting((int,), 0, (1 << 63) - 1, required=False),
    "t": Setting((float,), required=False),
    "wordNgrams": Setting((int,), 0, LONGEST_NGRAM, required=False),
}
"""Entries of "args" in `META`: the training arguments of a fastText model, written again when it is converted."""

NGRAM_SETTINGS: Final = {
    "minn": Setting((int,), 0, LONGEST_NGRAM),
    "maxn": Setting((int,), 0, LONGEST_NGRAM),
    "bucket": Setting((int,), 0, (1 << 31) - 1),
    "kind": Setting((str,), choices=("fasttext", "floret", "finalfusion")),
    "hash_count": Setting((int,), 1, 4),
    "seed": Setting((int,), 0, (1 << 32) - 1),
    "bow": Setting((str,), high=LONGEST_MARK),
    "eow": Setting((str,), high=LONGEST_MARK),
    "eos_ngrams": Setting((bool,), required=False),
    "encoding": Setting((str,), high=_LONGEST_NAME, required=False),
}

_MARKS = Rule(
    "the n-gram boundary marks are not text", lambda _, kept: _encodable(kept["bow"]) and _encodable(kept["eow"])
)
_ENCODING = Rule(
    "the encoding of the n-grams is unknown", lambda _, kept: _known_encoding(kept.get("encoding", "utf-8"))
)
_PLAIN_FLORET = Rule(
    "only n-gram tables of fastText are pruned", lambda arrays, kept: kept["kind"] == "fasttext" or "kept" not in arrays
)


def _all_buckets(arrays: Arrays, rows: str, bucket: int) -> bool:
    """Return whether the table has every row that the hash of an n-gram can select."""
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
    sizes={"dim": (1, MAX_DIM)},
    rules=(
        _MARKS,
        _ENCODING,
        _PLAIN_FLORET,
        Rule(
            "n-grams select rows that do not exist", lambda arrays, kept: _all_buckets(arrays, "rows", kept["bucket"])
        ),
    ),
)
"""Tensors of a native file whose names begin with "ngrams." (without this prefix), and the settings in "ngrams"."""

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
    sizes={"dim": (1, MAX_DIM)},
    rules=(
        _MARKS,
        _ENCODING,
        _PLAIN_FLORET,
        Rule(
            "the quantized n-gram codes do not have one code for each part of a row",
            lambda arrays, kept: arrays["codes"].shape[1] == -(-(arrays["centroids"].size // 256) // kept["width"]),
        ),
        Rule(
            "the quantized n-gram norms need one code for each row and 256 values",
            lambda arrays, _: (
                (arrays["norm_codes"].size, arrays["norm_centroids"].size) in ((0, 0), (len(arrays["codes"]), 256))
            ),
        ),
        Rule(
            "n-grams select rows that do not exist", lambda arrays, kept: _all_buckets(arrays, "codes", kept["bucket"])
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
        "kinds": Setting(
            (list,),
            3,
            255,
            items=Setting((str,), choices=("padding", "special", "found", "composed", "drawn")),
            required=False,
        ),
        "spellings": Setting((int,), 0, 252, required=False),
        "specials": _WORDS,
        "unk_token": _NAME_OR_NULL,
        "pad_token": _NAME_OR_NULL,
        "padding_idx": _ROW_OR_NULL,
        "coverage": Setting((dict,)),
        "meta": Setting((dict,)),
    },
    sizes={"dim": (1, MAX_DIM), "bytes": _BYTES},
    rules=(
        Rule("'words.offsets' do not split 'words.data' into words", lambda arrays, _: _valid_offsets(arrays)),
        Rule("'counts' are negative or too large", lambda arrays, _: _countable(arrays)),
        Rule(
            "'origin' has codes without a name in 'origins'",
            lambda arrays, kept: not len(arrays["origin"]) or int(arrays["origin"].max()) < len(kept["origins"]),
        ),
        Rule(
            "there must be a kind for each of the 'origins'",
            lambda _, kept: "spellings" in kept if "kinds" not in kept else len(kept["kinds"]) == len(kept["origins"]),
        ),
        Rule("more 'spellings' than 'origins'", lambda _, kept: kept.get("spellings", 0) <= len(kept["origins"]) - 3),
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
    sizes={"source dim": (1, MAX_DIM), "target dim": (1, MAX_DIM), "dim": (1, MAX_DIM)},
    rules=(
        *(
            Rule(
                f"'{side}.means' must have one row for each \"center\" in '{side}'",
                lambda arrays, kept, side=side: len(arrays[f"{side}.means"]) == kept[side].count("center"),  # type: ignore[misc]
            )
            for side in ("source", "target")
        ),
        Rule(
            "without 'target_matrix', 'matrix' must have the dimension of the target",
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
"""``pooler.json`` in the folder of a pooler; `POOLER_MODE` and `POOLER_TOKENIZER` describe the dicts in it."""

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
    sizes={"dim": (1, MAX_DIM)},
)
"""``state.safetensors`` in the folder of a pooler: the buffers of the module, where its mode has them."""

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
