"""Files of users up to the figures: labels among the features, ties, few samples, one class."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from commonspace.errors import SettingError
from commonspace.retrieval import Index

Call = Callable[..., Result]
SMALL = ("--epochs", 2, "--device", "cpu")


def train_and_evaluate(call: Call, folder: Path, name: str, **arrays: Any) -> dict[str, Any]:  # noqa: ANN401
    np.savez(folder / f"{name}.npz", **arrays)
    trained = call("train", folder / f"{name}.npz", "--out", folder / name, *SMALL)
    assert trained.exit_code == 0, trained.stderr
    measured = call("evaluate", folder / name, "--json")
    assert measured.exit_code == 0, measured.stderr
    report: dict[str, Any] = json.loads(measured.stdout)
    return report


def noise(count: int, classes: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return {
        "image": draw.normal(size=(count, 16)),
        "text": draw.normal(size=(count, 9)),
        "label": np.arange(count) % classes,
    }


def test_a_one_hot_table_beside_the_label_changes_no_figure(call: Call, tmp_path: Path) -> None:
    arrays = noise(150, 5)
    expected = train_and_evaluate(call, tmp_path, "a", **arrays)
    marked = train_and_evaluate(call, tmp_path, "b", onehot=np.eye(5)[arrays["label"]], **arrays)
    assert marked["average"] == pytest.approx(expected["average"], abs=1e-6)
    assert "onehot" not in json.dumps(list(marked))
    shown = call("data", tmp_path / "b.npz").stdout
    assert "'onehot', float64 of shape (150, 5), is not used: it looks like labels" in shown


def test_items_of_one_vector_have_one_figure_in_every_order(call: Call, tmp_path: Path) -> None:
    """Of 30 items that tie, 10 are relevant: the mean of the AP over all orders is .402."""
    labels = np.sort(np.arange(120) % 3)
    splits = np.array((["train"] * 20 + ["validation"] * 10 + ["test"] * 10) * 3)
    figures = []
    for name, order in (("a", np.arange(120)), ("b", np.random.default_rng(0).permutation(120))):
        arrays: dict[str, Any] = {"image": np.ones((120, 6)), "text": np.ones((120, 5))}
        arrays |= {"label": labels[order], "split": splits[order]}
        figures.append(train_and_evaluate(call, tmp_path, name, **arrays)["average"]["map"])
    harmonic = sum(1 / rank for rank in range(1, 31))
    expected = (9 / 29 * (30 - harmonic) + harmonic) / 30
    assert figures == pytest.approx([expected, expected], abs=1e-5)


@pytest.mark.parametrize("each", [2, 4])
def test_few_samples_of_each_class_are_divided_and_trained(
    each: int, call: Call, tmp_path: Path
) -> None:
    arrays = noise(120, 5) | {"label": np.repeat(np.arange(120 // each), each)}
    np.savez(tmp_path / "a.npz", **arrays)
    splits = json.loads(call("data", tmp_path / "a.npz", "--json").stdout)["splits"]
    assert splits["train"] == pytest.approx(84, abs=2)
    assert splits["validation"] == pytest.approx(12, abs=1)
    assert splits["test"] == pytest.approx(24, abs=2)
    assert train_and_evaluate(call, tmp_path, "b", **arrays)["average"]["map"] < 0.6


def test_one_class_says_that_the_figure_means_nothing(call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", **noise(60, 1))
    trained = call("train", tmp_path / "one.npz", "--out", tmp_path / "run", *SMALL)
    assert trained.exit_code == 0
    assert "mAP is 1 for any model" in trained.stderr
    assert "the mAP is 1 whatever the model does" in call("evaluate", tmp_path / "run").stderr


def test_one_group_for_all_samples_cannot_be_divided(call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", group=np.zeros(60, int), **noise(60, 3))
    refused = call("train", tmp_path / "a.npz", "--out", tmp_path / "run", *SMALL)
    assert refused.exit_code == 2
    assert "at least two groups of samples of each class" in " ".join(refused.stderr.split())


def test_a_photo_that_is_a_url_is_shown_as_it_was_given(
    call: Call, run_folder: Path, points_file: Path, tmp_path: Path
) -> None:
    assert call("index", run_folder, points_file, "--out", tmp_path / "shop").exit_code == 0
    refused = call("search", tmp_path / "shop", "--image", "http://example.org/a.jpg")
    assert refused.exit_code == 2
    assert "http://example.org/a.jpg" in refused.stderr
    with (
        Index.open(tmp_path / "shop") as index,
        pytest.raises(SettingError, match=r"http://example\.org/a\.jpg"),
    ):
        index.search(image="http://example.org/a.jpg")
