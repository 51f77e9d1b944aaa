"""Posterior matching with default settings on real features: ten seeds, measured on test once.

    python benchmarks/posterior_matching.py ../shared/data [--noise 0.4] [--method infonce]

A run is a data set and a seed. It gives the mAP at several instance weights, the recall of the
exact pair, the calibration error of the relevance, the mAP with compressed vectors, and seconds.
``--noise`` redraws this fraction of the labels of train and validation from all classes.
``--method`` measures another method: ``dscmr`` is the official preset of DSCMR, 500 epochs,
selected on validation; ``reference`` semantic matching with the probability; ``infonce``
contrastive learning on pairs only. Finished runs are stored in a JSON file.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

import commonspace as cs
from commonspace.evaluation import mean_average_precision
from commonspace.evaluation.protocol import average_precisions
from commonspace.methods import DSCMR, InfoNCE, Method, PosteriorMatching, SemanticMatching

DATA = {
    "wikipedia": "wikipedia/wikipedia.npz",
    "flipkart": "flipkart/features.npz",
    "fashion": "fashion/features.npz",
    "uci-digits": "uci-digits/uci-digits.npz",
}
WEIGHTS = (None, 0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.65, 0.75, 1.0)
METHODS: dict[str, Callable[[int], Method]] = {
    "posterior": lambda seed: PosteriorMatching(seed=seed),
    "dscmr": lambda seed: DSCMR(preset="official", seed=seed, epochs=500, patience=None),
    "reference": lambda seed: SemanticMatching(similarity="probability"),
    "infonce": lambda seed: InfoNCE(seed=seed),
}
BINS = 15
Vectors = dict[str, NDArray[np.float32]]

Coder = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Encodes and decodes (n, d) vectors."""


def wrong(data: cs.Dataset, share: float, seed: int) -> cs.Dataset:
    """Redraw a fraction of the labels of train and validation from all classes."""
    draw = np.random.default_rng(seed)
    c = len(data.class_names)
    drawn = np.eye(c, dtype=bool)[draw.integers(0, c, len(data))]
    changed = (draw.random(len(data)) < share) & (data.splits != "test")
    return replace(data, labels=np.where(changed[:, None], drawn, data.labels))


def things(folder: Path, data: cs.Dataset) -> NDArray[np.intp]:
    """Return a number for each test sample, equal for identical texts."""
    test = data.splits == "test"
    described = folder / "metadata.jsonl"
    if not described.exists():
        return np.arange(int(test.sum()))
    texts = [json.loads(line)["text"] for line in described.read_text("utf-8").splitlines()]
    return np.unique(np.array(texts)[test], return_inverse=True)[1]


SHORT = 8
"""Bytes of the shortest code, as many as the 64 bits of the hashing methods."""


def recall(queries: NDArray[Any], items: NDArray[Any], same: NDArray[np.bool_], k: int) -> float:
    """Return the fraction of queries with a match among the first k, counting ties against it."""
    nearest = np.argsort(-queries @ items.T, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(same, nearest, axis=1).any(axis=1).mean())


def calibration_error(p: NDArray[np.float64], relevant: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over bins of equal width (Naeini et al. 2015)."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    n = np.bincount(bins, minlength=BINS)
    gap = np.bincount(bins, p, BINS) - np.bincount(bins, relevant, BINS)
    return float(np.abs(gap).sum() / n.sum())


def over_pairs(vectors: Vectors) -> list[tuple[str, str]]:
    """Return every direction."""
    return [(one, other) for one in vectors for other in vectors if one != other]


def measure(data: cs.Dataset, method: Method, same: NDArray[np.intp]) -> dict[str, Any]:
    """Fit once and return the figures on test."""
    space = method.fit(data.split("train"), data.split("validation"), cs.RunConfig())
    test = data.split("test")
    vectors = {name: part.vectors for name, part in space.embed_dataset(test).items()}
    directions, labels = over_pairs(vectors), test.labels
    alike, relevant = same[:, None] == same, labels.astype(int) @ labels.T.astype(int) > 0
    figures: dict[str, Any] = {"seconds": space.provenance["chosen"]["seconds"]}
    for weight in WEIGHTS if space.has_instance_block else (None,):
        asked = {name: space.as_queries(one, weight) for name, one in vectors.items()}
        figures[f"map at {weight}"] = [
            mean_average_precision(asked[a], vectors[b], labels, labels) for a, b in directions
        ]
        figures[f"r@10 at {weight}"] = [
            recall(asked[a], vectors[b], alike, 10) for a, b in directions
        ]
    kind = 0.0 if space.has_instance_block else None
    scores = [(space.as_queries(vectors[a], kind) @ vectors[b].T).ravel() for a, b in directions]
    p = space.relevance(np.concatenate(scores))
    figures["ece"] = calibration_error(p, np.tile(relevant.ravel(), len(directions)))
    figures["ap"] = {
        name: np.round(one, 6).tolist() for name, one in average_precisions(space, test).items()
    }
    if space.has_instance_block:
        figures["codes"] = codes(space, data, vectors, directions)
    if isinstance(method, PosteriorMatching):
        figures["posteriors"] = space.provenance["posteriors"]
    return figures


def codes(
    space: cs.CommonSpace, data: cs.Dataset, vectors: Vectors, directions: list[tuple[str, str]]
) -> dict[str, Any]:
    """Return for each code its bytes and the mAP with coded items, at 0 and at the default weight.

    Codes are fitted on the items that they store, as an index does it; that takes no labels.
    """
    known = np.concatenate(list(vectors.values()))
    labels, c, d = data.split("test").labels, len(space.class_names), space.dimension
    found: dict[str, Any] = {}
    half, products = (d + 1) // 2, (c + 1) // 2
    short = min(SHORT, products)
    coders: dict[str, tuple[Coder, int, int]] = {
        "float16": (_half_precision, 2 * d, d),
        "int8": (_byte_per_number(known), d, d),
        "pq": (_product_quantization(known, min(64, half)), min(64, half), d),
        "int8, kind alone": (_byte_per_number(known[:, :c]), c, c),
        "pq, kind alone": (_product_quantization(known[:, :c], products), products, c),
        "pq, kind alone, short": (_product_quantization(known[:, :c], short), short, c),
    }
    for name, (coder, size_in_bytes, size) in coders.items():
        kept = {key: coder(one[:, :size]) for key, one in vectors.items()}
        row: dict[str, Any] = {"bytes": size_in_bytes}
        for weight in (0.0, None) if size == d else (0.0,):
            asked = {key: space.as_queries(one, weight)[:, :size] for key, one in vectors.items()}
            maps = [
                mean_average_precision(asked[a], kept[b], labels, labels) for a, b in directions
            ]
            row[f"map at {weight}"] = float(np.mean(maps))
        found[name] = row
    return found


def interval(values: NDArray[np.float64]) -> str:
    """Return the mean and the half width of its 95 % interval over seeds (Student's t)."""
    if len(values) < 2 or values.std() == 0:
        return f"{values.mean():.3f}"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def table(cells: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the figures of all runs, one Markdown row per data set and figure."""
    lines = ["| data | figure | each direction | average |", "|---|---|---|---|"]
    for name, seeds in cells.items():
        first = next(iter(seeds.values()))
        for figure in [key for key in first if key.startswith(("map", "r@10"))]:
            values = np.array([cell[figure] for cell in seeds.values()])
            each = ", ".join(f"{value:.3f}" for value in values.mean(axis=0))
            lines.append(f"| {name} | {figure} | {each} | {interval(values.mean(axis=1))} |")
        for figure in ("ece", "seconds"):
            values = np.array([cell[figure] for cell in seeds.values()])
            lines.append(f"| {name} | {figure} | | {interval(values)} |")
        for code, row in first.get("codes", {}).items():
            kept = [
                f"{np.mean([cell['codes'][code][key] for cell in seeds.values()]):.4f} {key[4:]}"
                for key in row
                if key.startswith("map")
            ]
            lines.append(f"| {name} | {code}, {row['bytes']} bytes | | {'; '.join(kept)} |")
    return "\n".join(lines)


def _half_precision(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors after rounding to float16."""
    return vectors.astype(np.float16).astype(np.float32)


def _byte_per_number(training: NDArray[np.float32]) -> Coder:
    """Return a coder of one byte a number, finer near 0: code = 127 sign(x) sqrt(|x|/s)."""
    largest = np.abs(training).max(axis=0)
    scales = np.where(largest > 0, largest, 1).astype(np.float32)

    def code(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        x = np.clip(vectors / scales, -1, 1)
        codes = np.rint(127 * np.sign(x) * np.sqrt(np.abs(x))).astype(np.int8)
        share = codes.astype(np.float32) / 127
        return np.asarray(np.sign(share) * np.square(share) * scales, dtype=np.float32)

    return code


def _product_quantization(training: NDArray[np.float32], parts: int) -> Coder:
    """Return a coder with one byte for each part of a vector (Jégou, Douze and Schmid, 2011)."""
    sample = training[np.random.default_rng(0).permutation(len(training))[:20_000]]
    centers = [_centers(part) for part in np.array_split(sample, parts, axis=1)]
    sizes = np.cumsum([one.shape[1] for one in centers])[:-1]

    def code(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        pairs = zip(np.split(vectors, sizes, axis=1), centers, strict=True)
        return np.concatenate([one[_nearest(part, one)] for part, one in pairs], axis=1)

    return code


def _centers(part: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 256 centers of k-means; an empty one moves to the worst represented vector."""
    centers = part[:256].copy()
    for _ in range(12):
        nearest = _nearest(part, centers)
        count = np.bincount(nearest, minlength=len(centers))
        sums = np.stack(
            [np.bincount(nearest, column, minlength=len(centers)) for column in part.T], axis=1
        )
        filled = count > 0
        centers[filled] = sums[filled] / count[filled, None]
        empty = np.flatnonzero(~filled)
        if len(empty):
            distances = np.square(part - centers[nearest]).sum(axis=1)
            centers[empty] = part[np.argsort(-distances, kind="stable")[: len(empty)]]
    return centers


def _nearest(part: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.intp]:
    squares = np.square(centers).sum(axis=1)
    return np.asarray(np.argmin(squares - 2 * part @ centers.T, axis=1))


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/, ...")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--method", choices=METHODS, default="posterior")
    parser.add_argument("--keep", type=Path, default=Path("runs/posterior_matching.json"))
    parser.add_argument("--only", choices=DATA, nargs="+", default=list(DATA))
    options = parser.parse_args()

    options.keep.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(options.keep.read_text()) if options.keep.exists() else {}
    cells = kept.setdefault(f"{options.method}, noise {options.noise:g}", {})
    for name in options.only:
        path = options.data / DATA[name]
        data = cs.load_dataset(path)
        same, done = things(path.parent, data), cells.setdefault(name, {})
        for seed in range(options.seeds):
            if str(seed) in done:
                continue
            method = METHODS[options.method](seed)
            given = wrong(data, options.noise, seed) if options.noise else data
            done[str(seed)] = measure(given, method, same)
            options.keep.write_text(json.dumps(kept))
            average = float(np.mean(done[str(seed)]["map at None"]))
            print(f"{name}, seed {seed}: mAP {average:.4f}", flush=True)
    print(table({name: seeds for name, seeds in cells.items() if seeds}))


if __name__ == "__main__":
    main()
