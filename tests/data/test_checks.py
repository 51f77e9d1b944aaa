"""Checks of a whole data set: outliers, one class, labels among the features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.data import Column, Dataset, Features, Images
from commonspace.data.checks import find_outliers
from commonspace.data.formats.npz import write_npz
from commonspace.datasets import load_dataset
from commonspace.methods import PosteriorMatching
from commonspace.training import RunConfig

RNG = np.random.default_rng(0)
LABELS = np.arange(90) % 3
IMAGE, TEXT = RNG.normal(size=(90, 12)), RNG.normal(size=(90, 7))


def test_an_outlier_is_named(tmp_path: Path) -> None:
    image = IMAGE.copy()
    image[3] = 1e25
    np.savez(tmp_path / "a.npz", image=image, text=TEXT, label=LABELS)
    (warning,) = load_dataset(tmp_path / "a.npz").warnings
    assert "1 row of 'image'" in warning
    assert "sample '3' (row 3) holds 1e+25" in warning
    assert Dataset.from_arrays(image=image, text=TEXT, labels=LABELS).warnings


def test_a_model_of_data_with_an_outlier_is_as_good_as_without(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    image = draw.normal(size=(3, 12))[LABELS] + 0.3 * draw.normal(size=(90, 12))
    text = draw.normal(size=(3, 7))[LABELS] + 0.3 * draw.normal(size=(90, 7))
    image[3] = 1e25
    np.savez(tmp_path / "a.npz", image=image, text=text, label=LABELS)
    space = PosteriorMatching(epochs=2).fit(load_dataset(tmp_path / "a.npz"), run=RunConfig())
    assert space.provenance["chosen"]["validation_score"] == pytest.approx(1, abs=5e-4)


def test_missing_rows_and_few_rows_are_no_outliers() -> None:
    values = np.array([[1.0], [2.0], [np.inf], [1e9]])
    present = np.array([True, True, False, True])
    columns: dict[str, Column] = {
        "image": Features(values, present),
        "text": Images([None] * 4),
    }
    assert find_outliers(columns).tolist() == [False, False, False, True]
    assert not find_outliers({"image": Features(values[[0, 3]])}).any()


def test_large_but_usual_values_are_no_outliers() -> None:
    counts = RNG.poisson(0.1, size=(90, 50))
    assert Dataset.from_arrays(image=1e6 * IMAGE, text=counts, labels=LABELS).warnings == ()


def test_one_class_is_named() -> None:
    (warning,) = Dataset.from_arrays(image=IMAGE, text=TEXT, labels=["kite"] * 90).warnings
    assert "have the one class 'kite'" in warning


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_a_modality_that_marks_the_classes_is_named(order: list[int]) -> None:
    marks = np.eye(3)[np.array(order)[LABELS]]
    (warning,) = Dataset.from_arrays(image=IMAGE, text=marks, labels=LABELS).warnings
    assert "'text' has one row for each class, the label in another form" in warning
    assert (
        Dataset.from_arrays(
            image=IMAGE, text=np.eye(3)[RNG.permutation(LABELS)], labels=LABELS
        ).warnings
        == ()
    )


@pytest.mark.parametrize("key", ["attributes", "label_embedding", "classVector", "other"])
@pytest.mark.parametrize("form", ["vectors", "scaled marks", "signs"])
def test_one_row_for_each_class_is_no_modality(key: str, form: str, tmp_path: Path) -> None:
    forms = {
        "vectors": RNG.normal(size=(3, 9)),
        "scaled marks": 0.5 * np.eye(3),
        "signs": 2 * np.eye(3) - 1,
    }
    path = tmp_path / "a.npz"
    write_npz(path, {"image": IMAGE, "label": LABELS, key: forms[form][LABELS]})
    data = load_dataset(path)
    assert data.modalities == ("image",)
    assert any(f"'{key}'" in warning and "not used" in warning for warning in data.warnings)
    mapped = load_dataset(path, modalities={"image": "image", "text": key})
    assert mapped.modalities == ("image", "text")
    assert "'text' has one row for each class" in mapped.warnings[-1]


def test_a_second_matrix_that_is_not_the_label_is_a_modality(tmp_path: Path) -> None:
    values = RNG.normal(size=(3, 9))[LABELS]
    values[4, 2] += 1
    write_npz(tmp_path / "a.npz", {"image": IMAGE, "label": LABELS, "genes": values})
    data = load_dataset(tmp_path / "a.npz")
    assert data.modalities == ("image", "genes")
    assert "'genes' taken as a modality" in data.warnings[0]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("onehot", np.eye(3)[LABELS]),
        ("label_onehot", np.eye(3)[LABELS]),
        ("targets_1", np.eye(3)[LABELS]),
        ("bbox", RNG.random((90, 4))),
        ("genes", RNG.random((90, 40))),
    ],
)
def test_a_key_is_a_modality_only_by_a_rule(key: str, values: NDArray[Any], tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_npz(path, {"image": IMAGE, "text": TEXT, "label": LABELS, key: values})
    data = load_dataset(path)
    assert data.modalities == ("image", "text")
    (warning,) = data.warnings
    assert f"'{key}'" in warning
    assert "is not used" in warning
    mapped = load_dataset(path, modalities={"image": "image", "other": key})
    assert mapped.modalities == ("image", "other")
    assert mapped.provenance["keys"]["other"] == key
    assert load_dataset(f"{path}?image=image&other={key}").fingerprint == mapped.fingerprint
