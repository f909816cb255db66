"""The page: one HTML file with the drawing library, our scripts and the data in it."""

from __future__ import annotations

import base64
import json
import zlib
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import require
from vecload.reports.points import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vecload.reports.panels import Panel

# In this order they are one script: each may use those before it.
SCRIPTS: Final = (
    "data.js",
    "navigation.js",
    "theme.js",
    "labels.js",
    "map.js",
    "gestures.js",
    "filters.js",
    "search.js",
    "details.js",
    "selection.js",
    "charts.js",
    "tabs.js",
    "explorer.js",
)
_LIBRARY: Final = ("bokeh.min.js", "bokeh-api.min.js")


def html(title: str, panels: Sequence[Panel], data: dict[str, Any], *, made_by: str) -> str:
    """Return the page.

    Parameters
    ----------
    title
        Heading.
    panels
        The panels beside the map.
    data
        Data that the scripts show: see `vecload.reports.points.points`.
    made_by
        Line at the end of the page.

    Notes
    -----
    The data is compressed JSON in base64, so nothing that a word holds can end the script or start another.
    """
    charts = [chart | {"panel": panel.key} for panel in panels for chart in panel.charts]
    plain = json.dumps(data | {"charts": charts}, separators=(",", ":")).encode("ascii")
    shown = escape(printable(title))
    parts = {
        "title": shown,
        "style": _own("explorer.css"),
        "tabs": "".join(_tab(panel) for panel in panels),
        "panels": "".join(_panel(panel) for panel in panels),
        "made_by": escape(made_by),
        "library": "".join(f"<script>{_inline(script)}</script>\n" for script in _library()),
        "data": base64.b64encode(zlib.compress(plain, 9)).decode("ascii"),
        "script": _inline("\n".join(_own(name) for name in SCRIPTS)),
    }
    # Parts are put in by splitting at the marks, so a mark inside a part stays as it is.
    pieces = _own("explorer.html").split("{{")
    page = pieces[0]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        page += parts[name] + rest
    return page


def _own(name: str) -> str:
    return files("vecload.reports").joinpath(name).read_text(encoding="utf-8")


def _library() -> list[str]:
    bokeh = require("bokeh", "report")
    folder = Path(str(bokeh.__file__)).parent / "server" / "static" / "js"
    return [(folder / name).read_text(encoding="utf-8") for name in _LIBRARY]


def _inline(script: str) -> str:
    r"""Return a script as it can be put into HTML: "</script" inside a string would end it.

    Examples
    --------
    >>> _inline("x = '</script>'")
    "x = '<\\/script>'"
    """
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _tab(panel: Panel) -> str:
    return (
        f'<button type="button" role="tab" id="tab-{panel.key}" aria-controls="panel-{panel.key}" '
        f'aria-selected="false" tabindex="-1">{escape(panel.title)}</button>'
    )


def _panel(panel: Panel) -> str:
    charts = "".join(
        f'<figure><div class="chart" id="chart-{chart["key"]}" role="img" aria-label="{escape(chart["title"])}"></div>'
        f"<figcaption>{escape(chart['title'])}</figcaption></figure>"
        for chart in panel.charts
        if chart["series"]
    )
    return (
        f'<section role="tabpanel" id="panel-{panel.key}" aria-labelledby="tab-{panel.key}" tabindex="0">'
        f"{charts}{panel.html}</section>"
    )
