"""What a space can do beside embedding: fingerprint, dial, and what its scores are worth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import commonspace as cs
from commonspace import space_files
from commonspace.calibration import Calibration
from commonspace.data import Dataset
from commonspace.embedding import weigh_queries
from commonspace.errors import DataError, SettingError, SpaceError
from commonspace.methods import LinearProbe

QUIET = cs.Run(observers=())


def fitted(data: Dataset) -> cs.CommonSpace:
    return LinearProbe().fit(data.split("train"), data.split("validation"), QUIET)


@pytest.fixture
def space(feature_dataset: Dataset) -> cs.CommonSpace:
    return fitted(feature_dataset)


def test_the_fingerprint_survives_saving_and_does_not_look_at_the_record(
    space: cs.CommonSpace, feature_dataset: Dataset, tmp_path: Path
) -> None:
    space.save(tmp_path / "a")
    loaded = cs.load(tmp_path / "a")
    assert len(space.fingerprint) == 64
    assert loaded.fingerprint == space.fingerprint == fitted(feature_dataset).fingerprint
    loaded.provenance["note"] = "another record"
    assert loaded.fingerprint == space.fingerprint


def test_any_changed_bit_of_a_weight_changes_the_fingerprint(space: cs.CommonSpace) -> None:
    before = space.fingerprint
    for tensor in space.network.state_dict().values():
        flat = tensor.reshape(-1).view(torch.int32)
        for place in (0, len(flat) - 1):
            flat[place] ^= 1
            assert space.fingerprint != before
            flat[place] ^= 1
    assert space.fingerprint == before


def test_whatever_else_decides_changes_the_fingerprint(space: cs.CommonSpace) -> None:
    parts: dict[str, Any] = {
        "network": space.network,
        "inputs": space.inputs,
        "class_names": space.class_names,
        "provenance": space.provenance,
        "calibration": space.calibration,
    }
    assert cs.CommonSpace(**parts).fingerprint == space.fingerprint
    for change in (
        {"class_names": ("eel", *space.class_names[1:])},
        {"calibration": None},
        {"calibration": Calibration((0.0, 1.0), (0.0, 1.0))},
        {"inputs": dict(reversed(space.inputs.items()))},
    ):
        assert cs.CommonSpace(**(parts | change)).fingerprint != space.fingerprint


class Blocks(nn.Module):
    """Two blocks of one coordinate each, the second weighed by the dial."""

    dimension = 2
    has_instance_block = True

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        weights = torch.tensor([1 - instance_weight, instance_weight])
        return vectors * weights + torch.tensor([0, instance_weight])


def test_queries_are_weighed_and_items_are_not() -> None:
    vectors = np.array([[2.0, 3.0], [4.0, 5.0]])
    for dial, expected in ((0.0, [[2, 0], [4, 0]]), (0.25, [[1.5, 1.0], [3, 1.5]])):
        weighed = weigh_queries(Blocks(), vectors, dial)
        assert weighed.dtype == np.float32
        np.testing.assert_allclose(weighed, expected)
    np.testing.assert_array_equal(weigh_queries(Blocks(), vectors, None), vectors)
    for dial in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingError, match="instance_weight cannot work"):
            weigh_queries(Blocks(), vectors, dial)


def test_a_space_without_a_dial_leaves_queries_as_they_are(space: cs.CommonSpace) -> None:
    assert not space.has_instance_block
    vectors = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(space.as_queries(vectors), vectors.astype(np.float32))
    with pytest.raises(SettingError, match="no instance_weight") as caught:
        space.as_queries(vectors, 0.5)
    assert "leave it out" in caught.value.advice
    for wrong in (np.zeros(4), np.zeros((1, 3))):
        with pytest.raises(DataError, match="no vectors of the space"):
            space.as_queries(wrong)


def test_every_fitted_space_is_calibrated_on_validation(feature_dataset: Dataset) -> None:
    """The mean probability over all pairs of different samples is about the rate of relevance."""
    space, part = fitted(feature_dataset), feature_dataset.split("validation")
    assert space.calibrated
    one, other = (each.vectors for each in space.embed_dataset(part).values())
    probabilities = space.relevance(one @ other.T)
    strangers = ~np.eye(len(part), dtype=bool)
    relevant = part.labels.astype(int) @ part.labels.T.astype(int) > 0
    assert probabilities.dtype == np.float64
    assert probabilities[strangers].mean() == pytest.approx(relevant[strangers].mean(), abs=0.05)
    order = np.argsort((one @ other.T)[0])
    assert (np.diff(probabilities[0][order]) >= 0).all()


def test_probabilities_survive_saving(space: cs.CommonSpace, tmp_path: Path) -> None:
    space.save(tmp_path / "run")
    scores = np.linspace(-1.5, 1.5, 40)
    np.testing.assert_array_equal(
        cs.load(tmp_path / "run").relevance(scores), space.relevance(scores)
    )


def rewrite(folder: Path, **changes: Any) -> None:  # noqa: ANN401
    config = json.loads((folder / "config.json").read_text("utf-8")) | changes
    config["config_sha256"] = space_files._config_sha256(config)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def test_a_space_of_an_earlier_version_is_not_calibrated(
    space: cs.CommonSpace, tmp_path: Path
) -> None:
    space.calibration = None
    space.save(tmp_path / "old")
    assert "calibration" not in json.loads((tmp_path / "old" / "config.json").read_text("utf-8"))
    loaded = cs.load(tmp_path / "old")
    assert not loaded.calibrated
    with pytest.raises(SettingError, match="cannot turn scores into probabilities") as caught:
        loaded.relevance([0.5])
    assert "fit it again" in caught.value.advice


@pytest.mark.parametrize(
    "said",
    [
        {"scores": [0, 1], "probabilities": [1, 0]},
        {"scores": [0, 1]},
        {"scores": [0], "probabilities": [0], "slope": 1},
    ],
)
def test_a_calibration_that_is_none_is_refused(
    said: dict[str, list[float]], space: cs.CommonSpace, tmp_path: Path
) -> None:
    space.save(tmp_path / "run")
    rewrite(tmp_path / "run", calibration=said)
    with pytest.raises(SpaceError, match="cannot build again"):
        cs.load(tmp_path / "run")


def test_one_class_cannot_be_calibrated(feature_dataset: Dataset) -> None:
    one = feature_dataset.take(np.flatnonzero(feature_dataset.labels[:, 0]))
    assert not fitted(one).calibrated
