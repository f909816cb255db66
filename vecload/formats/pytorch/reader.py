"""Read a file of PyTorch: find its pickle, and map the values of the tensor that holds the vectors."""

from __future__ import annotations

import pickletools
import struct
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np

from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.matrices.tensors import choose_tensor
from vecload.formats.pickles.mapped_bytes import MappedBytes
from vecload.formats.pickles.pickled_types import KeyValuePairs
from vecload.formats.pickles.restricted_unpickler import unpickle
from vecload.formats.pickles.tables import find_word_rows
from vecload.formats.pytorch.unpickling import Tensor, TorchUnpickler
from vecload.saved.npy import map_array
from vecload.sources import ZIP_DAMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

_LOCAL_HEADER: Final = struct.Struct("<26xHH")
_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of files before PyTorch 1.6: the number 0x1950a86a20f9469cfc6c."""
_COUNT: Final = struct.Struct("<q")
_MOST_STORAGES: Final = 100_000
_DEEPEST: Final = 4
_STATES: Final = ("state_dict", "model_state_dict", "model", "module", "net")
"""Names under which checkpoints have the state of the model, in the order to look for them."""

_Storages: TypeAlias = "Callable[[str, int], npt.NDArray[np.uint8]]"


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 100 for the pickle in a zip archive of PyTorch, or for the magic number of older files."""
    if head.startswith(_LEGACY):
        return 100
    if not head.startswith(b"PK\x03\x04") or len(head) < _LOCAL_HEADER.size:
        return 0
    length, _ = _LOCAL_HEADER.unpack_from(head)
    return 100 if head[30 : 30 + length].endswith(b"/data.pkl") else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the words and vectors of a file.

    Raises
    ------
    FormatError
        If the file is damaged, holds anything but tensors and plain containers, or has no words or no vectors.
    """
    data = source.mapped()
    value = _read_value(data, source.name)
    source.position += len(data)
    found = find_word_rows(value, request, source.name)
    meta: dict[str, Any] = {"format": "PyTorch"}
    if found.tensor is not None:
        meta["tensor"] = found.tensor
    return ArrayReader(source.name, found.words, found.matrix, request, meta=meta)


def read_tensor(path: Path, name: str | None) -> tuple[str, npt.NDArray[Any]]:
    """Return a matrix of a model's state and its name: the requested one, or the input embedding.

    Raises
    ------
    FormatError
        If the file is damaged, the matrix is missing, or the choice is not clear.
    """
    data = map_array(path, 0, (path.stat().st_size,), np.dtype(np.uint8), fortran=False)
    value = _read_value(data, str(path))
    arrays = (
        {key: item for key, item in value.items() if isinstance(item, np.ndarray)} if isinstance(value, dict) else {}
    )
    chosen = choose_tensor({key: array.shape for key, array in arrays.items()}, name, str(path))
    return chosen, arrays[chosen]


def _read_value(data: npt.NDArray[np.uint8], name: str) -> Any:
    """Return the value of a file with its tensors as arrays; of a checkpoint, the state of its model."""
    zipped = data[:2].tobytes() == b"PK"
    value, storage, swapped = _read_zip(data, name) if zipped else _read_legacy(data, name)
    return _with_arrays(_model_state(value), storage, swapped=swapped)


def _model_state(value: Any) -> Any:
    """Return the state of the model in a checkpoint, which has those of optimizers beside it; other values as they are.

    A state is a dictionary of tensors. Trainers put it under one of a few names.
    """
    for _ in range(_DEEPEST):
        if not isinstance(value, (dict, KeyValuePairs)) or any(isinstance(item, Tensor) for _, item in value.items()):
            break
        inside = {key: item for key, item in value.items() if isinstance(item, (dict, KeyValuePairs))}
        states = [key for key, item in inside.items() if any(isinstance(one, Tensor) for _, one in item.items())]
        named = [key for key in _STATES if key in inside]
        chosen = [key for key in named if key in states] or (states if len(states) == 1 else named)
        if not chosen:
            break
        value = inside[chosen[0]]
    return value


def _with_arrays(value: Any, storage: _Storages, *, swapped: bool) -> Any:
    """Return the value with its tensors as arrays, one level deep, where vectors are."""

    def convert(item: Any) -> Any:
        if not isinstance(item, Tensor):
            return item
        size = item.storage.count * item.storage.dtype.itemsize
        return item.of(storage(item.storage.key, size), swapped=swapped)

    if isinstance(value, (tuple, list)):
        return type(value)(convert(item) for item in value)
    if isinstance(value, dict):
        return {key: convert(item) for key, item in value.items()}
    if isinstance(value, KeyValuePairs):
        # The keys of a state dict are strings, which a file cannot choose such that hashing them takes long.
        return {key: convert(item) for key, item in value.items() if isinstance(key, str)}
    return convert(value)


def _read_zip(data: npt.NDArray[np.uint8], name: str) -> tuple[Any, _Storages, bool]:
    """Return the value, a function that finds the bytes of a storage, and whether they are big-endian."""
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", MappedBytes(data)))
        members = {info.filename: info for info in archive.infolist()}
        pickles = [member for member in members if member.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise FormatError("not one pickle in the archive", file=name, found=f"{len(pickles)}")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in members:
            hint = "Save its state with torch.save(model.state_dict(), path)."
            raise FormatError("a TorchScript model, not tensors", file=name, hint=hint)
        order = f"{folder}byteorder"
        swapped = order in members and _member(data, members[order], name).tobytes() == b"big"
        value = unpickle(_member(data, members[pickles[0]], name), name, unpickler=TorchUnpickler, persistent=True)
    except (*ZIP_DAMAGE, KeyError, RuntimeError, struct.error) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"the archive is cut short or damaged ({error})", file=name) from error

    def storage(key: str, size: int) -> npt.NDArray[np.uint8]:
        info = members.get(f"{folder}data/{key}")
        if info is None:
            raise FormatError("the values of a tensor are missing", file=name, found=f"no {folder}data/{key[:40]}")
        return _sized(_member(data, info, name), size, name)

    return value, storage, swapped


def _member(data: npt.NDArray[np.uint8], info: zipfile.ZipInfo, name: str) -> npt.NDArray[np.uint8]:
    """Return the bytes of a member that is stored without compression, as torch.save writes all of them."""
    if info.compress_type != zipfile.ZIP_STORED:
        hint = "Save it again with torch.save."
        problem = "a compressed member, which PyTorch does not write"
        raise FormatError(problem, file=name, found=info.filename, hint=hint)
    header = data[info.header_offset : info.header_offset + _LOCAL_HEADER.size].tobytes()
    begin = info.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
    return _sized(data[begin : begin + info.file_size], info.file_size, name)


def _sized(raw: npt.NDArray[np.uint8], size: int, name: str) -> npt.NDArray[np.uint8]:
    if len(raw) < size:
        raise FormatError("the file is cut short", file=name, found=f"{len(raw):,} bytes", expected=f"{size:,}")
    return raw[:size]


def _read_legacy(data: npt.NDArray[np.uint8], name: str) -> tuple[Any, _Storages, bool]:
    """Return the same as `_read_zip`, for a file of several pickles."""
    at, values = 0, []
    for _ in range(5):
        end = _pickle_end(data, at, name)
        values.append(unpickle(data[at:end], name, unpickler=TorchUnpickler, persistent=True))
        at = end
    _, _, system, value, keys = values
    if not isinstance(keys, list) or len(keys) > _MOST_STORAGES or not all(isinstance(key, str) for key in keys):
        raise FormatError("an invalid list of storages", file=name, byte=at)
    tensors = {item.storage.key: item.storage for item in _tensors(value)}
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        count = data[at : at + _COUNT.size].tobytes()
        storage_type = tensors.get(key)
        if len(count) < _COUNT.size:
            raise FormatError("the file is cut short", file=name, byte=at)
        if storage_type is None:
            break  # values of a tensor that is nested deeper; those after it cannot be found
        size = _COUNT.unpack(count)[0] * storage_type.dtype.itemsize
        if not 0 <= size <= len(data) - at - _COUNT.size:
            raise FormatError("the file is cut short", file=name, byte=at, found=f"a storage of {size:,} bytes")
        places[key] = at + _COUNT.size, size
        at += _COUNT.size + size

    def storage(key: str, size: int) -> npt.NDArray[np.uint8]:
        begin, there = places.get(key, (0, 0))
        return _sized(data[begin : begin + there], size, name)

    swapped = isinstance(system, dict) and system.get("little_endian") is False
    return value, storage, swapped


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a value and of the containers in it, each container once."""
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, Tensor):
            yield item
        # A container may be in many others, or in itself.
        elif id(item) not in seen:
            seen.add(id(item))
            if isinstance(item, (dict, KeyValuePairs)):
                waiting += [part for _, part in item.items()]
            elif isinstance(item, (list, tuple)):
                waiting += item


def _pickle_end(data: npt.NDArray[np.uint8], begin: int, name: str) -> int:
    """Return the offset after the STOP instruction of the pickle at `begin`."""
    file: Any = MappedBytes(data, begin)
    try:
        for opcode, _, position in pickletools.genops(file):
            if opcode.name == "STOP":
                return (position or 0) + 1
    # `pickletools` raises errors of many types on damaged bytes.
    except Exception as error:
        raise FormatError(f"a damaged pickle ({type(error).__name__})", file=name, byte=begin) from error
    raise FormatError("the file is cut short", file=name, byte=begin)
