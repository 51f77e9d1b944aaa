"""``compare``: figures, table and files of a comparison in Python."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import commonspace as cs
from commonspace.comparison import TuningBudget, compare, make_experiments
from commonspace.data import Dataset
from commonspace.errors import SettingError, TrainingError
from commonspace.methods import CCA, DSCMR

TOY = Path(__file__).with_name("toy.py")
BUDGET = TuningBudget(trials=1, epochs=2, patience=1)


def toy(name: str = "Toy") -> Any:  # noqa: ANN401 - a class of the file
    return make_experiments([f"{TOY}:{name}"])[0].method


def test_names_instances_and_files_are_compared(feature_dataset: Dataset) -> None:
    methods = ["linear-probe", CCA(dimension=2), toy(), f"{TOY}:Picky"]
    result = compare(feature_dataset, methods, seeds=2, budget=BUDGET)
    assert [one.name for one in result.methods] == ["linear-probe", "cca", "toy", "picky"]
    assert result.baseline == "linear-probe"
    assert result["toy"].seeds == 2
    space = CCA(dimension=2).fit(
        feature_dataset.split("train"), feature_dataset.split("validation")
    )
    average = result["cca"].average
    assert average is not None
    assert average.mean == pytest.approx(cs.evaluate(space, feature_dataset).map, abs=1e-6)
    assert average.low < average.mean < average.high
    difference = result["cca"].difference
    assert difference is not None
    assert 0 < difference.p <= 1
    text = str(result)
    assert "vs linear-probe" in text
    assert "95% interval" in text
    assert "picky: nothing is good enough" in text
    assert result._repr_html_().count("<tr>") == 5
    frame = result.to_frame()
    assert frame.loc["cca", "map average"] == average.mean
    with pytest.raises(KeyError):
        result["other"]


def test_the_class_map_is_the_mean_of_the_queries_of_a_class(feature_dataset: Dataset) -> None:
    result = compare(feature_dataset, [CCA(dimension=2)], budget=BUDGET)
    assert set(result["cca"].class_map) == set(feature_dataset.class_names)
    average = result["cca"].average
    assert average is not None
    means = list(result["cca"].class_map.values())  # classes of equal size
    assert sum(means) / len(means) == pytest.approx(average.mean, abs=1e-6)


def test_a_folder_keeps_runs_and_tables(feature_dataset: Dataset, tmp_path: Path) -> None:
    first = compare(feature_dataset, ["cca"], budget=BUDGET, folder=tmp_path / "t")
    more = compare(feature_dataset, ["cca", toy()], seeds=1, budget=BUDGET, folder=tmp_path / "t")
    assert more["cca"].average == first["cca"].average
    assert more["cca"].seconds == first["cca"].seconds  # read, not run again
    table = json.loads((tmp_path / "t" / "table.json").read_text())
    assert [one["name"] for one in table["methods"]] == ["cca", "toy"]
    assert table["environment"]["torch"].startswith("2.")
    with (tmp_path / "t" / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["ant"]) == more["cca"].class_map["ant"]
    assert more.plot_classes().axes[0].images[0].get_array().shape == (2, 4)  # type: ignore[union-attr]


def test_two_instances_of_a_class_get_different_names() -> None:
    experiments = make_experiments(["dscmr", DSCMR(eta=0.5), DSCMR(eta=0.7)])
    assert [one.name for one in experiments] == ["dscmr", "dscmr-2", "dscmr-3"]


def test_invalid_arguments_are_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(SettingError, match="unknown method"):
        compare(feature_dataset, ["magic"])
    with pytest.raises(SettingError, match="no method to compare"):
        compare(feature_dataset, [])
    with pytest.raises(SettingError, match="is no method"):
        compare(feature_dataset, [3])  # type: ignore[list-item]
    with pytest.raises(SettingError, match="baseline is not among"):
        compare(feature_dataset, ["cca"], baseline="dscmr", budget=BUDGET)
    with pytest.raises(TrainingError, match="no method of the comparison has figures"):
        compare(feature_dataset, [toy("Picky")], budget=BUDGET)
