"""Folders of .npy files: the data of an .npz file, with large arrays mapped, not read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.data import Features, row_blocks
from commonspace.data.formats import npy_folder
from commonspace.datasets import load_dataset
from commonspace.errors import FileFormatError
from commonspace.methods import InfoNCE
from commonspace.training import RunConfig

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def arrays() -> Arrays:
    draw = np.random.default_rng(0)
    n = 60
    return {
        "image": draw.normal(size=(n, 6)).astype(np.float32),
        "text": draw.normal(size=(n, 5)).astype(np.float32),
        "label": np.arange(n) % 3,
        "split": np.repeat(["train", "validation", "test"], [40, 10, 10]),
    }


def write(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir()
    for key, values in arrays.items():
        np.save(folder / f"{key}.npy", values)
    return folder


def is_mapped(values: NDArray[Any]) -> bool:
    base: Any = values
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base is not None


@pytest.mark.parametrize("mapped", [0, 2**20])
def test_it_holds_the_data_of_an_archive(
    mapped: int, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy_folder, "MAPPED", mapped)
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    data = load_dataset(write(tmp_path / "x", arrays))
    assert data.fingerprint == load_dataset(tmp_path / "x.npz").fingerprint
    for part in (data, data.split("train"), data.split("test")):
        column = part.columns["image"]
        assert isinstance(column, Features)
        assert is_mapped(column.values) == (mapped == 0)


def test_training_reads_mapped_files_and_leaves_them_unchanged(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy_folder, "MAPPED", 0)
    arrays["image"][3] = 1e30  # scaled down on its way to the network
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    folder = write(tmp_path / "x", arrays)
    before = (folder / "image.npy").read_bytes()
    method = InfoNCE(epochs=2, batch_size=8, hidden_dim=8, embedding_dim=4, device="cpu")
    spaces = [
        method.fit(load_dataset(path), run=RunConfig()) for path in (folder, tmp_path / "x.npz")
    ]
    assert spaces[0].fingerprint == spaces[1].fingerprint
    assert (folder / "image.npy").read_bytes() == before


def test_missing_values_and_half_precision_are_read(arrays: Arrays, tmp_path: Path) -> None:
    arrays["image"] = arrays["image"].astype(np.float16)
    arrays["text_present"] = np.arange(60) % 4 > 0
    data = load_dataset(write(tmp_path / "x", arrays))
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Features)
    np.testing.assert_array_equal(image.values, arrays["image"].astype(np.float32))
    np.testing.assert_array_equal(text.present, arrays["text_present"])


def test_pickled_objects_and_other_files_are_refused(arrays: Arrays, tmp_path: Path) -> None:
    folder = write(tmp_path / "x", arrays)
    np.save(folder / "label.npy", np.array(["a", None] * 30, dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match=r"label\.npy holds pickled Python objects"):
        load_dataset(folder)
    (folder / "label.npy").write_bytes(b"hello")
    with pytest.raises(FileFormatError, match=r"label\.npy is no \.npy file"):
        load_dataset(folder)


def test_large_float16_features_are_read_in_blocks(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy_folder, "MAPPED", 0)
    monkeypatch.setattr(row_blocks, "ON_DISK", 1)
    monkeypatch.setattr(row_blocks, "BLOCK", 100)
    half = {
        key: value.astype(np.float16) if value.dtype == np.float32 else value
        for key, value in arrays.items()
    }
    data = load_dataset(write(tmp_path / "half", half))
    for name in data.modalities:
        column = data.columns[name]
        assert isinstance(column, Features)
        assert is_mapped(column.values)
        np.testing.assert_array_equal(column.values, half[name].astype(np.float32))
