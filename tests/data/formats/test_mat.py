"""MATLAB files: version 5 and version 7.3."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from commonspace.data import Features
from commonspace.datasets import load_dataset


def test_matlab_lists_cells_and_character_matrices(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    names = np.empty((1, 2), dtype=object)
    names[0] = ["a cat", "a dog"]
    content = {
        "img": np.eye(4),
        "labels": np.array([[1, 2, 1, 2]]),
        "class_names": names,
        "split": np.array(["train", "train", "val", "test"]),
    }
    savemat(path, content)
    read = load_dataset(path)
    assert read.class_names == ("a cat", "a dog")
    assert read.labels.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert read.splits.tolist() == ["train", "train", "validation", "test"]


def test_matlab_version_73(tmp_path: Path) -> None:
    """As MATLAB's save -v7.3 lays it out: HDF5 behind 512 bytes, columns first, text as codes."""
    path = tmp_path / "x.mat"
    features = np.arange(12.0).reshape(4, 3)
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(name: str, values: Any, kind: str) -> Any:  # noqa: ANN401, h5py has no types
            item = file.create_dataset(name, data=values)
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        put("image", features.T, "double")
        put("label", np.array([[1, 2, 1, 2]]), "double")
        cells = [put(f"#refs#/{word}", np.array([[ord(c)] for c in word], np.uint16), "char").ref
                 for word in ("cat", "Übel")]  # fmt: skip
        put("class_names", np.array([cells], dtype=h5py.ref_dtype), "cell")
        words = ["train", "train", "val  ", "test "]
        codes = np.array([[ord(c) for c in word] for word in words], np.uint16)
        put("split", codes.T, "char")
    read = load_dataset(path)
    image = read.columns["image"]
    assert isinstance(image, Features)
    assert (image.values == features).all()
    assert read.class_names == ("cat", "Übel")
    assert read.labels.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert read.splits.tolist() == ["train", "train", "validation", "test"]
