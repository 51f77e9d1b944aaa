"""Small image encoders in files, and data sets of photos in files with a text each."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from commonspace.data import Dataset, Images, Texts

NETWORK = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = nn.Sequential({layers})
    def forward(self, photos):
        return self.layers(photos)
"""


def write_network(folder: Path, layers: str, side: int) -> str:
    """Write a network of random weights with its preprocessing; return FILE.py:Class.

    Args:
        folder: Gets both files; files of the same names stay as they are.
        layers: In Python, such as "nn.Conv2d(3, 8, 5, 2), nn.ReLU()".
        side: Of the photos in pixels.
    """
    size = {"height": side, "width": side}
    about = {"size": size, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    folder.mkdir(parents=True, exist_ok=True)
    _write_once(folder / "net.py", NETWORK.format(layers=layers))
    _write_once(folder / "preprocessor_config.json", json.dumps(about))
    return f"{folder / 'net.py'}:Net"


def write_photos(
    folder: Path,
    pixels: Sequence[NDArray[np.uint8]],
    texts: Sequence[tuple[str, ...]],
    classes: NDArray[np.intp],
    class_names: tuple[str, ...],
    splits: NDArray[np.str_],
) -> Dataset:
    """Write photos, and return a data set of them.

    Args:
        folder: Gets the photos; those of other processes stay as they are.
        pixels: n photos, (height, width, 3) each.
        texts: n times the texts of a photo.
        classes: (n,), the class of each photo.
        class_names: Their names.
        splits: (n,), the split of each photo.
    """
    paths = [folder / f"{row}.png" for row in range(len(pixels))]
    for path, photo in zip(paths, pixels, strict=True):
        if not path.exists():
            Image.fromarray(photo).save(path)
    return Dataset(
        name="photos",
        ids=tuple(map(str, range(len(paths)))),
        columns={"image": Images(paths), "text": Texts(list(texts))},
        labels=np.eye(len(class_names), dtype=bool)[classes],
        class_names=class_names,
        splits=splits,
    )


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, "utf-8")
