"""Make the table of docs/layers.md from the matrix: ``python -m tests.layers.compatibility.table`` writes it."""

from __future__ import annotations

from pathlib import Path

from tests.layers.compatibility.matrix import ABSENT, COLUMNS, REFUSED, Column
from tests.layers.compatibility.rows import ROWS

PAGE = Path(__file__).parents[3] / "docs" / "layers.md"
BEGIN, END = "<!-- begin of the compatibility table -->\n", "<!-- end of the compatibility table -->\n"


def table() -> str:
    """Return the table and its notes as Markdown."""
    notes: list[str] = []

    def cell(row: str, column: Column) -> str:
        absent, refused = ABSENT.get((row, column.name)), REFUSED.get((row, column.name))
        if absent is None and refused is None:
            return "○" if column.needs_gpu else "✓"
        reason = absent or f"Raises an error: {refused.reason}" if refused else absent
        assert reason is not None
        if reason not in notes:
            notes.append(reason)
        return f"{'–' if refused is None else '✗'} ({notes.index(reason) + 1})"

    head = ["", *(row.title for row in ROWS)]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    lines += ["| " + " | ".join([column.title, *(cell(row.name, column) for row in ROWS)]) + " |" for column in COLUMNS]
    numbered = [f"{number}. {reason[0].upper()}{reason[1:]}." for number, reason in enumerate(notes, start=1)]
    return "\n".join([*lines, "", *numbered, ""])


def page_with(text: str, made: str) -> str:
    """Return the page with a new table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), table()), encoding="utf-8")
