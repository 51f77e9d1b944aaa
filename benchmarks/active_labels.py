"""mAP by number of labels: samples chosen at random against those that ``propose_labels`` chooses.

    python -m benchmarks.active_labels ../shared/data/fashion/features.npz
    python -m benchmarks.active_labels DATA --split validation      to choose a strategy

Both begin with the same random labels. Active choice labels 20 samples at a time, each time with
the labels known so far. At each number of labels the kernel machines of posterior matching are
fitted to the labeled samples; the figure is the mAP of their posteriors (instance weight 0), the
mean of both directions, on the test split. Random choice gets twice as many labels
at the end, so that its mAP with twice the labels is known everywhere; the last column is the number
of random labels with the mAP of active choice, from a line between the points over log labels.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import commonspace as cs
from commonspace.assessment import propose_labels
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors, validation_map

SIZES = (100, 200, 400, 800)
BATCH = 20


def hidden(train: cs.Dataset, known: NDArray[np.intp]) -> cs.Dataset:
    """Return the data set with the labels of these rows only."""
    labels = np.zeros_like(train.labels)
    labels[known] = train.labels[known]
    return replace(train, labels=labels)


def active(train: cs.Dataset, start: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    """Return rows in the order in which they are labeled."""
    rows = start
    while len(rows) < most:
        count = min(BATCH, most - len(rows))
        found = propose_labels(hidden(train, rows), count=count, seed=seed)
        rows = np.concatenate([rows, [one.row for one in found]])
    return rows


def figure(train: cs.Dataset, rows: NDArray[np.intp], part: cs.Dataset) -> float:
    """Return the mAP of posteriors that are fitted to the labels of some rows."""
    fitted = fit_kernel_posteriors(train.take(np.sort(rows)), multi_label=False, seed=0)
    return validation_map(fitted, part)


def equal_at(mean: float, figures: NDArray[np.float64], sizes: tuple[int, ...]) -> str:
    """Return the number of random labels with the same mAP, by interpolation over log labels."""
    if mean > figures[-1]:
        return f"> {sizes[-1]}"
    return f"{np.exp(np.interp(mean, figures, np.log(sizes))):.0f}"


def main() -> None:
    """Print a line for each seed and number of labels, and a table of the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="feature file with labels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    data = cs.load_dataset(options.data)
    train, part = data.split("train"), data.split(options.split)
    sizes = (*options.sizes, 2 * options.sizes[-1])
    table = np.full((options.seeds, 2, len(sizes)), np.nan)
    start = time.process_time()
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(train))
        chosen = active(train, order[: sizes[0]], sizes[-2], seed)
        for place, size in enumerate(sizes):
            table[seed, 0, place] = figure(train, order[:size], part)
            if place == 0:
                table[seed, 1, 0] = table[seed, 0, 0]
            elif size <= len(chosen):
                table[seed, 1, place] = figure(train, chosen[:size], part)
            print(f"seed {seed}, {size} labels: {table[seed, :, place].round(4)}", flush=True)
    means = table.mean(axis=0)
    print("| labels | random | active | difference by seed | random labels for the same mAP |")
    print("|---|---|---|---|---|")
    for place, size in enumerate(sizes):
        if np.isnan(means[1, place]):
            print(f"| {size} | {means[0, place]:.3f} | | | |")
            continue
        each = ", ".join(f"{one:+.3f}" for one in table[:, 1, place] - table[:, 0, place])
        same = equal_at(means[1, place], means[0], sizes)
        print(f"| {size} | {means[0, place]:.3f} | {means[1, place]:.3f} | {each} | {same} |")
    print(f"{time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
