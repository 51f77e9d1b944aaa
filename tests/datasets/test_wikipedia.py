"""The Wikipedia benchmark: raw files and features in miniature, and the real lists."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from commonspace.data import Features, Images, Texts, decode_image
from commonspace.datasets import load_dataset
from commonspace.datasets.benchmark import draw_sizes, stratified_draw
from commonspace.datasets.wikipedia import read_article_text
from commonspace.errors import DataError, FileFormatError

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "wikipedia"
CLASSES = ("art", "sport")
TRAIN, TEST = 20, 12


def save_raw(folder: Path) -> Path:
    """Write lists, images/<class>/<id>.jpg and texts/<id>.xml; two pairs of test share an image."""
    number = 0
    for split, count in (("train", TRAIN), ("test", TEST)):
        lines = []
        for row in range(count):
            name, image = f"{split}-{row}", f"{split}_image_{row if row != 3 else 1}"
            lines.append(f"{name}\t{image}\t{row % 2 + 1}\n")
            file = folder / "images" / CLASSES[row % 2] / f"{image}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
            text = folder / "texts" / f"{name}.xml"
            text.parent.mkdir(exist_ok=True)
            text.write_text(f"<article><text>words of {name}</text></article>", encoding="utf-8")
            number += 5
        (folder / f"{split}set_txt_img_cat.list").write_text("".join(lines))
    (folder / "categories.list").write_text("\n".join(CLASSES))
    return folder


def test_raw_files_in_their_published_layout(tmp_path: Path) -> None:
    data = load_dataset(f"wikipedia:{save_raw(tmp_path)}")
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert data.ids == tuple(
        [f"train-{n}" for n in range(TRAIN)] + [f"test-{n}" for n in range(TEST)]
    )
    assert text.items == tuple((f"words of {name}",) for name in data.ids)
    assert data.class_names == CLASSES
    assert data.labels.argmax(axis=1).tolist() == [n % 2 for n in (*range(TRAIN), *range(TEST))]
    for row, file in enumerate(image.items):
        assert isinstance(file, Path)
        assert file.stem == data.fields["image_id"][row]
        assert file.parent.name == CLASSES[int(data.labels[row].argmax())]
    assert decode_image(image.items[1]).shape == (8, 8, 3)  # type: ignore[arg-type]
    assert data.provenance["format"] == "wikipedia"
    assert data.provenance["files"] == "images/ and texts/"


def test_the_test_list_is_divided_one_to_two_and_train_is_whole(tmp_path: Path) -> None:
    folder = save_raw(tmp_path)
    data = load_dataset(f"wikipedia:{folder}", seed=3)
    assert (data.splits[:TRAIN] == "train").all()
    for k in range(2):
        own = data.splits[TRAIN:][data.labels[TRAIN:, k]].tolist()
        assert (own.count("validation"), own.count("test")) == (2, 4)
    assert "4 are validation, as in the paper (231 and 462)" in data.provenance["split"]
    assert data.provenance["split"].endswith("seed 3")
    assert "20/4/8 pairs" in data.warnings[0]
    assert load_dataset(f"wikipedia:{folder}", seed=3).fingerprint == data.fingerprint
    others = [load_dataset(f"wikipedia:{folder}", seed=seed).fingerprint for seed in range(4, 8)]
    assert any(other != data.fingerprint for other in others)


def test_without_the_name_validation_is_never_taken_from_test(tmp_path: Path) -> None:
    folder = save_features(tmp_path)
    plain, named = load_dataset(folder), load_dataset(f"wikipedia:{folder}")
    assert (plain.splits[TRAIN:] == "test").all()
    assert (named.splits[:TRAIN] == "train").all()
    assert (named.splits == "validation").sum() == 4
    assert named.ids == plain.ids


def save_features(folder: Path) -> Path:
    save_raw(folder)
    for part in ("images", "texts"):
        (folder / part).rename(folder / f"no {part}")
    generator = np.random.default_rng(0)
    arrays = {f"I_{s}": generator.normal(size=(n, 4)) for s, n in (("tr", TRAIN), ("te", TEST))}
    arrays |= {f"T_{s}": generator.normal(size=(n, 3)) for s, n in (("tr", TRAIN), ("te", TEST))}
    savemat(folder / "raw_features.mat", arrays)
    return folder


def test_a_feature_file_after_the_name_gets_the_split_of_the_paper(tmp_path: Path) -> None:
    save_features(tmp_path)
    (tmp_path / "no images").rename(tmp_path / "images")
    (tmp_path / "no texts").rename(tmp_path / "texts")
    raw = load_dataset(f"wikipedia:{tmp_path}")
    features = load_dataset(f"wikipedia:{tmp_path / 'raw_features.mat'}")
    assert isinstance(raw.columns["image"], Images)
    assert isinstance(features.columns["image"], Features)
    assert raw.ids == features.ids
    assert raw.splits.tolist() == features.splits.tolist()


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("<text>plain\n  words</text>", "plain words"),
        ("<text>a &amp; b &lt;c&gt; &eacute; &#233; R&D</text>", "a & b <c> é é R&D"),
        ("<text>one&nbsp;two &undefined; x</text>", "one two &undefined; x"),
        ("<text><![CDATA[a <b> &amp; c]]> d</text>", "a <b> &amp; c d"),
        ("<text>a<!-- not this --><i>b</i> 1 < 2</text>", "a b 1 < 2"),
        ('<doc><text xml:space="preserve">one</text>no<text>two</text></doc>', "one two"),
        ("<texture>no</texture><text/><TEXT>yes</TEXT>", "yes"),
        ('<?xml version="1.0" encoding="latin-1"?><text>caf\xe9</text>', "café"),
    ],
)
def test_texts_of_articles(xml: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text(xml, encoding="latin-1" if "latin-1" in xml else "utf-8")
    assert read_article_text(file) == text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<title>x</title>", "no <text> element"),
        (b"<text> \n</text>", "an empty one"),
        (b"<text>caf\xe9</text>", "UnicodeDecodeError"),
        (b'<?xml version="1.0" encoding="klingon"?><text>a</text>', "LookupError"),
    ],
)
def test_texts_that_cannot_be_read(content: bytes, found: str, tmp_path: Path) -> None:
    save_raw(tmp_path)
    file = tmp_path / "texts" / "test-2.xml"
    file.write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"test-2\.xml (.|\n)*{found}"):
        load_dataset(f"wikipedia:{tmp_path}")
    data = load_dataset(f"wikipedia:{tmp_path}", partial=True)
    assert data.columns["text"].present.tolist() == [name != "test-2" for name in data.ids]


def test_what_is_missing_is_named_with_where_to_put_it(tmp_path: Path) -> None:
    save_raw(tmp_path)
    (tmp_path / "images" / "sport" / "train_image_5.jpg").unlink()
    with pytest.raises(
        DataError, match=r"1 of 32 image files are missing(.|\n)*sport/train_image_5"
    ):
        load_dataset(f"wikipedia:{tmp_path}")
    (tmp_path / "texts" / "train-7.xml").unlink()
    data = load_dataset(f"wikipedia:{tmp_path}", partial=True)
    assert np.flatnonzero(~data.columns["image"].present).tolist() == [5]
    assert np.flatnonzero(~data.columns["text"].present).tolist() == [7]
    (tmp_path / "testset_txt_img_cat.list").unlink()
    with pytest.raises(
        DataError, match=r"testset_txt_img_cat\.list is missing(.|\n)*to do: .*unpack"
    ):
        load_dataset(f"wikipedia:{tmp_path}")
    (tmp_path / "trainset_txt_img_cat.list").unlink()
    with pytest.raises(DataError, match="has no pairs"):
        load_dataset(f"wikipedia:{tmp_path}", partial=True)


def test_an_empty_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images/ and texts/ with trainset_txt_img_cat\.list"):
        load_dataset(f"wikipedia:{tmp_path}")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the project")
def test_the_real_lists_give_the_sizes_of_the_paper() -> None:
    data = load_dataset(f"wikipedia:{SHARED}")
    plain = load_dataset(SHARED)
    npz = load_dataset(f"wikipedia:{SHARED / 'wikipedia.npz'}")
    counts = [(data.splits == name).sum() for name in ("train", "validation", "test")]
    assert counts == [2173, 231, 462]
    assert data.warnings == ()
    assert data.ids == plain.ids
    assert ((data.splits == "train") == (plain.splits != "test")).all()
    assert npz.fingerprint == data.fingerprint
    share = data.labels[data.splits == "validation"].sum(axis=0)
    assert np.abs(share - data.labels[data.splits != "train"].sum(axis=0) / 3).max() < 1


@pytest.mark.parametrize("seed", range(5))
def test_draws_are_exact_in_sum_and_within_one_in_each_class(seed: int) -> None:
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 7, size=693)
    parts = draw_sizes(classes, (231, 462), seed=seed)
    assert np.bincount(parts).tolist() == [231, 462]
    for k in range(7):
        exact = (classes == k).sum() / 3
        assert abs((parts[classes == k] == 0).sum() - exact) < 1
    drawn = stratified_draw(classes, 100, generator)
    assert len(set(drawn.tolist())) == 100
    assert stratified_draw(classes, 0, generator).size == 0
    assert stratified_draw(classes, 693, generator).tolist() == list(range(693))


def test_every_sample_is_drawn_equally_often() -> None:
    classes = np.repeat([0, 1, 2], [6, 9, 15])
    counts = np.zeros(30)
    for seed in range(600):
        counts[draw_sizes(classes, (2, 1), seed=seed) == 1] += 1
    # each is drawn with probability 1/3: mean 200, deviation 11.5; 5 deviations over 30 samples
    assert np.abs(counts - 200).max() < 58
