"""Experiments: tuned settings, the budget, and settings that stay fixed."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.comparison import Experiment, TuningBudget, make_experiments
from commonspace.comparison.experiments import describe
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import CCA, DSCMR, InfoNCE, PosteriorMatching
from commonspace.methods.base.hyperparameters import Between, OneOf

TOY = Path(__file__).with_name("toy.py")

HEAD = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Toy:\n    x: int = 0\n"
FIT = "\n    def fit(self, train, validation, run=None): ..."


def make_one(spec: str) -> Experiment:
    (experiment,) = make_experiments([spec])
    return experiment


def test_changed_settings_are_neither_tuned_nor_overwritten() -> None:
    experiment = Experiment("without-j3", DSCMR(eta=0.0), tuned_as="dscmr")
    assert "eta" not in experiment.search_space
    assert set(experiment.search_space) == set(DSCMR.search_space) - {"eta"}
    settled = experiment.configure({"eta": 0.5, "lam": 0.25}, seed=7, budget=TuningBudget(3, 40, 5))
    assert settled == DSCMR(eta=0.0, lam=0.25, seed=7, epochs=40, patience=5)


def test_a_method_without_seed_or_epochs_is_left_alone() -> None:
    experiment = Experiment("cca", CCA(dimension=3))
    assert experiment.search_space == {}
    assert not experiment.seeded
    assert experiment.configure({}, seed=7, budget=TuningBudget()) == CCA(dimension=3)


@pytest.mark.parametrize(
    ("method", "epochs"),
    [
        (PosteriorMatching(), 20),
        (PosteriorMatching(epochs=400), 100),
        (DSCMR(patience=None), 100),  # which has no number of epochs of its own
        (DSCMR(epochs=30, patience=None), 30),
    ],
)
def test_a_method_without_early_stopping_keeps_its_epochs(
    method: PosteriorMatching | DSCMR, epochs: int
) -> None:
    settled = Experiment("steady", method).configure({}, seed=7, budget=TuningBudget(3, 100, 5))
    assert settled == replace(method, seed=7, epochs=epochs, patience=None)


def test_descriptions_differ_exactly_where_settings_differ() -> None:
    assert describe(DSCMR(eta=0.5)) == describe(DSCMR(eta=0.5))
    assert describe(DSCMR(eta=0.5)) != describe(DSCMR(eta=0.25))
    assert describe(CCA())["class"] == "commonspace.methods.cca.CCA"


@dataclass(frozen=True)
class Weighted:
    """Has an array for a setting."""

    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5000))

    def fit(self, *parts: object) -> None: ...


def test_arrays_differ_by_any_value() -> None:
    weights = np.zeros(5000)
    weights[2500] = 1.0
    plain, other = (Experiment("w", one) for one in (Weighted(), Weighted(weights)))  # type: ignore[arg-type]
    assert describe(plain.method) != describe(other.method)
    assert describe(other.method) == describe(Weighted(weights.copy()))  # type: ignore[arg-type]


@pytest.mark.parametrize("number", ["trials", "epochs", "patience"])
def test_an_empty_budget_is_refused(number: str) -> None:
    with pytest.raises(SettingError, match=f"`{number}` must be >= 1"):
        TuningBudget(**{number: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden", "a:b"])
def test_names_that_no_folder_can_have_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match="no valid name"):
        Experiment(name, DSCMR())


def test_what_is_no_method_is_refused() -> None:
    @dataclass(frozen=True)
    class WithoutFit:
        seed: int = 0

    class WithoutFields:
        def fit(self, *parts: object) -> None: ...

    for thing in (WithoutFit(), WithoutFields(), 3):
        with pytest.raises(SettingError, match="is no method"):
            Experiment("thing", thing)  # type: ignore[arg-type]


def test_a_range_and_a_choice_that_are_none_are_refused() -> None:
    for low, high in ((0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, float("inf"))):
        with pytest.raises(SettingError, match="a search"):
            Between(low, high)
    for values in ((), (1,), (1, 1)):
        with pytest.raises(SettingError, match="a search"):
            OneOf(values)


def test_a_method_in_a_file_makes_an_experiment() -> None:
    experiment = make_one(f"{TOY}:Toy")
    assert experiment.name == "toy"
    assert set(experiment.search_space) == {"noise", "power"}
    assert make_one(f"{TOY}:Toy").method == experiment.method


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (None, "Toy", "cannot be loaded"),
        ("x = 1", "Toy", "has no class Toy"),
        ("def f(:", "Toy", "fails while it is loaded"),
        ("import nowhere_to_be_found", "Toy", "fails while it is loaded"),
        ("class Toy:\n    def __init__(self, x): ...", "Toy", "cannot be made without arguments"),
        ("class Toy: ...", "Toy", "is no method"),
        ("x = 1", "", "names no method"),
        ("import sys\nsys.exit()", "Toy", "fails while it is loaded"),
        (f"{HEAD}    def __post_init__(self): 1 / 0", "Toy", "cannot be made without arguments"),
        (f"{HEAD}    search_space = {{'y': 3}}{FIT}", "Toy", "has an invalid search space"),
        (f"{HEAD}    search_space = {{'x': (1, 2)}}{FIT}", "Toy", "has an invalid search space"),
        (f"{HEAD}    f: object = lambda x: x{FIT}", "Toy", "cannot be stored with its runs"),
        (f"def g(): ...\n{HEAD}    f: object = g{FIT}", "Toy", "cannot be stored with its runs"),
    ],
)
def test_files_that_are_no_method_are_refused(
    content: str | None, name: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / f"method_{abs(hash((content, name)))}.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingError, match=problem):
        make_one(f"{file}:{name}")


def test_the_example_of_a_method_in_a_file_learns(feature_dataset: Dataset) -> None:
    experiment = make_one(f"{Path(__file__).parents[2] / 'examples' / 'class_means.py'}:ClassMeans")
    method = experiment.configure({"ridge": 0.5}, 0, TuningBudget())
    space = method.fit(feature_dataset.split("train"), feature_dataset.split("validation"))
    assert (
        cs.evaluate(space, feature_dataset.split("test"))["average"]["map"] > 0.5
    )  # chance: a quarter


def test_settings_reach_every_method_that_has_them_or_the_named_one() -> None:
    settings = {"hidden_dim": 64, "lam": 0.2, "dscmr": {"eta": 0.1}, "rcca": {"dimension": 5}}
    names = ["dscmr", "dscmr-no-j2", "rcca", "infonce"]
    dscmr, ablation, rcca, infonce = make_experiments(names, settings)
    assert dscmr.method == DSCMR(hidden_dim=64, lam=0.2, eta=0.1)
    assert ablation.method == DSCMR(hidden_dim=64, lam=0.0, eta=0.1)
    assert rcca.method == CCA(regularization=None, dimension=5)
    assert infonce.method == InfoNCE(hidden_dim=64)


def test_a_given_setting_is_not_tuned_even_if_it_is_the_default() -> None:
    default = DSCMR().eta
    (experiment,) = make_experiments(["dscmr"], {"eta": default})
    assert set(experiment.search_space) == set(DSCMR.search_space) - {"eta"}
    budget = TuningBudget(3, 40, 5)
    assert getattr(experiment.configure({"eta": 9.0}, 0, budget), "eta", None) == default


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"hiden_dim": 3}, "has no setting `hiden_dim`"),
        ({"cca": {"eta": 1}}, "cca has no setting `eta`"),
        ({"jrl": {"lam": 1}}, "has no setting `jrl`"),
        ({"epochs": 3}, "`epochs` is part of the budget"),
        ({"dscmr": {"seed": 3}}, "`seed` is part of the budget"),
        ({"eta": -1}, "`eta` must be >= 0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        make_experiments(["dscmr", "cca"], settings)
