"""HDF5 feature files: groups are prefixes of keys."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from commonspace.datasets import load_dataset
from commonspace.errors import FileFormatError


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


@pytest.mark.parametrize("suffix", [".h5", ".mat"])
@pytest.mark.parametrize("kind", ["link", "soft link", "storage", "virtual"])
def test_content_of_other_files_is_refused(kind: str, suffix: str, tmp_path: Path) -> None:
    values = np.arange(80.0).reshape(20, 4)
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["image"] = values
    path = tmp_path / f"x{suffix}"
    with h5py.File(path, "w") as file:
        file["label"] = np.arange(20) % 2
        if kind == "link":
            file["image"] = h5py.ExternalLink("secret.h5", "/image")
        elif kind == "soft link":
            file["zz"] = h5py.ExternalLink("secret.h5", "/")
            file["image"] = h5py.SoftLink("/zz/image")
        elif kind == "storage":
            external = [(str(tmp_path / "secret.h5"), 0, 80)]
            file.create_dataset("image", (20, 4), "u1", external=external)
        else:
            layout = h5py.VirtualLayout((20, 4), "f8")
            layout[:] = h5py.VirtualSource("secret.h5", "image", (20, 4))
            file.create_virtual_dataset("image", layout)
    with pytest.raises(FileFormatError, match="another file"):
        load_dataset(path)


def test_links_inside_the_file_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["feats"] = np.ones((20, 3))
        file["image"] = h5py.SoftLink("/feats")
        file["label"] = np.arange(20) % 2
        file["gone"] = h5py.SoftLink("/nowhere")
    assert load_dataset(path).modalities == ("feats", "image")
