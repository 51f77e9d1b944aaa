"""Wheel, source archive and metadata: complete; files for hosting services: valid."""

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import commonspace

ROOT = Path(__file__).parents[1]

SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/ci.yml",
    "vendor.dependabot": ".github/dependabot.yml",
    "vendor.citation-file-format": "CITATION.cff",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/bug.yml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
}


def run(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked_files() -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


def pyproject() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return project


@pytest.mark.slow
def test_wheel_and_source_archive_contain_every_file(tmp_path: Path) -> None:
    tracked = tracked_files()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    (archive,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        in_wheel = {name for name in file.namelist() if name.startswith("commonspace/")}
    assert in_wheel == {name for name in tracked if name.startswith("commonspace/")}
    with tarfile.open(archive) as file:
        in_archive = {name.partition("/")[2] for name in file.getnames()}
    assert tracked - in_archive == set()


def test_the_version_is_stated_once_and_matches_the_citation_and_the_changelog() -> None:
    version = commonspace.__version__
    assert "version" in pyproject()["project"]["dynamic"]  # type: ignore[index]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## {version} - 2" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_dependency_is_pinned() -> None:
    project = pyproject()["project"]
    assert isinstance(project, dict)
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text("utf-8").split()
    }
    names = {
        wish.partition(";")[0].partition(">")[0].partition("[")[0].strip().lower()
        for wish in wanted
    }
    assert names - pinned - {"commonspace"} == set()


def test_every_extra_named_in_the_code_exists() -> None:
    project = pyproject()["project"]
    assert isinstance(project, dict)
    named = {"encoders"}  # the default of `optional`
    for path in (ROOT / "commonspace").rglob("*.py"):
        text = path.read_text("utf-8")
        named |= set(re.findall(r"commonspace\[([a-z]+)\]", text))
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "optional":
                values = [*call.args[2:], *(k.value for k in call.keywords if k.arg == "extra")]
                named |= {str(value.value) for value in values if isinstance(value, ast.Constant)}
    assert {"index", "plots"} <= named
    assert named - set(project["optional-dependencies"]) == set()


def test_every_extra_is_described() -> None:
    project = pyproject()["project"]
    assert isinstance(project, dict)
    page = (ROOT / "docs/getting-started.md").read_text("utf-8")
    described = {name for row in re.findall(r"(?m)^\| (`.*?) \|", page) for name in row.split("`")}
    assert set(project["optional-dependencies"]) - {"dev", "docs"} <= described


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_for_hosting_services_fit_their_schemas(schema: str) -> None:
    checker = str(Path(sys.executable).parent / "check-jsonschema")
    run(checker, "--builtin-schema", schema, SCHEMAS[schema])


def test_hooks_and_editors_are_configured() -> None:
    hooks = str(Path(sys.executable).parent / "pre-commit")
    run(hooks, "validate-config", ".pre-commit-config.yaml")
    assert "root = true" in (ROOT / ".editorconfig").read_text("utf-8")
