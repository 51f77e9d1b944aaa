"""The examples of docs/data.md run as they are written."""

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/data.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted > 10
    assert result.failed == 0
