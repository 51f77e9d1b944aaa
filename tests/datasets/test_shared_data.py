"""The real data sets beside the project, against the counts in their READMEs."""

from pathlib import Path

import numpy as np
import pytest

from commonspace.data import Features, Images, Texts, decode_image
from commonspace.datasets import load_dataset
from commonspace.errors import DataError

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the project")

COUNTS = {
    "wikipedia/wikipedia.npz": (1956, 217, 693, 10),
    "wikipedia/raw_features.mat": (1956, 217, 693, 10),
    "wikipedia": (1956, 217, 693, 10),
    "uci-digits/uci-digits.npz": (1350, 150, 500, 10),
    "flipkart": (732, 105, 210, 7),
    "flipkart/features.npz": (732, 105, 210, 7),
    "fashion": (8398, 1202, 2400, 55),
    "fashion/features.npz": (8398, 1202, 2400, 55),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    data = load_dataset(DATA / name)
    *counts, classes = COUNTS[name]
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == counts
    assert len(data.class_names) == classes
    assert (data.labels.sum(axis=1) == 1).all()
    assert all(column.present.all() for column in data.columns.values())
    assert data.warnings == ()


def test_wikipedia_is_the_same_in_both_files() -> None:
    npz, mat = load_dataset(DATA / "wikipedia/wikipedia.npz"), load_dataset(DATA / "wikipedia")
    assert npz.fingerprint == mat.fingerprint
    assert npz.fields["image_id"] == mat.fields["image_id"]
    assert npz.class_names[0] == "art"
    sizes = [c.size for c in npz.columns.values() if isinstance(c, Features)]
    assert sizes == [128, 10]


def test_carved_validation_is_stratified_and_test_is_whole() -> None:
    data = load_dataset(DATA / "wikipedia/wikipedia.npz")
    with np.load(DATA / "wikipedia/wikipedia.npz") as raw:
        assert data.split("test").labels.argmax(axis=1).tolist() == raw["label_test"].tolist()
        assert data.split("test").ids == tuple(raw["text_id_test"].tolist())
    carved = data.split("validation").labels.sum(axis=0)
    train = data.split("train").labels.sum(axis=0)
    assert np.abs(carved - 0.1 * (carved + train)).max() <= 1


def test_uci_digits_have_three_modalities() -> None:
    data = load_dataset(DATA / "uci-digits/uci-digits.npz")
    sizes = {n: c.size for n, c in data.columns.items() if isinstance(c, Features)}
    assert sizes == {"fou": 76, "kar": 64, "pix": 240}


@pytest.mark.parametrize("name", ["flipkart", "fashion"])
def test_raw_and_features_agree(name: str) -> None:
    raw, features = load_dataset(DATA / name), load_dataset(DATA / name / "features.npz")
    assert raw.ids == features.ids
    assert raw.class_names == features.class_names
    assert (raw.labels == features.labels).all()
    assert (raw.splits == features.splits).all()
    image, text = raw.columns["image"], raw.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert isinstance(image.items[0], Path)
    assert decode_image(image.items[0]).shape[2] == 3


def test_flipkart_groups_are_respected() -> None:
    data = load_dataset(DATA / "flipkart")
    groups = data.fields["group"]
    assert len(set(groups)) == 869
    assert len(set(zip(groups, data.splits.tolist(), strict=True))) == 869


def test_pascal_says_which_file_is_missing_and_loads_the_rest() -> None:
    with pytest.raises(DataError, match=r"train_img\.mat is missing"):
        load_dataset(DATA / "pascal-partial")
    data = load_dataset(DATA / "pascal-partial", partial=True)
    assert len(data.warnings) == 1
    assert "train_img.mat" in data.warnings[0]
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Features)
    assert isinstance(text, Features)
    assert (image.size, text.size) == (4096, 300)
    assert text.present.all()
    assert (image.present == (data.splits == "test")).all()
    counts = [data.labels[data.splits == s].sum(axis=0).tolist() for s in ("train", "test")]
    assert counts == [[36] * 20, [5] * 20]
