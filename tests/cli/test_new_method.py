"""``new-method`` and ``check-method``: a file that works as it is written, and messages."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from commonspace.cli.new_method import METHOD_KINDS, method_template
from commonspace.errors import SettingError

Call = Callable[..., Result]


@pytest.mark.parametrize("kind", METHOD_KINDS)
def test_a_new_method_passes_its_checks_and_is_compared(
    call: Call, kind: str, tmp_path: Path, points_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = call("new-method", "center-loss", "--kind", kind)
    assert made.exit_code == 0, made.stderr
    assert "commonspace check-method center_loss.py:CenterLoss" in made.stdout
    assert 'center-loss = "PACKAGE.center_loss:CenterLoss"' in made.stdout
    checked = call("check-method", "center_loss.py:CenterLoss", "--epochs", 20)
    assert checked.exit_code == 0, checked.stdout + checked.stderr
    assert "no check failed" in checked.stdout
    words = ("--methods", "center_loss.py:CenterLoss,cca", "--out", "table")
    quick = ("--seeds", 1, "--trials", 1, "--epochs", 2, "--patience", 1, "--jobs", 1)
    done = call("compare", points_file, *words, *quick)
    assert done.exit_code == 0, done.stderr
    assert "centerloss" in (tmp_path / "table" / "table.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "class_name"),
    [("center-loss", "CenterLoss"), ("CenterLoss", "CenterLoss"), ("my_2nd try", "My2ndTry")],
)
def test_the_class_is_called_by_the_name(name: str, class_name: str, tmp_path: Path) -> None:
    found, text = method_template(name)
    assert found == class_name
    path = tmp_path / "mine.py"
    path.write_text(text, "utf-8")
    spec = importlib.util.spec_from_file_location("mine_of_a_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert getattr(module, class_name)().search_space


@pytest.mark.parametrize("name", ["2nd", "", "a/b", "--", "None", "naïve"])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="no name for a method"):
        method_template(name)


def test_a_file_is_not_overwritten(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("precious", "utf-8")
    done = call("new-method", "mine")
    assert done.exit_code == 2
    assert "mine.py exists already" in done.stderr
    assert (tmp_path / "mine.py").read_text("utf-8") == "precious"
    done = call("new-method", "mine", "--out", "nowhere/mine.py")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


def test_a_failed_check_is_exit_code_1(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Broken:\n"
        "    def fit(self, train, validation, run=None):\n"
        "        raise RuntimeError('nothing works')\n",
        "utf-8",
    )
    done = call("check-method", f"{path}:Broken")
    assert done.exit_code == 1
    assert "nothing works" in done.stdout
    assert "1 check failed" in done.stderr
    assert call("check-method", "no-such-method").exit_code == 2
