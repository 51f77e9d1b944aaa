"""Leakage: content of validation or test that is also in train."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from commonspace.data import Dataset, find_leakage, find_near_duplicates, find_overlap

SPLITS = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4


def dataset(change: Callable[[np.ndarray, list[str]], None] = lambda image, text: None) -> Dataset:
    image = np.random.default_rng(0).normal(size=(20, 5))
    text = [f"a long caption of number {row}" for row in range(20)]
    change(image, text)
    return Dataset.from_arrays(image=image, text=text, labels=np.arange(20) % 2, splits=SPLITS)


def test_clean_data_has_none() -> None:
    assert find_leakage(dataset()) == []


def test_a_data_set_without_test_or_train_has_none() -> None:
    splits = ["train", "test", "test", "validation"]
    data = Dataset.from_arrays(x=np.ones((4, 2)), splits=splits)
    assert find_leakage(data.take(np.array([1, 2]))) == []
    (found,) = find_leakage(data.take(np.array([0, 3])))
    assert (found.split, found.count) == ("validation", 1)


def test_equal_modalities_are_counted_by_split() -> None:
    def change(image: np.ndarray, text: list[str]) -> None:
        image[16:19] = image[:3]
        text[16], text[12] = text[0], text[5]

    found = {
        (o.split, o.modalities): (o.count, o.samples, o.example)
        for o in find_leakage(dataset(change))
    }
    assert found == {
        ("test", ("image", "text")): (1, 4, ("16", "0")),
        ("test", ("image",)): (2, 4, ("17", "1")),
        ("validation", ("text",)): (1, 4, ("12", "5")),
    }
    assert [str(o) for o in find_leakage(dataset(change))][1] == (
        "1 of the 4 test samples has the 'image' features and text of a training sample, for"
        " example '16' of '0'"
    )


def test_rows_of_zeros_and_short_texts_are_no_content() -> None:
    def change(image: np.ndarray, text: list[str]) -> None:
        image[[0, 16]] = 0
        text[0] = text[16] = "dog"

    assert find_leakage(dataset(change)) == []


def test_one_coinciding_caption_of_many_is_no_leak() -> None:
    text = [f"a long caption of number {row}" for row in range(400)]
    text[399] = text[0]
    splits = ["train"] * 200 + ["test"] * 200
    image = np.random.default_rng(0).normal(size=(400, 3))
    data = Dataset.from_arrays(image=image, text=text, splits=splits, labels=["a", "b"] * 200)
    assert find_leakage(data) == []
    assert find_overlap(data.split("train"), data.split("test"))[0].count == 1


def photos(folder: Path) -> list[Path]:
    rng = np.random.default_rng(1)
    paths = []
    for row in range(20):
        blocks = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        paths.append(folder / f"{row}.png")
        blocks.resize((96, 96), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def test_equal_and_similar_photos(tmp_path: Path) -> None:
    paths = photos(tmp_path)
    shutil.copy(paths[0], paths[16])
    with Image.open(paths[1]) as image:
        image.filter(ImageFilter.GaussianBlur(1)).resize((80, 80)).save(paths[17], quality=70)
    data = Dataset.from_arrays(photo=paths, labels=["a", "b"] * 10, splits=SPLITS)
    (equal,) = find_leakage(data)
    assert "1 of the 4 test samples has the photo of a training sample" in str(equal)
    pytest.importorskip("imagehash")
    (near,) = find_near_duplicates(data)
    assert (near.count, near.near) == (2, True)
    assert "have a near-duplicate of the photo" in str(near)
