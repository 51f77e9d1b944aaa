"""Dockerfile and compose file: they pass their linters, run without root and check their health."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from commonspace.cli.main import build

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent


def instructions() -> list[tuple[str, str]]:
    """Return (keyword, arguments) of each instruction of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_dockerfile_has_no_lint() -> None:
    hadolint = TOOLS / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not available for this platform")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_without_root_and_checks_its_health() -> None:
    last_stage: list[tuple[str, str]] = []
    for keyword, arguments in instructions():
        last_stage = [] if keyword == "FROM" else [*last_stage, (keyword, arguments)]
    keywords = dict(last_stage)
    assert int(keywords["USER"]) > 0
    assert "/health" in keywords["HEALTHCHECK"]
    assert keywords["EXPOSE"] == "8000"


def test_the_command_of_the_image_has_options_of_serve() -> None:
    words = json.loads(dict(instructions())["CMD"])
    page = CliRunner().invoke(build(), [words[0], "--help"]).stdout
    assert [word for word in words if word.startswith("--") and word not in page] == []


def test_copied_files_exist_and_are_sent_to_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    sources = [
        source
        for keyword, arguments in instructions()
        if keyword == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_compose_file_is_valid() -> None:
    checker = TOOLS / "check-jsonschema"
    compose = ROOT / "compose.yaml"
    subprocess.run([checker, "--builtin-schema", "vendor.compose-spec", compose], check=True)
    services = yaml.safe_load(compose.read_text("utf-8"))["services"]
    assert services["service"]["depends_on"]["milvus"]["condition"] == "service_healthy"
    assert services["milvus"]["healthcheck"]["test"]
    assert all(port.startswith("127.0.0.1:") for port in services["service"]["ports"])


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")
def test_docker_reads_the_compose_file() -> None:
    words = ["docker", "compose", "-f", str(ROOT / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True)
    if "is not a docker command" in done.stderr or "unknown" in done.stderr:
        pytest.skip("docker has no compose plugin")
    assert done.returncode == 0, done.stderr
