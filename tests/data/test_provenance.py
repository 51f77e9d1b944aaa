"""Features keep the record of where they come from through every kind of feature file."""

from pathlib import Path

import numpy as np
import pytest

from commonspace.data import Dataset, Features, write_arrays
from commonspace.data.formats.npz import read_npz, write_npz
from commonspace.datasets import load_dataset
from commonspace.errors import DataError

ENCODERS = {"image": {"spec": "vgg19", "name": "VGG-19, fc7 “after” its ReLU", "size": 3}}


def extracted() -> Dataset:
    return Dataset(
        name="few",
        ids=("a", "b", "c"),
        columns={"image": Features(np.eye(3)), "text": Features(np.ones((3, 2)))},
        labels=np.array([[1, 0], [1, 0], [1, 1]], bool),
        class_names=("cat", "dog"),
        splits=np.array(["test", "validation", "train"]),
        provenance={
            "source": "photos",
            "format": "imagefolder",
            "split": "drawn",
            "encoders": ENCODERS,
        },
    )


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".mat", ".parquet"])
def test_provenance_round_trip(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"features{suffix}"
    write_arrays(extracted(), path)
    read = load_dataset(path)
    assert read.provenance["encoders"] == ENCODERS
    assert read.provenance["made_from"] == {
        "source": "photos",
        "format": "imagefolder",
        "split": "drawn",
    }
    assert read.provenance["source"] == path.name
    assert read.provenance["split"] == "as given"
    assert read.fingerprint == extracted().fingerprint
    assert read.warnings == ()


def test_provenance_survives_a_second_writing(tmp_path: Path) -> None:
    write_arrays(extracted(), tmp_path / "first.npz")
    write_arrays(load_dataset(tmp_path / "first.npz"), tmp_path / "second.npz")
    assert load_dataset(tmp_path / "second.npz").provenance["encoders"] == ENCODERS


def test_a_damaged_provenance_is_named(tmp_path: Path) -> None:
    write_arrays(extracted(), tmp_path / "good.npz")
    arrays = read_npz(tmp_path / "good.npz")
    for broken in ("{", "[1]"):
        arrays["commonspace_provenance"] = np.array([broken])
        path = tmp_path / f"broken{len(broken)}.npz"
        write_npz(path, arrays)
        with pytest.raises(DataError, match="commonspace_provenance"):
            load_dataset(path)
