"""From raw items through encoders to a space: provenance, rates, captions, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset, write_arrays
from commonspace.encoders import Extraction, Source, Vectors, encoder_from_spec, extract
from commonspace.errors import DataError, SettingError
from commonspace.methods import DSCMR, EncoderConfig
from commonspace.methods.base.encoder_config import backbone_rate
from commonspace.networks.backbones.vgg19 import VGG19
from commonspace.networks.dscmr import DSCMRNetwork
from tests.methods.base.narrow_vgg import fitted, method


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


def test_none_gives_the_figures_of_precomputed_features(
    photos: Dataset, weights: Path, tmp_path: Path
) -> None:
    way = method(weights, multi_caption="mean")
    space = fitted(photos, way)
    encoders = {
        name: encoder_from_spec(
            spec,
            Source(photos.split("train"), photos.split("validation"), name, multi_caption="mean"),
        )
        for name, spec in way.encoders.specs.items()
    }
    features = extract(photos, encoders, Extraction(workers=0))
    write_arrays(features, tmp_path / "features.npz")
    read = cs.load_dataset(tmp_path / "features.npz")
    plain = fitted(read, replace(way, encoders=EncoderConfig()))
    for key in ("epoch", "epochs", "validation_score"):
        assert space.provenance["chosen"][key] == plain.provenance["chosen"][key]
    assert isinstance(space.network, DSCMRNetwork)
    state, other = space.network.state_dict(), plain.network.state_dict()
    for name in other:
        torch.testing.assert_close(state[name], other[name], rtol=0, atol=1e-4)
    test = photos.split("test")
    for name in ("image", "text"):
        direct = plain.embed(name, read.split("test").columns[name])
        np.testing.assert_allclose(space.embed(name, test.columns[name]), direct, atol=1e-5)
    found, expected = cs.evaluate(space, test), cs.evaluate(plain, read.split("test"))
    assert found["average"]["map"] == pytest.approx(expected["average"]["map"], abs=1e-9)
    assert space.provenance["encoders"]["image"]["fitted_on"] == "other (narrow.pth)"
    assert space.provenance["encoders"]["text"]["fitted_on"] == "train"
    assert space.provenance["encoders"]["text"]["multi_caption"] == "mean"
    space.save(tmp_path / "space")
    loaded = cs.load(tmp_path / "space")
    for name in ("image", "text"):
        again = loaded.embed(name, test.columns[name])
        assert np.array_equal(again, space.embed(name, test.columns[name]))


def test_the_rate_of_encoders_follows_from_their_layers(photos: Dataset, weights: Path) -> None:
    own = backbone_rate(EncoderConfig(backbone_learning_rate=0.5), [])
    with_norms = backbone_rate(EncoderConfig(), [VGG19(batch_norm=True, width=2, size=12)])
    without = backbone_rate(EncoderConfig(), [VGG19(batch_norm=False, width=2, size=12)])
    assert (own, with_norms, without) == (0.5, 3e-4, 3e-5)


def test_checkpointed_gradients_end_at_the_same_weights(photos: Dataset, weights: Path) -> None:
    found = []
    for checkpointed in (False, True):
        encoders = {"image": f"vgg19_bn:{weights}"}
        way = method(weights, specs=encoders, fine_tune="top", checkpoint_gradients=checkpointed)
        found.append(fitted(photos, way).provenance["chosen"]["validation_score"])
    assert found[0] == found[1]


def test_each_text_is_a_sample_in_training_and_in_evaluation(
    photos: Dataset, weights: Path
) -> None:
    space = fitted(photos, method(weights, multi_caption="expand"))
    assert space.provenance["data"]["samples"] == 18  # of 12, every other with two texts
    figures = cs.evaluate(space, photos.split("test"))
    assert figures["text->image"]["queries"] == 18


def test_features_of_another_encoder_are_refused_by_name(
    photos: Dataset, weights: Path, tmp_path: Path
) -> None:
    def features(spec: str) -> Dataset:
        source = Source(photos.split("train"), photos.split("validation"), "image")
        encoder = encoder_from_spec(f"{spec}:{weights}", source)
        return extract(photos, {"image": encoder}, Extraction(workers=0))

    after, before = features("vgg19_bn"), features("vgg19_bn-before-relu")
    space = fitted(
        after, DSCMR(hidden_dim=16, embedding_dim=8, epochs=1, batch_size=6, device="cpu")
    )
    assert cs.evaluate(space, after.split("test"))["average"]["map"] > 0
    with pytest.raises(DataError) as caught:
        cs.evaluate(space, before.split("test"))
    assert "fc7 after its ReLU" in caught.value.expected
    assert "fc7 before its ReLU" in caught.value.found
    with pytest.raises(DataError, match="another form"):
        cs.evaluate(space, photos.split("test"))
    raw = fitted(photos, method(weights, specs={"image": f"vgg19_bn:{weights}"}))
    with pytest.raises(DataError, match="another form"):
        cs.evaluate(raw, after.split("test"))
    unknown = replace(before, provenance={})  # who made them is not known: the size must do
    assert cs.evaluate(space, unknown.split("test"))["average"]["map"] > 0
    assert isinstance(space.inputs["image"], Vectors)


def test_invalid_settings_are_refused() -> None:
    for bad in ({"fine_tune": "some"}, {"multi_caption": "first"}, {"backbone_learning_rate": 0.0}):
        with pytest.raises(SettingError, match=next(iter(bad))):
            EncoderConfig(**bad)


def test_a_second_reading_of_a_data_set_encodes_nothing(
    photos: Dataset, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training, evaluation, embedding and indexing share the features of one cache."""
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    space = fitted(photos, method(weights))
    space.save(tmp_path / "run")
    plain = {
        name: space.embed(name, column.take(np.flatnonzero(column.present)))
        for name, column in photos.columns.items()
    }
    forward, encoded = VGG19.forward, []

    def counted(network: VGG19, images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return forward(network, images)

    monkeypatch.setattr(VGG19, "forward", counted)
    for expected in (12, 0):  # the training has encoded all but the test split
        embeddings = cs.load(tmp_path / "run").embed_dataset(photos)
        for name, values in plain.items():
            np.testing.assert_allclose(embeddings[name].vectors, values, atol=2e-5)
        assert sum(encoded) == expected
        encoded.clear()
    with cs.Index.create(tmp_path / "index", space, photos):
        assert encoded == []
