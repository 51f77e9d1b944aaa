"""What all methods share: splits of a fit, wrong data and keywords, scikit-learn, own losses."""

from dataclasses import FrozenInstanceError, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

import commonspace as cs
from commonspace.comparison import TuningBudget
from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.errors import DataError, SettingError, SplitError, TrainingError
from commonspace.methods import CCA, SDML, ClosedFormMethod, InfoNCE, PosteriorMatching
from commonspace.methods.base import method as base_method
from commonspace.methods.base.method import select_splits
from commonspace.methods.base.training_data import TrainingData
from commonspace.registry import METHODS, make_method
from commonspace.settings import setting
from commonspace.training import Batch, RunConfig, Samples
from tests.conftest import features_data

QUIET = RunConfig()
TINY: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 8, "epochs": 2}


class CenterLoss(cs.GradientMethod):
    margin: float = 0.2

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        centers = sum(labels.T @ z for z in embeddings.values()) / labels.sum()
        distances = [(z - labels @ centers).norm(dim=1) for z in embeddings.values()]
        return torch.stack([(d - self.margin).relu().mean() for d in distances]).sum()


@dataclass(frozen=True)
class Decorated(CenterLoss):
    """A subclass with the decorator that it does not need."""

    weights: dict[str, float] = field(default_factory=dict)
    power: float = setting(1.0, help="Power.", above=0)


def equal(first: cs.CommonSpace, second: cs.CommonSpace) -> bool:
    states = first.network.state_dict(), second.network.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("method", [CCA(), InfoNCE(**TINY), PosteriorMatching(**TINY)])
def test_a_data_set_brings_its_own_splits(method: Any, feature_dataset: Dataset) -> None:  # noqa: ANN401
    splits = feature_dataset.split("train"), feature_dataset.split("validation")
    whole = method.fit(feature_dataset, run=QUIET)
    assert equal(whole, method.fit(*splits, QUIET))
    with pytest.raises(SplitError, match="'validation'"):
        method.fit(splits[0], run=QUIET)


@pytest.mark.parametrize("name", METHODS)
def test_absurd_rows_do_not_change_what_is_learned(name: str) -> None:
    data = features_data({"image": 6, "text": 6})
    settings = TINY if isinstance(make_method(name), cs.GradientMethod) else {}
    method = make_method(name, **settings)
    rows = [int(np.flatnonzero(data.splits == part)[1]) for part in ("train", "validation")]
    without = method.fit(data.take(np.delete(np.arange(len(data)), rows)), run=QUIET)
    image = data.columns["image"]
    assert isinstance(image, Features)
    for absurd in (1e25, -3e38):
        values = image.values.copy()
        values[rows, 1] = absurd
        spoiled = replace(data, columns={**data.columns, "image": Features(values)})
        space = method.fit(spoiled, run=QUIET)
        assert equal(space, without)
        assert np.isfinite(space.embed("image", Features(values))).all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wrong", [np.zeros((3, 2)), {"image": np.zeros((3, 2))}, None, "file.npz"])
def test_other_data_than_a_dataset_is_refused(name: str, wrong: Any) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match="fit needs a Dataset") as caught:
        make_method(name).fit(wrong)
    assert caught.value.found == type(wrong).__name__
    assert "from_arrays" in caught.value.advice


def test_of_many_validation_samples_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a modality that few of them have; the order stays."""
    monkeypatch.setattr(base_method, "MOST_VALIDATION", 30)
    monkeypatch.setattr(base_method, "LEAST_EACH", 3)
    draw = np.random.default_rng(0)
    rare = np.arange(1000) % 200 == 7
    data = Dataset(
        name="many",
        ids=tuple(map(str, range(1000))),
        columns={
            "image": Features(draw.normal(size=(1000, 2))),
            "text": Features(draw.normal(size=(1000, 2)), rare),
        },
        labels=np.eye(2, dtype=bool)[draw.integers(0, 2, 1000)],
        class_names=("a", "b"),
        splits=np.full(1000, "validation"),
    )
    train, validation = select_splits(data, data)
    assert train is data
    assert 30 <= len(validation) <= 33
    assert int(validation.columns["text"].present.sum()) >= 3
    numbers = [int(one) for one in validation.ids]
    assert numbers == sorted(set(numbers))
    again = select_splits(data, data)[1]
    assert again.ids == validation.ids
    few = data.take(np.arange(30))
    assert select_splits(few, few)[1] is few


def test_a_wrong_validation_split_is_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="fit needs a Dataset"):
        CCA().fit(feature_dataset.split("train"), np.zeros(3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("lr", "learning_rate"), ("learningrate", "learning_rate"), ("n_epochs", "epochs")],
)
def test_a_wrong_keyword_names_the_right_one(wrong: str, right: str) -> None:
    with pytest.raises(SettingError, match=f"has no setting `{wrong}`") as caught:
        InfoNCE(**{wrong: 1})  # type: ignore[arg-type]
    assert caught.value.advice == f"use `{right}`"


@pytest.mark.parametrize("name", METHODS)
def test_scikit_learn_clones_and_configures_every_method(name: str) -> None:
    method = make_method(name)
    copy = clone(method)
    assert copy == method
    assert copy is not method
    params = method.get_params(deep=False)
    assert type(method)(**params) == method
    for key, value in params.items():
        assert copy.set_params(**{key: value}) is copy
    assert copy == method
    with pytest.raises(SettingError, match="no setting `magic`"):
        copy.set_params(magic=1)


def test_parameters_are_changed_in_place_also_in_nested_settings() -> None:
    method = InfoNCE()
    assert method.get_params()["encoders__fine_tune"] == "none"
    method.set_params(temperature=0.1, encoders__fine_tune="top")
    assert (method.temperature, method.encoders.fine_tune) == (0.1, "top")
    with pytest.raises(SettingError, match=r"`temperature` must be >= 0\.01"):
        method.set_params(epochs=7, temperature=0.0)
    assert (method.temperature, method.epochs) == (0.1, 100)
    assert InfoNCE().encoders.fine_tune == "none"


def test_a_loss_of_ten_lines_is_fitted_saved_loaded_and_compared(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    method = CenterLoss(margin=0.1, epochs=15, learning_rate=3e-3, hidden_dim=32)
    space = method.fit(feature_dataset, run=QUIET)
    assert space.provenance["method"]["name"] == "CenterLoss"
    assert space.provenance["method"]["options"]["margin"] == 0.1
    assert cs.evaluate(space, feature_dataset.split("test"))["average"]["map"] > 0.4
    space.save(tmp_path / "space")
    loaded = cs.load(tmp_path / "space")
    image = feature_dataset.columns["image"]
    np.testing.assert_array_equal(loaded.embed("image", image), space.embed("image", image))
    result = cs.compare(
        feature_dataset, ["linear-probe", method], seeds=2, budget=TuningBudget(1, 15, 15)
    )
    assert [one.name for one in result.methods] == ["linear-probe", "centerloss"]
    average = result["centerloss"].average
    assert result["centerloss"].seeds == 2
    assert average is not None
    assert average.mean > 0.4
    with pytest.raises(SettingError, match="use `margin`"):
        CenterLoss(margins=1.0)  # type: ignore[call-arg]


def test_a_decorated_subclass_is_a_method_like_others(feature_dataset: Dataset) -> None:
    method = Decorated(margin=0.1, weights={"image": 2.0}, epochs=2)
    changed = Decorated(margin=0.1, weights={"image": 2.0}, epochs=2, power=2.0)
    assert replace(method, power=2.0) == changed != method
    assert Decorated().weights == {}
    assert Decorated().weights is not Decorated().weights
    with pytest.raises(SettingError, match="`power` must be > 0"):
        Decorated(power=0.0)
    with pytest.raises(FrozenInstanceError):
        method.power = 3.0  # type: ignore[misc]
    assert clone(method) == method
    assert method.fit(feature_dataset, run=QUIET).provenance["method"]["options"]["power"] == 1.0


def test_a_loss_gets_rows_of_the_same_complete_samples(feature_dataset: Dataset) -> None:
    train = feature_dataset.split("train")
    present = np.arange(len(train)) % 3 != 0
    image, text = train.columns.values()
    assert isinstance(image, Features)
    seen = []

    class Spy(cs.GradientMethod):
        def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
            seen.append({name: len(z) for name, z in embeddings.items()} | {"y": len(labels)})
            assert all(torch.allclose(z.norm(dim=1), torch.ones(())) for z in embeddings.values())
            return (embeddings["image"] - embeddings["text"]).square().sum()

    gaps = Dataset(
        name="gaps",
        ids=train.ids,
        columns={"image": Features(image.values, present), "text": text},
        labels=train.labels,
        class_names=train.class_names,
        splits=train.splits,
    )
    Spy(**TINY).fit(gaps, feature_dataset.split("validation"), QUIET)
    count = int(present.sum())
    assert seen == [{"image": count, "text": count, "y": count}] * 2


class Constant(cs.GradientMethod):
    """A loss without a gradient."""

    zero: bool = True

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        value = sum(z.sum() for z in embeddings.values())
        assert isinstance(value, Tensor)
        return value * 0 if self.zero else torch.tensor(1.0)


@pytest.mark.parametrize("zero", [True, False])
def test_a_loss_without_a_gradient_is_refused(zero: bool, feature_dataset: Dataset) -> None:
    with pytest.raises(TrainingError, match=r"gradient of the loss is 0|does not depend") as caught:
        Constant(zero=zero, **TINY).fit(feature_dataset, run=QUIET)
    assert caught.value.advice


class Projection(nn.Module):
    """A network of one's own: a linear map for each modality."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()
        self.sizes, self.modalities, self.dimension = sizes, tuple(sizes), 4
        self.maps = nn.ModuleList(nn.Linear(size, 4) for size in sizes.values())

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        layer = self.maps[self.modalities.index(modality)]
        return nn.functional.normalize(layer(inputs))

    def to_config(self) -> dict[str, Any]:
        return {"sizes": self.sizes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Projection":
        return cls(**config)


class OwnNetwork(CenterLoss):
    """The loss above with a user-defined network."""

    name: ClassVar[str] = "own"

    def build_network(self, data: TrainingData) -> nn.Module:
        return Projection({name: config["size"] for name, config in data.backbones.items()})


def test_a_network_of_ones_own_is_trained(feature_dataset: Dataset) -> None:
    space = OwnNetwork(epochs=3).fit(feature_dataset, run=QUIET)
    assert isinstance(space.network, Projection)
    assert space.provenance["method"]["name"] == "own"
    assert space.embed("image", feature_dataset.columns["image"]).shape == (80, 4)


def test_a_batch_of_a_base_class_without_a_loss_is_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(NotImplementedError, match="defines neither loss nor batch_loss"):
        cs.GradientMethod(**TINY).fit(feature_dataset, run=QUIET)


def test_batches_give_labeled_rows_and_pairs() -> None:
    present = {"a": torch.tensor([True, True, False]), "b": torch.tensor([True, False, True])}
    batch = Batch({}, present, torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    values = {"a": torch.tensor([[1.0], [2.0]]), "b": torch.tensor([[3.0], [4.0]])}
    rows, labels = batch.labeled(values["a"], "a")
    assert (rows.tolist(), labels.tolist()) == ([[1.0]], [[1.0, 0.0]])
    first, second = batch.pairs(values, "a", "b")
    assert (first.tolist(), second.tolist()) == ([[1.0]], [[3.0]])


@pytest.mark.parametrize(("unlabeled", "gap"), [(False, False), (True, False), (False, True)])
def test_batches_know_whether_they_are_complete(
    feature_dataset: Dataset, unlabeled: bool, gap: bool
) -> None:
    labels = feature_dataset.labels.copy()
    labels[3] = labels[3] & (not unlabeled)
    columns = dict(feature_dataset.columns)
    image = columns["image"]
    assert isinstance(image, cs.Features)
    here = image.present.copy()
    here[5] = not gap
    columns["image"] = cs.Features(image.values, here)
    data = replace(feature_dataset, columns=columns, labels=labels)
    inputs = {name: Vectors(column.size) for name, column in columns.items()}  # type: ignore[attr-defined]
    batch = Samples(data, inputs, torch.device("cpu")).batch(torch.arange(8))
    assert batch.complete == (not unlabeled and not gap)
    plain = replace(batch, complete=False)
    values = batch.inputs
    for one, other in zip(
        (*batch.labeled(values["image"], "image"), *batch.pairs(values, "image", "text")),
        (*plain.labeled(values["image"], "image"), *plain.pairs(values, "image", "text")),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_settings_are_in_the_docstring() -> None:
    text = SDML.__doc__ or ""
    assert "reconstruction: Weight a of the reconstruction. Default: 0.5. Must be >= 0" in text
    assert "epochs: Maximum number of epochs. Default: 100. Must be >= 1." in text


def test_a_method_without_settings_lists_none() -> None:
    class Plain(ClosedFormMethod):
        """Nothing to choose."""

    assert "Args" not in (Plain.__doc__ or "")
