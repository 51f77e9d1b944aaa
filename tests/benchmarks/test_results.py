"""The CPU hours that the script of the results page prints."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import cpu_hours


def test_every_fit_counts_once(tmp_path: Path) -> None:
    """Seed 0 that was evaluated from the space of a trial has no fit of its own."""
    records: dict[str, dict[str, Any]] = {
        "dscmr/trial-00": {"cpu_seconds": 1800.0},
        "dscmr/trial-01": {"cpu_seconds": None},
        "dscmr/seed-00": {"cpu_seconds": 1800.0, "fit_of": "trial-00"},
        "dscmr/seed-01": {"cpu_seconds": 3600.0},
        "scm/seed-00": {"failed": "it diverged"},
        "scm/trial-00.space/config": {"cpu_seconds": 3600.0},
    }
    for name, record in records.items():
        path = tmp_path / "runs" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), "utf-8")
    assert cpu_hours(tmp_path) == pytest.approx(1.5)
