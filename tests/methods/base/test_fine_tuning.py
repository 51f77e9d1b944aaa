"""Fine-tuning of encoders with a network: what changes, where it starts, and whether it pays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import DSCMR, SDML, EncoderConfig, TrainingData
from commonspace.networks.dscmr import DSCMRNetwork
from commonspace.training.settings import TrainingSettings
from tests.conftest import Lines
from tests.methods.base.narrow_vgg import fitted, method


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("part", ["top", "all"])
def test_only_what_is_tuned_changes(
    part: str, photos: Dataset, weights: Path, tmp_path: Path
) -> None:
    way = method(weights, fine_tune=part, backbone_learning_rate=1e-3)
    space = fitted(photos, way)
    assert isinstance(space.network, DSCMRNetwork)
    before = torch.load(weights, weights_only=True)
    after = space.network.backbone("image").state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == ({"classifier"} if part == "top" else {"classifier", "features"})
    assert torch.equal(after["features.1.running_mean"], before["features.1.running_mean"])
    assert space.provenance["method"]["options"]["encoders"]["fine_tune"] == part
    assert cs.evaluate(space, photos.split("test"))["average"]["map"] > 0.3
    space.save(tmp_path / "space")
    loaded = cs.load(tmp_path / "space")
    for name, column in photos.split("test").columns.items():
        np.testing.assert_array_equal(loaded.embed(name, column), space.embed(name, column))
    again = fitted(photos, way)
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, space.network.state_dict()[name])


def test_training_starts_from_the_fit_on_frozen_features(photos: Dataset, weights: Path) -> None:
    """With rates of almost 0, the tuned space is that of the frozen encoders."""
    frozen = fitted(photos, method(weights))
    way = method(weights, fine_tune="all", backbone_learning_rate=1e-30)
    still = fitted(photos, _Still(**vars(way)))
    assert isinstance(still.network, DSCMRNetwork)
    for name, column in photos.split("test").columns.items():
        np.testing.assert_allclose(still.embed(name, column), frozen.embed(name, column), atol=2e-4)
    tuned = fitted(
        photos, replace(way, encoders=replace(way.encoders, backbone_learning_rate=1e-3))
    )
    image = photos.split("test").columns["image"]
    assert np.abs(tuned.embed("image", image) - frozen.embed("image", image)).max() > 0.01


class _Still(DSCMR):
    """DSCMR whose own layers do not learn while encoders are trained."""

    def training_settings(self, data: TrainingData) -> TrainingSettings:
        settings = super().training_settings(data)
        return replace(settings, learning_rate=1e-30) if data.tuned else settings


def test_encoders_that_cannot_be_trained_stay_frozen_beside_one_that_is(
    photos: Dataset, weights: Path
) -> None:
    specs = {"image": f"vgg19_bn:{weights}", "text": "tfidf"}
    space = fitted(photos, method(weights, specs=specs, fine_tune="all", tuning_epochs=2))
    assert isinstance(space.network, DSCMRNetwork)
    assert space.network.config.backbones["text"]["kind"] == "tfidf"
    vectors = space.embed("text", ["a red wall"])
    assert vectors.shape == (1, 8)
    assert space.provenance["chosen"]["epochs"] == 2
    with pytest.raises(SettingError, match="has no encoder to train") as caught:
        fitted(photos, method(weights, specs={"text": "tfidf"}, fine_tune="all"))
    assert caught.value.found == "tfidf"


def test_auto_takes_the_better_on_validation(photos: Dataset, lines: Lines) -> None:
    scores = {}
    for part in ("none", "all", "auto"):
        encoders = EncoderConfig({"text": "textcnn"}, fine_tune=part)
        way = SDML(
            encoders=encoders, epochs=4, batch_size=16, hidden_dim=16, embedding_dim=8, device="cpu"
        )
        parts = photos.split("train"), photos.split("validation")
        space = way.fit(*parts, cs.RunConfig((lines,)))
        scores[part] = space.provenance["chosen"]["validation_score"]
    assert scores["auto"] == max(scores["none"], scores["all"])
    assert sum(line.startswith("encoders are ") for line in lines.lines) == 1
