"""Files and folders that are no data set: the message says what to do with them."""

from pathlib import Path

import pytest
from PIL import Image

from commonspace.datasets import load_dataset
from commonspace.datasets.advice import advice_for
from commonspace.errors import DataError, FileFormatError


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("photos.zip", "unpack it into a folder first"),
        ("photos.tar.gz", "decompress it first: gzip -d .*photos.tar.gz"),
        ("photos.json", r"one object a line into metadata\.jsonl"),
        ("photos.xlsx", r"metadata\.csv in UTF-8"),
        ("photos.pkl", "it may run code"),
        ("photos.npy", "name the folder"),
        ("photo.jpg", "name the folder of the images"),
        ("photos.xyz", r"numpy\.savez"),
        ("photos", r"numpy\.savez"),
    ],
)
def test_a_file_of_another_kind(name: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileFormatError, match=rf"(?s)is of an unknown kind.*{advice}"):
        load_dataset(tmp_path / name)


@pytest.mark.parametrize(
    ("files", "found", "advice"),
    [
        (["photos.zip"], "photos.zip", "photos.zip: unpack it into a folder first"),
        (["metadata.json", "images/1.jpg"], "images/, metadata.json", "one object a line"),
        (["1.jpg", "2.jpg"], "1.jpg, 2.jpg", "images of each class into a folder of its own"),
        (["cat/1.jpg"], "cat/", "images of each class into a folder of its own"),
        (["cat/1.heic", "dog/1.heic"], "cat/, dog/", "convert the .heic files to JPEG or PNG"),
        ([], "an empty folder", "point at the folder"),
    ],
)
def test_a_folder_without_layout(files: list[str], found: str, advice: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name.endswith(".jpg"):
            Image.new("RGB", (2, 2)).save(tmp_path / name)
        else:
            (tmp_path / name).touch()
    with pytest.raises(DataError, match=rf"(?s)found: +{found}\n.*{advice}"):
        load_dataset(tmp_path)


def test_advice_names_the_file() -> None:
    assert advice_for(Path("a.json")).endswith("jq -c '.[]' a.json")
