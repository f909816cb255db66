"""Files that vecload writes for itself: the safetensors container, declared schemas, and names for error messages.

Nothing that a file claims is used before it is checked against the schema of its kind (`kinds`), so that the code
behind it, compiled code above all, may rely on types, shapes and ranges.
"""

from vecload.saved.bounded_json import parse_json, plain, to_json
from vecload.saved.container import Container, header_bytes, parse_container, write_container
from vecload.saved.files import check_version, other_kind, read_json, read_saved, write_saved
from vecload.saved.kinds import Kind, describe_file, describe_folder, describe_head
from vecload.saved.schema import (
    LONGEST_MARK,
    LONGEST_NGRAM,
    MAX_DIM,
    MAX_ROWS,
    Schema,
    Setting,
    Tensor,
    check_rules,
    check_settings,
    check_tensors,
)

__all__ = [
    "LONGEST_MARK",
    "LONGEST_NGRAM",
    "MAX_DIM",
    "MAX_ROWS",
    "Container",
    "Kind",
    "Schema",
    "Setting",
    "Tensor",
    "check_rules",
    "check_settings",
    "check_tensors",
    "check_version",
    "describe_file",
    "describe_folder",
    "describe_head",
    "header_bytes",
    "other_kind",
    "parse_container",
    "parse_json",
    "plain",
    "read_json",
    "read_saved",
    "to_json",
    "write_container",
    "write_saved",
]
