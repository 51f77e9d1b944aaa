"""HDF5 feature files: groups are prefixes of keys."""

from pathlib import Path

import h5py
import numpy as np

from commonspace.datasets import load_dataset


def test_hdf5_groups_are_prefixes(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        for split, count in (("train", 20), ("test", 5)):
            file[f"{split}/image"] = np.ones((count, 3))
            file[f"{split}/label"] = np.arange(count) % 2
    read = load_dataset(path)
    assert read.modalities == ("image",)
    assert [(read.splits == name).sum() for name in ("train", "validation", "test")] == [18, 2, 5]
    assert read.provenance["split"] == "as given; validation carved from train, seed 0"
