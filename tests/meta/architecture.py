"""Write the layers of the import contract into docs/architecture.md.

Run ``python -m tests.meta.architecture`` after a change of the contract in pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.meta.checkout import ROOT, settings

PAGE = ROOT / "docs" / "architecture.md"
BLOCK = re.compile(r"(?<=-->\n).*?(?=<!-- end of layers -->)", re.DOTALL)


def layers() -> list[list[str]]:
    """Return the packages of each layer, from the top."""
    contract = next(one for one in settings()["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return [[name.strip() for name in re.split("[|:]", layer)] for layer in contract["layers"]]


def diagram() -> str:
    """Return the layers as a text block in Markdown."""
    lines = [" · ".join(name for name in layer if not name.startswith("_")) for layer in layers()]
    return "```text\n" + "\n".join(line for line in lines if line) + "\n```\n"


def updated(page: Path = PAGE) -> str:
    """Return the page with the current diagram."""
    return BLOCK.sub(lambda _: diagram(), page.read_text(encoding="utf-8"), count=1)


if __name__ == "__main__":
    PAGE.write_text(updated(), encoding="utf-8")
