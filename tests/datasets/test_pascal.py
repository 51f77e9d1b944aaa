"""The Pascal Sentence benchmark in miniature: class folders, page, text files, features."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from commonspace.data import Images, Texts
from commonspace.datasets import load_dataset
from commonspace.datasets.pascal import read_sentence_page
from commonspace.errors import DataError, FileFormatError

CLASSES = ("aeroplane", "bicycle", "bird")
EACH = 20


def names() -> list[tuple[str, str]]:
    return [(c, f"2008_{k}{n:05d}") for k, c in enumerate(CLASSES) for n in range(EACH)]


def sentences(name: str) -> tuple[str, ...]:
    return tuple(f"Sentence {n} of {name} & more." for n in range(5))


def save_images(folder: Path, inside: str = "") -> Path:
    for class_name, name in names():
        place = folder / inside / class_name
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(place / f"{name}.jpg")
    return folder


def save_page(folder: Path) -> Path:
    """Write the page as its authors do: an image in a cell, beside it a table of sentences."""
    rows = []
    for class_name, name in names():
        cells = "".join(
            f"<tr><td> {text.replace('&', '&amp;')} </td></tr>\n" for text in sentences(name)
        )
        rows.append(
            f'<tr><td><img src="{class_name}/{name}.jpg"></td>\n'
            f"<td><table>{cells}</table></td></tr>"
        )
    page = f"<html><body><td>Pascal Sentences</td><table>{''.join(rows)}</table></body></html>"
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder


def save_texts(folder: Path, inside: str) -> Path:
    for class_name, name in names():
        file = folder / inside / class_name / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(sentences(name)) + "\n", encoding="utf-8")
    return folder


def test_class_folders_and_the_saved_page(tmp_path: Path) -> None:
    data = load_dataset(f"pascal:{save_page(save_images(tmp_path))}")
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert data.class_names == CLASSES
    assert data.ids == tuple(f"{c}/{name}.jpg" for c, name in names())
    assert text.items == tuple(sentences(name) for _, name in names())
    assert [str(file) for file in image.items] == [str(tmp_path / name) for name in data.ids]
    assert data.labels.argmax(axis=1).tolist() == np.repeat(range(3), EACH).tolist()


def test_the_same_from_text_files_for_each_image(tmp_path: Path) -> None:
    page, texts = tmp_path / "page", tmp_path / "texts"
    save_page(save_images(page))
    save_texts(save_images(texts, "dataset"), "sentence")
    (texts / "README.txt").write_text("not a sentence")
    first, second = load_dataset(f"pascal:{page}"), load_dataset(f"pascal:{texts}")
    assert first.fingerprint == second.fingerprint


def test_the_split_of_the_paper_is_drawn_in_each_class(tmp_path: Path) -> None:
    folder = save_page(save_images(tmp_path))
    data = load_dataset(f"pascal:{folder}", seed=2)
    for k in range(len(CLASSES)):
        own = data.splits[data.labels[:, k]].tolist()
        assert [own.count(name) for name in ("train", "validation", "test")] == [16, 2, 2]
    assert data.provenance["split"] == "the paper's 800/100/100, drawn: stratified, seed 2"
    assert any("48/6/6 pairs" in problem for problem in data.warnings)
    assert load_dataset(f"pascal:{folder}", seed=2).fingerprint == data.fingerprint
    assert load_dataset(f"pascal:{folder}", seed=1).fingerprint != data.fingerprint


def test_the_whole_benchmark_has_forty_five_five_and_no_problem(tmp_path: Path) -> None:
    for number in range(1000):
        name = f"class {number // 50:02d}/2008_{number:06d}"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.jpg").touch()
        (tmp_path / f"{name}.txt").write_text("a\nb\nc\nd\ne\n")
    data = load_dataset(f"pascal:{tmp_path}")
    assert data.warnings == ()
    for split, each in (("train", 40), ("validation", 5), ("test", 5)):
        assert data.labels[data.splits == split].sum(axis=0).tolist() == [each] * 20


def test_another_number_of_sentences_is_noted(tmp_path: Path) -> None:
    folder = save_texts(save_images(tmp_path), "sentence")
    (folder / "sentence" / "bird" / "2008_200003.txt").write_text("One.\n\nTwo.\n")
    data = load_dataset(f"pascal:{folder}")
    assert f"{folder}: images with 2 sentences instead of 5: 1" in data.warnings


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = save_texts(save_images(tmp_path), "sentence")
    (folder / "sentence" / "bird" / "2008_200003.txt").unlink()
    with pytest.raises(DataError, match=r"1 of 60 images have no sentences(.|\n)*2008_200003\.jpg"):
        load_dataset(f"pascal:{folder}")
    assert load_dataset(f"pascal:{folder}", partial=True).columns["text"].present.sum() == 59
    (folder / "aeroplane" / "2008_000007.jpg").unlink()
    (folder / "sentence" / "bird" / "2008_200003.txt").write_text("again")
    with pytest.raises(DataError, match=r"lacks images of its sentences(.|\n)*no 2008_000007\.jpg"):
        load_dataset(f"pascal:{folder}")
    data = load_dataset(f"pascal:{folder}", partial=True)
    assert len(data) == 59
    assert "aeroplane/2008_000007.jpg" not in data.ids


def test_an_image_twice(tmp_path: Path) -> None:
    folder = save_texts(save_images(tmp_path), "sentence")
    (folder / "copy").mkdir()
    Image.new("RGB", (4, 4)).save(folder / "copy" / "2008_000007.jpg")
    with pytest.raises(DataError, match="two images of one name"):
        load_dataset(f"pascal:{folder}")


def test_an_empty_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder of images for each class, with index\.html"):
        load_dataset(f"pascal:{tmp_path}")


def test_a_page_that_is_not_text(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_bytes(b"<td>\xff\xfe")
    with pytest.raises(FileFormatError, match=r"index\.html"):
        read_sentence_page(page)


def test_sloppy_html(tmp_path: Path) -> None:
    page = tmp_path / "saved.html"
    page.write_text(
        "<img src='logo.png'><h1>Title</h1><TABLE><tr><TD><IMG alt=x SRC=pages_files/1.jpg>"
        "<td><table><tr><td>Two &quot;jets&quot;<br>taxi.<tr><td>  <tr><td>An airport.</table>"
    )
    assert read_sentence_page(page) == {"1": ('Two "jets" taxi.', "An airport.")}


def save_features(folder: Path, splits: tuple[str, ...]) -> Path:
    generator = np.random.default_rng(0)
    for split in splits:
        count = 80 if split == "train" else 10
        arrays = {
            "img": generator.normal(size=(count, 4)),
            "txt": generator.normal(size=(count, 3)),
            "img_lab": np.arange(count)[:, None] % 5,
        }
        for name, values in arrays.items():
            savemat(folder / f"{split}_{name}.mat", {f"{split}_{name}": values})
    return folder


def test_feature_files_keep_their_splits(tmp_path: Path) -> None:
    data = load_dataset(f"pascal:{save_features(tmp_path, ('train', 'val', 'test'))}")
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [80, 10, 10]
    assert data.provenance["split"] == "as given"


def test_feature_files_without_validation_leave_test_alone(tmp_path: Path) -> None:
    folder = save_features(tmp_path, ("train", "test"))
    data = load_dataset(f"pascal:{folder}")
    assert data.provenance["split"] == "as given; validation carved from train, seed 0"
    assert (data.splits == "test").sum() == 10
    assert data.fingerprint == load_dataset(folder).fingerprint
    (folder / "train_img.mat").unlink()
    with pytest.raises(DataError, match=r"train_img\.mat is missing"):
        load_dataset(f"pascal:{folder}")
