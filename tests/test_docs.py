"""Documentation: complete reference, equal README and translation, no dead links."""

import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import commonspace

ROOT = Path(__file__).parents[1]

NOT_IN_THE_REFERENCE = {
    "__main__",
    "allocator",
    "atomic",
    "checksums",
    "json_text",
    "cache_folder",
    "cli",
    "embedding_model",
    "extras",
    "hub",
    "serve",
    "service_connection",
    "space_files",
    "tables",
}
"""Modules that are used through others, or through the command line."""


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """Return docs/site_hooks.py as a module."""
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference_once(hooks: ModuleType) -> None:
    text = "\n".join(hooks.page_text(title, modules) for title, modules in hooks.PAGES.items())
    listed = re.findall(r"(?m)^::: (\S+)$", text)
    assert len(listed) == len(set(listed))
    missing = {f"commonspace.{name}" for name in commonspace.__all__} - set(listed)
    assert missing - {f"commonspace.{module}" for module in _modules()} == set()


def test_every_package_is_in_the_reference_or_left_out_on_purpose(hooks: ModuleType) -> None:
    listed = {module for modules in hooks.PAGES.values() for module in modules}
    assert _modules() - listed - NOT_IN_THE_REFERENCE == set()
    assert listed & NOT_IN_THE_REFERENCE == set()


def test_decisions_are_dated_and_listed() -> None:
    index = (ROOT / "docs/adr/index.md").read_text("utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    decisions = sorted((ROOT / "docs/adr").glob("0*.md"))
    assert len(decisions) >= 10
    for number, path in enumerate(decisions, 1):
        text = path.read_text("utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.search(r"(?m)^\d{4}-\d\d-\d\d · (accepted|replaced by)", text)
        for heading in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert heading in text
        assert f"({path.name})" in index
        assert f"adr/{path.name}" in navigation


def test_the_architecture_page_lists_every_package() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    listed = set(re.findall(r"(?m)^      (\w+)(?:/|\.py) ", text)) - {"__init__"}
    assert _modules() - {"__main__"} == listed


def test_the_commands_page_lists_every_command() -> None:
    from commonspace.cli.main import COMMANDS

    text = (ROOT / "docs/commands.md").read_text("utf-8")
    assert re.findall(r"(?m)^\| `commonspace ([\w-]+)", text) == list(COMMANDS)


READMES = ("README.md", "README.zh.md")
REPOSITORY = "https://github.com/commonspace-ml/commonspace/blob/main/"
RAW = "https://raw.githubusercontent.com/commonspace-ml/commonspace/main/"
SITE = "https://commonspace-ml.github.io/commonspace/"


def _code(text: str) -> list[str]:
    """Return the lines of code of a page: indented blocks and fences, without comments."""
    fenced = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)).splitlines()
    indented = re.findall(r"(?m)^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = (line.partition("  # ")[0].rstrip() for line in [*indented, *fenced])
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines if line]


def test_the_translation_has_the_same_structure_code_tables_and_links() -> None:
    english, chinese = ((ROOT / name).read_text("utf-8") for name in READMES)
    for pattern in (r"(?m)^(#+) ", r"(?m)^(\|.*?\|)", r"(!?)\["):
        assert len(re.findall(pattern, english)) == len(re.findall(pattern, chinese)), pattern
    assert _code(english) == _code(chinese)
    numbers = [re.findall(r"\d\.\d{3}", text) for text in (english, chinese)]
    assert numbers[0] == numbers[1] != []
    links = [
        {link for link in re.findall(r"\]\((\S+?)\)", text) if not link.endswith(READMES)}
        for text in (english, chinese)
    ]
    assert links[0] == links[1]


@pytest.mark.parametrize("readme", READMES)
def test_links_of_the_readme_are_absolute_and_lead_to_files_and_pages(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    assert len(text.splitlines()) <= 150
    for link in re.findall(r"\]\((\S+?)\)", text):
        if link.startswith((REPOSITORY, RAW)):
            assert (ROOT / link.removeprefix(REPOSITORY).removeprefix(RAW)).is_file(), link
        else:
            assert link.startswith(SITE), link
            page = link.removeprefix(SITE).rstrip("/")
            generated = page == "api/data"
            files = [f"{page}.md", f"{page}/index.md".lstrip("/")]
            assert generated or any((ROOT / "docs" / file).is_file() for file in files), link


def _modules() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(commonspace.__path__)}
