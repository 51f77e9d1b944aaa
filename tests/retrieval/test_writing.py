"""The short form of benchmarks/index_crash.py: real processes, really killed."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from commonspace.retrieval import changes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crash() -> Iterator[ModuleType]:
    """Return the benchmark as a module."""
    spec = importlib.util.spec_from_file_location(
        "index_crash", ROOT / "benchmarks" / "index_crash.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_nothing_is_lost_when_work_is_killed(
    crash: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash, "ITEMS", 150)
    harness = crash.run(20, tmp_path, seed=1)
    assert sum(harness.counts.values()) == 20
    assert set(harness.counts) == {"index", "add", "update", "remove", "migrate"}


def test_the_harness_notices_a_loss(
    crash: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = changes.insert_items

    def careless(connection: Any, space: int, items: Any) -> None:  # noqa: ANN401
        insert(connection, space, items[:-1])

    monkeypatch.setattr("commonspace.retrieval.writing.insert_items", careless)
    with pytest.raises(AssertionError, match="acknowledged"):
        crash.run(200, tmp_path, seed=2)  # it ends with the first loss
