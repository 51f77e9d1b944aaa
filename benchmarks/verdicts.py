"""What `assess` says of the shared data sets, and of one where training is not worth it.

    python -m benchmarks.verdicts ../shared/data [--only wikipedia unrelated]

"unrelated" are features of two encoders that share a space, in which the pair of an item is near
it, with labels that were drawn at random: nothing can be learned from them.
"""

import argparse
from pathlib import Path

import numpy as np

import commonspace as cs
from benchmarks.posterior_matching import DATA

UNRELATED = "unrelated"


def unrelated(size: int = 64, classes: int = 6) -> cs.Dataset:
    """Return pairs of noisy features around a common point, with random labels."""
    draw = np.random.default_rng(2)
    splits = np.repeat(["train", "validation", "test"], [150, 90, 600])
    points = draw.normal(size=(len(splits), size))
    columns = {
        name: cs.Features((points + 0.4 * draw.normal(size=points.shape)).astype(np.float32))
        for name in ("image", "text")
    }
    labels = np.eye(classes, dtype=bool)[draw.integers(0, classes, len(splits))]
    names = tuple(f"class {number}" for number in range(classes))
    ids = tuple(map(str, range(len(splits))))
    return cs.Dataset(UNRELATED, ids, columns, labels, names, splits)


def main() -> None:
    """Print the verdict for each data set, and the figures that it rests on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/, ...")
    names = [*DATA, UNRELATED]
    parser.add_argument("--only", choices=names, nargs="+", default=names)
    options = parser.parse_args()
    print("| data | verdict | chosen | best without labels | twice the labels | seconds |")
    print("|---|---|---|---|---|---|")
    for name in options.only:
        data = unrelated() if name == UNRELATED else cs.load_dataset(options.data / DATA[name])
        found = cs.assess(data)
        chosen = next(one for one in found.methods if one.chosen)
        without = max(
            (one for one in found.methods if not one.uses_labels), key=lambda one: one.map.mean
        )
        gain = found.curve.predicted - found.curve.figures[-1] if found.curve else np.nan
        print(
            f"| {name} | {found.verdict.kind} | {chosen.name} {chosen.map.mean:.3f}"
            f" | {without.name} {without.map.mean:.3f} | {gain:+.3f} | {found.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
