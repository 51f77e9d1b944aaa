"""The contract of a method: good methods pass, and each defect is found by its own check."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import commonspace as cs
from commonspace.comparison import check_method
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import LinearProbe, SupervisedContrastive
from commonspace.space import CommonSpace
from commonspace.training import RunConfig

SMALL: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "learning_rate": 1e-2}


def status(report: cs.comparison.MethodReport, name: str) -> str:
    return next(one.status for one in report.results if one.name == name)


def failed(method: object) -> list[str]:
    return [one.name for one in check_method(method).failures]  # type: ignore[arg-type]


def test_a_method_that_trains_passes_every_check() -> None:
    report = check_method(SupervisedContrastive(**SMALL))
    assert [one.status for one in report.results] == ["passed"] * 10
    assert report.passed
    assert "resume" in repr(report)


def test_a_closed_form_has_no_checkpoint() -> None:
    report = check_method("linear-probe")
    assert report.passed
    assert status(report, "resume") == "skipped"


@dataclass(frozen=True)
class Wrapped:
    """A linear probe with a defect."""

    defect: str = ""
    seed: int = 0

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        if self.defect == "raises":
            raise ZeroDivisionError("oh")
        if self.defect == "wrong type":
            return train  # type: ignore[return-value]
        if self.defect == "bare error" and not train.labels.any():
            raise IndexError("no rows")
        space = LinearProbe(regularization=0.1).fit(train, validation, RunConfig())
        network = space.network
        if self.defect == "opposite":
            network.maps[1].matrix.neg_()  # type: ignore[index,union-attr]
        if self.defect == "random":
            network.maps[0].matrix.add_(torch.rand(()))  # type: ignore[index,union-attr]
        if self.defect == "double":
            space = CommonSpace(Double(network), space.inputs, space.class_names, {})
        if self.defect == "unsaved":
            space = CommonSpace(Unsaved(network), space.inputs, space.class_names, {})
        if self.defect == "provenance":
            space.provenance["what"] = {1, 2}
        return space


class Double(nn.Module):
    """Scores that depend on the other items of a batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.modalities, self.dimension = network.modalities, network.dimension

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        z: Tensor = self.network.embed(modality, inputs)  # type: ignore[operator]
        return z - z.mean(dim=0)

    def to_config(self) -> dict[str, Any]:
        return {}


class Unsaved(Double):
    """A network that forgets its weights."""

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        z: Tensor = self.network.embed(modality, inputs)  # type: ignore[operator]
        return z

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Unsaved":
        raise KeyError("weights")


@pytest.mark.parametrize(
    ("defect", "check"),
    [
        ("raises", "fit"),
        ("wrong type", "fit"),
        ("bare error", "wrong input"),
        ("opposite", "classes"),
        ("random", "same seed, same result"),
        ("double", "shapes"),
        ("unsaved", "save and load"),
        ("provenance", "provenance"),
    ],
)
def test_each_defect_is_found(defect: str, check: str) -> None:
    found = failed(Wrapped(defect))
    assert check in found
    if defect not in ("random", "double", "unsaved", "provenance"):
        assert found == [check]


def test_without_a_defect_it_passes() -> None:
    assert failed(Wrapped()) == []


class Unseeded(cs.GradientMethod):
    """A loss that draws from a generator that no seed sets."""

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        noise = float(np.random.default_rng().random())
        likeness = noise * labels @ labels.T
        return torch.stack(
            [(z @ z.T - likeness).square().mean() for z in embeddings.values()]
        ).sum()


def test_a_training_that_draws_outside_the_seed_is_found() -> None:
    assert "same seed, same result" in failed(Unseeded(**SMALL))


def test_after_a_failed_fit_the_others_are_skipped() -> None:
    report = check_method(Wrapped("raises"))
    assert [one.status for one in report.results] == ["failed", *["skipped"] * 9]
    assert report.failures[0].detail == "ZeroDivisionError: oh"


def test_what_is_no_method_is_an_error() -> None:
    with pytest.raises(SettingError, match="no method"):
        check_method(object())  # type: ignore[arg-type]
