"""From raw items through encoders to a space: frozen, in part, or whole; and who refuses what."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import commonspace as cs
from commonspace.data import Dataset, Images, Texts, write_arrays
from commonspace.encoders import Extraction, Photos, Source, Vectors, encoder_from_spec, extract
from commonspace.errors import DataError, SettingError
from commonspace.methods import DSCMR, EncoderConfig, TrainingData
from commonspace.methods.base.encoder_config import backbone_rate
from commonspace.networks.backbones.vgg19 import VGG19
from commonspace.networks.dscmr import DSCMRNetwork
from commonspace.training import RunConfig, Samples
from commonspace.training.settings import TrainingSettings

QUIET = RunConfig()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


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
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(6)
    n = 36
    classes = np.arange(n) % 3
    hues = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    paths = []
    for row, k in enumerate(classes):
        noise = draw.integers(-50, 50, (40, 48, 3))
        path = folder / f"{row}.png"
        Image.fromarray((hues[k] + noise).astype(np.uint8)).save(path)
        paths.append(path)
    words = np.array(["red", "green", "blue"])[classes]
    texts = [(f"a {w} wall", f"some {w}")[: 1 + row % 2] for row, w in enumerate(words)]
    return Dataset(
        name="hues",
        ids=tuple(map(str, range(n))),
        columns={"image": Images(paths), "text": Texts(texts)},
        labels=np.eye(3, dtype=bool)[classes],
        class_names=("red", "green", "blue"),
        splits=np.repeat(["train", "validation", "test"], n // 3),
    )


def method(weights: Path, **raw: object) -> DSCMR:
    encoders = {"image": f"vgg19_bn:{weights}", "text": "textcnn"}
    chosen = EncoderConfig(**{"specs": encoders, **raw})  # type: ignore[arg-type]
    return DSCMR(
        hidden_dim=16, embedding_dim=8, epochs=3, batch_size=6, device="cpu", encoders=chosen
    )


def fitted(data: Dataset, way: DSCMR) -> cs.CommonSpace:
    return way.fit(data.split("train"), data.split("validation"), QUIET)


def test_none_gives_exactly_the_figures_of_precomputed_features(
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
        assert torch.equal(state[name], other[name])
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


def test_the_rate_of_encoders_follows_from_their_layers(photos: Dataset, weights: Path) -> None:
    own = backbone_rate(EncoderConfig(backbone_learning_rate=0.5), [])
    with_norms = backbone_rate(EncoderConfig(), [VGG19(batch_norm=True, width=2, size=12)])
    without = backbone_rate(EncoderConfig(), [VGG19(batch_norm=False, width=2, size=12)])
    assert (own, with_norms, without) == (0.5, 3e-4, 3e-5)


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


def test_checkpointed_gradients_end_at_the_same_weights(photos: Dataset, weights: Path) -> None:
    found = []
    for checkpointed in (False, True):
        encoders = {"image": f"vgg19_bn:{weights}"}
        way = method(weights, specs=encoders, fine_tune="top", checkpoint_gradients=checkpointed)
        found.append(fitted(photos, way).provenance["chosen"]["validation_score"])
    assert found[0] == found[1]


def test_photos_decoded_batch_by_batch_are_the_same(photos: Dataset) -> None:
    part = photos.split("train")
    gaps = list(part.columns["image"].items)  # type: ignore[attr-defined]
    gaps[2] = gaps[7] = None
    part = replace(part, columns={**part.columns, "image": Images(gaps)})
    inputs = {"image": Photos(resize=24, side=20)}
    held = Samples(part, inputs, torch.device("cpu"))
    late = Samples(part, inputs, torch.device("cpu"), memory=1)
    assert held.inputs.keys() == {"image"}
    assert late.inputs == {}
    chunks = torch.randperm(12, generator=torch.Generator().manual_seed(0)).split(5)  # type: ignore[no-untyped-call]
    for workers in (0, 2):
        for one, other in zip(held.batches(chunks), late.batches(chunks, workers), strict=True):
            assert torch.equal(one.inputs["image"], other.inputs["image"])
            assert torch.equal(one.present["image"], other.present["image"])
            assert torch.equal(one.labels, other.labels)
    for piece, twin in zip(held.parts("image", 4), late.parts("image", 4), strict=True):
        assert torch.equal(piece, twin)
    only_gaps = torch.tensor([2, 7])
    assert late.batch(only_gaps).inputs == {}


def test_photos_change_in_batches_and_nowhere_else(photos: Dataset) -> None:
    part = photos.split("train")
    inputs = {"image": Photos(resize=24, side=20)}
    device = torch.device("cpu")
    plain = Samples(part, inputs, device)
    for memory in (2**30, 1):
        changed = Samples(part, inputs, device, memory=memory, changes={"image": lambda x: 255 - x})
        rows = torch.arange(5)
        assert torch.equal(
            changed.batch(rows).inputs["image"], 255 - plain.batch(rows).inputs["image"]
        )
        for one, other in zip(changed.parts("image", 4), plain.parts("image", 4), strict=True):
            assert torch.equal(one, other)


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
