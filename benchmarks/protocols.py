"""Methods without pairs, with missing modalities, and with five modalities: docs/results.md.

    python -m benchmarks.protocols ../shared [--protocols unpaired] [--only flipkart]

It is ``commonspace compare --protocol ...`` for each protocol and data set: settings and epochs are
chosen on validation, which the protocol changes too. ``five`` divides the pixels of UCI digits into
their upper and lower half, and adds the sums of their rows and columns as a fifth modality. Runs
are kept, so that it can be interrupted and continued.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import commonspace as cs
from benchmarks.posterior_matching import DATA
from commonspace.comparison import (
    Benchmark,
    DataProtocol,
    TuningBudget,
    make_experiments,
    run_benchmark,
    summarize,
)
from commonspace.comparison.tables import columns, format_table
from commonspace.data import Features
from commonspace.progress import ProgressBar

__all__ = ["five_modalities", "main"]

FIVE = "five"
PROTOCOLS = (FIVE, "unpaired", "missing-modality", "noise", "imbalance", "unseen-classes")
METHODS = ("posterior", "dscmr", "rono", "prototype", "infonce", "sm-probability", "mvda")
BUDGET = TuningBudget(trials=8, epochs=100, patience=20)
SEED = 0
"""Of the protocol, which is the same for all methods and seeds."""
PIXELS = (16, 15)


def main() -> None:
    """Do the remaining runs and print a table for each protocol and data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="the folder with data/")
    parser.add_argument("--protocols", choices=PROTOCOLS, nargs="+", default=PROTOCOLS[:3])
    parser.add_argument("--only", choices=DATA, nargs="+", default=["wikipedia", "flipkart"])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, default=Path("runs/protocols"))
    options = parser.parse_args()
    for protocol in options.protocols:
        for name in ["uci-digits"] if protocol == FIVE else options.only:
            data = cs.load_dataset(options.shared / "data" / DATA[name])
            changed = (
                five_modalities(data)
                if protocol == FIVE
                else DataProtocol(protocol, seed=SEED).apply(data)
            )
            benchmark = Benchmark(
                data=changed,
                experiments=make_experiments(options.methods),
                folder=options.keep / f"{name}-{protocol}",
                seeds=options.seeds,
                budget=BUDGET,
                jobs=1,
            )
            summaries = summarize(run_benchmark(benchmark, [ProgressBar()]), "dscmr")
            print(f"\n{name}, {protocol}\n")
            print(format_table(*columns(summaries, "dscmr"), "pipe"), flush=True)


def five_modalities(digits: cs.Dataset) -> cs.Dataset:
    """Return UCI digits with the pixels as upper half, lower half, and sums of rows and columns."""
    columns = dict(digits.columns)
    pixels = columns.pop("pix")
    assert isinstance(pixels, Features)
    pictures = np.asarray(pixels.values, dtype=np.float32).reshape(-1, *PIXELS)
    half = PIXELS[0] // 2
    parts = {
        "upper": pictures[:, :half].reshape(len(pictures), -1),
        "lower": pictures[:, half:].reshape(len(pictures), -1),
        "sums": np.concatenate([pictures.sum(axis=1), pictures.sum(axis=2)], axis=1),
    }
    columns |= {name: Features(values) for name, values in parts.items()}
    return replace(digits, name="UCI digits, five modalities", columns=columns)


if __name__ == "__main__":
    main()
