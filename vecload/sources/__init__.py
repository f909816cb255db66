"""Bytes in and out: open, decompress, look ahead; write whole files or nothing. Knows nothing of vectors.

Readers hold a `stream.Source`; `compression` and `archives` decompress it, and `opening` joins them. Compression is
detected from the first bytes, never from the name. Before writing, `targets` checks outputs against inputs; `writing`
replaces files atomically; `streaming` writes to pipes, devices and compressed files.
"""

from vecload.sources.archives import ZIP_DAMAGE, SeveralMembersError
from vecload.sources.compression import compression_of
from vecload.sources.mapped import MappedRange
from vecload.sources.opening import open_source
from vecload.sources.stream import Source
from vecload.sources.streaming import COMPRESSORS, OutputStream, open_target
from vecload.sources.targets import check_inputs, check_outputs_differ, check_target
from vecload.sources.writing import replacing, sync_folder

__all__ = [
    "COMPRESSORS",
    "ZIP_DAMAGE",
    "MappedRange",
    "OutputStream",
    "SeveralMembersError",
    "Source",
    "check_inputs",
    "check_outputs_differ",
    "check_target",
    "compression_of",
    "open_source",
    "open_target",
    "replacing",
    "sync_folder",
]
