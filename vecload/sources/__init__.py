"""Bytes in and out: open, decompress, look ahead; write whole files or nothing. Knows nothing of vectors.

Readers hold a `stream.Source`; `compression` and `archives` decompress it, and `opening` joins them. Compression is
detected from the first bytes, never from the name. Before writing, `targets` checks outputs against inputs; `writing`
replaces files atomically; `streaming` writes to pipes, devices and compressed files.
"""

from vecload.sources.archives import ZIP_DAMAGE, SeveralMembersError
from vecload.sources.atomic import atomic_write, sync_folder
from vecload.sources.compression import detect_compression
from vecload.sources.mapped import MappedRange
from vecload.sources.opening import open_source
from vecload.sources.stream import Source
from vecload.sources.streaming import COMPRESSORS, OutputStream, open_target
from vecload.sources.targets import check_inputs, check_outputs_differ, check_target

__all__ = [
    "COMPRESSORS",
    "ZIP_DAMAGE",
    "MappedRange",
    "OutputStream",
    "SeveralMembersError",
    "Source",
    "atomic_write",
    "check_inputs",
    "check_outputs_differ",
    "check_target",
    "detect_compression",
    "open_source",
    "open_target",
    "sync_folder",
]
