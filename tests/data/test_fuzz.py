"""Mutated files of every kind are read or refused: no crash, no hang, no other error."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "benchmarks/fuzz_readers.py"


def load() -> ModuleType:
    spec = spec_from_file_location("fuzz_readers", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["fuzz_readers"] = module
    spec.loader.exec_module(module)
    return module


FUZZ = load()
TARGETS = FUZZ.targets()


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_are_read(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    for number, content in enumerate(target.seeds):
        path = tmp_path / f"{number}{target.suffix}"
        path.write_bytes(content)
        target.read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_or_refused(name: str) -> None:
    outcomes = FUZZ.fuzz(name, TARGETS[name], 25, seed=7)
    assert set(outcomes) <= {"read", "refused"}
