"""What of a method is searched, what the budget sets, and what stays as it was given."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.comparison import Budget, Row, row_from_file
from commonspace.comparison.rows import described
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import CCA, DSCMR, PosteriorMatching
from commonspace.methods.base.hyperparameters import Between, OneOf

TOY = Path(__file__).with_name("toy.py")

HEAD = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Toy:\n    x: int = 0\n"
FIT = "\n    def fit(self, train, validation, run=None): ..."


def test_what_was_given_is_neither_searched_nor_overwritten() -> None:
    row = Row("without-j3", DSCMR(eta=0.0), tuned_as="dscmr")
    assert "eta" not in row.search
    assert set(row.search) == set(DSCMR.search_space) - {"eta"}
    settled = row.settled({"eta": 0.5, "lambda_": 0.25}, seed=7, budget=Budget(3, 40, 5))
    assert settled == DSCMR(eta=0.0, lambda_=0.25, seed=7, epochs=40, patience=5)


def test_a_method_without_seed_or_epochs_is_left_alone() -> None:
    row = Row("cca", CCA(dimension=3))
    assert row.search == {}
    assert not row.seeded
    assert row.settled({}, seed=7, budget=Budget()) == CCA(dimension=3)


@pytest.mark.parametrize(
    ("method", "epochs"),
    [
        (PosteriorMatching(), 20),
        (PosteriorMatching(epochs=400), 100),
        (DSCMR(patience=None), 100),  # which has no number of epochs of its own
        (DSCMR(epochs=30, patience=None), 30),
    ],
)
def test_a_method_that_never_stops_early_keeps_its_own_length(
    method: PosteriorMatching | DSCMR, epochs: int
) -> None:
    settled = Row("steady", method).settled({}, seed=7, budget=Budget(3, 100, 5))
    assert settled == replace(method, seed=7, epochs=epochs, patience=None)


def test_a_description_tells_settings_apart_and_nothing_else() -> None:
    assert described(DSCMR(eta=0.5)) == described(DSCMR(eta=0.5))
    assert described(DSCMR(eta=0.5)) != described(DSCMR(eta=0.25))
    assert described(CCA())["class"] == "commonspace.methods.cca.CCA"


@dataclass(frozen=True)
class Weighted:
    """Has an array for a setting."""

    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5000))

    def fit(self, *parts: object) -> None: ...


def test_an_array_is_told_apart_from_another_to_the_last_value() -> None:
    weights = np.zeros(5000)
    weights[2500] = 1.0
    plain, other = (Row("w", one) for one in (Weighted(), Weighted(weights)))  # type: ignore[arg-type]
    assert described(plain.method) != described(other.method)
    assert described(other.method) == described(Weighted(weights.copy()))  # type: ignore[arg-type]


@pytest.mark.parametrize("number", ["trials", "epochs", "patience"])
def test_a_budget_of_nothing_is_refused(number: str) -> None:
    with pytest.raises(SettingError, match=f"so few {number}"):
        Budget(**{number: 0})


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden", "a:b"])
def test_names_that_no_folder_can_have_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match="no folder can have"):
        Row(name, DSCMR())


def test_what_is_no_method_is_refused() -> None:
    @dataclass(frozen=True)
    class WithoutFit:
        seed: int = 0

    class WithoutFields:
        def fit(self, *parts: object) -> None: ...

    for thing in (WithoutFit(), WithoutFields(), 3):
        with pytest.raises(SettingError, match="is no method"):
            Row("thing", thing)  # type: ignore[arg-type]


def test_a_range_and_a_choice_that_are_none_are_refused() -> None:
    for low, high in ((0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, float("inf"))):
        with pytest.raises(SettingError, match="cannot be searched"):
            Between(low, high)
    for values in ((), (1,), (1, 1)):
        with pytest.raises(SettingError, match="cannot be searched"):
            OneOf(values)


def test_a_method_in_a_file_makes_a_row() -> None:
    row = row_from_file(f"{TOY}:Toy")
    assert row.name == "toy"
    assert set(row.search) == {"noise", "power"}
    assert row_from_file(f"{TOY}:Toy").method == row.method


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
        (f"{HEAD}    search_space = {{'y': 3}}{FIT}", "Toy", "cannot be tuned"),
        (f"{HEAD}    search_space = {{'x': (1, 2)}}{FIT}", "Toy", "cannot be tuned"),
        (f"{HEAD}    f: object = lambda x: x{FIT}", "Toy", "cannot be kept with its cells"),
        (f"def g(): ...\n{HEAD}    f: object = g{FIT}", "Toy", "cannot be kept with its cells"),
    ],
)
def test_files_that_are_no_method_are_refused(
    content: str | None, name: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / f"method_{abs(hash((content, name)))}.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingError, match=problem):
        row_from_file(f"{file}:{name}")


def test_the_example_of_a_method_in_a_file_learns(feature_dataset: Dataset) -> None:
    row = row_from_file(f"{Path(__file__).parents[2] / 'examples' / 'class_means.py'}:ClassMeans")
    method = row.settled({"ridge": 0.5}, 0, Budget())
    space = method.fit(feature_dataset.split("train"), feature_dataset.split("validation"))
    assert (
        cs.evaluate(space, feature_dataset.split("test"))["average"]["map"] > 0.5
    )  # chance: a quarter
