"""embed: the vectors of the package in a feature file that every command reads again."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

import commonspace as cs

Call = Callable[..., Result]


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet", ".mat"])
def test_the_file_is_the_data_set_in_the_common_space(
    call: Call, run_folder: Path, points_file: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"vectors{suffix}"
    result = call("embed", run_folder, "--data", points_file, "--out", out)
    assert result.exit_code == 0, result.stderr
    data, vectors = cs.load_dataset(points_file), cs.load_dataset(out)
    assert vectors.ids == data.ids
    assert vectors.class_names == data.class_names
    np.testing.assert_array_equal(vectors.labels, data.labels)
    np.testing.assert_array_equal(vectors.splits, data.splits)
    space = cs.load(run_folder)
    for name in ("image", "text"):
        column = vectors.columns[name]
        assert isinstance(column, cs.Features)
        np.testing.assert_array_equal(column.values, space.embed(name, data.columns[name]))
        np.testing.assert_allclose(np.linalg.norm(column.values, axis=1), 1, rtol=1e-5)


def test_the_mean_average_precision_of_the_file_is_that_of_the_run(
    call: Call, run_folder: Path, tmp_path: Path
) -> None:
    assert call("embed", run_folder, "--out", tmp_path / "v.npz").exit_code == 0
    test = cs.load_dataset(tmp_path / "v.npz").split("test")
    image, text = (test.columns[name].values for name in ("image", "text"))  # type: ignore[attr-defined]
    report = json.loads(call("evaluate", run_folder, "--json").stdout)
    assert cs.mean_average_precision(image, text, test.labels, test.labels) == pytest.approx(
        report["image->text"]["map"], rel=1e-12
    )


def test_samples_without_a_modality_stay_without_it(
    call: Call, run_folder: Path, points_file: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(points_file))
    arrays["text_present"] = np.arange(120) % 4 != 0
    arrays["audio"] = np.ones((120, 2), dtype=np.float32)
    arrays["image_present"] = np.arange(120) != 8  # row 8 has only what the space does not know
    np.savez(tmp_path / "gaps.npz", **arrays)
    out = tmp_path / "v.npz"
    result = call("embed", run_folder, "--data", tmp_path / "gaps.npz", "--out", out)
    assert result.exit_code == 0, result.stderr
    vectors = cs.load_dataset(out)
    kept = np.delete(np.arange(120), 8)
    assert len(vectors) == 119
    assert "left out 1 samples without" in result.stderr
    np.testing.assert_array_equal(vectors.columns["text"].present, arrays["text_present"][kept])
    assert vectors.modalities == ("image", "text")


def test_a_place_that_is_taken_or_unknown_is_refused_before_the_work(
    call: Call, run_folder: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "v.npz"
    taken.write_bytes(b"mine")
    refused = call("embed", tmp_path / "no-run-at-all", "--out", taken)
    assert refused.exit_code == 2
    assert "already exists" in refused.stderr
    assert taken.read_bytes() == b"mine"
    unknown = call("embed", tmp_path / "no-run-at-all", "--out", tmp_path / "v.txt")
    assert unknown.exit_code == 2
    assert ".parquet" in unknown.stderr
    nowhere = call("embed", tmp_path / "no-run-at-all", "--out", tmp_path / "absent" / "v.npz")
    assert nowhere.exit_code == 2
    assert f"no folder {tmp_path / 'absent'}" in " ".join(nowhere.stderr.split())
