"""DSCMR: its objective against loops in float64, presets, settings, unsuitable data, gaps."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.data import Column, Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.losses import ResidualNorm
from commonspace.methods import DSCMR
from commonspace.methods import dscmr as module
from commonspace.methods.dscmr import PRESETS, dscmr_loss
from commonspace.networks.dscmr import DSCMRConfig, DSCMRNetwork
from commonspace.space import CommonSpace
from commonspace.training import Batch, RunConfig, TrainingSettings

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
    np.testing.assert_allclose(closed.classifier.weight.T, solution, rtol=1e-3, atol=1e-4)
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


QUIET = RunConfig()


TINY: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 2}


TABLE = {  # differences between paper and official code, in this order
    "norm": ("frobenius", "rows"),
    "relu_after_shared": (True, False),
    "classifier": ("linear", "affine"),
    "betas": ((0.9, 0.999), (0.5, 0.999)),
    "shuffle": (True, False),
    "lam": (1e-3, 1e-3),
    "eta": (1e-1, 1e-1),
}


@pytest.fixture
def resolve(
    feature_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> Callable[[DSCMR], tuple[dict[str, object], TrainingSettings]]:
    """Return the settings of the table as network, loss and training loop receive them."""

    def run(method: DSCMR) -> tuple[dict[str, object], TrainingSettings]:
        passed: dict[str, Any] = {}

        def catch(*_: object, **options: object) -> dict[str, torch.Tensor]:
            passed.update(options)
            return {}

        monkeypatch.setattr(module, "dscmr_loss", catch)
        splits = feature_dataset.split("train"), feature_dataset.split("validation")
        data = method.prepare(*splits, QUIET)
        with torch.random.fork_rng(devices=[]):
            network = method.build_network(data)
        assert isinstance(network, DSCMRNetwork)
        method.batch_loss(network, data.samples.batch(torch.arange(2)), data)
        settings = method.training_settings(data)
        return {
            "norm": passed["norm"],
            "relu_after_shared": network.config.relu_after_shared,
            "classifier": network.config.classifier,
            "betas": settings.betas,
            "shuffle": settings.shuffle,
            "lam": passed["lam"],
            "eta": passed["eta"],
        }, settings

    return run


Resolve = Callable[[DSCMR], tuple[dict[str, object], TrainingSettings]]


@pytest.mark.parametrize(("column", "preset"), [(0, "paper"), (1, "official")])
def test_a_preset_is_its_column_of_the_table(
    column: int, preset: Literal["paper", "official"], resolve: Resolve
) -> None:
    values, _ = resolve(DSCMR(preset=preset))
    assert values == {name: both[column] for name, both in TABLE.items()}
    assert set(PRESETS[preset]) == set(TABLE)


def test_outside_the_table_the_presets_agree(resolve: Resolve) -> None:
    (_, paper), (_, official) = (resolve(DSCMR(preset=name)) for name in ("paper", "official"))
    assert replace(official, betas=(0.9, 0.999), shuffle=True) == paper
    assert (paper.learning_rate, paper.epochs) == (1e-4, 500)
    assert (paper.batch_size, paper.seed) == (100, 0)


OTHERS = {
    "norm": "rows",
    "relu_after_shared": False,
    "classifier": "closed_form",
    "betas": (0.7, 0.8),
    "shuffle": False,
    "lam": 0.0,
    "eta": 0.0,
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("preset", PRESETS)
def test_each_setting_can_be_changed_alone(
    name: str, preset: Literal["paper", "official"], resolve: Resolve
) -> None:
    expected = {**PRESETS[preset], name: OTHERS[name]}
    options: dict[str, Any] = {name: OTHERS[name]}
    assert resolve(DSCMR(preset=preset, **options))[0] == expected


def test_a_loss_without_any_term_is_refused() -> None:
    with pytest.raises(SettingError, match="must not all be 0"):
        DSCMR(alpha=0.0, lam=0.0, eta=0.0)


def test_raw_items_have_their_own_length_and_rate(raw_dataset: Dataset) -> None:
    record = DSCMR(hidden_dim=8, embedding_dim=4, patience=1).fit(
        raw_dataset.split("train"), raw_dataset.split("validation"), QUIET
    )
    training = record.provenance["training"]
    assert (training["epochs"], training["learning_rate"], training["batch_size"]) == (60, 5e-4, 50)


@pytest.mark.parametrize(
    "option",
    [
        {"preset": "printed"},
        {"classifier": "softmax"},
        {"norm": "sum"},
        {"lam": -1e-3},
        {"eta": float("nan")},
        {"alpha": float("inf")},
        {"hidden_dim": 0},
        {"embedding_dim": -1},
        {"epochs": 0},
        {"patience": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"betas": (1.0, 0.9)},
        {"seed": -1},
        {"precision": "float16"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_an_invalid_setting_is_refused_at_once(option: dict[str, Any]) -> None:
    ((name, value),) = option.items()
    with pytest.raises(SettingError, match=name) as caught:
        DSCMR(**option)
    assert caught.value.found in (repr(value), str(value))
    assert caught.value.expected
    assert caught.value.advice


def test_an_unknown_device_is_refused_before_training(feature_dataset: Dataset) -> None:
    with pytest.raises(SettingError, match="abacus"):
        DSCMR(**TINY, device="abacus").fit(
            feature_dataset.split("train"), feature_dataset.split("validation"), QUIET
        )


def without_labels(part: Dataset) -> Dataset:
    return replace(part, labels=np.zeros_like(part.labels))


def with_column(part: Dataset, name: str, column: Column) -> Dataset:
    return replace(part, columns={**part.columns, name: column})


def one_modality(part: Dataset) -> Dataset:
    return replace(part, columns={"image": part.columns["image"]})


def all_missing(part: Dataset) -> Dataset:
    return with_column(part, "text", Features(np.zeros((len(part), 5)), [False] * len(part)))


def other_size(part: Dataset) -> Dataset:
    return with_column(part, "text", Features(np.zeros((len(part), 4))))


def other_kind(part: Dataset) -> Dataset:
    return with_column(part, "text", Texts([("words",)] * len(part)))


def other_classes(part: Dataset) -> Dataset:
    return replace(part, class_names=("ant", "bee", "cow", "dog"))


def fewer_classes(part: Dataset) -> Dataset:
    return replace(part, class_names=part.class_names[:3], labels=part.labels[:, :3])


Change = Callable[[Dataset], Dataset]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_labels, "validation split of 'points' has no labels"),
        (one_modality, "'text' to be 5-d features"),
        (all_missing, "no labeled validation sample of 'points' has the modality 'text'"),
        (other_size, "4-d features"),
        (other_kind, "texts"),
        (other_classes, "the class 'cat', as in training\n  found:    'cow'"),
        (fewer_classes, "the class 'dog', as in training\n  found:    None"),
    ],
)
def test_a_validation_part_that_does_not_fit_is_refused(
    change: Change, message: str, feature_dataset: Dataset
) -> None:
    with pytest.raises(DataError) as caught:
        DSCMR(**TINY).fit(
            feature_dataset.split("train"), change(feature_dataset.split("validation")), QUIET
        )
    assert message in str(caught.value)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_labels, "training split of 'points' has no labels"),
        (one_modality, "too few modalities"),
        (all_missing, "no training sample of 'points' has the modality 'text'"),
    ],
)
def test_a_training_part_that_teaches_nothing_is_refused(
    change: Change, message: str, feature_dataset: Dataset
) -> None:
    with pytest.raises(DataError) as caught:
        DSCMR(**TINY).fit(
            change(feature_dataset.split("train")), feature_dataset.split("validation"), QUIET
        )
    assert message in str(caught.value)
    assert caught.value.advice


def weights(space: CommonSpace) -> dict[str, torch.Tensor]:
    return space.network.state_dict()


def test_the_test_part_is_out_of_reach(feature_dataset: Dataset) -> None:
    """Other test samples, labels and ids altogether leave every bit of the result as it was."""
    poison = np.flatnonzero(feature_dataset.splits == "test")
    labels = feature_dataset.labels.copy()
    labels[poison] = np.roll(labels[poison], 1, axis=1)
    columns = {}
    for name, column in feature_dataset.columns.items():
        assert isinstance(column, Features)
        values = column.values.copy()
        values[poison] = 1e6 * np.roll(values[poison], 3, axis=0)
        columns[name] = Features(values)
    ids = tuple(f"{name}!" if i in poison else name for i, name in enumerate(feature_dataset.ids))
    poisoned = replace(feature_dataset, columns=columns, labels=labels, ids=ids)
    assert poisoned.fingerprint != feature_dataset.fingerprint
    first, second = (
        DSCMR(**TINY).fit(data.split("train"), data.split("validation"), QUIET)
        for data in (feature_dataset, poisoned)
    )
    for name, tensor in weights(first).items():
        assert torch.equal(tensor, weights(second)[name])
    clocks = [space.provenance["chosen"].pop("seconds") for space in (first, second)]
    assert all(clock > 0 for clock in clocks)
    assert first.provenance == second.provenance


def test_three_modalities_gaps_and_unlabelled_samples_are_supported(
    three_modalities: Dataset,
) -> None:
    """A sample without image is one without image: its row of numbers is never looked at."""
    assert three_modalities.modalities == ("image", "type", "sound.wav")
    part = three_modalities.split("train")
    labels = part.labels.copy()
    labels[::5] = False
    there = np.arange(len(part)) % 4 != 0
    image = part.columns["image"]
    assert isinstance(image, Features)
    spaces = []
    for filling in (0.0, np.nan):
        values = np.where(there[:, None], image.values, filling)
        gappy = replace(with_column(part, "image", Features(values, there)), labels=labels)
        spaces.append(DSCMR(**TINY).fit(gappy, three_modalities.split("validation"), QUIET))
    for name, tensor in weights(spaces[0]).items():
        assert torch.equal(tensor, weights(spaces[1])[name])
    whole = DSCMR(**TINY).fit(
        replace(part, labels=labels), three_modalities.split("validation"), QUIET
    )
    assert not torch.equal(weights(whole)["hidden.0.weight"], weights(spaces[0])["hidden.0.weight"])


@pytest.mark.parametrize("name", ["two modalities", "as released", "several labels"])
def test_a_batch_that_is_known_to_be_complete_has_the_same_loss_and_gradient(name: str) -> None:
    case = CASES[name]
    given, objective = batch(case), loss(case.reduction, 1.0, 0.5, 0.3)
    gradients = []
    for one in (given, replace(given, complete=True)):
        net = network(case)
        objective(net, one)["loss"].backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad for p in net.parameters()])
    torch.testing.assert_close(*gradients)
