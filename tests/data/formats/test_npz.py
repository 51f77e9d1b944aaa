"""NumPy archives: other files and pickled objects are refused."""

from pathlib import Path

import numpy as np
import pytest

from commonspace.datasets import load_dataset
from commonspace.errors import FileFormatError


def test_what_is_no_archive_is_not_taken_for_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"hello", b"P"):
        path.write_bytes(content)
        with pytest.raises(
            FileFormatError, match="corrupt, cut short, or of another kind"
        ) as caught:
            load_dataset(path)
        assert "allow_pickle" not in str(caught.value)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, image=np.eye(3), label=np.array(["a", None, 3], dtype=object))
    with pytest.raises(FileFormatError, match="'label' holds pickled Python objects"):
        load_dataset(path)
    np.save(path.with_suffix(".npy"), np.eye(3))
    path.with_suffix(".npy").rename(path)
    with pytest.raises(FileFormatError, match="one array without a name"):
        load_dataset(path)
