"""Sensitivity analysis: the validation mAP of DSCMR over a grid of lambda and eta."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from commonspace.atomic import replace_file
from commonspace.callbacks import Callback
from commonspace.checksums import renew_checksum
from commonspace.comparison.benchmark import Benchmark, run_benchmark
from commonspace.comparison.experiments import Experiment, TuningBudget
from commonspace.data import Dataset
from commonspace.methods import DSCMR

__all__ = ["SENSITIVITY", "WEIGHTS", "measure_sensitivity"]

SENSITIVITY = "sensitivity.json"

WEIGHTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of lambda and of eta that are tried."""


def measure_sensitivity(
    method: DSCMR,
    data: Dataset,
    run: Path,
    *,
    lambdas: Sequence[float] = WEIGHTS,
    etas: Sequence[float] = WEIGHTS,
    budget: TuningBudget | None = None,
    jobs: int = 1,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Fit DSCMR for every lambda and eta, and write the validation mAP to ``sensitivity.json``.

    The fits are kept in the folder ``sensitivity`` of the run, separately for each budget, so that
    the same call continues after an interruption.

    Args:
        method: with the settings of the run; its lambda and eta are replaced.
        data: of the run.
        run: its folder.
        lambdas: factors of J2, at least 0.
        etas: factors of J3, at least 0.
        budget: epochs and patience of each fit (default: those of the method).
        jobs: number of processes.
        callbacks: receive the progress.

    Returns:
        The content of the file: "lambda" and "eta", the values; "map", a row for each lambda, with
        None where a training diverged; "split", "validation".

    Raises:
        CommonspaceError: as for ``run_benchmark``.
    """
    limits = budget or TuningBudget(
        1, method.epochs or 500, method.patience or method.epochs or 500
    )
    experiments = {
        (lam, eta): Experiment(f"lambda {lam:g}, eta {eta:g}", replace(method, lam=lam, eta=eta))
        for lam, eta in product(lambdas, etas)
    }
    folder = run / "sensitivity" / f"epochs-{limits.epochs}-patience-{limits.patience}"
    benchmark = Benchmark(
        data, tuple(experiments.values()), folder, 1, replace(limits, trials=1), jobs=jobs
    )
    runs = run_benchmark(benchmark, callbacks).runs
    figures = {
        pair: runs[experiment.name].get(0, {}).get("validation_map")
        for pair, experiment in experiments.items()
    }
    result = {
        "lambda": list(lambdas),
        "eta": list(etas),
        "map": [[figures[lam, eta] for eta in etas] for lam in lambdas],
        "split": "validation",
    }
    with replace_file(run / SENSITIVITY, overwrite=True) as draft:
        draft.write_text(json.dumps(result) + "\n", "utf-8")
    renew_checksum(run / SENSITIVITY)
    return result
