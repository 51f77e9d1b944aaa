"""HDF5 files are read in a process of their own: a crash or a hang there is an error here."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.data.formats import isolated
from commonspace.data.formats.hdf5 import read_hdf5, write_hdf5
from commonspace.data.formats.isolated import read_in_process
from commonspace.errors import FileFormatError

Allow = Callable[[int], None]
HERE = "tests.data.formats.test_isolated"


def arrays(path: Path, allow: Allow) -> dict[str, NDArray[np.generic]]:
    return {
        "numbers": np.arange(6, dtype=">f4").reshape(2, 3),
        "none": np.zeros((0, 3)),
        "one": np.array(3),
        "words": np.array([["a", "ü"], ["", "b"]], dtype=object),
        "bytes": np.array([b"x", b"yz"]),
        "marks": np.array([True, False]),
        "records": np.zeros(2, dtype=[("x", "f4")]),
    }


def crash(path: Path, allow: Allow) -> dict[str, NDArray[np.generic]]:
    os.abort()


def loop(path: Path, allow: Allow) -> dict[str, NDArray[np.generic]]:
    while True:
        pass


def fill(path: Path, allow: Allow) -> dict[str, NDArray[np.generic]]:
    return {"a": np.ones(1 << 30)}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    path = tmp_path / "x.h5"
    path.write_bytes(b"content")
    return path


def test_arrays_of_every_kind_arrive(file: Path) -> None:
    sent, received = arrays(file, lambda count: None), read_in_process(f"{HERE}:arrays", file)
    assert list(received) == list(sent)
    for name in ("numbers", "none", "one", "marks"):
        assert received[name].shape == sent[name].shape
        assert received[name].dtype == sent[name].dtype
        assert (received[name] == sent[name]).all()
    assert received["words"].tolist() == [["a", "ü"], ["", "b"]]
    assert received["bytes"].tolist() == ["x", "yz"]
    assert received["records"].shape == ()


@pytest.mark.parametrize(
    ("reader", "message"), [("crash", "signal 6"), ("fill", "MemoryError|signal")]
)
def test_a_crash_is_an_error(reader: str, message: str, file: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_in_process(f"{HERE}:{reader}", file)


def test_a_loop_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_SECONDS", 2)
    start = time.monotonic()
    with pytest.raises(ValueError, match="signal"):
        read_in_process(f"{HERE}:loop", file)
    assert time.monotonic() - start < 60


def test_a_missing_file_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_in_process(f"{HERE}:arrays", tmp_path / "x.h5")


def test_a_shape_without_content_is_refused(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as whole:
        whole.create_dataset("image", (1 << 20, 1 << 12), dtype="f4", chunks=(1 << 10, 1 << 10))
    with pytest.raises(FileFormatError, match="promises 17179869184 bytes"):
        read_hdf5(tmp_path / "x.h5")


def test_compressed_arrays_are_read(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as whole:
        whole.create_dataset("image", data=np.zeros((4000, 500), "f4"), compression="gzip")
        whole.create_dataset("empty", (5, 3), dtype="f4", chunks=(5, 3))
    read = read_hdf5(tmp_path / "x.h5")
    assert read["image"].shape == (4000, 500)
    assert read["empty"].tolist() == [[0] * 3] * 5
    write_hdf5(tmp_path / "y.h5", {"image": np.eye(3), "word": np.array(["ü", ""])})
    assert read_hdf5(tmp_path / "y.h5")["word"].tolist() == ["ü", ""]
