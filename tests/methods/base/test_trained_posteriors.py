"""Encoders trained with posterior matching: when it pays, what is calibrated, resume, files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.callbacks import Callback
from commonspace.data import Dataset
from commonspace.encoders.torch_module import load_class
from commonspace.errors import SettingError
from commonspace.methods import EncoderConfig, PosteriorMatching
from commonspace.training import loop
from tests.conftest import Lines
from tests.photo_encoders import write_network, write_photos

LAYERS = (
    "nn.Conv2d(3, 12, 5, 2), nn.BatchNorm2d(12), nn.ReLU(),"
    " nn.Conv2d(12, 24, 3, 2), nn.BatchNorm2d(24), nn.ReLU()"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return FILE.py:Class of a small network of random weights."""
    return write_network(tmp_path_factory.mktemp("nets"), LAYERS, 32)


def shapes(folder: Path, *, bright: bool = False, n: int = 240) -> Dataset:
    """Return photos of a lying, standing or square block in noise, with texts.

    With ``bright`` the class also is the color of the photo, which any network sees.
    """
    draw = np.random.default_rng(6)
    classes = np.arange(n) % 3
    photos = []
    for k in classes:
        pixels = draw.integers(0, 120, (32, 32, 3))
        x, y = draw.integers(8, 20, 2)
        height, width = ((2, 14), (14, 2), (5, 5))[k]
        top, left = y - height // 2, x - width // 2
        pixels[top : top + height, left : left + width] = 200
        if bright:
            pixels[:, :, k] += 40
        photos.append(pixels.astype(np.uint8))
    names = ("lying", "standing", "square")
    texts = [(f"a {names[k]} block, {row % 9}",) for row, k in enumerate(classes)]
    splits = np.repeat(["train", "validation", "test"], n // 3)
    return write_photos(folder, photos, texts, classes, names, splits)


def method(module: str, **options: Any) -> PosteriorMatching:  # noqa: ANN401
    given = {
        "specs": {"image": module, "text": "tfidf"},
        "input_form": "pad",
        "fine_tune": "auto",
        "tuning_epochs": 12,
        "backbone_learning_rate": 3e-3,
        **options.pop("encoders", {}),
    }
    settings = {"hidden_dim": 32, "embedding_dim": 8, "epochs": 8, "device": "cpu", **options}
    return PosteriorMatching(encoders=EncoderConfig(**given), **settings)


def fitted(data: Dataset, way: PosteriorMatching, *callbacks: Callback) -> cs.CommonSpace:
    return way.fit(data.split("train"), data.split("validation"), cs.RunConfig(callbacks))


def test_auto_trains_the_encoder_that_limits_the_ranking(
    module: str, tmp_path: Path, lines: Lines
) -> None:
    data = shapes(tmp_path)
    frozen = fitted(data, method(module, encoders={"fine_tune": "none"}))
    space = fitted(data, method(module), lines)
    test = data.split("test")
    before, after = (cs.evaluate(one, test)["average"]["map"] for one in (frozen, space))
    assert after > before + 0.01
    assert set(space.provenance["fine_tune"]) == {"image"}  # texts name their class
    assert space.provenance["fine_tune"]["image"]["chosen"] in ("trained", "both")
    assert any(line.startswith("encoder of image: trained") for line in lines.lines)
    assert space.provenance["method"]["options"]["encoders"]["fine_tune"] == "auto"
    hashes = [one.provenance["encoders"] for one in (frozen, space)]
    assert hashes[0]["image"]["sha256"] != hashes[1]["image"]["sha256"]
    assert hashes[0]["text"]["sha256"] == hashes[1]["text"]["sha256"]
    assert hashes[1]["image"]["fitted_on"].startswith("train")
    space.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run", encoders={"image": load_class(module)})
    for name in ("image", "text"):
        np.testing.assert_array_equal(
            loaded.embed(name, test.columns[name]), space.embed(name, test.columns[name])
        )
    with cs.Index.create(tmp_path / "index", loaded, test) as index:
        found = index.search(text="a standing block, 4", k=5)
    assert sum("standing" in (item.labels or ()) for item in found) >= 3


def test_scores_on_memorized_samples_stay_probabilities(module: str, tmp_path: Path) -> None:
    """On test, pairs of a score about s share a class in about s of the cases."""
    data = shapes(tmp_path, n=300)
    space = fitted(data, method(module, encoders={"fine_tune": "all"}))
    test = data.split("test")
    image, text = (one.vectors for one in space.embed_dataset(test).values())
    p = space.relevance(space.as_queries(image, 0.0) @ text.T)
    shared = test.labels.astype(int) @ test.labels.T.astype(int) > 0
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [
        abs(p[bins == one].mean() - shared[bins == one].mean()) * (bins == one).mean()
        for one in np.unique(bins)
    ]
    assert sum(gaps) < 0.06


def test_auto_keeps_the_encoder_frozen_where_training_does_not_pay(
    module: str, tmp_path: Path, lines: Lines
) -> None:
    data = shapes(tmp_path, bright=True)
    options: dict[str, Any] = {"backbone_learning_rate": 1e-30, "tuning_epochs": 1}
    space = fitted(data, method(module, encoders=options), lines)
    frozen = fitted(data, method(module, encoders={"fine_tune": "none"}))
    assert space.provenance["fine_tune"]["image"]["chosen"] == "frozen"
    assert any("stays frozen" in line for line in lines.lines)
    for name, column in data.split("test").columns.items():
        np.testing.assert_allclose(space.embed(name, column), frozen.embed(name, column), atol=1e-5)


def test_a_resumed_training_of_an_encoder_ends_at_the_same_weights(
    module: str, tmp_path: Path, witness: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)
    data = shapes(tmp_path, n=90)
    way = method(module, encoders={"tuning_epochs": 3, "fine_tune": "all"}, epochs=2)
    whole = fitted(data, way)
    parts = data.split("train"), data.split("validation")
    folder = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        way.fit(*parts, cs.RunConfig((witness(dies_in=2),), folder))
    again = witness()
    resumed = way.fit(*parts, cs.RunConfig((again,), folder, resume=True))
    assert [record.epoch for record in again.records] == [2, 3]
    for name, tensor in resumed.network.state_dict().items():
        assert torch.equal(tensor, whole.network.state_dict()[name])


def test_a_budget_of_minutes_ends_with_a_space(module: str, tmp_path: Path, lines: Lines) -> None:
    data = shapes(tmp_path, n=90)
    way = method(module, encoders={"tuning_epochs": 10_000}, epochs=2, minutes=0.05)
    space = fitted(data, way, lines)
    assert any("minutes were over" in line for line in lines.lines)
    assert space.provenance["fine_tune"]["image"]["epochs"] < 10_000
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.3


def test_there_must_be_something_to_train(module: str, tmp_path: Path) -> None:
    data = shapes(tmp_path, n=90)
    features = fitted(data, method(module, encoders={"fine_tune": "none"}))
    image = cs.Features(features.embed("image", data.columns["image"]))
    half = replace(data, columns={**data.columns, "image": image})
    with pytest.raises(SettingError, match="no encoder to train") as caught:
        fitted(half, method(module, encoders={"specs": {"text": "tfidf"}}))
    assert caught.value.found == "tfidf"
