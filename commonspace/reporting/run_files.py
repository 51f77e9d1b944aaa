"""Files of a run beside its model, the training history and the sensitivity analysis; checksums.

    history.jsonl       a line for each epoch or trial, as train writes it
    sensitivity.json    {"lambda": [...], "eta": [...], "map": [[...], ...], "split": "validation"}:
                        map[i][j] is the mAP with lambda[i] and eta[j], null where not measured

Both are optional.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.checksums import CHECKSUMS, changed_files, is_changed
from commonspace.errors import DataError, FileFormatError, SpaceError
from commonspace.json_text import parse_json
from commonspace.plots import Steps
from commonspace.space_files import read_space_files

__all__ = [
    "LearningCurves",
    "Sensitivity",
    "find_run_problems",
    "read_learning_curves",
    "read_sensitivity",
]

HISTORY, SENSITIVITY = "history.jsonl", "sensitivity.json"


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """The history of a training."""

    validation_score: NDArray[np.float64]
    """(n,) validation score of each epoch or trial, in [0, 1]."""
    losses: Mapping[str, NDArray[np.float64]]
    """Name -> (n,) loss terms; empty for closed-form methods."""
    chosen: int
    """Number of the chosen epoch or trial, from 1."""
    steps: Steps
    metric: str = "mAP"
    """What the score is: "mAP" or "mean recall"."""


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The mAP over a grid of lambda and eta."""

    lambdas: NDArray[np.float64]
    etas: NDArray[np.float64]
    maps: NDArray[np.float64]
    """(lambdas, etas), NaN where not measured."""
    split: str


def read_learning_curves(run: Path, chosen: Mapping[str, Any]) -> LearningCurves | None:
    """Return the history of a training; None if the run has none.

    Args:
        run: the folder.
        chosen: the "chosen" record of the space: "epoch" or "trial" with its number.

    Raises:
        FileFormatError: the file is damaged, or has no such epoch or trial.
    """
    path = run / HISTORY
    if not path.is_file():
        return None
    steps: Steps = "trial" if "trial" in chosen else "epoch"
    try:
        _check(path)
        records = [parse_json(line) for line in path.read_text("utf-8").splitlines() if line]
        maps = np.array([float(record["validation_score"]) for record in records])
        names = dict.fromkeys(name for record in records for name in record["losses"])
        losses = {
            name: np.array([float(record["losses"].get(name, np.nan)) for record in records])
            for name in names
        }
        number = int(chosen.get(steps, 1 + maps.argmax()))
        if not 1 <= number <= len(maps):
            raise ValueError(f"{len(maps)} lines, though {steps} {number} was chosen")
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise _damaged(
            path, "a line of JSON for each epoch: losses, validation_score", exc
        ) from exc
    return LearningCurves(maps, losses, number, steps, str(chosen.get("metric", "mAP")))


def read_sensitivity(run: Path) -> Sensitivity | None:
    """Return the sensitivity analysis of a run; None if there is none.

    Args:
        run: the folder.

    Raises:
        FileFormatError: the file is damaged.
    """
    path = run / SENSITIVITY
    if not path.is_file():
        return None
    try:
        _check(path)
        record = parse_json(path.read_text("utf-8"))
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
    return Sensitivity(lambdas[down], etas[across], maps[down][:, across], split)


def find_run_problems(run: Path) -> list[str]:
    """Return what is wrong with the files of a run or a saved space; [] if nothing is.

    Args:
        run: the folder.
    """
    problems = []
    try:
        read_space_files(run)
    except SpaceError as exc:
        problems.append(f"{exc.problem}: {exc.found}")
    listed = [f"{run / name} differs from {CHECKSUMS}" for name in changed_files(run)]
    return problems + [one for one in listed if not any(one.split()[0] in two for two in problems)]


def _check(path: Path) -> None:
    if is_changed(path):
        raise ValueError(f"not the content that {CHECKSUMS} lists")


def _damaged(path: Path, expected: str, exc: Exception) -> DataError:
    found = f"no {exc}" if isinstance(exc, KeyError) else str(exc)
    return FileFormatError(
        f"{path} cannot be read",
        expected=expected,
        found=found,
        advice="create it again, or remove it: it is optional",
    )
