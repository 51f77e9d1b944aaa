"""Image files outside of the folder of a data set are refused by every reader."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commonspace.data.photo_folder import PhotoFolder
from commonspace.datasets import load_dataset
from commonspace.errors import DataError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with the folder "shots" of nine images, and an image outside of it."""
    (tmp_path / "shots").mkdir()
    for row in range(9):
        Image.new("RGB", (8, 8), (row, 0, 0)).save(tmp_path / "shots" / f"{row}.png")
    Image.new("RGB", (8, 8), (99, 0, 0)).save(tmp_path / "secret.png")
    (tmp_path / "shots" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "shots" / "up").symlink_to(tmp_path)
    (tmp_path / "shots" / "inner.png").symlink_to("0.png")
    return tmp_path


def folder_with(name: str, place: Path) -> Path:
    names = [name, *(f"{row}.png" for row in range(1, 9))]
    lines = [{"file_name": name, "label": "ab"[row % 2]} for row, name in enumerate(names)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (place / "shots" / "metadata.jsonl").write_text(text)
    return place / "shots"


def arrays_with(name: str, place: Path) -> Path:
    names = [name, *(f"{row}.png" for row in range(1, 9))]
    np.savez(place / "shots" / "a.npz", image=np.array(names), label=np.arange(9) % 2)
    return place / "shots" / "a.npz"


WRITERS = [folder_with, arrays_with]
OUTSIDE = ["../secret.png", "{place}/secret.png", "link.png", "up/secret.png"]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_file_outside_is_refused(
    write: Callable[[str, Path], Path], name: str, place: Path
) -> None:
    data = write(name.format(place=place), place)
    with pytest.raises(DataError, match="1 image file is outside the folder of the data") as error:
        load_dataset(data, need_splits=False)
    assert str(place / "secret.png") in str(error.value.found)
    rest = load_dataset(data, need_splits=False, partial=True)
    assert len(rest) == 8
    assert any("outside the folder" in warning for warning in rest.warnings)
    for allowed in (
        load_dataset(data, need_splits=False, photos=place),
        load_dataset(f"{data}?photos=..", need_splits=False),
    ):
        assert len(allowed) == 9
        assert not any("outside the folder" in warning for warning in allowed.warnings)


@pytest.mark.parametrize("name", ["inner.png", "{place}/shots/0.png", "../shots/0.png"])
def test_a_file_inside_may_be_named_in_any_way(name: str, place: Path) -> None:
    for write in WRITERS:
        assert len(load_dataset(write(name.format(place=place), place), need_splits=False)) == 9


def test_a_missing_absolute_name_is_a_missing_file(place: Path) -> None:
    with pytest.raises(DataError, match="1 image file is missing"):
        load_dataset(folder_with("/nowhere/0.png", place), need_splits=False)


def test_a_class_folder_that_is_a_link(place: Path) -> None:
    for name in ("cat", "dog"):
        (place / "real" / name).mkdir(parents=True)
        for row in range(4):
            Image.new("RGB", (8, 8), (row, 0, 9)).save(place / "real" / name / f"{row}.png")
    (place / "classes" / "cat").mkdir(parents=True)
    (place / "real" / "cat" / "0.png").rename(place / "classes" / "cat" / "0.png")
    (place / "classes" / "dog").symlink_to(place / "real" / "dog")
    with pytest.raises(DataError, match="4 image files are outside"):
        load_dataset(place / "classes", need_splits=False)
    assert len(load_dataset(place / "classes", need_splits=False, photos=place)) == 5


def test_a_text_beside_an_image_that_is_a_link_is_not_read(place: Path) -> None:
    (place / "secret.txt").write_text("a password")
    for name in ("cat", "dog"):
        (place / "own" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(place / "own" / name / "0.png")
        (place / "own" / name / "0.txt").symlink_to(place / "secret.txt")
    assert load_dataset(place / "own", need_splits=False).modalities == ("image",)


def test_an_allowed_folder_must_exist(place: Path) -> None:
    with pytest.raises(DataError, match="is no folder of photos"):
        load_dataset(folder_with("0.png", place), photos=place / "nowhere")


def test_a_folder_contains_files_by_their_resolved_path(place: Path) -> None:
    (place / "again").symlink_to(place / "shots")
    folder = PhotoFolder(place / "again")
    assert place / "shots" / "0.png" in folder
    assert place / "again" / "inner.png" in folder
    assert place / "again" / "up" / "shots" / "0.png" in folder
    assert place / "again" / "up" / "secret.png" not in folder
    assert Path(os.path.relpath(place / "secret.png")) not in folder


def test_links_that_lead_to_themselves_are_missing_files(place: Path) -> None:
    (place / "shots" / "loop.png").symlink_to("loop.png")
    data = load_dataset(folder_with("loop.png", place), need_splits=False, partial=True)
    assert len(data) == 8
    assert any("loop.png" in warning and "missing" in warning for warning in data.warnings)
    assert place / "shots" / "loop.png" in PhotoFolder(place / "shots")


def test_pipes_are_not_opened(place: Path) -> None:
    """Opening one waits for a writer."""
    os.mkfifo(place / "a.npz")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load_dataset(place / "a.npz")
    for name in ("cat", "dog"):
        (place / "own" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(place / "own" / name / "0.png")
        os.mkfifo(place / "own" / name / "1.png")
    assert len(load_dataset(place / "own", need_splits=False)) == 2
