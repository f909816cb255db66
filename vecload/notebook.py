"""Small HTML tables, which notebooks show for a value in place of its `repr`."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD: Final = 5
"""Number of first words that tables of words show."""

_LONGEST: Final = 60
_BAR_WIDTH: Final = 8.0

# Notebooks have light and dark themes, and styles of their own for tables. Everything is drawn in the color of the
# surrounding text, so it is readable in each of them. Inline styles survive where style sheets are removed.
_TABLE: Final = "border-collapse:collapse;border:none;margin:0.3em 0;color:inherit;background:transparent"
_CAPTION: Final = "caption-side:top;text-align:left;padding:0 0 0.3em;color:inherit;font-weight:bold;white-space:nowrap"
_CELL: Final = "padding:0.15em 0.8em 0.15em 0;border:none;color:inherit;background:transparent"
_BAR: Final = (
    "display:inline-block;height:0.7em;margin-right:0.5em;background:currentColor;opacity:0.45;vertical-align:baseline"
)


class Bar(NamedTuple):
    """A cell with a bar: its length between 0 and 1, and the text after it."""

    share: float
    text: str


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as HTML.

    Parameters
    ----------
    caption
        Text above the table.
    head
        Titles of the columns; none for a table without titles.
    rows
        Cells of each row. Numbers are aligned to the right, a `Bar` is drawn, and anything else is text, escaped and
        cut after 60 characters.

    Examples
    --------
    >>> made = table("Words", ["word", "count"], [["<cat>", 7], ["dog", Bar(0.5, "3")]])
    >>> "&lt;cat&gt;" in made, "<cat>" in made, "width:4em" in made
    (True, False, True)
    """
    parts = [f'<table style="{_TABLE}">', f'<caption style="{_CAPTION}">{_escaped(caption, 200)}</caption>']
    if head:
        titles = "".join(f'<th scope="col" style="{_CELL};text-align:left">{_escaped(title)}</th>' for title in head)
        parts.append(f"<thead><tr>{titles}</tr></thead>")
    parts.append("<tbody>")
    parts += [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    parts.append("</tbody></table>")
    return "".join(parts)


def grid(*tables: str) -> str:
    """Return tables one below the other, as one piece of HTML."""
    return f"<div>{''.join(tables)}</div>"


def _cell(value: object) -> str:
    if isinstance(value, Bar):
        # A comparison with NaN is false, so an unknown share has no bar.
        share = min(value.share, 1.0) if value.share > 0 else 0.0
        bar = f'<span style="{_BAR};width:{share * _BAR_WIDTH:g}em"></span>'
        return f'<td style="{_CELL};text-align:left;white-space:nowrap">{bar}{_escaped(value.text)}</td>'
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f'<td style="{_CELL};text-align:{"right" if number else "left"}">{_escaped(text)}</td>'


def _escaped(text: str, longest: int = _LONGEST) -> str:
    """Return text as HTML: short, without control characters, and without surrogates, which JSON cannot hold."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut)
    return html.escape(shown)
