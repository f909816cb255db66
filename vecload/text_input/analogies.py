"""Read analogies: four words per line, in sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecload.errors import FormatError
from vecload.text_input.lines import Input, input_name, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

Quadruple = tuple[str, str, str, str]


def read_analogy_sections(path: Input, *, untitled: str) -> list[tuple[str, list[Quadruple]]]:
    """Read quadruples of words, in sections that begin with a line ``: name``.

    Parameters
    ----------
    path
        As for `read_lines`.
    untitled
        Name of the section of quadruples before the first title.

    Raises
    ------
    FormatError
        If a line does not have four words, or there are no quadruples.
    """
    name = input_name(path)
    sections: list[tuple[str, list[Quadruple]]] = []
    for number, line in numbered_lines(path):
        if line.lstrip().startswith(":"):  # fastText's French file indents some titles
            sections.append((line.lstrip()[1:].strip(), []))
            continue
        fields = line.split()
        if len(fields) != 4:
            raise FormatError("not an analogy", file=name, line=number, found=repr(line), expected="four words")
        if not sections:
            sections.append((untitled, []))
        sections[-1][1].append((fields[0], fields[1], fields[2], fields[3]))
    if not any(quadruples for _, quadruples in sections):
        raise FormatError("no analogies", file=name, expected="four words per line")
    return sections


def numbered_lines(path: Input) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, without blank lines and comments (``#``)."""
    for number, line in enumerate(read_lines(path, progress=False), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line
