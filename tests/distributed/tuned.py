"""Spaces of encoders that are trained with photos, by one process or by several.

As a script it is one of several processes: python tuned.py OUT, with the variables of torchrun.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from commonspace.callbacks import Callback
from commonspace.data import Dataset, Images
from commonspace.distributed import Processes, join_processes
from commonspace.encoders import images as photo_input
from commonspace.methods import DSCMR, EncoderConfig, GradientMethod, InfoNCE, PosteriorMatching
from commonspace.space import CommonSpace
from commonspace.training import EpochRecord, RunConfig
from tests.distributed.gradients import Arrays
from tests.photo_encoders import write_network, write_photos

LAYERS = (
    "nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(6, 8, 3, 2), nn.ReLU(),"
    " nn.Dropout2d(0.1)"
)
N = 39
"""Samples; 26 of them are trained on, in batches that two processes do not divide evenly."""


def photos(folder: Path) -> Dataset:
    """Write photos of two colors, of which one is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    classes = np.arange(N) % 2
    pixels = np.random.default_rng(0).integers(0, 200, (N, 16, 16, 3))
    pixels[np.arange(N), :, :, classes] += 50
    texts = [(f"a {('red', 'green')[k]} photo, {row % 5}",) for row, k in enumerate(classes)]
    splits = np.repeat(["train", "validation"], [26, 13])
    data = write_photos(
        folder, list(pixels.astype(np.uint8)), texts, classes, ("red", "green"), splits
    )
    items: list[Any] = list(cast(Images, data.columns["image"]).items)
    items[3] = None
    return replace(data, columns={**data.columns, "image": Images(items)})


def methods(folder: Path) -> dict[str, GradientMethod]:
    """Return methods that train the encoder of the photos."""
    encoders = EncoderConfig(
        specs={"image": write_network(folder, LAYERS, 16), "text": "tfidf"},
        input_form="pad",
        fine_tune="all",
        tuning_epochs=3,
        backbone_learning_rate=1e-2,
    )
    tiny: dict[str, Any] = {
        "hidden_dim": 8,
        "embedding_dim": 6,
        "epochs": 2,
        "batch_size": 7,
        "device": "cpu",
        "encoders": encoders,
    }
    return {
        "infonce": InfoNCE(**tiny),
        "dscmr": DSCMR(**tiny),
        "posterior": PosteriorMatching(**tiny),
    }


class Losses(Callback):
    """Keeps the loss of each epoch, of augmented photos."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        self.values.append(record.losses["loss"])


def spaces(folder: Path, processes: Processes | None) -> Arrays:
    """Return embeddings of validation, losses, and the number of photos that were decoded."""
    data = photos(folder)
    results: Arrays = {}
    decoded, decode = [0], vars(photo_input)["decode_image"]

    def counted(*given: Any, **options: Any) -> Any:  # noqa: ANN401
        decoded[0] += 1
        return decode(*given, **options)

    vars(photo_input)["decode_image"] = counted
    try:
        for name, method in methods(folder).items():
            decoded[0] = 0
            losses = Losses()
            run = RunConfig((losses,), processes=processes)
            space: CommonSpace = method.fit(data, run=run)
            results[f"{name}/losses"] = np.array(losses.values)
            results[f"{name}/decoded"] = np.array(decoded[0])
            validation = data.split("validation")
            for modality, column in validation.columns.items():
                found = space.embed(modality, column)
                results[f"{name}/{modality}"] = found.astype(np.float64)
    finally:
        vars(photo_input)["decode_image"] = decode
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    with join_processes("cpu") as group:
        assert group is not None
        found: dict[str, Any] = {**spaces(out.parent, group)}
        np.savez(out.with_suffix(f".{os.environ['RANK']}.npz"), **found)
