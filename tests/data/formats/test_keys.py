"""Keys of feature files: usual names, names of published files, labels that look like features."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from commonspace.data import Features, Images, Texts
from commonspace.data.formats.names import canonical_key
from commonspace.data.formats.npz import write_npz
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, SettingError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("image", ("image", "")),
        ("img_train", ("image", "train")),
        ("train_imgs_deep", ("image", "train")),
        ("train_texts_doc", ("text", "train")),
        ("valid_imgs_labels", ("label", "validation")),
        ("tr_img", ("image", "train")),
        ("te_txt", ("text", "test")),
        ("te_img_lab", ("label", "test")),
        ("I_tr", ("image", "train")),
        ("T_te", ("text", "test")),
        ("I_tr_CNN", ("image", "train")),
        ("L_te", ("label", "test")),
        ("LAll", ("label", "")),
        ("XAll", ("image", "")),
        ("YAll", ("text", "")),
        ("ImgTrain", ("image", "train")),
        ("LabVal", ("label", "validation")),
        ("image_present", ("image_present", "")),
        ("image_id", ("image_id", "")),
        ("text_length", ("text_length", "")),
        ("bbox", ("bbox", "")),
        ("I", ("I", "")),
        ("label_names", ("class_names", "")),
    ],
)
def test_canonical_keys(key: str, expected: tuple[str, str]) -> None:
    assert canonical_key(key) == expected


def test_an_hdf5_file_of_mrl(tmp_path: Path) -> None:
    """Keys of the published files of MRL (Hu et al., CVPR 2021): wiki_deep_doc2vec_data_corr_ae."""
    path = tmp_path / "wiki.h5py"
    with h5py.File(path, "w") as file:
        for split, count in (("train", 40), ("test", 20)):
            labels = np.arange(count) % 4 + 1
            file[f"{split}_imgs_deep"] = RNG.normal(size=(count, 8))
            file[f"{split}_text"] = RNG.normal(size=(count, 5))
            file[f"{split}_imgs_labels"] = labels
            file[f"{split}_texts_labels"] = labels
    data = load_dataset(path)
    assert data.modalities == ("image", "text")
    assert data.class_names == ("1", "2", "3", "4")
    assert (data.splits == "test").sum() == 20
    assert data.provenance["keys"]["label"] == (
        "test_imgs_labels, test_texts_labels, train_imgs_labels, train_texts_labels"
    )
    assert data.warnings == ()


def test_a_mat_file_of_inria(tmp_path: Path) -> None:
    """Keys of INRIA-Websearch.mat as published with the same method."""
    content: dict[str, Any] = {}
    for split, count in (("tr", 30), ("val", 12), ("te", 12)):
        labels = np.arange(count)[:, None] % 3 + 1
        content |= {f"{split}_img": RNG.normal(size=(count, 8)), f"{split}_img_lab": labels}
        content |= {f"{split}_txt": RNG.normal(size=(count, 5)), f"{split}_txt_lab": labels}
    savemat(tmp_path / "inria.mat", content)
    data = load_dataset(tmp_path / "inria.mat")
    assert data.modalities == ("image", "text")
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [30, 12, 12]
    assert len(data.class_names) == 3


@pytest.mark.parametrize(
    "keys", [("XAll", "YAll", "LAll"), ("I_tr", "T_tr", "L_tr"), ("images", "tags", "labels")]
)
def test_published_names_with_one_hot_labels(keys: tuple[str, str, str], tmp_path: Path) -> None:
    marks = np.eye(3)[np.arange(30) % 3]
    image, text, label = keys
    arrays = {image: RNG.normal(size=(30, 8)), text: RNG.normal(size=(30, 5)), label: marks}
    if image == "I_tr":
        arrays |= {key.replace("tr", "te"): values for key, values in arrays.items()}
    write_npz(tmp_path / "a.npz", arrays)
    data = load_dataset(tmp_path / "a.npz")
    assert data.modalities == ("image", "tags" if text == "tags" else "text")
    assert (data.labels[:30] == marks.astype(bool)).all()


@pytest.mark.parametrize("label", ["list", "row", "marks"])
def test_transposed_arrays_are_turned(label: str, tmp_path: Path) -> None:
    image, text, classes = RNG.normal(size=(90, 8)), RNG.normal(size=(90, 7)), np.arange(90) % 3
    labels = {"list": classes, "row": classes[None], "marks": np.eye(3)[classes].T}[label]
    np.savez(tmp_path / "a.npz", image=image.T, text=text.T, label=labels)
    data = load_dataset(tmp_path / "a.npz")
    column = data.columns["image"]
    assert isinstance(column, Features)
    assert np.allclose(column.values, image)
    assert (data.labels.argmax(axis=1) == classes).all()
    assert "'image' of shape (8, 90) has one column a sample: it is transposed" in data.warnings[0]
    np.savez(tmp_path / "b.npz", image=image, text=text.T, label=classes)
    assert load_dataset(tmp_path / "b.npz").fingerprint == data.fingerprint


def test_rows_that_do_not_match_are_not_turned(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=RNG.normal(size=(4, 3)), text=RNG.normal(size=(3, 2)))
    with pytest.raises(DataError, match="do not match"):
        load_dataset(tmp_path / "a.npz")


@pytest.mark.parametrize("key", ["category", "class", "targets", "Label", "y", "Y", "onehot"])
def test_likely_names_of_labels_get_a_hint(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {
        "image": RNG.normal(size=(60, 8)),
        "text": RNG.normal(size=(60, 5)),
        key: np.arange(60) % 3,
    }
    write_npz(path, arrays)
    data = load_dataset(path)
    assert data.class_names == ()
    assert f"no key is named 'label', but '{key}': rename it if meant so" in data.warnings[0]
    assert load_dataset(path, label=key).class_names == ("0", "1", "2")
    assert load_dataset(f"{path}?label={key}").warnings == ()


def test_keys_can_be_mapped_and_split(tmp_path: Path) -> None:
    arrays = {
        f"{name}_{split}": RNG.normal(size=(count, 4))
        for split, count in (("train", 30), ("test", 12))
        for name in ("view1", "view2", "view3")
    } | {"kind_train": np.arange(30) % 3, "kind_test": np.arange(12) % 3}
    write_npz(tmp_path / "a.npz", arrays)
    data = load_dataset(
        tmp_path / "a.npz", modalities={"image": "view1", "text": "view3"}, label="kind"
    )
    assert data.modalities == ("image", "text")
    assert data.class_names == ("0", "1", "2")
    with pytest.raises(SettingError, match="no key 'view4' for 'image'"):
        load_dataset(tmp_path / "a.npz", modalities={"image": "view4"})


def test_a_file_without_modality_names_its_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", bbox=np.zeros((5, 4)), label=np.arange(5))
    with pytest.raises(
        DataError, match=r"no key that is a modality\n(.*\n)*.*--modality NAME=bbox"
    ):
        load_dataset(tmp_path / "a.npz")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_sparse_matrices_become_dense(version: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    image, text = RNG.normal(size=(90, 8)), np.maximum(RNG.normal(size=(90, 7)), 0)
    matrix, label = sparse.csc_matrix(text), np.arange(90) % 3
    if version == "5":
        savemat(path, {"image": image, "text": matrix, "label": label})
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["image"], file["label"] = image.T, label[:, None]
            group = file.create_group("text")
            group.attrs["MATLAB_sparse"] = 90
            group["data"], group["ir"], group["jc"] = matrix.data, matrix.indices, matrix.indptr
    column = load_dataset(path).columns["text"]
    assert isinstance(column, Features)
    assert np.allclose(column.values, text)


def test_a_sparse_matrix_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"text": sparse.csc_matrix((200_000, 200_000)), "image": np.eye(3)})
    with pytest.raises(DataError, match="the sparse matrix 'text' is too large"):
        load_dataset(path)


def test_ids_of_matlab_are_whole_numbers(tmp_path: Path) -> None:
    content = {"image": RNG.normal(size=(30, 8)), "text": RNG.normal(size=(30, 5))}
    savemat(
        tmp_path / "a.mat", content | {"label": np.arange(30) % 3, "id": 1001.0 + np.arange(30)}
    )
    assert load_dataset(tmp_path / "a.mat").ids[:2] == ("1001", "1002")
    write_npz(tmp_path / "a.npz", content | {"image_id": 1001.0 + np.arange(30)})
    assert load_dataset(tmp_path / "a.npz").ids[:2] == ("1001", "1002")


@pytest.mark.parametrize(
    ("image", "text", "label"),
    [
        ("X{Split}", "Y{Split}", "L{Split}"),
        ("X_{short}", "Y_{short}", "L_{short}"),
        ("I_{split}", "T_{split}", "L_{split}"),
        ("image{Split}", "text{Split}", "label{Split}"),
        ("{split}Image", "{split}Text", "{split}Label"),
        ("{split}_images", "{split}_texts", "{split}_labels"),
        ("I_{short}", "T_{short}", "I_lab_{short}"),
        ("I_{short}_CNN", "T_{short}_bow", "L_{short}"),
        ("{short}_img", "{short}_txt", "{short}_lab"),
    ],
)
def test_every_key_names_its_split(image: str, text: str, label: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for split, short, count in (("train", "tr", 30), ("test", "te", 12)):
        names = {"split": split, "Split": split.capitalize(), "short": short}
        arrays[image.format(**names)] = RNG.normal(size=(count, 8))
        arrays[text.format(**names)] = RNG.normal(size=(count, 5))
        arrays[label.format(**names)] = np.arange(count) % 3
    savemat(tmp_path / "a.mat", arrays)
    data = load_dataset(tmp_path / "a.mat")
    assert data.modalities == ("image", "text")
    assert data.class_names == ("0", "1", "2")
    assert (data.splits == "test").sum() == 12
    assert data.warnings == ()


def test_y_without_l_is_no_modality(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "X_train": RNG.normal(size=(30, 8)),
        "X_test": RNG.normal(size=(12, 8)),
    }
    np.savez(tmp_path / "a.npz", y_train=np.arange(30) % 3, y_test=np.arange(12) % 3, **arrays)
    data = load_dataset(tmp_path / "a.npz")
    assert data.modalities == ("X",)
    assert "'y_train': rename it if meant so, or give --label y" in data.warnings[0]
    assert load_dataset(tmp_path / "a.npz", label="y").class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("image", "text"),
    [
        ("Image", "Text"),
        ("IMAGES", "Txt"),
        ("image_resnet50", "text_clip"),
        ("img_vgg16_fc7", "txt_word2vec"),
        ("image_embeddings", "text_embeddings"),
        ("photos_dinov2", "texts_sbert"),
    ],
)
def test_usual_names_in_any_case_and_with_words_for_features(
    image: str, text: str, tmp_path: Path
) -> None:
    arrays: dict[str, Any] = {image: RNG.normal(size=(30, 8)), text: RNG.normal(size=(30, 5))}
    np.savez(tmp_path / "a.npz", label=np.arange(30) % 3, genes=RNG.normal(size=(30, 4)), **arrays)
    data = load_dataset(tmp_path / "a.npz")
    assert data.modalities == ("image", "text")
    assert data.provenance["keys"]["image"] == image


def test_sizes_and_lengths_are_no_features(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"image": RNG.normal(size=(30, 8)), "text": RNG.normal(size=(30, 5))}
    np.savez(tmp_path / "a.npz", image_size=RNG.normal(size=(30, 2)), **arrays)
    data = load_dataset(tmp_path / "a.npz")
    assert data.modalities == ("image", "text")
    assert "'image_size', float64 of shape (30, 2), is not used" in data.warnings[0]


@pytest.mark.parametrize(
    "extra",
    [
        {"is_train": np.arange(60) < 40},
        {"train_idx": np.arange(40), "test_idx": np.arange(40, 60)},
        {"trainMask": np.arange(60) < 40},
        {"fold": np.arange(60) % 5},
        {"Subset": np.array(["a", "b"] * 30)},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_likely_names_of_splits_get_a_hint(extra: dict[str, Any], tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"image": RNG.normal(size=(60, 8)), "text": RNG.normal(size=(60, 5))}
    np.savez(tmp_path / "a.npz", label=np.arange(60) % 3, **arrays, **extra)
    data = load_dataset(tmp_path / "a.npz")
    assert data.modalities == ("image", "text")
    expected = f"no key is named 'split', but {next(iter(extra))!r}: the splits are drawn"
    assert any(expected in warning for warning in data.warnings)


def test_likely_names_of_texts_get_a_hint(tmp_path: Path) -> None:
    captions = np.array(["a kite", "a dog"] * 15)
    np.savez(tmp_path / "a.npz", image=RNG.normal(size=(30, 8)), caption=captions)
    (warning,) = load_dataset(tmp_path / "a.npz").warnings
    assert "no key is named 'text', but 'caption'" in warning
    assert "--modality text=caption" in warning


def test_one_hot_labels_with_a_column_for_each_sample(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"image": RNG.normal(size=(30, 8)), "text": RNG.normal(size=(30, 5))}
    classes = np.arange(30) % 3
    np.savez(tmp_path / "a.npz", label=np.eye(3)[classes].T, **arrays)
    data = load_dataset(tmp_path / "a.npz")
    assert (data.labels.argmax(axis=1) == classes).all()
    assert "'label' of shape (3, 30) has one column a sample" in data.warnings[0]


def test_pixels_are_images(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (30, 6, 5, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", image=pixels, label=np.arange(30) % 3)
    column = load_dataset(tmp_path / "a.npz").columns["image"]
    assert isinstance(column, Images)
    assert all((np.asarray(a) == b).all() for a, b in zip(column.items, pixels, strict=True))


def test_features_of_no_size_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.zeros((30, 0)), text=RNG.normal(size=(30, 5)))
    with pytest.raises(DataError, match=r"the features 'image' of .*a\.npz are empty"):
        load_dataset(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", image=np.zeros((0, 4)), text=np.zeros((0, 5)))
    with pytest.raises(DataError, match=r"b\.npz holds no sample"):
        load_dataset(tmp_path / "b.npz")


def test_keys_of_wikipedia_with_labels_of_another_name(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        f"{name}_{split}": RNG.normal(size=(count, 4))
        for split, count in (("tr", 30), ("te", 12))
        for name in "IT"
    }
    arrays |= {"trainCat": np.arange(30) % 3 + 1, "testCat": np.arange(12) % 3 + 1}
    savemat(tmp_path / "a.mat", arrays)
    data = load_dataset(tmp_path / "a.mat")
    assert "'trainCat': rename it if meant so, or give --label Cat" in data.warnings[0]
    assert load_dataset(tmp_path / "a.mat", label="Cat").class_names == ("1", "2", "3")


@pytest.mark.parametrize("name", ["img", "photo", "Text", "image_train", "anything"])
def test_a_mapped_modality_has_the_name_that_is_given(name: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"feats": RNG.normal(size=(30, 8)), "image": RNG.normal(size=(30, 5))}
    np.savez(tmp_path / "a.npz", label=np.arange(30) % 3, **arrays)
    data = load_dataset(tmp_path / "a.npz", modalities={name: "feats"})
    assert data.modalities == (name,)
    assert data.provenance["keys"][name] == "feats"


@pytest.mark.parametrize("name", ["label", "split", "id", "image_present"])
def test_a_mapped_modality_has_no_reserved_name(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=RNG.normal(size=(30, 8)))
    with pytest.raises(SettingError, match="cannot be the name of a modality"):
        load_dataset(tmp_path / "a.npz", modalities={name: "image"})


def test_one_key_is_mapped_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", feats=RNG.normal(size=(30, 8)), kind=np.arange(30) % 3)
    with pytest.raises(SettingError, match="the key 'feats' is given twice"):
        load_dataset(tmp_path / "a.npz", modalities={"image": "feats", "text": "feats"})
    with pytest.raises(SettingError, match="'image' and 'label'"):
        load_dataset(tmp_path / "a.npz", modalities={"image": "feats"}, label="feats")
    (tmp_path / "metadata.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(SettingError, match="the key 'text' is given twice"):
        load_dataset(tmp_path, modalities={"text": "text"}, label="text")
    with pytest.raises(SettingError, match="the keys of scenes cannot be mapped"):
        load_dataset("scenes", label="color")
    with pytest.raises(DataError, match="there is no data set ''"):
        load_dataset("")


@pytest.mark.parametrize("names", [None, ["cat", "dog", "owl"]])
def test_labels_of_two_splits_may_be_numbers_and_strings(
    names: list[str] | None, tmp_path: Path
) -> None:
    arrays: dict[str, Any] = {} if names is None else {"class_names": np.array(names)}
    for split, count in (("train", 30), ("test", 12)):
        arrays |= {f"image_{split}": RNG.normal(size=(count, 8))}
    arrays["label_train"] = np.arange(30) % 3 + 0.0
    arrays["label_test"] = (np.arange(12) % 3).astype(str)
    np.savez(tmp_path / "a.npz", **arrays)
    data = load_dataset(tmp_path / "a.npz")
    assert data.class_names == (("0", "1", "2") if names is None else tuple(names))
    expected = [*np.arange(30) % 3, *np.arange(12) % 3]
    assert data.labels.argmax(axis=1).tolist() == expected


def test_labels_of_two_modalities_may_be_numbers_and_strings(tmp_path: Path) -> None:
    for split, count in (("train", 30), ("test", 12)):
        labels = np.arange(count) % 3 + 1
        for name, values in {
            "img": RNG.normal(size=(count, 8)),
            "txt": RNG.normal(size=(count, 5)),
            "img_lab": labels,
            "txt_lab": np.array([f"{label}" for label in labels], dtype=object),
        }.items():
            savemat(tmp_path / f"{split}_{name}.mat", {f"{split}_{name}": values})
    assert load_dataset(tmp_path).class_names == ("1", "2", "3")


def test_a_row_of_cells_is_a_list_of_texts(tmp_path: Path) -> None:
    texts = np.array([f"number {row}" for row in range(30)], dtype=object)
    content = {"image": RNG.normal(size=(30, 8)), "text": texts, "label": np.arange(30) % 3}
    savemat(tmp_path / "a.mat", content)
    column = load_dataset(tmp_path / "a.mat").columns["text"]
    assert isinstance(column, Texts)
    assert column.items[7] == ("number 7",)
