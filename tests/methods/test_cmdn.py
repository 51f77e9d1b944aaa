"""CMDN: the loss against loops, and what each pathway learns from."""

from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch

from commonspace.methods import CMDN
from commonspace.networks.hierarchical import HierarchicalConfig, HierarchicalNetwork
from commonspace.training import Batch

NO_DATA: Any = None
SIZES = {"image": 6, "text": 5, "audio": 3}


def network() -> HierarchicalNetwork:
    backbones = {name: {"kind": "vectors", "size": size} for name, size in SIZES.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return HierarchicalNetwork(HierarchicalConfig(backbones, 3, 8, 4))


def batch() -> Batch:
    draw = np.random.default_rng(1)
    present = {name: torch.from_numpy(draw.random(12) < 0.8) for name in SIZES}
    inputs = {
        name: torch.from_numpy(draw.normal(size=(int(present[name].sum()), size))).float()
        for name, size in SIZES.items()
    }
    return Batch(inputs, present, torch.from_numpy(draw.random((12, 3)) < 0.4).float())


def share(x: Any, decoded: Any) -> float:  # noqa: ANN401 - arrays
    x, decoded = np.asarray(x, dtype=float), np.asarray(decoded, dtype=float)
    return float(((x - decoded) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum())


def test_the_loss_equals_the_formula() -> None:
    built, samples = network(), batch()
    rows = {name: mask.nonzero()[:, 0].tolist() for name, mask in samples.present.items()}
    expected = dict.fromkeys(("L_class", "L_intra", "L_inter", "L_corr"), 0.0)
    with torch.no_grad():
        terms = CMDN(reconstruction=0.3, correlation=0.2).batch_loss(built, samples, NO_DATA)
        paths = {name: built.pathways(name, x) for name, x in samples.inputs.items()}
        u = {name: built.embed(name, x) for name, x in samples.inputs.items()}
        for name, x in samples.inputs.items():
            expected["L_intra"] += share(x, built.decode_own(name, paths[name][0]))
            logs = built.classifier(u[name]).log_softmax(dim=1).numpy()
            y = samples.labels[samples.present[name]].numpy()
            known = y.any(axis=1)
            targets = y[known] / y[known].sum(axis=1, keepdims=True)
            expected["L_class"] -= (targets * logs[known]).sum(axis=1).mean()
        for source, target in permutations(SIZES, 2):
            both = [row for row in rows[source] if row in rows[target]]
            t = paths[source][1][[rows[source].index(row) for row in both]]
            x = samples.inputs[target][[rows[target].index(row) for row in both]]
            expected["L_inter"] += share(x, built.decode_cross(target, t))
        for one, other in combinations(SIZES, 2):
            both = [row for row in rows[one] if row in rows[other]]
            squares = [
                (u[one][rows[one].index(row)] - u[other][rows[other].index(row)]).square().sum()
                for row in both
            ]
            expected["L_corr"] += float(np.mean(squares))
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-4), name
    total = expected["L_class"] + 0.3 * (expected["L_intra"] + expected["L_inter"])
    assert float(terms["loss"]) == pytest.approx(total + 0.2 * expected["L_corr"], rel=1e-4)


def test_each_pathway_has_the_gradient_of_its_own_reconstruction() -> None:
    for term, trained, untrained in (("L_intra", "intra", "inter"), ("L_inter", "inter", "intra")):
        built = network()
        loss = CMDN().batch_loss(built, batch(), NO_DATA)[term]
        weights = {name: getattr(built, name)[0].weight for name in (trained, untrained)}
        gradients = torch.autograd.grad(
            loss, [weights[trained], weights[untrained]], allow_unused=True
        )
        assert gradients[0].any()
        assert gradients[1] is None or not gradients[1].any()


def test_the_gradient_equals_a_finite_difference() -> None:
    built, samples = network(), batch()
    weight = built.get_parameter("joint.0.weight")
    loss = CMDN().batch_loss(built, samples, NO_DATA)["loss"]
    (gradient,) = torch.autograd.grad(loss, weight)
    direction = gradient / gradient.norm()
    values = []
    with torch.no_grad():
        for step in (5e-3, -1e-2):
            weight.add_(step * direction)
            values.append(CMDN().batch_loss(built, samples, NO_DATA)["loss"].item())
    assert (values[0] - values[1]) / 1e-2 == pytest.approx(gradient.norm().item(), rel=1e-2)
