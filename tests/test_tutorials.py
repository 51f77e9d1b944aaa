"""The tutorials run from top to bottom."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"


def load_tutorial(name: str) -> ModuleType:
    """Return a tutorial as a module, without running its ``main``."""
    spec = importlib.util.spec_from_file_location(f"tutorial_{name}", TUTORIALS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_network(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("faiss")
    assert load_tutorial("own_network").main() > 0.95
    printed = capsys.readouterr().out
    assert "image->text" in printed
    assert "3 of 399 items" in printed
