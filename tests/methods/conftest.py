"""Fixtures of the contrastive methods: a batch with gaps, and two views of the same points."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.training import Batch

SIZES = {"image": 6, "text": 5, "sound": 4}


@pytest.fixture(params=range(4))
def gap_batch(request: pytest.FixtureRequest) -> Batch:
    """Return samples with gaps in every modality, of one, two or no classes."""
    draw = np.random.default_rng(request.param)
    present = {name: torch.from_numpy(draw.random(9) < 0.7) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((9, 3)) < 0.4).float())


@pytest.fixture(scope="session")
def two_views() -> Dataset:
    """Return two noisy nonlinear views of a point in eight dimensions; its octant is its class."""
    draw = np.random.default_rng(3)
    n = 400
    point = draw.normal(size=(n, 8))
    mixes: list[NDArray[np.float64]] = [draw.normal(size=(8, 20)) for _ in range(2)]
    views = [np.tanh(point @ mix / 2) + draw.normal(size=(n, 20)) / 20 for mix in mixes]
    octant = (point[:, :3] > 0) @ np.array([4, 2, 1])
    return Dataset(
        name="views",
        ids=tuple(map(str, range(n))),
        columns={name: Features(view) for name, view in zip(("a", "b"), views, strict=True)},
        labels=np.eye(8, dtype=bool)[octant],
        class_names=tuple(map(str, range(8))),
        splits=np.repeat(["train", "validation", "test"], [n - 200, 100, 100]),
    )


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small CLIP of random weights, as the hub has them."""
    from transformers import (
        BertTokenizerFast,
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
    )

    folder = tmp_path_factory.mktemp("clip")
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "photo", "of", "red", "green", "blue", "wall"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    tower = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
    }
    text = {
        **tower, "vocab_size": len(words), "max_position_embeddings": 9, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision = {**tower, "image_size": 16, "patch_size": 8}
    torch.manual_seed(3)
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=10)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=9)
    tokenizer.save_pretrained(folder)
    return folder
