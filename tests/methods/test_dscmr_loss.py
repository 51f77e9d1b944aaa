"""The whole objective of DSCMR, in float64 loops over the samples, and its gradients."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.losses import ResidualNorm
from commonspace.methods.dscmr import dscmr_loss
from commonspace.networks.dscmr import DSCMRConfig, DSCMRNetwork
from commonspace.training import Batch

SIZES = {"image": 6, "text": 4, "sound": 3}


@dataclass(frozen=True)
class Case:
    """A batch to measure: which modalities there are, and what its samples lack."""

    modalities: tuple[str, ...] = ("image", "text")
    reduction: ResidualNorm = "frobenius"
    gaps: bool = False
    unlabelled: bool = False
    several_labels: bool = False
    affine: bool = False


CASES = {
    "two modalities": Case(),
    "as released": Case(reduction="rows", affine=True),
    "three modalities": Case(("image", "text", "sound")),
    "missing modalities": Case(gaps=True),
    "unlabelled samples": Case(unlabelled=True, reduction="rows"),
    "several labels": Case(several_labels=True),
    "all at once": Case(("image", "text", "sound"), "rows", True, True, True, True),
}


def network(case: Case) -> DSCMRNetwork:
    backbones = {name: {"kind": "vectors", "size": SIZES[name]} for name in case.modalities}
    config = DSCMRConfig(
        backbones,
        classes=4,
        hidden_dim=9,
        embedding_dim=5,
        relu_after_shared=False,
        classifier="affine" if case.affine else "linear",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return DSCMRNetwork(config)


def batch(case: Case, n: int = 11) -> Batch:
    draw = np.random.default_rng(5)
    labels = np.eye(4)[draw.integers(4, size=n)]
    if case.several_labels:
        labels = np.maximum(labels, draw.random((n, 4)) < 0.3)
    if case.unlabelled:
        labels[[1, 6]] = 0
    present = {name: np.ones(n, dtype=bool) for name in case.modalities}
    if case.gaps:
        for place, mask in enumerate(present.values()):
            mask[place::3] = False
    inputs = {name: draw.normal(size=(mask.sum(), SIZES[name])) for name, mask in present.items()}
    return Batch(
        {name: torch.from_numpy(values).float() for name, values in inputs.items()},
        {name: torch.from_numpy(mask) for name, mask in present.items()},
        torch.from_numpy(labels).float(),
    )


def loss(
    norm: ResidualNorm, alpha: float, lam: float, eta: float
) -> Callable[[DSCMRNetwork, Batch], dict[str, Tensor]]:
    return lambda network, batch: dscmr_loss(
        network, batch, norm=norm, alpha=alpha, lam=lam, eta=eta
    )


def norm(rows: list[NDArray[np.float64]], reduction: ResidualNorm) -> float:
    lengths = [float(np.sqrt((row**2).sum())) for row in rows]
    total = (
        np.sqrt(sum(length**2 for length in lengths)) if reduction == "frobenius" else sum(lengths)
    )
    return float(total / len(rows))


def naive(case: Case, built: DSCMRNetwork, given: Batch) -> dict[str, float]:
    """J1, J2 and J3 sample by sample; u and P'u are looked up by modality and sample."""
    w = {name: value.double().numpy() for name, value in built.state_dict().items()}
    labels = given.labels.double().numpy()
    u: dict[str, dict[int, NDArray[np.float64]]] = {}
    for branch, name in enumerate(case.modalities):
        hidden = given.inputs[name].double().numpy() @ w[f"hidden.{branch}.weight"].T
        hidden = np.maximum(hidden + w[f"hidden.{branch}.bias"], 0)
        vectors = hidden @ w["shared.weight"].T + w["shared.bias"]
        samples = np.flatnonzero(given.present[name].numpy())
        u[name] = dict(zip(samples.tolist(), vectors, strict=True))

    def residual(name: str, i: int) -> NDArray[np.float64]:
        prediction = w["classifier.weight"] @ u[name][i] + w.get("classifier.bias", 0)
        return np.asarray(prediction - labels[i])

    known = {name: [i for i in vectors if labels[i].any()] for name, vectors in u.items()}
    j1 = sum(norm([residual(m, i) for i in known[m]], case.reduction) for m in u)
    j2 = 0.0
    for one, other in combinations_with_replacement(u, 2):
        terms = []
        for i in known[one]:
            for j in known[other]:
                a, b = u[one][i], u[other][j]
                G = a @ b / np.sqrt(a @ a) / np.sqrt(b @ b) / 2
                S = float((labels[i] * labels[j]).any())
                terms.append(np.log(1 + np.exp(G)) - S * G)
        j2 += float(np.mean(terms))
    j3 = sum(
        norm([u[one][i] - u[other][i] for i in u[one] if i in u[other]], case.reduction)
        for one, other in combinations(u, 2)
    )
    return {"J1": float(j1), "J2": j2, "J3": float(j3)}


@pytest.mark.parametrize("name", CASES)
def test_the_objective_equals_the_loops(name: str) -> None:
    case = CASES[name]
    built, given = network(case), batch(case)
    found = loss(case.reduction, 0.7, 0.3, 0.2)(built, given)
    expected = naive(case, built, given)
    expected["loss"] = 0.7 * expected["J1"] + 0.3 * expected["J2"] + 0.2 * expected["J3"]
    assert {key: value.item() for key, value in found.items()} == pytest.approx(expected, rel=2e-6)
    assert set(found) == {"loss", "J1", "J2", "J3"}


def gradients(built: DSCMRNetwork, value: Tensor) -> dict[str, Tensor]:
    named = dict(built.named_parameters())
    found = torch.autograd.grad(value, [*named.values()], allow_unused=True, retain_graph=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for (name, parameter), gradient in zip(named.items(), found, strict=True)
    }


ABLATIONS = {
    "without J1": ((0.0, 0.3, 0.2), ("J2", "J3")),
    "without J2": ((1.0, 0.0, 0.2), ("J1", "J3")),
    "without J3": ((1.0, 0.3, 0.0), ("J1", "J2")),
    "J1 alone": ((1.0, 0.0, 0.0), ("J1",)),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations_are_weights(name: str) -> None:
    """With a factor of 0 the gradient is that of the other terms, each at its own factor."""
    weights, kept = ABLATIONS[name]
    case = CASES["all at once"]
    built, given = network(case), batch(case)
    factor = dict(zip(("J1", "J2", "J3"), weights, strict=True))
    parts = loss(case.reduction, *weights)(built, given)
    found = gradients(built, parts["loss"])
    parts = loss(case.reduction, 1.0, 1.0, 1.0)(built, given)
    only_kept = torch.stack([factor[key] * parts[key] for key in kept]).sum()
    torch.testing.assert_close(found, gradients(built, only_kept))
    whole = gradients(built, parts["loss"])
    assert any(not torch.allclose(found[key], whole[key]) for key in found)


def test_the_parts_are_given_before_weighting() -> None:
    case = Case()
    built, given = network(case), batch(case)
    once = loss("frobenius", 1.0, 1e-3, 1e-1)(built, given)
    off = loss("frobenius", 0.0, 0.0, 0.0)(built, given)
    assert off["loss"].item() == 0
    assert [off[key].item() for key in ("J1", "J2", "J3")] == [
        once[key].item() for key in ("J1", "J2", "J3")
    ]


def test_closed_form_predicts_with_the_solution_of_the_batch() -> None:
    case = Case(("image", "text"), gaps=True, unlabelled=True)
    built = network(case)
    closed = DSCMRNetwork(replace(built.config, classifier="closed_form"))
    closed.load_state_dict(built.state_dict())
    given = batch(case)
    parts = loss("rows", 1.0, 0.0, 0.0)(closed.train(), given)
    solution, residuals = np.zeros((5, 4)), []
    known = {}
    for branch, name in enumerate(case.modalities):
        outputs = closed.represent(name, given.inputs[name]).detach().double().numpy()
        labels = given.labels[given.present[name]].double().numpy()
        rows = labels.any(axis=1)
        known[branch] = outputs[rows], labels[rows]
        solution += np.linalg.lstsq(*known[branch], rcond=None)[0]
    for U, Y in known.values():
        residuals.append(np.linalg.norm(U @ solution - Y, axis=1).mean())
    assert parts["J1"].item() == pytest.approx(sum(residuals), rel=1e-5)
    np.testing.assert_allclose(closed.classifier.weight.T, solution, rtol=1e-4, atol=1e-6)
    before = closed.classifier.weight.clone()
    loss("rows", 1.0, 0.0, 0.0)(closed.eval(), batch(Case()))
    assert torch.equal(closed.classifier.weight, before), "set while training only"


@pytest.mark.parametrize("classifier", ["linear", "closed_form"])
def test_a_batch_without_labels_or_pairs_costs_nothing(classifier: str) -> None:
    built = network(Case())
    if classifier == "closed_form":
        built = DSCMRNetwork(replace(built.config, classifier="closed_form"))
    draw = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 6))).float()
    here, gone = torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)
    alone = Batch({"image": draw}, {"image": here, "text": gone}, torch.zeros(2, 4))
    parts = loss("frobenius", 1.0, 1.0, 1.0)(built.train(), alone)
    assert {key: value.item() for key, value in parts.items()} == dict.fromkeys(parts, 0.0)
    assert all(not gradient.any() for gradient in gradients_of_parameters(built, parts["loss"]))


def gradients_of_parameters(built: DSCMRNetwork, value: Tensor) -> list[Tensor]:
    learned = [parameter for parameter in built.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(value, learned, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


@pytest.mark.parametrize("reduction", ["frobenius", "rows"])
def test_a_step_in_bfloat16_has_the_direction_of_one_in_float64(reduction: ResidualNorm) -> None:
    """Eight bits of precision: each gradient is within 3 % of the exact one, and 1 - 1e-3 along it.

    In float32 they agree to five digits.
    """
    sizes = {"image": 64, "text": 30}
    backbones = {name: {"kind": "vectors", "size": size} for name, size in sizes.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = DSCMRNetwork(DSCMRConfig(backbones, classes=5, hidden_dim=48, embedding_dim=24))
    draw = np.random.default_rng(0)
    n = 60
    classes = draw.integers(5, size=n)
    centres = {name: draw.normal(size=(5, size)) for name, size in sizes.items()}
    exact_inputs = {
        name: torch.from_numpy(centre[classes] + draw.normal(size=(n, sizes[name])))
        for name, centre in centres.items()
    }
    everyone = {name: torch.ones(n, dtype=torch.bool) for name in sizes}
    labels = torch.eye(5)[torch.from_numpy(classes)]
    objective = loss(reduction, 1.0, 1e-3, 1e-1)

    def step(precision: torch.dtype) -> dict[str, Tensor]:
        exact = precision == torch.float64
        network = deepcopy(built).to(torch.float64 if exact else torch.float32)
        inputs = {name: x if exact else x.float() for name, x in exact_inputs.items()}
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            loss = objective(network, Batch(inputs, everyone, labels))["loss"]
        return {name: g.double() for name, g in gradients(network, loss).items()}

    exact, single, half = map(step, (torch.float64, torch.float32, torch.bfloat16))
    for name, gradient in exact.items():
        size = torch.linalg.vector_norm(gradient)
        assert torch.linalg.vector_norm(single[name] - gradient) < 1e-5 * size
        error = torch.linalg.vector_norm(half[name] - gradient)
        assert 1e-5 * size < error < 3e-2 * size
        along = (half[name] * gradient).sum() / size / torch.linalg.vector_norm(half[name])
        assert along > 1 - 1e-3
