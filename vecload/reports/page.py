"""One HTML page that needs nothing else: style, pictures and the little script are in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from vecload.reports.figures import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vecload.reports.figures import Plot

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f9fafb; --ink: #1f2937; --faint: #9ca3af;
  --series-0: #2563eb; --series-1: #d97706; --series-2: #059669; --series-3: #dc2626; --series-4: #7c3aed;
  --series-5: #0891b2; --series-6: #be185d; --series-7: #65a30d; }
@media (prefers-color-scheme: dark) { :root { --paper: #111827; --card: #1f2937; --ink: #e5e7eb; --faint: #6b7280;
  --series-0: #60a5fa; --series-1: #fbbf24; --series-2: #34d399; --series-3: #f87171; --series-4: #a78bfa;
  --series-5: #22d3ee; --series-6: #f472b6; --series-7: #a3e635; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
section { background: var(--card); border-radius: .5rem; padding: 1rem; min-width: 0; }
svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
.scroll { overflow-x: auto; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
td.number { text-align: right; }
.tip { position: absolute; pointer-events: none; background: var(--ink); color: var(--paper); padding: .4rem .6rem;
  border-radius: .3rem; font-size: .85rem; max-width: 18rem; display: none; }
footer { margin: 1rem 0; font-size: .85rem; color: var(--faint); }
"""

_SCRIPT = """
const near = JSON.parse(document.getElementById("neighbors").textContent);
const tip = document.getElementById("tip");
const points = document.querySelectorAll('[id^="plane-points-"] use');
const show = (at, event) => {
  const [word, others] = near[at];
  tip.replaceChildren();
  const name = document.createElement("strong");
  name.textContent = word;
  tip.append(name, ...others.map(([other, cosine]) => {
    const line = document.createElement("div");
    line.textContent = cosine.toFixed(2) + "  " + other;
    return line;
  }));
  tip.style.display = "block";
  const left = Math.min(event.pageX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = Math.max(0, left) + "px";
  tip.style.top = event.pageY + 12 + "px";
};
points.forEach((point, at) => {
  point.addEventListener("pointerenter", (event) => show(at, event));
  point.addEventListener("click", (event) => show(at, event));
  point.addEventListener("pointerleave", () => { tip.style.display = "none"; });
});
"""

Neighbors = list[tuple[str, list[tuple[str, float]]]]
"""For each point of the plane its word and the nearest others with their cosines."""


@dataclass(frozen=True)
class Grid:
    """A titled table of cells; numbers stand to the right."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def html(self) -> str:
        """The table as HTML."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        return f'<div class="scroll"><table>{f"<tr>{head}</tr>" if head else ""}{body}</table></div>'


def _cell(value: object) -> str:
    if isinstance(value, (int, float)):
        return f"<td class=number>{format(value, ',' if isinstance(value, int) else '.4g')}</td>"
    return f"<td>{escape(printable(str(value)))}</td>"


def html(title: str, grids: Sequence[Grid], plots: Sequence[Plot], neighbors: Neighbors, *, made_by: str) -> str:
    """The page.

    Examples
    --------
    >>> page = html("glove", [Grid("facts", (), (("words", 3),))], [], [], made_by="vecload")
    >>> page.startswith("<!doctype html>"), "http" in page
    (True, False)
    """
    sections = [f"<section><h2>{escape(grid.title)}</h2>{grid.html()}</section>" for grid in grids if grid.rows]
    figures = [f"<section><h2>{escape(plot.caption)}</h2>{plot.svg()}</section>" for plot in plots]
    known = [
        (printable(word), [(printable(other), round(cosine, 4)) for other, cosine in near]) for word, near in neighbors
    ]
    data = json.dumps(known).replace("<", "\\u003c")  # no word ends the script
    shown = escape(printable(title))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{shown}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{shown}</h1><main>{''.join([*sections[:1], *figures, *sections[1:]])}</main>"
        f'<div id="tip" class="tip" role="status"></div><footer>{escape(made_by)}</footer>'
        f'<script type="application/json" id="neighbors">{data}</script><script>{_SCRIPT}</script></body></html>\n'
    )
