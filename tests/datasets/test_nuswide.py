"""NUS-WIDE-10k in miniature: which classes, images and tags; and lists that do not match."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commonspace.data import Dataset, Images, Texts
from commonspace.datasets import load_dataset, nuswide
from commonspace.errors import DataError, FileFormatError

COUNT = 600
CONCEPTS = [f"c{k:02d}" for k in range(12)]


def drawn_marks(seed: int = 0) -> np.ndarray:
    """Return (concepts, images) bool: c00 and c05 are rare, one image in eight has no concept."""
    generator = np.random.default_rng(seed)
    weight = np.array([1, 9, 8, 9, 10, 1, 7, 9, 11, 8, 9, 12], dtype=float)
    marks = np.zeros((len(CONCEPTS), COUNT), dtype=bool)
    for column in range(COUNT):
        count = generator.choice([0, 1, 2], p=[1 / 8, 5 / 8, 2 / 8])
        marks[generator.choice(12, size=count, replace=False, p=weight / weight.sum()), column] = 1
    return marks


def name_of(row: int) -> str:
    return f"actor/{row:04d}_{9000 + row}.jpg"


def save(folder: Path, marks: np.ndarray, concepts: list[str] | None = None) -> Path:
    for part in ("ImageList", "Groundtruth/AllLabels", "NUS_WID_Tags", "Flickr/actor"):
        (folder / part).mkdir(parents=True)
    lines = "".join(name_of(row).replace("/", "\\") + "\r\n" for row in range(COUNT))
    (folder / "ImageList" / "Imagelist.txt").write_text(lines, newline="")
    for name, row in zip(concepts or CONCEPTS, marks, strict=True):
        text = "".join(f"{int(value)}\n" for value in row)
        (folder / "Groundtruth" / "AllLabels" / f"Labels_{name}.txt").write_text(text)
    tags = "".join(f"{9000 + row}      {' '.join(tags_of(row))}\n" for row in range(COUNT))
    (folder / "NUS_WID_Tags" / "All_Tags.txt").write_text(tags)
    for row in range(COUNT):
        (folder / "Flickr" / name_of(row)).touch()
    return folder


def tags_of(row: int) -> list[str]:
    return [] if row % 10 == 0 else ["red", f"tag{row}"][row % 2 :]


def largest_ten(marks: np.ndarray) -> list[int]:
    return sorted(sorted(range(12), key=lambda k: (-sum(marks[k].tolist()), k))[:10])


def eligible(marks: np.ndarray, ten: list[int]) -> dict[int, int]:
    """Return row -> class of the images with one of the ten and a tag, by a plain loop."""
    found = {}
    for row in range(COUNT):
        carried = [k for k in ten if marks[k, row]]
        if len(carried) == 1 and tags_of(row):
            found[row] = carried[0]
    return found


def row_of(data: Dataset, place: int) -> int:
    return int(data.ids[place].split("/")[1][:4])


def test_all_candidates_where_no_class_is_large(tmp_path: Path) -> None:
    marks = drawn_marks()
    data = load_dataset(f"nuswide10k:{save(tmp_path, marks)}")
    ten = largest_ten(marks)
    assert data.class_names == tuple(CONCEPTS[k] for k in ten)
    assert "c00" not in data.class_names
    expected = eligible(marks, ten)
    assert {
        row_of(data, place): ten[int(data.labels[place].argmax())] for place in range(len(data))
    } == expected
    assert (data.labels.sum(axis=1) == 1).all()
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert [t for (t,) in text.items] == [" ".join(tags_of(row)) for row in sorted(expected)]
    assert [str(f) for f in image.items] == [str(tmp_path / "Flickr" / name) for name in data.ids]
    assert data.provenance["classes"] == "the 10 with the most images"
    assert sum("images, not 1000" in problem for problem in data.warnings) == 10


def test_as_many_of_each_class_as_the_benchmark_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nuswide, "PER_CLASS", 10)
    marks = drawn_marks()
    folder = save(tmp_path, marks)
    data = load_dataset(f"nuswide10k:{folder}", seed=4)
    assert data.labels.sum(axis=0).tolist() == [10] * 10
    for split, each in (("train", 8), ("validation", 1), ("test", 1)):
        assert data.labels[data.splits == split].sum(axis=0).tolist() == [each] * 10
    assert {row_of(data, place) for place in range(100)} <= set(eligible(marks, largest_ten(marks)))
    assert data.provenance["split"] == "the paper's 8000/1000/1000, drawn: stratified, seed 4"
    assert "drawn: seed 4" in data.provenance["pairs"]
    assert load_dataset(f"nuswide10k:{folder}", seed=4).fingerprint == data.fingerprint
    assert set(load_dataset(f"nuswide10k:{folder}", seed=5).ids) != set(data.ids)


def test_the_classes_of_the_published_subset_come_before_larger_ones(tmp_path: Path) -> None:
    marks = drawn_marks()
    order = [*nuswide.CLASSES, "lake", "buildings"]  # the last one is the largest of all
    data = load_dataset(f"nuswide10k:{save(tmp_path, marks, order)}")
    assert data.class_names == nuswide.CLASSES
    assert data.provenance["classes"] == "those of NUS-WIDE-10k"
    expected = eligible(marks, list(range(10)))
    assert {row_of(data, n): int(data.labels[n].argmax()) for n in range(len(data))} == expected


def test_tags_from_the_matrix_of_the_thousand(tmp_path: Path) -> None:
    marks = drawn_marks()
    folder = save(tmp_path, marks)
    tags = folder / "NUS_WID_Tags"
    words = ["red", *(f"tag{row}" for row in range(COUNT))]
    (tags / "TagList1k.txt").write_text("\n".join(words))
    rows = (
        "\t".join(str(int(word in tags_of(row))) for word in words) + "\t\n" for row in range(COUNT)
    )
    (tags / "AllTags1k.txt").write_text("".join(rows))
    first = load_dataset(f"nuswide10k:{folder}")
    (tags / "All_Tags.txt").unlink()
    assert load_dataset(f"nuswide10k:{folder}").fingerprint == first.fingerprint
    (tags / "TagList1k.txt").write_text("\n".join(words[:-1]))
    with pytest.raises(FileFormatError, match=r"AllTags1k\.txt, line 1, cannot be read"):
        load_dataset(f"nuswide10k:{folder}")


def test_images_in_one_folder(tmp_path: Path) -> None:
    folder = save(tmp_path, drawn_marks())
    first = load_dataset(f"nuswide10k:{folder}").fingerprint
    (folder / "images").mkdir()
    for file in (folder / "Flickr" / "actor").iterdir():
        file.rename(folder / "images" / file.name)
    (folder / "Flickr" / "actor").rmdir()
    (folder / "Flickr").rmdir()
    assert load_dataset(f"nuswide10k:{folder}").fingerprint == first


def test_missing_images_do_not_change_which_pairs_are_drawn(tmp_path: Path) -> None:
    folder = save(tmp_path, drawn_marks())
    whole = load_dataset(f"nuswide10k:{folder}")
    (folder / "Flickr" / whole.ids[4]).unlink()
    with pytest.raises(DataError, match=rf"1 of {len(whole)} image files are missing(.|\n)*Flickr"):
        load_dataset(f"nuswide10k:{folder}")
    data = load_dataset(f"nuswide10k:{folder}", partial=True)
    assert data.ids == whole.ids
    assert data.splits.tolist() == whole.splits.tolist()
    assert np.flatnonzero(~data.columns["image"].present).tolist() == [4]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("Groundtruth/AllLabels/Labels_c03.txt", "cut", "599 lines"),
        ("Groundtruth/AllLabels/Labels_c03.txt", "1\n2\n", "something other than 0 or 1"),
        ("Groundtruth/AllLabels/Labels_c03.txt", "01\n" * 300, "something other than 0 or 1"),
        ("NUS_WID_Tags/All_Tags.txt", "cut", "no line for 1 of 600 images, the first is 9599"),
        ("ImageList/Imagelist.txt", "a\\1_1.jpg\na\\1_1.jpg\n", "names an image twice"),
        ("ImageList/Imagelist.txt", "gone", r"Imagelist\.txt is missing"),
        ("NUS_WID_Tags/All_Tags.txt", "gone", "is missing"),
    ],
)
def test_lists_that_do_not_match(file: str, change: str, message: str, tmp_path: Path) -> None:
    path = save(tmp_path, drawn_marks()) / file
    if change == "gone":
        path.unlink()
    elif change == "cut":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    else:
        path.write_text(change)
    with pytest.raises(DataError, match=message):
        load_dataset(f"nuswide10k:{tmp_path}")


def test_no_ground_truth(tmp_path: Path) -> None:
    folder = save(tmp_path, drawn_marks())
    (folder / "Groundtruth").rename(folder / "elsewhere")
    with pytest.raises(DataError, match=r"holds no ground truth(.|\n)*unpack ImageList"):
        load_dataset(f"nuswide10k:{folder}")


def test_images_are_opened_only_when_they_are_wanted(tmp_path: Path) -> None:
    folder = save(tmp_path, drawn_marks())
    data = load_dataset(f"nuswide10k:{folder}")
    image = data.columns["image"]
    assert isinstance(image, Images)
    file = image.items[0]
    assert isinstance(file, Path)
    assert file.stat().st_size == 0  # an empty file, and nobody has minded yet
    Image.new("RGB", (2, 2)).save(file)
