"""Spaces of encoders that are trained with photos, by one process or by several.

As a script it is one of several processes: python tuned.py OUT, with the variables of torchrun.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from commonspace.callbacks import Callback
from commonspace.data import Dataset, Images, Texts
from commonspace.distributed import Processes, join_processes
from commonspace.encoders import images as photo_input
from commonspace.methods import DSCMR, EncoderConfig, GradientMethod, InfoNCE, PosteriorMatching
from commonspace.space import CommonSpace
from commonspace.training import EpochRecord, RunConfig
from tests.distributed.gradients import Arrays

NETWORK = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(6, 8, 3, 2), nn.ReLU(),
                nn.Dropout2d(0.1),
            )
    def forward(self, photos):
        return self.layers(photos)
"""
SHAPE = {"size": {"height": 16, "width": 16}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
N = 39
"""Samples; 26 of them are trained on, in batches that two processes do not divide evenly."""


def photos(folder: Path) -> Dataset:
    """Write photos of two colors, of which one is missing, and an encoder for them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NETWORK, "utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(SHAPE), "utf-8")
    draw = np.random.default_rng(0)
    paths: list[Any] = []
    for row in range(N):
        pixels = draw.integers(0, 200, (16, 16, 3))
        pixels[:, :, row % 2] += 50
        paths.append(folder / f"{row}.png")
        if not paths[-1].exists():
            Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    paths[3] = None
    words = np.array(["red", "green"])[np.arange(N) % 2]
    return Dataset(
        name="photos",
        ids=tuple(map(str, range(N))),
        columns={
            "image": Images(paths),
            "text": Texts([(f"a {word} photo, {row % 5}",) for row, word in enumerate(words)]),
        },
        labels=np.eye(2, dtype=bool)[np.arange(N) % 2],
        class_names=("red", "green"),
        splits=np.repeat(["train", "validation"], [26, 13]),
    )


def methods(folder: Path) -> dict[str, GradientMethod]:
    """Return methods that train the encoder of the photos."""
    encoders = EncoderConfig(
        specs={"image": f"{folder / 'net.py'}:Net", "text": "tfidf"},
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
