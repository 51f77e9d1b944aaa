"""The validation mAP of DSCMR over a grid of lambda and eta: how much its weights matter.

It draws nothing; a report of the run does.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from commonspace.atomic import replace_file
from commonspace.comparison.grid import Grid, GridWatcher, run_grid
from commonspace.comparison.rows import Budget, Row
from commonspace.data import Dataset
from commonspace.methods import DSCMR

__all__ = ["SURFACE", "WEIGHTS", "measure_surface"]

SURFACE = "surface.json"

WEIGHTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What is tried for lambda and for eta."""


def measure_surface(
    method: DSCMR,
    data: Dataset,
    run: Path,
    *,
    lambdas: Sequence[float] = WEIGHTS,
    etas: Sequence[float] = WEIGHTS,
    budget: Budget | None = None,
    jobs: int = 1,
    watcher: GridWatcher | None = None,
) -> dict[str, Any]:
    """Fit DSCMR for every lambda and eta, and keep the validation mAP in ``surface.json``.

    Cells are kept in the folder ``surface`` of the run, apart for each budget, so that the same
    call after a kill does the rest.

    Args:
        method: as it was for the run; its lambda and eta are replaced.
        data: of the run.
        run: its folder.
        lambdas: factors of J2, from 0.
        etas: factors of J3, from 0.
        budget: epochs and patience of each fit; None takes those of the method.
        jobs: processes.
        watcher: hears of the progress.

    Returns:
        What is in the file: "lambda" and "eta", the values; "map", a row for each lambda, with None
        where a training diverged; "split", "validation".

    Raises:
        CommonspaceError: as for ``run_grid``.
    """
    limits = budget or Budget(1, method.epochs or 500, method.patience or method.epochs or 500)
    rows = {
        (one, other): Row(f"lambda {one:g}, eta {other:g}", replace(method, lambda_=one, eta=other))
        for one, other in product(lambdas, etas)
    }
    folder = run / "surface" / f"epochs-{limits.epochs}-patience-{limits.patience}"
    grid = Grid(data, tuple(rows.values()), folder, 1, replace(limits, trials=1), jobs=jobs)
    cells = run_grid(grid, watcher).cells
    figures = {pair: cells[row.name].get(0, {}).get("validation_map") for pair, row in rows.items()}
    surface = {
        "lambda": list(lambdas),
        "eta": list(etas),
        "map": [[figures[one, other] for other in etas] for one in lambdas],
        "split": "validation",
    }
    with replace_file(run / SURFACE, overwrite=True) as draft:
        draft.write_text(json.dumps(surface) + "\n", "utf-8")
    return surface
