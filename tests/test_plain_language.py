"""Refused words: archaic or unclear wording is kept out of code, messages, documentation and tests.

    python tests/test_plain_language.py    # counts for each package, and every line

Text of every tracked kind is read as one stream, so that a phrase is found across line breaks, in
comments, strings and names (`test_what_was_learnt`). Words count as a whole: "recommend" contains
no refused word.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

REFUSED = {
    r"learnt": "learned, trained, fitted",
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix, repair",
    r"outliv(e|es|ed|ing)": "survive",
    r"who(so)?ever": "the caller, users",
    r"somebody else": "another user, user-defined",
    r"(can ?not|could not) work": "must be ..., got ...",
    r"the very": "the exact",
    r"(told|tell|tells|telling) \w* ?apart": "distinguish",
    r"by (itself|themselves)": "by default, alone",
    r"(from|out of) nothing": "from scratch",
    r"in portions": "in batches",
    r"as (it|they) comes?": "unchanged, raw",
    r"at hand": "available",
    r"(come|comes|came|coming) about": "arise, is computed",
    r"bid(s|den|ding)?": "ask, request",
    r"(hear|hears|heard)": "is called with, receives",
    r"knows? nothing of": "does not depend on",
    r"(say|says|said) so": "reports it",
    r"begun": "started",
    r"trunk(s|ed)?": "backbone",
    r"granular(ity|ities)?": "instance_weight",
    r"dials?": "slider, instance_weight",
    r"as (it|they) stands?": "with default settings",
    r"goes on": "continues, resumes",
    r"thither|whence|hence ?forth|hitherto|lest|nigh": "plain words",
}
"""Regular expressions of words, each with what to write."""

KINDS = {".py", ".md", ".js", ".html", ".css", ".toml", ".yml", ".yaml", ".jinja", ".cff"}
NAMES = {"Makefile", "Dockerfile", "run"}
FOREIGN = ("commonspace/serve/page/vendor/", "tests/serve/axe")
SKIPPED_FOLDERS = {".git", ".venv", "build", "dist", "runs", "site", "node_modules"}
ITSELF = "tests/test_plain_language.py"

_PATTERN = re.compile("|".join(rf"\b(?:{word})\b" for word in REFUSED), re.IGNORECASE)
_BREAK = re.compile(r"[ \t]*\n[ \t]*(?:#+|//+|\*)?[ \t]*")
_QUOTES = re.compile(r"\"[ \t]*\n[ \t]*f?\"")


def project_files() -> Iterator[Path]:
    """Yield the files of the project that people read."""
    for path in sorted(ROOT.rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        parts = set(path.relative_to(ROOT).parts)
        if (
            (path.suffix in KINDS or path.name in NAMES)
            and path.is_file()
            and not parts & SKIPPED_FOLDERS
            and not any(part.endswith(("_cache", ".egg-info")) for part in parts)
            and not name.startswith(FOREIGN)
            and name != ITSELF
        ):
            yield path


def refused_words(text: str) -> list[tuple[int, str]]:
    """Return (line, phrase with its surroundings) of every refused word in a text."""
    kept: list[str] = []
    lines: list[int] = []
    line, i = 1, 0
    while i < len(text):  # a break becomes one space; each character keeps its line
        match = _QUOTES.match(text, i) or _BREAK.match(text, i)
        if match and "\n" in match[0]:
            piece = "" if match[0].startswith('"') else " "
            kept.append(piece)
            lines.extend([line] * len(piece))
            line += match[0].count("\n")
            i = match.end()
        else:
            kept.append(" " if text[i] == "_" else text[i])
            lines.append(line)
            i += 1
    flat = "".join(kept)
    return [
        (lines[m.start()], flat[max(0, m.start() - 30) : m.end() + 30].strip())
        for m in _PATTERN.finditer(flat)
    ]


def package_of(name: str) -> str:
    """Return the package, or the folder, under which a file is counted."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in ("commonspace", "tests", "docs") else parts[0]


def all_refused() -> dict[str, list[tuple[int, str]]]:
    """Return the refused words of every file that has some."""
    result = {}
    for path in project_files():
        text = path.read_text("utf-8")
        if path.name == "CHANGELOG.md":  # it names what was renamed
            text = re.sub(r"`[^`\n]*`", "", text)
        matches = refused_words(text)
        if matches:
            result[path.relative_to(ROOT).as_posix()] = matches
    return result


def counts(matches: dict[str, list[tuple[int, str]]]) -> Counter[str]:
    """Return the number of refused words in each package."""
    total: Counter[str] = Counter()
    for name, lines in matches.items():
        total[package_of(name)] += len(lines)
    return total


def test_no_refused_words() -> None:
    matches = all_refused()
    print("\n".join(f"{n:4} {package}" for package, n in counts(matches).most_common()))
    listed = [
        f"{name}:{line}: ...{phrase}..."
        for name, lines in matches.items()
        for line, phrase in lines
    ]
    assert listed == []


@pytest.mark.parametrize(
    "text",
    [
        "what was learnt",
        "def test_what_was_learnt() -> None:",
        "# it cannot\n    # work",
        '"one message that cannot "\n    "work"',
        "takes it by\nitself",
        "By itself",
        "dogs are told apart, cats too",
    ],
)
def test_refused_words_are_found(text: str) -> None:
    assert len(refused_words(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["recommend", "amended", "forbidden", "a learned dialog", "overhear", "granule", "every"],
)
def test_parts_of_other_words_are_not_refused(text: str) -> None:
    assert refused_words(text) == []


def test_the_project_is_read() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in project_files()}
    assert {
        "README.md",
        "README.zh.md",
        "Makefile",
        "commonspace/cli/main.py",
        "commonspace/serve/page/index.html",
        "docs/architecture.md",
        "tests/conftest.py",
    } <= names
    assert len(names) > 300


def main() -> None:
    """Print the counts, then every line; paths on the command line narrow them."""
    chosen = tuple(sys.argv[1:])
    matches = {k: v for k, v in all_refused().items() if not chosen or k.startswith(chosen)}
    for name, lines in matches.items():
        for line, phrase in lines:
            print(f"{name}:{line}: ...{phrase}...")
    for package, n in counts(matches).most_common():
        print(f"{n:4} {package}")
    print(f"{sum(counts(matches).values()):4} in all")


if __name__ == "__main__":
    main()
