"""Find the habits that CONTRIBUTING.md asks to avoid, in docstrings, comments, messages and documentation.

``python -m tests.meta.language [PATH ...]`` lists them; ``--counts`` prints the allow-list, one line for each file.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCES = (
    "vecload/**/*.py",
    "tests/**/*.py",
    "benchmarks/*.py",
    "examples/*.py",
    "docs/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
)

# A name and a pattern for each habit. A pattern that also matches good sentences is worse than none.
HABITS = {
    "negated noun (say invalid, missing, unknown, malformed)": (
        r"\b(?:that|which|it|this|who) (?:is|are|was|were) none\b|\bthere (?:is|are) none\b"
        r"|\b(?:that|which|it|this|word|line|file|row|name|byte|value) (?:is|are) no"
        r" (?!longer|more|such|different|less|way)\w+"
    ),
    "clause used as a noun (name the thing)": (
        r"(?:^|[.:;] )(?:What(?! (?:is|are|do|does|to) [^.]*\?)|Whoever|Whatever|Those)\b(?![^.]*\?)"
        r"|\bwhat (?:(?:it|they)(?! do\b| does\b)|is|has|was|were|comes|needs|cannot) "
    ),
    "place or travel as a metaphor for data": (
        r"\b(?:lie|lies|lying|lay) (?!down)\w+|\b(?:under way|on the way|on its way|in front|stays? behind)\b"
        r"|(?<!idea )\bbehind\b|\bcomes? (?:in|through|out|back) (?!.*\bpull\b)"
    ),
    "archaic or calqued word": (
        r"\b(?:shall|anew|amid|bearable|nobody|somebody|whose business|so many|hold(?:s|ing)? against|held against)\b"
        r"|\b(?:is|are|be|was|were|not) told\b|\btells? (?:of|by|whether|what|it|them|apart)\b"
    ),
    "fronted 'Of ...'": r"(?:^|[.:;] )Of (?:a|an|the|each|every|all|these|those|two|one)\b",
    "bare modal": r"\bthat (?:cannot|can not|must not) be(?=[.,;:]|$)",
    "house metaphor": r"\b(?:back stairs?|upstairs|downstairs|floors?|doors?|(?:the|this|own|kernel) rooms?)\b",
    "British spelling": (
        r"\b\w*(?:colour|neighbour|favour|behaviour|honour)\w*|\b\w*(?:normal|quant|optim|initial|recogn|organ|general)is(?:e|es|ed|ing|ation|er)\b"
        r"|\b(?:catalogue|licence|centred?|centres|grey|whilst|analysed?)\b"
    ),
}
VERBLESS = "summary without a verb (say Return ..., or another imperative)"
# First words that cannot be an imperative: determiners and the like, plural nouns, numbers and code.
NOT_IMPERATIVE = re.compile(
    r"(?:an?|the|that|those|these|what|whether|where|which|how|some|all|each|every|both|one|if|when|as|with|of|for|by|in)\b"
    r"|\w+(?<!s)s\b|[\d`]",
    re.IGNORECASE,
)
PATTERNS = {name: re.compile(pattern, re.MULTILINE) for name, pattern in HABITS.items()}
QUOTED = re.compile(r"``[^`]*``|`[^`]*`|(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|https?://\S+")


class Finding(NamedTuple):
    """One habit at one place."""

    path: Path
    line: int
    habit: str
    text: str


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a file for people, with the line each begins on: no code, names or quotations."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        fenced = False
        for number, line in enumerate(source.splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced:
                yield number, line
        return
    paragraph: list[str] = []
    begin = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if paragraph and token.start[0] != last + 1:
                yield begin, "\n".join(paragraph)
                paragraph = []
            if not paragraph:
                begin = token.start[0]
            paragraph.append(token.string.lstrip("#: "))
            last = token.start[0]
    if paragraph:
        yield begin, "\n".join(paragraph)
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") > 1:
            text = re.split(r"\n\s*Examples\n\s*-{4,}|\n\s*>>> ", node.value)[0]
            yield node.lineno, "\n".join(line.strip() for line in text.splitlines())


def verbless(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, summary) of functions whose docstring does not begin with an imperative.

    Properties are described by nouns, and the docstring of a test may be any sentence.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("test_"):
            continue
        summary = (ast.get_docstring(node) or "").partition("\n")[0]
        noun = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        if NOT_IMPERATIVE.match(summary) and not noun:
            yield node.lineno, summary


def find(path: Path) -> list[Finding]:
    """Return the habits in a file."""
    found = []
    if path.suffix == ".py":
        found += [Finding(path, line, VERBLESS, summary[:80]) for line, summary in verbless(path)]
    for line, text in prose(path):
        plain = QUOTED.sub(lambda match: "x" * len(match.group()), text)
        for name, pattern in PATTERNS.items():
            for match in pattern.finditer(plain):
                at = line + plain.count("\n", 0, match.start())
                begin, end = max(0, match.start() - 30), match.end() + 30
                found.append(Finding(path, at, name, " ".join(text[begin:end].split())))
    return sorted(set(found))


def files() -> list[Path]:
    """Return the files that are checked."""
    examples = {Path(__file__), Path(__file__).with_name("test_language.py")}
    examples.add(ROOT / "docs" / "api.md")  # lines of docstrings, which are checked where they are written
    return sorted({path for pattern in SOURCES for path in ROOT.glob(pattern)} - examples)


def main() -> None:
    """List findings, or count them."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    chosen = [Path(argument).resolve() for argument in arguments]
    chosen = [path for place in chosen for path in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    for path in chosen or files():
        found = find(path)
        if "--counts" in sys.argv:
            if found:
                print(len(found), path.relative_to(ROOT))
            continue
        for one in found:
            print(f"{one.path.relative_to(ROOT)}:{one.line}: {one.habit}: {one.text}")


if __name__ == "__main__":
    main()
