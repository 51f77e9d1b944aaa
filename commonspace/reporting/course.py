"""Reads what a run wrote beside its space: the course of its training, and a surface of weights.

    history.jsonl    a line for each epoch or trial, as train writes it
    sensitivity.json {"lambda": [...], "eta": [...], "map": [[...], ...], "split": "validation"}:
                     map[i][j] is the mAP with lambda[i] and eta[j], null where it was not measured

Both may be absent. It knows no other file of the run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, FileFormatError
from commonspace.plots import Steps

__all__ = ["Course", "Surface", "read_course", "read_surface"]

HISTORY, SURFACE = "history.jsonl", "sensitivity.json"


@dataclass(frozen=True, eq=False)
class Course:
    """How a training went."""

    validation_map: NDArray[np.float64]
    """(n,)"""
    losses: Mapping[str, NDArray[np.float64]]
    """Name -> (n,); empty for methods in closed form."""
    chosen: int
    """From 1."""
    steps: Steps


@dataclass(frozen=True, eq=False)
class Surface:
    """The mAP over a grid of lambda and eta."""

    lambdas: NDArray[np.float64]
    etas: NDArray[np.float64]
    maps: NDArray[np.float64]
    """(lambdas, etas), NaN where it was not measured."""
    split: str


def read_course(run: Path, chosen: Mapping[str, Any]) -> Course | None:
    """Return the course of a training; None where the run has no history.

    Args:
        run: the folder.
        chosen: what the space says of its choice: "epoch" or "trial" with its number.

    Raises:
        FileFormatError: the file is damaged, or does not belong to this choice.
    """
    path = run / HISTORY
    if not path.is_file():
        return None
    steps: Steps = "trial" if "trial" in chosen else "epoch"
    try:
        records = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
        maps = np.array([float(record["validation_map"]) for record in records])
        names = dict.fromkeys(name for record in records for name in record["losses"])
        losses = {
            name: np.array([float(record["losses"].get(name, np.nan)) for record in records])
            for name in names
        }
        number = int(chosen.get(steps, 1 + maps.argmax()))
        if not 1 <= number <= len(maps):
            raise ValueError(f"{len(maps)} lines, though {steps} {number} was chosen")
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise _damaged(path, "a line of JSON for each epoch: losses, validation_map", exc) from exc
    return Course(maps, losses, number, steps)


def read_surface(run: Path) -> Surface | None:
    """Return the surface that was measured for a run; None where there is none.

    Args:
        run: the folder.

    Raises:
        FileFormatError: the file is damaged.
    """
    path = run / SURFACE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        lambdas, etas, maps = (
            np.array(record[key], dtype=np.float64) for key in ("lambda", "eta", "map")
        )
        if maps.shape != (*lambdas.shape, *etas.shape) or lambdas.ndim != 1:
            raise ValueError(f"map has shape {maps.shape}")
        split = str(record["split"])
    except (OSError, ValueError, TypeError, KeyError) as exc:
        expected = "JSON with lambda, eta, map (a row for each lambda) and split"
        raise _damaged(path, expected, exc) from exc
    down, across = np.argsort(lambdas), np.argsort(etas)
    return Surface(lambdas[down], etas[across], maps[down][:, across], split)


def _damaged(path: Path, expected: str, exc: Exception) -> DataError:
    found = f"no {exc}" if isinstance(exc, KeyError) else str(exc)
    return FileFormatError(
        f"{path} cannot be read",
        expected=expected,
        found=found,
        advice="write it anew, or move it away: the report goes without it",
    )
