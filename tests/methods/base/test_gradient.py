"""Gradient methods: settings, resuming, raw columns, and user-defined losses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.methods import DCCA, SDML, EncoderConfig, GradientMethod, InfoNCE
from commonspace.networks.branches import BranchesNetwork
from commonspace.registry import METHODS, make_method
from commonspace.training import RunConfig, loop

QUIET = RunConfig()
GRADIENT = [name for name in METHODS if isinstance(make_method(name), GradientMethod)][1:]
"""Every method that trains by gradient, but DSCMR, which has its own tests."""
TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 6, "learning_rate": 1e-2}

TRAINS_BACKBONES = [name for name in GRADIENT if name != "posterior"]
"""Those that train what reads raw items; posterior takes encoders as they are."""

every = pytest.mark.parametrize("name", GRADIENT)


def tiny(name: str, **options: Any) -> Any:  # noqa: ANN401
    return make_method(name, **{**TINY, **options})


@every
@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_dim": 0},
        {"embedding_dim": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"patience": 0},
        {"seed": -1},
    ],
)
def test_invalid_settings_are_refused_by_name(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        tiny(name, **wrong)


@every
def test_a_killed_training_ends_at_the_same_bits(
    name: str,
    feature_dataset: Dataset,
    witness: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)  # tiny epochs are shorter than writing one
    method = tiny(name, batch_size=16)
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    whole = method.fit(train, validation, QUIET)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        method.fit(train, validation, RunConfig(checkpoint=folder, callbacks=(witness(dies_in=4),)))
    again = witness()
    space = method.fit(
        train, validation, RunConfig(checkpoint=folder, resume=True, callbacks=(again,))
    )
    assert again.started_with[0][2] == 3
    for key, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, space.network.state_dict()[key])
    assert whole.provenance["chosen"]["epoch"] == space.provenance["chosen"]["epoch"]


def test_posterior_trains_no_backbones_from_scratch(raw_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="'image' is raw") as caught:
        tiny("posterior").fit(raw_dataset.split("train"), raw_dataset.split("validation"), QUIET)
    assert "extract" in caught.value.advice


@pytest.mark.parametrize("name", TRAINS_BACKBONES)
def test_raw_columns_are_trained_on(name: str, raw_dataset: Dataset, tmp_path: Path) -> None:
    """Pictures and texts through backbones trained from scratch; a third is relevant."""
    method = tiny(name, epochs=12, batch_size=8, hidden_dim=32, learning_rate=3e-3)
    space = method.fit(raw_dataset.split("train"), raw_dataset.split("validation"), QUIET)
    assert cs.evaluate(space, raw_dataset.split("validation"))["average"]["map"] > 0.6
    space.save(tmp_path / "space")
    loaded = cs.load(tmp_path / "space")
    sentence = ["some red wall"]
    np.testing.assert_array_equal(loaded.embed("text", sentence), space.embed("text", sentence))


@every
def test_products_in_bfloat16_leave_weights_and_losses_exact(
    name: str, feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    """The network multiplies in 8 bits of precision; what follows sees float32 or more."""
    seen = []
    for precision in ("float32", "bfloat16"):
        watcher = witness()
        method = tiny(name, precision=precision, epochs=3, learning_rate=1e-3)
        parts = feature_dataset.split("train"), feature_dataset.split("validation")
        space = method.fit(*parts, RunConfig(callbacks=(watcher,)))
        assert all(one.dtype == torch.float32 for one in space.network.state_dict().values())
        seen.append([one.losses["loss"] for one in watcher.records])
    assert seen[0] != seen[1]
    np.testing.assert_allclose(seen[0], seen[1], rtol=0.05)


@pytest.mark.parametrize("fine_tune", ["none", "all"])
def test_encoders_stand_before_the_branches(
    fine_tune: Any,  # noqa: ANN401
    raw_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kept as they are, they join the space of their features; or trained along."""
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    raw = EncoderConfig(specs={"text": "textcnn"}, fine_tune=fine_tune)
    method = tiny("sdml", encoders=raw, batch_size=8)
    space = method.fit(raw_dataset.split("train"), raw_dataset.split("validation"), QUIET)
    assert isinstance(space.network, BranchesNetwork)
    assert space.network.config.backbones["text"]["kind"] == "text_cnn"
    found = cs.evaluate(space, raw_dataset.split("validation"))["average"]["map"]
    assert found == pytest.approx(space.provenance["chosen"]["validation_score"], abs=1e-6)
    space.save(tmp_path / "space")
    loaded = cs.load(tmp_path / "space")
    sentence = ["some red wall"]
    np.testing.assert_array_equal(loaded.embed("text", sentence), space.embed("text", sentence))


@pytest.mark.parametrize("name", ["infonce", "dcca"])
def test_a_modality_without_partners_is_named(name: str, feature_dataset: Dataset) -> None:
    train = feature_dataset.split("train")
    there = np.zeros(len(train), dtype=bool)
    there[0] = True
    text = Features(train.columns["text"].values, there)  # type: ignore[attr-defined]
    alone = replace(train, columns={"image": train.columns["image"], "text": text})
    with pytest.raises(DataError, match="too few complete samples to train on 'image'") as caught:
        tiny(name).fit(alone, feature_dataset.split("validation"), QUIET)
    assert caught.value.found == "1 of 40"


def test_a_sample_of_three_modalities_needs_only_two_of_them_for_infonce(
    three_modalities: Dataset,
) -> None:
    """Each sample lacks one modality in turn: no sample is complete, and all have a pair."""
    train = three_modalities.split("train")
    turn = np.arange(len(train)) % 3
    columns = {
        name: Features(column.values, turn != place)  # type: ignore[attr-defined]
        for place, (name, column) in enumerate(train.columns.items())
    }
    space = tiny("infonce").fit(
        replace(train, columns=columns), three_modalities.split("validation"), QUIET
    )
    assert space.modalities == three_modalities.modalities


def test_own_invalid_settings_are_refused_by_name() -> None:
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: InfoNCE(temperature=0.0), "`temperature` must be >= 0.01"),
        (lambda: DCCA(ridge=0.0), "`ridge` must be > 0"),
        (lambda: DCCA(embedding_dim=4, dimension=5), "`dimension` must be <= embedding_dim, 4"),
        (lambda: SDML(reconstruction=1.0), "`reconstruction` must be >= 0 and < 1"),
    ]
    for make, message in wrong:
        with pytest.raises(SettingError, match=message):
            make()
