"""Mutated files of every kind are read or refused: no crash, no hang, no other error."""

from pathlib import Path

import pytest

from benchmarks.fuzz_readers import fuzz
from benchmarks.fuzz_targets import targets

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_are_read(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    for number, content in enumerate(target.seeds):
        path = tmp_path / f"{number}{target.suffix}"
        path.write_bytes(content)
        target.read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_or_refused(name: str) -> None:
    outcomes = fuzz(name, TARGETS[name], 25, seed=7)
    assert set(outcomes) <= {"read", "refused"}
