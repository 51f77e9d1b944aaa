"""Fixtures of methods that train encoders: photos of three hues, and weights of a narrow VGG-19."""

from pathlib import Path

import numpy as np
import pytest
import torch

from commonspace.data import Dataset
from commonspace.networks.backbones.vgg19 import VGG19
from tests.photo_encoders import write_photos


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a narrow VGG-19 with batch norms, of random weights, in a file."""
    torch.manual_seed(5)
    network = VGG19(batch_norm=True, width=2, size=12)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("weights") / "narrow.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return a folder of photos in a hue for each class, with one or two texts each."""
    classes = np.arange(36) % 3
    hues = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    noise = np.random.default_rng(6).integers(-50, 50, (36, 40, 48, 3))
    pixels = (hues[classes][:, None, None] + noise).astype(np.uint8)
    names = ("red", "green", "blue")
    texts = [
        (f"a {names[k]} wall", f"some {names[k]}")[: 1 + row % 2] for row, k in enumerate(classes)
    ]
    splits = np.repeat(["train", "validation", "test"], 12)
    folder = tmp_path_factory.mktemp("photos")
    return write_photos(folder, list(pixels), texts, classes, names, splits)
