"""Data sets of values in memory: every usual form of features, images, texts and labels."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from commonspace.data import Dataset, Features, Images, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, SplitError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
WORDS = [f"number {row}" for row in range(20)]
NAMES = ["cat", "dog"] * 10
MARKS = np.eye(2, dtype=bool)[np.arange(20) % 2]


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        np.array(NAMES),
        [[name] for name in NAMES],
        [f" {name} " for name in NAMES],
        pd.Series(NAMES),
        pd.Series(NAMES, dtype="category"),
        pd.Series(NAMES, dtype="string"),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_names_as_labels(labels: object) -> None:
    data = Dataset.from_arrays(image=X, text=WORDS, labels=labels)
    assert data.class_names == ("cat", "dog")
    assert (data.labels == MARKS).all()


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(20) % 2,
        (np.arange(20) % 2).tolist(),
        (np.arange(20) % 2).astype(float),
        MARKS,
        MARKS.astype(int).tolist(),
        MARKS.astype(float),
        [[row % 2] for row in range(20)],
    ],
)
def test_numbers_and_marks_as_labels(labels: object) -> None:
    data = Dataset.from_arrays(image=X, text=WORDS, labels=labels)
    assert data.class_names == ("0", "1")
    assert (data.labels == MARKS).all()
    named = Dataset.from_arrays(image=X, text=WORDS, labels=labels, class_names=["cat", "dog"])
    assert named.class_names == ("cat", "dog")
    assert (named.labels == MARKS).all()


def test_several_labels_and_missing_ones() -> None:
    labels: list[Any] = [["cat", "dog"], None, "", float("nan"), ["cat"], "dog", *NAMES[6:]]
    data = Dataset.from_arrays(image=X, labels=labels)
    assert data.labels[:6].astype(int).tolist() == [[1, 1], [0, 0], [0, 0], [0, 0], [1, 0], [0, 1]]
    assert not Dataset.from_arrays(image=X, splits=["train"] * 15 + ["test"] * 5).labels.size
    numbers = np.where(np.arange(20) < 3, np.nan, np.arange(20) % 2)
    assert Dataset.from_arrays(image=X, labels=numbers).labels.any(axis=1).sum() == 17


@pytest.mark.parametrize(
    "values",
    [X, X.tolist(), list(X), X.astype(np.float64), pd.DataFrame(X), (row for row in X.tolist())],
    ids=lambda values: type(values).__name__,
)
def test_vectors_are_features(values: Iterable[object]) -> None:
    values = list(values) if not hasattr(values, "__len__") else values
    column = Dataset.from_arrays(image=values, labels=NAMES).columns["image"]
    assert isinstance(column, Features)
    assert np.allclose(column.values, X)


def test_tensors_are_features() -> None:
    torch = pytest.importorskip("torch")
    labels = torch.arange(20) % 2
    data = Dataset.from_arrays(image=torch.tensor(X, requires_grad=True), labels=labels)
    column = data.columns["image"]
    assert isinstance(column, Features)
    assert (column.values == X).all()
    assert (data.labels == MARKS).all()


def test_missing_vectors() -> None:
    values: list[Any] = [None, *X[1:]]
    column = Dataset.from_arrays(image=values, text=WORDS, labels=NAMES).columns["image"]
    assert isinstance(column, Features)
    assert column.present.tolist() == [False] + [True] * 19
    assert (column.values[1:] == X[1:]).all()


def test_images_of_every_kind(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    paths = []
    for row, image in enumerate(pixels):
        paths.append(tmp_path / f"{row}.png")
        Image.fromarray(image).save(paths[-1])
    forms: list[Any] = [
        pixels,
        list(pixels),
        [Image.fromarray(image) for image in pixels],
        [path.read_bytes() for path in paths],
        [{"bytes": path.read_bytes(), "path": None} for path in paths],
    ]
    for form in forms:
        column = Dataset.from_arrays(image=form, labels=NAMES).columns["image"]
        assert isinstance(column, Images)
        assert all((item == image).all() for item, image in zip(column.items, pixels, strict=True))
    for form in (paths, [str(path) for path in paths]):
        column = Dataset.from_arrays(image=form, labels=NAMES).columns["image"]
        assert isinstance(column, Images)
        assert column.items == tuple(paths)
    gray = Dataset.from_arrays(image=list(pixels[..., 0]), labels=NAMES).columns["image"]
    assert isinstance(gray, Images)
    assert (np.asarray(gray.items[0])[..., 2] == pixels[0, ..., 0]).all()


def test_texts_one_or_several() -> None:
    values: list[Any] = [["a cat", "it sits"], None, "", *WORDS[3:]]
    column = Dataset.from_arrays(image=X, text=values, labels=NAMES).columns["text"]
    assert isinstance(column, Texts)
    assert column.items[:4] == (("a cat", "it sits"), (), (), ("number 3",))


def test_splits_ids_groups_and_fields() -> None:
    data = Dataset.from_arrays(
        image=X,
        labels=NAMES,
        ids=np.arange(20.0),
        groups=np.arange(20) // 2,
        fields={"price": range(20)},
    )
    assert data.ids[:2] == ("0", "1")
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [14, 2, 4]
    assert (data.splits[::2] == data.splits[1::2]).all()
    assert data.fields["price"] == list(range(20))
    given = Dataset.from_arrays(
        image=X, labels=NAMES, splits=["train"] * 10 + ["val"] * 5 + ["test"] * 5
    )
    assert (given.splits == "validation").sum() == 5
    assert (
        Dataset.from_arrays(image=X, labels=NAMES, seed=1).splits
        != Dataset.from_arrays(image=X, labels=NAMES).splits
    ).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "has no modality"),
        ({"image": X, "text": WORDS[:3]}, "20 values in 'text'"),
        ({"image": X, "labels": NAMES[:3]}, "20 values in 'labels'"),
        ({"image": {"a": 1}}, "found:    a dict"),
        ({"image": 3}, "found:    a int"),
        ({"image": RNG.random((20, 4, 4, 3))}, "8-bit RGB"),
        ({"text": [["a"], [1]] * 10}, "the text in row 1"),
        ({"text": [{"en": "x"}] * 20}, "row 0"),
        ({"audio": [[1.0, 2.0], [1.0]] * 10}, "in row 1"),
        ({"image": [None] * 20}, "no sample has a value"),
        ({"image": X, "labels": "cat"}, "'labels' have the wrong form"),
        ({"image": X, "labels": [0.5] * 20}, "0.5"),
        ({"image": X, "splits": ["holdout"] * 20}, "no known split"),
    ],
)
def test_wrong_values_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_arrays(**arguments)


def test_a_class_of_one_sample_is_named() -> None:
    with pytest.raises(SplitError, match="'owl'"):
        Dataset.from_arrays(image=X, labels=[*NAMES[:19], "owl"])


def test_arrays_where_columns_are_wanted() -> None:
    with pytest.raises(DataError, match=r"Dataset.from_arrays\(image=X"):
        Dataset("d", ("a",), {"image": X[:1]}, MARKS[:1], ("a", "b"), np.array(["train"]))  # type: ignore[dict-item]
    for wrong in ({"image": X}, X, None):
        with pytest.raises(DataError, match=r"Dataset.from_arrays\(image="):
            load_dataset(wrong)  # type: ignore[arg-type]


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "photo": [f"{row}.jpg" for row in range(20)],
            "caption": WORDS,
            "kind": NAMES,
            "price": [None, *range(1, 20)],
            "x": X[:, 0],
            "y": X[:, 1],
        }
    )


def test_a_frame_of_photos_and_captions(tmp_path: Path) -> None:
    data = Dataset.from_pandas(
        frame(), image="photo", text="caption", label="kind", folder=tmp_path
    )
    image = data.columns["image"]
    assert isinstance(image, Images)
    assert image.items[0] == tmp_path / "0.jpg"
    assert data.class_names == ("cat", "dog")
    assert list(data.fields) == ["price", "x", "y"]
    assert data.fields["price"][0] is None


def test_a_frame_of_numbers_and_of_usual_names() -> None:
    data = Dataset.from_pandas(frame(), point=["x", "y"], text="caption", label="kind")
    point = data.columns["point"]
    assert isinstance(point, Features)
    assert np.allclose(point.values, X[:, :2])
    usual = frame().rename(columns={"caption": "text", "kind": "label"}).assign(id=range(100, 120))
    data = Dataset.from_pandas(usual)
    assert data.modalities == ("text",)
    assert data.ids[0] == "100"


def test_what_is_no_frame_and_no_column_is_named() -> None:
    with pytest.raises(DataError, match=r"a pandas\.DataFrame"):
        Dataset.from_pandas(X, image="photo")
    with pytest.raises(
        DataError, match=r"no column 'foto' for 'image'\n  expected: photo, caption"
    ):
        Dataset.from_pandas(frame(), image="foto")


def test_a_frame_round_trip() -> None:
    labels: list[Any] = [["cat", "dog"], None, *NAMES[2:]]
    texts: list[Any] = [["a cat", "it sits"], None, *WORDS[2:]]
    data = Dataset.from_arrays(image=X, text=texts, labels=labels, fields={"price": range(20)})
    table = data.to_pandas()
    assert table.index.tolist() == list(data.ids)
    assert list(table.columns) == ["image", "text", "label", "split", "price"]
    again = Dataset.from_pandas(table.reset_index(), image="image", text="text")
    assert again.fingerprint == data.fingerprint
    assert again.fields["price"] == data.fields["price"]


def test_a_data_set_of_hugging_face() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.List(datasets.Value("string")),
            "label": datasets.ClassLabel(names=["dog", "cat"]),
            "price": datasets.Value("int64"),
        }
    )
    pixels = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    content = {
        "image": [Image.fromarray(image) for image in pixels],
        "caption": [[word, f"{word} again"] for word in WORDS],
        "label": [row % 2 for row in range(20)],
        "price": list(range(20)),
    }
    whole = datasets.Dataset.from_dict(content, features=features)
    data = Dataset.from_huggingface(whole, image="image", text="caption")
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert (np.asarray(image.items[3]) == pixels[3]).all()
    assert text.items[3] == ("number 3", "number 3 again")
    assert data.class_names == ("dog", "cat")
    assert (data.labels == MARKS).all()
    assert data.fields["price"] == list(range(20))
    parts = datasets.DatasetDict(
        {
            "train": whole.select(range(10)),
            "validation": whole.select(range(10, 14)),
            "test": whole.select(range(14, 20)),
        }
    )
    split = Dataset.from_huggingface(parts, text="caption")
    assert [(split.splits == s).sum() for s in ("train", "validation", "test")] == [10, 4, 6]


def test_a_saved_data_set_of_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict({"text": WORDS, "label": NAMES, "vector": X.tolist()})
    whole.save_to_disk(tmp_path / "saved")
    data = load_dataset(f"hf:{tmp_path / 'saved'}?text=text&vector=vector")
    assert data.modalities == ("text", "vector")
    assert data.class_names == ("cat", "dog")
    with pytest.raises(DataError, match="found:    a list"):
        Dataset.from_huggingface([1, 2])
    with pytest.raises(DataError, match="no column 'photo'"):
        Dataset.from_huggingface(whole, image="photo")


def test_representations_show_the_data_set() -> None:
    data = Dataset.from_arrays(image=X, text=WORDS, labels=NAMES, name="a <b>")
    assert repr(data) == "Dataset('a <b>', 20 samples, image: 4-d features, text: texts, 2 classes)"
    html = data._repr_html_()
    assert "a &lt;b&gt;" in html
    assert "14 train, 2 validation, 4 test" in html
    assert "<td>4-d features</td><td>20</td>" in html
    assert json.dumps(html)


def test_a_data_set_that_the_hub_does_not_give_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")

    def fail(name: str) -> None:
        raise ConnectionError(f"no route to {name}")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=r"hf:owner/photos cannot be loaded\n(.*\n)*.*no route to"):
        load_dataset("hf:owner/photos")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_dataset(f"hf:{tmp_path}")


def test_a_frame_of_marks_names_the_classes() -> None:
    frame = pd.get_dummies(NAMES)
    data = Dataset.from_arrays(point=X, labels=frame)
    assert data.class_names == tuple(frame.columns)
    assert (data.labels == frame.to_numpy()).all()


@pytest.mark.parametrize("splits", [[None] * 20, [float("nan")] * 20, ["NA"] * 20, [""] * 20])
def test_missing_splits_are_drawn(splits: list[Any]) -> None:
    data = Dataset.from_arrays(point=X, labels=NAMES, splits=splits)
    assert data.provenance["split"] == "drawn: stratified, seed 0"


def test_dates_are_classes() -> None:
    for dates in (
        pd.to_datetime([f"2020-01-0{row % 3 + 1}" for row in range(20)]),
        np.array([f"2020-01-0{row % 3 + 1}" for row in range(20)], dtype="datetime64[D]"),
    ):
        data = Dataset.from_arrays(point=X, labels=dates)
        assert data.class_names == ("2020-01-01", "2020-01-02", "2020-01-03")


def test_a_generator_is_read_once() -> None:
    data = Dataset.from_arrays(text=(f"number {row}" for row in range(20)), labels=NAMES)
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items[0] == ("number 0",)


def test_repeated_and_missing_ids_name_their_rows() -> None:
    with pytest.raises(DataError, match=r"found: +'a' in rows 0, 1, 2 and 17 more"):
        Dataset.from_arrays(point=X, labels=NAMES, ids=["a"] * 20)
    ids = [None, None, *range(18)]
    with pytest.raises(DataError, match=r"(?s)found: +none in rows 0, 1\n.*give each sample an id"):
        Dataset.from_arrays(point=X, labels=NAMES, ids=ids)


def test_a_frame_without_modality_names_its_columns() -> None:
    frame = pd.DataFrame({"caption": ["a"] * 20, "category": NAMES, "image": [None] * 20})
    with pytest.raises(DataError, match=r"from_pandas\(frame, image='image', text='caption'"):
        Dataset.from_pandas(frame)
    twice = pd.DataFrame([[1, 2]], columns=["text", "text"])
    with pytest.raises(DataError, match="two columns of one name"):
        Dataset.from_pandas(twice)
    frame = pd.DataFrame({"text": ["a"] * 20, "label": NAMES, "image": [None] * 20})
    assert Dataset.from_pandas(frame).modalities == ("text",)
