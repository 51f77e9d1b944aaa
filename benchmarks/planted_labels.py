"""How many wrong labels are found that were planted: the share among the first of the list.

    python benchmarks/planted_labels.py ../shared/data [--only fashion] [--noise 0.05] [--seeds 3]

A share of the labels of train and validation is replaced by another class, drawn from all others.
``check_sample_labels`` ranks all labels; the figures are the shares of the planted ones among the
first 5 % and 10 % of the ranking, and the estimated share of wrong labels.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import commonspace as cs
from commonspace.assessment import check_sample_labels

DATA = {
    "wikipedia": "wikipedia/wikipedia.npz",
    "flipkart": "flipkart/features.npz",
    "fashion": "fashion/features.npz",
    "uci-digits": "uci-digits/uci-digits.npz",
}
FIRST = (0.05, 0.1)


def measure(data: cs.Dataset, noise: float, seed: int) -> tuple[list[float], float]:
    """Return the share of planted labels among the first of the ranking, and the estimate."""
    draw = np.random.default_rng(seed)
    n, c = data.labels.shape
    planted = draw.permutation(n)[: round(noise * n)]
    classes = data.labels.argmax(axis=1)
    classes[planted] = (classes[planted] + draw.integers(1, c, len(planted))) % c
    check = check_sample_labels(replace(data, labels=np.eye(c, dtype=bool)[classes]), seed=seed)
    assert check is not None
    order = np.argsort(check.p_given)
    found = [float(np.isin(planted, order[: round(one * n)]).mean()) for one in FIRST]
    return found, check.noise


def main() -> None:
    """Print a line for each data set and seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/, ...")
    parser.add_argument("--only", choices=DATA, nargs="+", default=list(DATA))
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for name in options.only:
        whole = cs.load_dataset(options.data / DATA[name])
        data = whole.take(np.flatnonzero(whole.splits != "test"))
        for seed in range(options.seeds):
            found, noise = measure(data, options.noise, seed)
            shares = ", ".join(
                f"{share:.3f} in the first {first:.0%}"
                for share, first in zip(found, FIRST, strict=True)
            )
            print(f"{name}, seed {seed}: {shares}; estimated noise {noise:.3f}", flush=True)


if __name__ == "__main__":
    main()
