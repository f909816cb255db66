"""Write RESULTS.md from the figures in results/*.json and the text in results/prose.md.

    python benchmarks/report.py

A line ``{{spaces}}`` of the text is replaced by the machine and the tables of the topic, ``{{spaces/csls}}`` by one
table, which the former then leaves out. A new table of a topic appears without a change of the text.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from record import RESULTS, Table, describe, markdown, read

TARGET = Path(__file__).parent / "RESULTS.md"
PLACE = re.compile(r"^\{\{(\w+)(?:/(\w+))?\}\}$", re.MULTILINE)
NOTICE = "<!-- Made by `python benchmarks/report.py`: edit results/prose.md instead. -->\n\n"


def make(folder: Path) -> str:
    """Return the report of a folder of results."""
    text = (folder / "prose.md").read_text(encoding="utf-8")
    topics = {
        path.stem: {table.key: table for table in read(path.read_text(encoding="utf-8"))}
        for path in sorted(folder.glob("*.json"))
    }
    placed = {(topic, key) for topic, key in PLACE.findall(text)}
    unknown = {f"{topic}/{key}" for topic, key in placed if key and key not in topics.get(topic, {})}
    unknown |= {topic for topic, _ in placed} - set(topics)
    if unknown:
        raise SystemExit(f"{folder / 'prose.md'} names tables without figures: {', '.join(sorted(unknown))}")
    missing = set(topics) - {topic for topic, key in placed if not key}
    if missing:
        raise SystemExit(f"{folder / 'prose.md'} needs a line {{{{TOPIC}}}} for: {', '.join(sorted(missing))}")

    def fill(place: re.Match[str]) -> str:
        topic, key = place.groups()
        usual = usual_run(topics[topic])
        if key:
            return section(topics[topic][key], usual)
        others = [table for name, table in topics[topic].items() if (topic, name) not in placed]
        return "\n\n".join([f"{'; '.join(usual)}.", *(section(table, usual) for table in others)])

    return NOTICE + PLACE.sub(fill, text)


def usual_run(tables: dict[str, Table]) -> list[str]:
    """Return the texts about the run that most tables of a topic come from; the last run if there are several."""
    counts = Counter(tuple(describe(table.run)) for table in tables.values())
    return list(max(counts, key=lambda run: (counts[run], run)))


def section(table: Table, usual: list[str]) -> str:
    """Return a table, followed by the texts about its run that differ from those of most tables of the topic."""
    other = [text for text in describe(table.run) if text not in usual]
    return markdown(table) + (f"\n\nThis table: {'; '.join(other)}." if other else "")


if __name__ == "__main__":
    TARGET.write_text(make(RESULTS), encoding="utf-8")
