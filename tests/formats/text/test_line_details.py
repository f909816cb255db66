"""Details of lines that programs of other systems write."""

from __future__ import annotations

import io

import pytest

import vecload


def test_header_with_spaces_around_its_numbers_is_a_header() -> None:
    vectors = vecload.load(io.BytesIO(b"  2   3\nthe 1 2 3\ncat 4 5 6\n"))
    assert (list(vectors.words), vectors.meta["header"]) == (["the", "cat"], "2   3")


@pytest.mark.parametrize("head", [b"", b"20 2\n"])
def test_ctrl_z_at_the_end_of_a_file_is_ignored(head: bytes) -> None:
    words = [f"word{at}" for at in range(20)]
    rows = "".join(f"{word} 0.5 0.25\n" for word in words).encode()
    assert list(vecload.load(io.BytesIO(head + rows + b"\x1a"), strict=True).words) == words
    with pytest.raises(vecload.errors.FormatError, match="too few values"):
        vecload.load(io.BytesIO(head + rows + b"\x1a\n" + rows))
