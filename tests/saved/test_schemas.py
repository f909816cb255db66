"""Every tensor and setting of every saved file with a wrong type, shape or value, missing, or unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.saved.samples import SAMPLES, Sample, change, place, write
from vecload.errors import FormatError
from vecload.saved.validation import Setting, parse_dimension

OTHER_TYPES: tuple[Any, ...] = (None, True, 1.5, 7, "x", [], {}, [1], ["x"], {"x": 1}, 10**40, float("nan"), [[]])


def tensor_changes(sample: Sample) -> Iterator[tuple[str, Callable[[dict[str, Any]], object]]]:
    shared = Counter(
        parse_dimension(size)[1]
        for tensor in sample.schema.tensors.values()
        for size in tensor.shape
        if isinstance(size, str)
    )
    for name, tensor in sample.schema.tensors.items():
        other = "uint32"
        yield f"{name} of dtype {other}", lambda t, n=name, d=other: n in t and t.update({n: t[n].astype(d)})
        yield f"{name} with a dimension more", lambda t, n=name: n in t and t.update({n: t[n][None]})
        if tensor.shape:
            yield f"{name} flat", lambda t, n=name: n in t and t[n].ndim > 1 and t.update({n: t[n].reshape(-1)})
        for axis, size in enumerate(tensor.shape):
            related = isinstance(size, int) or shared[parse_dimension(size)[1]] > 1 or parse_dimension(size)[0] > 1
            if related:
                yield (
                    f"{name} one longer in dimension {axis}",
                    lambda t, n=name, a=axis: n in t and t.update({n: np.concatenate([t[n], t[n].take([0], a)], a)}),
                )
        if tensor.required:
            yield f"{name} missing", lambda t, n=name: t.pop(n)
    yield "an unknown tensor", lambda t: t.update(unknown=np.zeros(3, np.uint8))


def wrong_values(setting: Setting) -> Iterator[Any]:
    for value in OTHER_TYPES:
        kind = type(value)
        if kind not in setting.kinds and not (kind is int and float in setting.kinds):
            yield value
    numeric = {int, float} & set(setting.kinds)
    if numeric and setting.low is not None:
        yield type(setting.low)(setting.low - 1)
    if numeric and setting.high is not None:
        yield setting.high * 2 if setting.high > 1e299 else setting.high + 1
    if str in setting.kinds and setting.high is not None:
        yield "x" * (int(setting.high) + 1)
    if setting.choices is not None:
        yield "other"
    if setting.items is not None and list in setting.kinds:
        yield from ([value] * 3 for value in wrong_values(setting.items))


def setting_changes(sample: Sample) -> Iterator[tuple[str, Callable[[dict[str, Any]], object]]]:
    for name, setting in sample.wanted.items():
        for value in wrong_values(setting):
            yield f"{name} = {str(value)[:30]}", lambda s, n=name, v=value: s.update({n: v})
        if setting.required:
            yield f"{name} missing", lambda s, n=name: s.pop(n)


CHANGES = [
    pytest.param(name, {"tensors": alter}, id=f"{name}: {what}")
    for name, sample in SAMPLES.items()
    for what, alter in tensor_changes(sample)
    if sample.schema.tensors
] + [
    pytest.param(name, {"settings": alter}, id=f"{name}: {what}")
    for name, sample in SAMPLES.items()
    for what, alter in setting_changes(sample)
]


@pytest.mark.parametrize("name", SAMPLES)
def test_unchanged_file_can_be_used(name: str, tmp_path: Path) -> None:
    path = place(name, tmp_path)
    write(name, path)
    SAMPLES[name].use(path)
    change(SAMPLES[name], path)
    SAMPLES[name].use(path)


@pytest.mark.parametrize(("name", "alter"), CHANGES)
def test_changed_file_is_refused(name: str, alter: dict[str, Any], tmp_path: Path) -> None:
    path = place(name, tmp_path)
    sample = write(name, path)
    file = path / sample.file if sample.file else path
    before = file.read_bytes()
    change(sample, path)
    unchanged = file.read_bytes()
    file.write_bytes(before)
    change(sample, path, **alter)
    if file.read_bytes() == unchanged:
        pytest.skip("this sample does not have the tensor")
    with pytest.raises(FormatError) as caught:
        sample.use(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500 + 2 * len(str(path))


def values(name: str, made: Callable[[np.ndarray[Any, Any]], object]) -> Callable[[dict[str, Any]], object]:
    def alter(tensors: dict[str, Any]) -> None:
        tensors[name] = tensors[name].copy()
        made(tensors[name])

    return alter


def put(array: Any, at: Any, value: Any) -> None:
    array[at] = value


@pytest.mark.parametrize(
    ("name", "alter", "problem"),
    [
        ("native with pruned n-grams", values("kept", lambda a: put(a, (0, 1), 20)), "rows that do not exist"),
        ("native with pruned n-grams", values("kept", lambda a: put(a, (0, 1), -1)), "rows that do not exist"),
        ("native with quantized n-grams", values("kept", lambda a: put(a, (1, 1), 20)), "rows that do not exist"),
        ("Aligned", values("words.offsets", lambda a: put(a, 1, 2**40)), "do not split"),
        ("Aligned", values("words.offsets", lambda a: put(a, 1, -1)), "do not split"),
        ("Aligned", values("words.offsets", lambda a: put(a, -1, 0)), "do not split"),
        ("Aligned", values("words.data", lambda a: put(a, slice(None), 0)), "comes twice|occurs more than once"),
        ("Aligned", values("origin", lambda a: put(a, 0, 200)), "codes without a name"),
        ("Aligned", values("counts", lambda a: put(a, 0, -1)), "negative or too large"),
        ("Aligned", values("counts", lambda a: put(a, slice(None), 2**62)), "negative or too large"),
        ("SpaceMap", values("matrix", lambda a: put(a, (0, 0), np.nan)), "not finite"),
        ("SpaceMap", values("source.means", lambda a: put(a, (0, 0), np.inf)), "not finite"),
        ("SpaceMap", lambda t: t.update({"source.means": np.zeros((2, 4))}), "one row for each"),
        ("SpaceMap", lambda t: t.update(matrix=np.ones((4, 3)), target_matrix=np.ones((4, 3))), None),
        ("SpaceMap", lambda t: (t.pop("target_matrix"), t.update(matrix=np.ones((4, 3)))), "dimension of the target"),
    ],
)
def test_values_and_relations_are_checked(
    name: str, alter: Callable[[dict[str, Any]], object], problem: str | None, tmp_path: Path
) -> None:
    path = place(name, tmp_path)
    write(name, path)
    change(SAMPLES[name], path, tensors=alter)
    if problem is None:
        SAMPLES[name].use(path)
        return
    with pytest.raises(FormatError, match=problem):
        SAMPLES[name].use(path)


@pytest.mark.parametrize(
    ("name", "kept", "problem"),
    [
        ("native", {"args": {"wordNgrams": 10**9}}, "invalid setting 'wordNgrams'"),
        ("native", {"args": {"epoch": "5"}}, "invalid setting 'epoch'"),
        ("native with n-grams", {"bucket": 21}, "rows that do not exist"),
        ("native with pruned n-grams", {"kind": "floret"}, "are pruned"),
        ("native with n-grams", {"bow": "\ud800"}, "boundary marks are not text"),
        ("native with quantized n-grams", {"width": 1}, "one code for each part"),
        ("Aligned", {"spellings": 99}, "more 'spellings' than 'origins'"),
        ("Aligned", {"specials": ["<s>"]}, "'<s>' is not in the vocabulary"),
        ("Aligned", {"unk_token": "\ud800"}, "is not in the vocabulary"),
        ("SpaceMap", {"source": ["unit", "unit"]}, "one row for each"),
        ("SpaceMap", {"info": {"pairs": [1]}}, "must be a whole number"),
        ("Vocab", {"words": ["a"]}, "one count for each word"),
        ("Vocab", {"counts": [2**62] * 4}, "too large"),
        ("Vocab", {"words": ["a"] * 4}, "more than once"),
        ("Vocab", {"words": ["a", "b", "c", "\ud800"]}, "surrogate"),
        ("pooler mode", {"name": "other"}, "unknown mode"),
        ("pooler mode", {"a": 0.0}, "must be positive"),
        ("pooler mode", {"components": 3}, "invalid tensor 'components'"),
        ("pooler mode", {"powers": ["nan"]}, "neither infinite nor a whole number"),
        ("pooler mode", {"powers": ["9" * 19]}, "neither infinite nor a whole number"),
        ("pooler settings", {"unk_idx": 6}, "is not one of 6 rows"),
        ("pooler settings", {"unknown": "ngrams"}, "needs Vectors with an n-gram table"),
        ("pooler tokenizer", {"kind": "other"}, "unknown kind of tokenizer"),
        ("pooler tokenizer", {"kind": "regex", "settings": "{"}, "invalid JSON"),
        ("pooler tokenizer", {"kind": "regex", "settings": "[]"}, "not a JSON object"),
        ("pooler tokenizer", {"kind": "tokenizers", "settings": "{}"}, "invalid settings of a Hugging Face tokenizer"),
    ],
)
def test_relations_of_settings_are_checked(name: str, kept: dict[str, Any], problem: str, tmp_path: Path) -> None:
    path = place(name, tmp_path)
    write(name, path)
    change(SAMPLES[name], path, settings=lambda s: s.update(kept))
    with pytest.raises(FormatError, match=problem):
        SAMPLES[name].use(path)


@pytest.mark.parametrize("name", ["native", "Aligned", "SpaceMap", "pooler state"])
def test_damaged_bytes_are_refused_or_used(name: str, tmp_path: Path) -> None:
    """Flip bytes anywhere in a file: it raises FormatError, or the loaded value can be used."""
    draws = np.random.default_rng(0)
    path = place(name, tmp_path)
    sample = write(name, path)
    file = path / sample.file if sample.file else path
    whole = np.fromfile(file, dtype=np.uint8)
    outcomes: Counter[str] = Counter()
    for _ in range(150):
        damaged = whole.copy()
        at = draws.integers(0, len(whole), draws.integers(1, 4))
        damaged[at] = draws.integers(0, 256, len(at))
        damaged.tofile(file)
        try:
            sample.use(path)
            outcomes["used"] += 1
        except FormatError:
            outcomes["refused"] += 1
        except Exception as error:
            if type(error).__module__ != "vecload.errors" or not isinstance(error, ValueError | LookupError):
                raise
            outcomes["another error of vecload"] += 1
    assert outcomes["refused"] > 0
