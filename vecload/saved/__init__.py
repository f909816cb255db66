"""Files in vecload's own formats: safetensors and JSON, checked against a schema when they are read.

Everything a file claims is checked against the schema of its kind (`schemas`) before it is used, so that other code,
compiled code above all, can rely on types, shapes and ranges.
"""

from vecload.saved.bounded_json import parse_json, plain, to_json
from vecload.saved.files import check_version, open_saved, other_kind, read_json, read_saved, write_saved
from vecload.saved.recognition import Kind, describe_file, describe_folder, describe_head
from vecload.saved.safetensors import Safetensors, parse_safetensors, safetensors_header, write_safetensors
from vecload.saved.validation import (
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
    "Kind",
    "Safetensors",
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
    "open_saved",
    "other_kind",
    "parse_json",
    "parse_safetensors",
    "plain",
    "read_json",
    "read_saved",
    "safetensors_header",
    "to_json",
    "write_safetensors",
    "write_saved",
]
