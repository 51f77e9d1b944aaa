"""MkDocs hooks: the API reference from the public names, and links to files outside docs/.

The reference has one page for each group of packages below; a page lists every name that the
`__all__` of these packages exports. It is complete by construction.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import commonspace

__all__ = ["PAGES", "on_config", "on_files", "on_page_markdown", "page_text", "script_page"]

ROOT = Path(__file__).parents[1]
SOURCE = "https://github.com/commonspace-ml/commonspace/blob/main/"

PAGES = {
    "Data": ("data", "datasets"),
    "Methods": ("methods", "settings", "registry"),
    "Losses": ("losses",),
    "Spaces": ("space", "embedding", "calibration"),
    "Evaluation": ("evaluation", "engines"),
    "Comparison": ("comparison",),
    "Assessment": ("assessment",),
    "Search": ("retrieval", "client", "async_client"),
    "Encoders": ("encoders",),
    "Networks": ("networks",),
    "Training": ("training", "distributed", "callbacks", "progress", "machine"),
    "Plots and reports": ("plots", "reporting"),
    "Errors": ("errors",),
}
"""Title of each page, and the modules of `commonspace` whose public names it lists."""

_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#|/)([^)#\s]+)([^)]*\))")


def page_text(title: str, modules: tuple[str, ...]) -> str:
    """Return the Markdown of one page of the reference."""
    lines = [f"# {title}", ""]
    listed: set[tuple[str, int]] = set()
    for module_name in modules:
        for home, name, value in _public_names(f"commonspace.{module_name}"):
            if (name, id(value)) not in listed:
                listed.add((name, id(value)))
                public = getattr(commonspace, name, None) is value
                lines += [f"::: {'commonspace' if public else home}.{name}"]
                inherited = name == "CommonSpace"  # its bases are parts of it
                lines += ["    options:", "      inherited_members: true"] if inherited else []
                lines += [""]
    return "\n".join(lines)


def script_page(script: str, name: str) -> str:
    """Return a script of cells ("# %%" and "# %% [markdown]") as Markdown."""
    parts = []
    for cell in re.split(r"(?m)^# %%", script):
        if cell.startswith(" [markdown]\n"):
            lines = cell.strip().splitlines()[1:]
            parts.append("\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
        elif cell.strip():
            parts.append(f"```python\n{cell.strip()}\n```")
    title, _, rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n[`{name}`]({SOURCE}docs/tutorials/{name})\n{rest}\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the reference, the tutorials and the research notes in the navigation."""
    research = sorted(Path(config.docs_dir, "research").glob("*.md"), key=lambda file: file.stem)
    for entry in config.nav or []:
        if "API reference" in entry:
            entry["API reference"] = [{title: _path(title)} for title in PAGES]
        if "Tutorials" in entry:
            scripts = sorted(Path(config.docs_dir, "tutorials").glob("*.py"))
            pages = [f"tutorials/{script.stem}.md" for script in scripts]
            entry["Tutorials"] = ["tutorials/index.md", *pages]
        if "Research notes" in entry:
            notes = [f"research/{file.name}" for file in research if file.stem != "index"]
            entry["Research notes"] = ["research/index.md", *notes]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, and the tutorials as pages."""
    for title, modules in PAGES.items():
        text = page_text(title, modules)
        files.append(File.generated(config, _path(title), content=text))
    for script in sorted(Path(config.docs_dir, "tutorials").glob("*.py")):
        text = script_page(script.read_text("utf-8"), script.name)
        files.append(File.generated(config, f"tutorials/{script.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:  # noqa: ANN401 - of mkdocs
    """Point links to files of the repository outside docs/ to the repository's page."""
    folder = PurePosixPath("docs", page.file.src_uri).parent

    def replace(match: re.Match[str]) -> str:
        path = (ROOT / folder / match[2]).resolve()
        if (ROOT / "docs") in path.parents and not path.is_dir():
            return match[0]  # checked by mkdocs
        if not path.exists():
            raise PluginError(f"{page.file.src_uri}: dead link to {match[2]}")
        return f"{match[1]}{SOURCE}{path.relative_to(ROOT).as_posix()}{match[3]}"

    return _LINK.sub(replace, markdown)


def _public_names(module_name: str) -> Iterator[tuple[str, str, object]]:
    """Yield (module, name, value) of a module's `__all__`, or of those of its submodules."""
    module = import_module(module_name)
    if hasattr(module, "__all__"):
        yield from ((module_name, name, getattr(module, name)) for name in module.__all__)
        return
    for entry in sorted(iter_modules(module.__path__), key=lambda entry: entry.name):
        yield from _public_names(f"{module_name}.{entry.name}")


def _path(title: str) -> str:
    return f"api/{title.lower().replace(' ', '-')}.md"
