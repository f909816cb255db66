"""Each file has at most its allowed number of the habits that CONTRIBUTING.md asks to avoid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.meta import language

ALLOWED = {
    name: int(count)
    for count, name in (
        line.split(" ", 1) for line in Path(__file__).with_name("language_allowed.txt").read_text().splitlines()
    )
}


@pytest.mark.parametrize("path", language.files(), ids=lambda path: path.relative_to(language.ROOT).as_posix())
def test_file_has_no_more_habits_than_allowed(path: Path) -> None:
    name = path.relative_to(language.ROOT).as_posix()
    found = language.find(path)
    shown = "\n".join(f"{one.path.name}:{one.line}: {one.habit}: {one.text}" for one in found)
    assert len(found) <= ALLOWED.get(name, 0), f"rewrite these, as language.py describes:\n{shown}"


def test_allowed_numbers_are_no_larger_than_needed() -> None:
    """The list only shrinks: lower a number, or remove its line, after rewriting a sentence."""
    found = {name: len(language.find(language.ROOT / name)) for name in ALLOWED}
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("text", "habit"),
    [
        ("A line that is no row.", "negated noun"),
        ("What a file is, is found from its bytes.", "clause used as a noun"),
        ("The digits behind the point.", "place or travel"),
        ("Errors are told at the end.", "archaic"),
        ("Of a word that occurs twice the first row wins.", "fronted"),
        ("Sizes that cannot be.", "bare modal"),
        ("Torch is imported upstairs.", "house metaphor"),
        ("The nearest neighbours.", "British spelling"),
    ],
)
def test_every_habit_is_found(text: str, habit: str, tmp_path: Path) -> None:
    for name, content in {"a.md": text, "b.py": f'"""{text}"""\n', "c.py": f"# {text}\nx = 1\n"}.items():
        (tmp_path / name).write_text(content)
        assert habit in [one.habit.split(" (")[0][: len(habit)] for one in language.find(tmp_path / name)]


@pytest.mark.parametrize(
    "text",
    ["Return the row number of each word, or -1 where it is missing.", "There is no header.", "It is no longer used.",
     "Say `neighbour` in code, or 'What it is'.", "What is a header?"],
)  # fmt: skip
def test_plain_sentences_are_not_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(text)
    assert language.find(tmp_path / "a.md") == []


@pytest.mark.parametrize(
    ("summary", "count"),
    [
        ("Return the rows.", 0),
        ("Compress a file.", 0),
        ("Rows of the words.", 1),
        ("The rows.", 1),
        ("Returns rows.", 1),
        ("Whether it fits.", 1),
    ],
)
def test_summary_without_an_imperative_is_found(summary: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f'def f():\n    """{summary}"""\n')
    assert len(language.find(tmp_path / "a.py")) == count
