"""ACMR: its objective term by term, its reversed gradient, and what the adversary achieves."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.losses import triplet_loss
from commonspace.methods import ACMR
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.training import Batch, RunConfig

SIZES = {"image": 6, "text": 5, "sound": 4}
NO_DATA: Any = None
METHOD = ACMR(alpha=0.7, beta=2.0, margin=1.5, negatives=0.3, adversary=0.4, weights=0.01)


def network() -> BranchesNetwork:
    config = BranchesConfig(
        {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()},
        hidden_dim=8,
        embedding_dim=4,
        depth=2,
        activation="tanh",
        heads={
            "classes": {"kind": "layers", "sizes": [3]},
            "modality": {"kind": "layers", "sizes": [2, 3], "activation": "tanh"},
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(config)


def batch(n: int = 9) -> Batch:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(n) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((n, 3)) < 0.4).float())


@torch.no_grad()
def naive(built: BranchesNetwork, given: Batch) -> dict[str, float]:
    """Return the terms by their formulas, sample by sample."""
    outputs = built(given.inputs)
    labels = {name: given.labels[mask] for name, mask in given.present.items()}
    known = {name: labels[name].any(dim=1) for name in outputs}
    imd = adv = 0.0
    for place, (name, u) in enumerate(outputs.items()):
        shares = built.heads["classes"](u).softmax(dim=1)
        terms = [
            -sum(float(p.log()) for p, mark in zip(row, y, strict=True) if mark) / float(y.sum())
            for row, y in zip(shares, labels[name], strict=True)
            if y.any()
        ]
        imd += sum(terms) / len(terms)
        told = built.heads["modality"](u).softmax(dim=1)[:, place]
        adv -= sum(float(p.log()) for p in told) / len(told)
    imi = sum(
        float(
            triplet_loss(
                outputs[a][known[a]],
                outputs[b][known[b]],
                labels[a][known[a]],
                labels[b][known[b]],
                margin=1.5,
                negative_weight=0.3,
            )
        )
        for a, b in permutations(SIZES, 2)
    )
    matrices = [w for name, w in built.branches.named_parameters() if name.endswith("weight")]
    reg = sum(math.sqrt(float((w.double() ** 2).sum())) for w in matrices)
    return {"L_imi": imi, "L_imd": imd, "L_reg": reg, "L_adv": adv}


def test_the_terms_equal_the_formulas() -> None:
    built, given = network(), batch()
    assert not given.labels.any(dim=1).all(), "some have no label"
    assert (given.labels.sum(dim=1) > 1).any(), "some have several"
    terms = {name: value.item() for name, value in METHOD.batch_loss(built, given, NO_DATA).items()}
    expected = naive(built, given)
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-5)
    weighted = 0.7 * expected["L_imi"] + 2 * expected["L_imd"] + 0.01 * expected["L_reg"]
    assert terms["loss"] == pytest.approx(weighted + expected["L_adv"], rel=1e-5)


def gradients(adversary: float, term: str) -> dict[str, torch.Tensor]:
    built = network()
    method = replace(METHOD)
    object.__setattr__(method, "adversary", adversary)  # also below 0, which is refused
    loss = method.batch_loss(built, batch(), NO_DATA)[term]
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: value.grad for name, value in built.named_parameters() if value.grad is not None}


def test_the_projectors_ascend_what_the_classifier_of_modalities_descends() -> None:
    """Against the gradient without a reversal, which is that of a weight of -1."""
    plain, turned = gradients(-1.0, "L_adv"), gradients(0.4, "L_adv")
    for name in plain:
        if name.startswith("branches"):
            torch.testing.assert_close(turned[name], -0.4 * plain[name])
            assert plain[name].abs().max() > 1e-6
        else:
            assert name.startswith("heads.modality")
            assert torch.equal(turned[name], plain[name])


def test_without_an_adversary_the_projectors_get_no_gradient_from_modalities() -> None:
    for name, gradient in gradients(0.0, "L_adv").items():
        assert gradient.any() == name.startswith("heads.modality")


def test_the_adversary_makes_modalities_harder_to_tell(
    feature_dataset: Dataset, witness: Callable[..., Any]
) -> None:
    """Nothing else is trained here; twice log 2, or 1.39, is the loss of a guess."""
    told = {}
    for adversary in (1e-12, 1.0):
        options: dict[str, Any] = {
            "hidden_dim": 16,
            "embedding_dim": 8,
            "learning_rate": 1e-2,
            "epochs": 100,
        }
        method = ACMR(
            **options, alpha=0.0, beta=0.0, weights=0.0, adversary=adversary, patience=None
        )
        watcher = witness()
        method.fit(
            feature_dataset.split("train"),
            feature_dataset.split("validation"),
            RunConfig(callbacks=(watcher,)),
        )
        told[adversary] = float(np.mean([one.losses["L_adv"] for one in watcher.records[-20:]]))
    assert told[1e-12] < 0.2
    assert told[1.0] > 0.5


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"alpha": -1.0}, {"adversary": float("inf")}, {"weights": -1e-3}]
)
def test_invalid_settings_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=f"`{next(iter(wrong))}` must be "):
        ACMR(**wrong)  # type: ignore[arg-type]
