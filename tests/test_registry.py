"""Method names: built-in ones, and those of other installed packages."""

from pathlib import Path

import pytest

from commonspace.comparison.experiments import make_experiments
from commonspace.errors import SettingError
from commonspace.methods import CCA, LinearProbe
from commonspace.registry import GROUP, METHODS, installed_methods, make_method, method_names


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that adds the methods "center" and "cca"."""
    (tmp_path / "centers.py").write_text(
        "from commonspace.methods import LinearProbe\nclass Center(LinearProbe): ...\n", "utf-8"
    )
    information = tmp_path / "centers-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: centers\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        f"[{GROUP}]\ncenter = centers:Center\ncca = centers:Center\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", METHODS)
def test_every_name_makes_a_method(name: str) -> None:
    assert callable(make_method(name).fit)


@pytest.mark.usefixtures("other_package")
def test_entry_points_add_names_but_do_not_replace_built_in_ones() -> None:
    assert set(installed_methods()) == {"center"}
    assert method_names() == (*METHODS, "center")
    method = make_method("center", regularization=0.5)
    assert type(method).__name__ == "Center"
    assert isinstance(method, LinearProbe)
    assert method.regularization == 0.5
    assert type(make_method("cca")) is CCA
    (experiment,) = make_experiments(["center"])
    assert experiment.name == "center"


def test_an_unknown_name_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match="unknown method 'center'") as caught:
        make_method("center")
    assert "dscmr" in caught.value.expected
