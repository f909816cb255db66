"""Open, decompress and map input files, and write output files atomically, whatever they contain.

Readers get a `stream.Source`. `opening` makes one from a path, URL or file, with the help of `compression` and
`archives`. Compression is detected from the first bytes, never from the file extension. Before writing, `targets`
checks outputs against inputs. `atomic` replaces files atomically, and `streaming` writes to pipes, devices and
compressed files.
"""

from vecload.sources.archives import Archive, SeveralMembersError, candidates, member_head
from vecload.sources.atomic import atomic_write
from vecload.sources.compression import detect_compression
from vecload.sources.extraction import Selection
from vecload.sources.file_system import flush_file, replace_path, sync_folder
from vecload.sources.mapped import MappedRange
from vecload.sources.opening import open_source
from vecload.sources.stream import Source
from vecload.sources.streaming import COMPRESSORS, OutputStream, open_target
from vecload.sources.targets import check_inputs, check_outputs_differ, check_target
from vecload.sources.zip_archives import ZIP_DAMAGE

__all__ = [
    "COMPRESSORS",
    "ZIP_DAMAGE",
    "Archive",
    "MappedRange",
    "OutputStream",
    "Selection",
    "SeveralMembersError",
    "Source",
    "atomic_write",
    "candidates",
    "check_inputs",
    "check_outputs_differ",
    "check_target",
    "detect_compression",
    "flush_file",
    "member_head",
    "open_source",
    "open_target",
    "replace_path",
    "sync_folder",
]
