"""Methods under wrong labels, wrong pairs, few labels, class imbalance and unseen classes.

    python -m benchmarks.hard_labels ../shared/data [--only flipkart] [--seeds 3]
    python -m benchmarks.hard_labels ../shared/data --conditions "wrong pairs .4" --methods infonce

Each run is a data set, a condition on the labels of train and validation, a method and a seed; the
figure is the mAP on test, averaged over all directions. Every method gets the same samples and has
default settings: DSCMR, InfoNCE and MRL with at most 100 epochs and a patience of 20, posterior
matching at three instance weights, semantic matching with the probability. Finished runs are stored
in a JSON file.

    noise 0.2       this fraction of the labels of train and validation is redrawn from all classes
    wrong pairs .2  this fraction of the samples of train and validation have the last modality of
                    another of them; labels belong to the first; R@10 of the pairs is measured too
    5 labels        train has this many samples per class
    5 labels, pairs the other samples of train are there too, without a label
    long tail       of class c of C, train keeps the fraction 50 ** (-c / (C - 1)); the figure is
                    the mean over classes, so that rare classes count as much
    unseen          every third class occurs only in test, and only its samples are queries
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import commonspace as cs
from benchmarks.posterior_matching import DATA, interval, over_pairs, recall, wrong
from commonspace.data.content import content_keys
from commonspace.evaluation import average_precision
from commonspace.methods import DSCMR, MRL, InfoNCE, Method, PosteriorMatching, SemanticMatching

CONDITIONS = (
    "clean",
    "noise .2",
    "noise .4",
    "noise .6",
    "noise .8",
    "wrong pairs .2",
    "wrong pairs .4",
    "wrong pairs .6",
    "1 labels",
    "5 labels",
    "20 labels",
    "1 labels, pairs",
    "5 labels, pairs",
    "20 labels, pairs",
    "long tail",
    "unseen",
)
TAIL = 50.0
METHODS = ("posterior", "dscmr", "sm-probability", "infonce", "mrl")


def method(name: str, seed: int) -> Method:
    """Return a method with its default settings."""
    if name == "posterior":
        return PosteriorMatching(seed=seed)
    if name == "dscmr":
        return DSCMR(seed=seed, epochs=100, patience=20)
    if name == "infonce":
        return InfoNCE(seed=seed)
    if name == "mrl":
        return MRL(seed=seed)
    return SemanticMatching(similarity="probability")


def conditioned(data: cs.Dataset, condition: str, seed: int) -> cs.Dataset:
    """Return the data set with the labels of a condition."""
    kind, _, share = condition.partition(" ")
    if kind == "noise":
        return wrong(data, float(share), seed)
    draw = np.random.default_rng(seed)
    if kind == "wrong":
        return mispaired(data, float(share.split()[1]), draw)
    classes, train = data.labels.argmax(axis=1), data.splits == "train"
    c = len(data.class_names)
    kept = np.ones(len(data), dtype=bool)
    if kind == "unseen":
        kept = (classes % 3 == 2) == (data.splits == "test")
    elif condition != "clean":
        for number in range(c):
            rows = draw.permutation(np.flatnonzero(train & (classes == number)))
            left = int(kind) if kind != "long" else round(len(rows) * TAIL ** (-number / (c - 1)))
            kept[rows[max(1, left) :]] = False
    if share.endswith("pairs"):
        return replace(data, labels=data.labels & kept[:, None])
    return data.take(kept)


def mispaired(data: cs.Dataset, share: float, draw: np.random.Generator) -> cs.Dataset:
    """Exchange the last modality among a fraction of the samples of train and validation."""
    rows = np.arange(len(data))
    for split in ("train", "validation"):
        own = np.flatnonzero(data.splits == split)
        chosen = np.sort(draw.permutation(own)[: round(share * len(own))])
        rows[chosen] = draw.permutation(chosen)
    *_, last = data.columns
    return replace(data, columns={**data.columns, last: data.columns[last].take(rows)})


def measure(data: cs.Dataset, condition: str, asked: Method) -> dict[str, float]:
    """Fit once; return the mAP at each instance weight, "" if not supported; and R@10 of pairs."""
    space = asked.fit(data.split("train"), data.split("validation"), cs.RunConfig())
    test = data.split("test")
    vectors = {name: part.vectors for name, part in space.embed_dataset(test).items()}
    figures = {}
    for weight in (0.0, None, 1.0) if space.has_instance_block else (None,):
        found = [
            average_precision(
                space.as_queries(vectors[a], weight), vectors[b], test.labels, test.labels
            )
            for a, b in over_pairs(vectors)
        ]
        name = (
            ""
            if not space.has_instance_block
            else "standing"
            if weight is None
            else f"at {weight:g}"
        )
        figures[name] = _average(np.mean(found, axis=0), test, by_class=condition == "long tail")
        if condition.startswith("wrong pairs"):
            same = _equal_items(test)
            figures[f"{name} R@10".strip()] = float(
                np.mean(
                    [
                        recall(space.as_queries(vectors[a], weight), vectors[b], same, 10)
                        for a, b in over_pairs(vectors)
                    ]
                )
            )
    return figures


def _equal_items(data: cs.Dataset) -> NDArray[np.bool_]:
    """Return (n, n), whether two samples are equal in some modality."""
    same = np.eye(len(data), dtype=bool)
    for column in data.columns.values():
        keys = content_keys(column)
        same |= keys[:, None] == keys
    return same


def _average(precisions: NDArray[np.float64], test: cs.Dataset, *, by_class: bool) -> float:
    if not by_class:
        return float(precisions.mean())
    classes = test.labels.argmax(axis=1)
    return float(np.mean([precisions[classes == one].mean() for one in np.unique(classes)]))


def table(cells: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """Return a Markdown table: a row per data set and condition, a column per method."""
    columns = list(
        dict.fromkeys(
            (name, weight)
            for of_data in cells.values()
            for name, seeds in of_data.items()
            for figures in seeds.values()
            for weight in figures
        )
    )
    rows = list(dict.fromkeys(key.rsplit("|", 1)[0] for key in cells))
    lines = [
        "| data | labels | "
        + " | ".join(f"{one} {weight}".strip() for one, weight in columns)
        + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for row in rows:
        shown = [
            interval(np.array(found)) if found else ""
            for name, weight in columns
            for seeds in [cells[f"{row}|"].get(name, {})]
            for found in [[figures[weight] for figures in seeds.values() if weight in figures]]
        ]
        lines.append(f"| {row.replace('|', ' | ')} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/, ...")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, default=Path("runs/hard_labels.json"))
    parser.add_argument("--only", choices=DATA, nargs="+", default=["wikipedia", "flipkart"])
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=list(METHODS))
    parser.add_argument("--conditions", choices=CONDITIONS, nargs="+", default=list(CONDITIONS))
    options = parser.parse_args()
    options.keep.parent.mkdir(parents=True, exist_ok=True)
    cells = json.loads(options.keep.read_text()) if options.keep.exists() else {}
    for name in options.only:
        data = replace(cs.load_dataset(options.data / DATA[name]), name=name)
        for condition in options.conditions:
            for called in options.methods:
                seeds = cells.setdefault(f"{name}|{condition}|", {}).setdefault(called, {})
                for seed in range(options.seeds):
                    if str(seed) not in seeds:
                        given = conditioned(data, condition, seed)
                        seeds[str(seed)] = measure(given, condition, method(called, seed))
                        options.keep.write_text(json.dumps(cells))
                print(f"{name}, {condition}, {called}: {seeds}", flush=True)
    print(table(cells))


if __name__ == "__main__":
    main()
