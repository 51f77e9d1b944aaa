"""mAP of DSCMR on real features: five seeds of each preset, selected on validation and on test.

    python benchmarks/dscmr_on_real_data.py ../shared/data

A callback measures the test split after every epoch, without influence on training. This gives two
figures per seed: the test mAP of the epoch that was selected on validation, and the highest of any
epoch, as selection on the test set would report it. Finished runs are stored in a JSON file, so
that the script can be interrupted and restarted.
"""

import argparse
import json
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import nn

import commonspace as cs
from commonspace.callbacks import Callback, EpochRecord
from commonspace.evaluation import evaluate_retrieval
from commonspace.progress import ProgressBar

DATA = {"wikipedia": "wikipedia/wikipedia.npz", "flipkart": "flipkart/features.npz"}
PRESETS = ("paper", "official")
DIRECTIONS = ("image->text", "text->image", "average")


class TestWatcher(Callback):
    """Measures the mAP on the test split after every epoch."""

    def __init__(self, test: cs.Dataset) -> None:
        columns = {name: cast(cs.Features, column) for name, column in test.columns.items()}
        self._inputs = {name: torch.from_numpy(column.values) for name, column in columns.items()}
        self._labels = dict.fromkeys(test.modalities, test.labels)
        self.figures: list[list[float]] = []

    @torch.inference_mode()
    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Measure the network of this epoch."""
        assert isinstance(network, nn.Module)
        embeddings = {
            name: network.embed(name, inputs).numpy()  # type: ignore[operator]
            for name, inputs in self._inputs.items()
        }
        report = evaluate_retrieval(embeddings, self._labels)
        self.figures.append([float(report[name]["map"]) for name in DIRECTIONS])


def measure(data: cs.Dataset, preset: str, seed: int, epochs: int) -> dict[str, object]:
    """Train once for all epochs, as in the paper, and return the figures."""
    watcher = TestWatcher(data.split("test"))
    method = cs.DSCMR(preset=preset, seed=seed, epochs=epochs, patience=None)  # type: ignore[arg-type]
    run = cs.RunConfig(callbacks=(ProgressBar(), watcher))
    space = method.fit(data.split("train"), data.split("validation"), run)
    honest = cs.evaluate(space, data.split("test"))
    chosen = space.provenance["chosen"]
    return {
        "chosen on validation": [honest[name]["map"] for name in DIRECTIONS],
        "chosen on test": max(watcher.figures, key=lambda figures: figures[-1]),
        "last epoch": watcher.figures[-1],
        "epoch": chosen["epoch"],
        "seconds": chosen["seconds"],
    }


def interval(values: NDArray[np.float64]) -> str:
    """Return the mean and the half width of its 95 % interval over seeds (Student's t)."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def table(cells: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    """Return the Markdown table of all runs."""
    lines = [
        "| data | preset | epoch chosen on | image->text | text->image | average |",
        "|---|---|---|---|---|---|",
    ]
    for name, seeds in cells.items():
        for rule in ("chosen on validation", "chosen on test", "last epoch"):
            figures = np.array([cell[rule] for cell in seeds.values()])
            columns = " | ".join(interval(figures[:, i]) for i in range(3))
            lines.append(f"| {name.replace('/', ' | ')} | {rule} | {columns} |")
        on_test, on_validation = (
            np.array([cell[rule][-1] for cell in seeds.values()])
            for rule in ("chosen on test", "chosen on validation")
        )
        gap = interval(on_test - on_validation)
        lines.append(f"| {name.replace('/', ' | ')} | test minus validation | | | {gap} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/ and flipkart/")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--keep", type=Path, default=Path("runs/dscmr_on_real_data.json"))
    parser.add_argument("--only", choices=DATA, help="one data set")
    parser.add_argument("--preset", choices=PRESETS, help="one preset")
    options = parser.parse_args()

    options.keep.parent.mkdir(parents=True, exist_ok=True)
    cells = json.loads(options.keep.read_text()) if options.keep.exists() else {}
    for name in [options.only] if options.only else DATA:
        data = cs.load_dataset(options.data / DATA[name])
        for preset in [options.preset] if options.preset else PRESETS:
            done = cells.setdefault(f"{name}/{preset}", {})
            for seed in range(options.seeds):
                if str(seed) not in done:
                    print(f"{name}, {preset}, seed {seed}", flush=True)
                    done[str(seed)] = measure(data, preset, seed, options.epochs)
                    options.keep.write_text(json.dumps(cells, indent=1))
    print(table({name: seeds for name, seeds in cells.items() if seeds}))


if __name__ == "__main__":
    main()
