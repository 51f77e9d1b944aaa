"""Help pages: complete, quick, and in agreement with the package."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import Result

import commonspace
from commonspace.cli import options
from commonspace.cli.main import COMMANDS
from commonspace.data import SPLITS

Call = Callable[..., Result]


def test_help_lists_every_command_in_80_columns(call: Call) -> None:
    page = call("--help")
    assert page.exit_code == 0
    for name in COMMANDS:
        assert f"commonspace {name}" in page.stdout
    assert max(map(len, page.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(call: Call, name: str) -> None:
    page = call(name, "--help")
    assert page.exit_code == 0
    assert "Example" in page.stdout
    assert f"  commonspace {name}" in page.stdout
    assert "<bool>" not in page.stdout  # a flag takes no value


def test_help_imports_neither_torch_nor_numpy() -> None:
    script = (
        "import sys, runpy; sys.argv = ['commonspace', '--help']\n"
        "try: runpy.run_module('commonspace', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("own", ["", "active"])
def test_threads_wait_passively_unless_the_user_decides_otherwise(own: str) -> None:
    script = (
        "import os, sys\n"
        "from commonspace.cli.main import main\n"
        "sys.argv = ['commonspace', '--version']\n"
        "try: main()\n"
        "except SystemExit: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    env = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    env |= {"OMP_WAIT_POLICY": own} if own else {}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.stdout.splitlines()[-1] == f"{own or 'passive'} False", done.stderr


def test_choices_of_options_are_those_of_the_packages() -> None:
    assert get_args(options.Split) == SPLITS


def test_version(call: Call) -> None:
    from commonspace.machine import versions

    assert call("--version").stdout.strip() == versions()["commonspace"]


def test_paths_in_suggested_commands_are_quoted() -> None:
    """A suggested command can be pasted into a shell, also where a path contains a space."""
    plain = re.compile(r"commonspace [a-z]+ (--[a-z]+ )?\{(?!quote|shlex\.quote|place|spec)")
    found = [
        f"{path.name}:{number}"
        for path in sorted(Path(commonspace.__file__).parent.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if plain.search(line) and "The space is in" not in line  # quoted by its caller
    ]
    assert found == []
