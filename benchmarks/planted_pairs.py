"""How many pairs are found that do not belong together: photos with the texts of others.

    python -m benchmarks.planted_pairs ../shared/data [--only flipkart] [--shares 0 0.2 0.4]
    python -m benchmarks.planted_pairs ../shared/data --without-labels --shares 0 0.05 0.2

The last modality of a share of the samples of train is exchanged among them; labels belong to the
first. Printed are the estimated share, the share of labels that do not fit each modality, the
number of listed pairs, and the shares of listed pairs that were exchanged, and of exchanged pairs
that are listed. Without labels: the estimated share, the listed pairs, and how many of the
exchanged pairs are in the tenth of all pairs that fit worst.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import commonspace as cs
from benchmarks.hard_labels import mispaired
from benchmarks.posterior_matching import DATA
from commonspace.assessment import check_pairs, check_sample_labels
from commonspace.data import Features


def main() -> None:
    """Print a line for each data set and share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/, ...")
    parser.add_argument("--only", choices=DATA, nargs="+", default=["flipkart"])
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.2, 0.4, 0.6])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-labels", action="store_true", help="labels are not used")
    options = parser.parse_args()
    for name in options.only:
        data = cs.load_dataset(options.data / DATA[name])
        for share in options.shares:
            given = mispaired(data, share, np.random.default_rng(options.seed)).split("train")
            *_, last = data.columns
            before, after = data.split("train").columns[last], given.columns[last]
            assert isinstance(before, Features)
            assert isinstance(after, Features)
            moved = (before.values != after.values).any(axis=1)
            if options.without_labels:
                found = find_without_labels(given, moved, options.seed)
                print(f"{name}, {share:g} exchanged, seed {options.seed}: {found}", flush=True)
                continue
            check = check_sample_labels(given, most=len(given), seed=options.seed)
            assert check is not None
            listed = np.array([one.row for one in check.mismatched], dtype=int)
            noise = ", ".join(f"{key} {value:.3f}" for key, value in check.modality_noise.items())
            print(
                f"{name}, {share:g} exchanged: estimated {check.pair_noise:.3f}; labels that do not"
                f" fit {noise}; {len(listed)} listed, of them {moved[listed].sum()} exchanged, of"
                f" {moved.sum()}",
                flush=True,
            )


def find_without_labels(given: cs.Dataset, moved: NDArray[np.bool_], seed: int) -> str:
    """Return what is found, in words.

    Args:
        given: The samples.
        moved: (n,) bool, whether their pair was exchanged.
        seed: Random seed of the folds.
    """
    began = time.monotonic()
    check = check_pairs(given, most=len(given), seed=seed)
    seconds = time.monotonic() - began
    listed = np.array([one.row for one in check.suspicious_pairs], dtype=int)
    scores = np.mean(list(check.scores.values()), axis=0)
    worst = np.argsort(scores, kind="stable")[: len(given) // 10]
    share = "not estimated" if check.pair_noise is None else f"estimated {check.pair_noise:.3f}"
    return (
        f"{share}; {len(listed)} listed, of them {moved[listed].sum()} exchanged, of the first 20"
        f" {moved[listed[:20]].sum()}; in the worst tenth {moved[worst].sum()} of {moved.sum()}"
        f" exchanged; {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
