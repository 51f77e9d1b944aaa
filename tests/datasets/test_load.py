"""The one door: names, suffixes, layouts, near misses; the benchmark layouts in miniature."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from commonspace.data import Dataset, Features
from commonspace.data.reading import WarningLog
from commonspace.datasets import load_dataset
from commonspace.datasets.load import BUILT_IN
from commonspace.datasets.wikipedia import read_wikipedia
from commonspace.errors import DataError, FileFormatError, SettingError, SplitError

GENERATOR = np.random.default_rng(0)


def save_six(folder: Path, splits: tuple[str, ...] = ("train", "test")) -> Path:
    folder.mkdir(exist_ok=True)
    for split in splits:
        count = 20 if split == "train" else 6
        arrays = {
            "img": GENERATOR.normal(size=(count, 4)),
            "txt": GENERATOR.normal(size=(count, 3)),
            "img_lab": np.arange(count)[:, None] % 2,
        }
        for name, values in arrays.items():
            savemat(folder / f"{split}_{name}.mat", {f"{split}_{name}": values})
    return folder


def save_wikipedia(folder: Path) -> Path:
    sizes = {"tr": ("train", 20), "te": ("test", 6)}
    arrays = {}
    for short, (split, count) in sizes.items():
        arrays[f"I_{short}"] = GENERATOR.normal(size=(count, 4))
        arrays[f"T_{short}"] = GENERATOR.normal(size=(count, 3))
        lines = [f"{split}-t{row}\t{split}-i{row // 2}\t{row % 2 + 1}" for row in range(count)]
        (folder / f"{split}set_txt_img_cat.list").write_text("\n".join(lines) + "\n")
    savemat(folder / "raw_features.mat", arrays)
    (folder / "categories.list").write_text("art\nsport\n")
    return folder


def example(name: str) -> Dataset:
    return Dataset(
        name, ("a",), {"image": Features(np.eye(1))}, np.ones((1, 1), bool), ("c",),
        np.array(["train"]),
    )  # fmt: skip


def test_built_in_data_go_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(seed: int) -> Dataset:
        return example(f"drawn with {seed}")

    monkeypatch.setitem(BUILT_IN, "scenes", drawn)
    monkeypatch.chdir(tmp_path)
    save_six(tmp_path / "scenes")
    assert load_dataset("scenes", seed=7).name == "drawn with 7"
    assert load_dataset("./scenes").name == load_dataset(Path("scenes")).name == "scenes"


def test_six_files(tmp_path: Path) -> None:
    data = load_dataset(save_six(tmp_path / "six"))
    assert data.modalities == ("image", "text")
    assert data.class_names == ("0", "1")
    assert [(data.splits == name).sum() for name in ("train", "validation", "test")] == [18, 2, 6]
    assert data.labels.argmax(axis=1).tolist() == [row % 2 for row in (*range(20), *range(6))]
    assert data.provenance["format"] == "six-files"
    with_validation = load_dataset(save_six(tmp_path / "nine", ("train", "valid", "test")))
    assert (with_validation.splits == "validation").sum() == 6
    assert with_validation.provenance["split"] == "as given"


@pytest.mark.parametrize("missing", ["train_img.mat", "test_txt.mat", "test_img_lab.mat"])
def test_six_files_of_which_one_is_missing(tmp_path: Path, missing: str) -> None:
    folder = save_six(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(DataError, match=f"{missing} is missing"):
        load_dataset(folder)
    data = load_dataset(folder, partial=True)
    assert len(data) == 26
    assert [missing in problem for problem in data.warnings] == [True]


def test_six_files_of_which_one_is_damaged(tmp_path: Path) -> None:
    folder = save_six(tmp_path)
    content = (folder / "train_txt.mat").read_bytes()
    (folder / "train_txt.mat").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match=r"train_txt\.mat is corrupt, cut short"):
        load_dataset(folder)
    data = load_dataset(folder, partial=True)
    assert not data.columns["text"].present[data.splits != "test"].any()
    assert len(data.warnings) == 2


def test_six_files_need_the_variable_of_their_name(tmp_path: Path) -> None:
    folder = save_six(tmp_path)
    savemat(folder / "train_img.mat", {"a": np.eye(2), "b": np.eye(2)})
    with pytest.raises(FileFormatError, match="a variable 'train_img', or only one"):
        load_dataset(folder)


def test_wikipedia_folder_and_file(tmp_path: Path) -> None:
    data = load_dataset(save_wikipedia(tmp_path))
    assert data.ids[:2] == ("train-t0", "train-t1")
    assert data.fields["image_id"][:3] == ["train-i0", "train-i0", "train-i1"]
    assert data.class_names == ("art", "sport")
    assert data.labels.argmax(axis=1).tolist() == [row % 2 for row in (*range(20), *range(6))]
    assert load_dataset(tmp_path / "raw_features.mat").fingerprint == data.fingerprint


def test_wikipedia_lists_that_lack_or_do_not_match(tmp_path: Path) -> None:
    save_wikipedia(tmp_path)
    lines = tmp_path / "testset_txt_img_cat.list"
    whole = lines.read_text()
    lines.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(
        DataError, match=r"rows of .* do not match\n  expected: .* rows in '.*_test'"
    ):
        load_dataset(tmp_path)
    lines.write_text(whole + "a b\n")
    with pytest.raises(FileFormatError, match=r"testset_txt_img_cat\.list, line 7"):
        load_dataset(tmp_path)
    lines.unlink()
    with pytest.raises(DataError, match=r"testset_txt_img_cat\.list cannot be opened"):
        load_dataset(tmp_path)
    data = load_dataset(tmp_path, partial=True)
    assert data.labels.any(axis=1).tolist() == [True] * 20 + [False] * 6
    (tmp_path / "categories.list").unlink()
    assert load_dataset(tmp_path, partial=True).class_names == ("0", "1")


def test_wikipedia_reader_wants_its_variables(tmp_path: Path) -> None:
    savemat(tmp_path / "raw_features.mat", {"I_tr": np.eye(2)})
    with pytest.raises(FileFormatError, match="I_tr, T_tr, I_te, T_te"):
        read_wikipedia(tmp_path, WarningLog(partial=False))


@pytest.mark.parametrize("path", ["scenes", "absent.npz"])
def test_a_seed_that_is_none_is_refused(path: str) -> None:
    for seed in (-1, 1.5, "3", None, True):
        with pytest.raises(SettingError, match="seed of the splits"):
            load_dataset(path, seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"photos": 5}, {"corrections": b"x"}, {"modalities": "image"}, {"label": 5}]
)
def test_options_of_a_wrong_type_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"`{next(iter(options))}` has the wrong type"):
        load_dataset("scenes", **options)


def test_a_path_that_is_not_there_suggests_what_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "features.npz", image=np.eye(2))
    with pytest.raises(DataError, match=r"did you mean .*features.npz\?"):
        load_dataset(tmp_path / "feature.npz")
    with pytest.raises(DataError, match=r"did you mean scenes\?"):
        load_dataset("scene")
    with pytest.raises(DataError, match="does not exist either"):
        load_dataset(tmp_path / "no" / "where.npz")


def test_a_folder_with_feature_files_names_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "features.npz", image=np.eye(2))
    with pytest.raises(DataError, match=r"did you mean .*features.npz\?"):
        load_dataset(tmp_path)
    save_six(tmp_path / "six")
    with pytest.raises(DataError, match=r"did you mean .*features.npz or .*six\?"):
        load_dataset(tmp_path)


def test_a_folder_of_two_layouts_wants_a_name(tmp_path: Path) -> None:
    save_six(tmp_path)
    (tmp_path / "metadata.jsonl").write_text('{"text": "x", "split": "train"}\n' * 3)
    with pytest.raises(DataError, match=f"imagefolder:{tmp_path} or six-files:{tmp_path}"):
        load_dataset(tmp_path)
    assert load_dataset(f"six-files:{tmp_path}").modalities == ("image", "text")


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"\.npz, \.mat, \.h5"):
        load_dataset(path)


def test_a_split_declared_but_empty(tmp_path: Path) -> None:
    arrays = {"image_train": np.eye(4), "image_val": np.eye(4), "image_test": np.empty((0, 4))}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(SplitError, match="the split 'test' of"):
        load_dataset(tmp_path / "x.npz")
    assert len(load_dataset(tmp_path / "x.npz", partial=True)) == 8


def test_drawn_splits_are_recorded(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.eye(20), label=np.arange(20) % 2)
    data = load_dataset(tmp_path / "x.npz", seed=5)
    assert data.provenance["split"] == "drawn: stratified, seed 5"
    assert [(data.splits == name).sum() for name in ("train", "validation", "test")] == [14, 2, 4]


def test_the_same_file_in_another_place_is_the_same_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.eye(20), label=np.arange(20) % 2)
    (tmp_path / "deep").mkdir()
    shutil.copy(tmp_path / "x.npz", tmp_path / "deep")
    first, second = load_dataset(tmp_path / "x.npz"), load_dataset(tmp_path / "deep" / "x.npz")
    assert first.fingerprint == second.fingerprint
    assert dict(first.provenance) == dict(second.provenance)
    image = first.columns["image"]
    assert isinstance(image, Features)
    assert (image.values == np.eye(20)).all()


def test_an_index_needs_no_splits(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"text": "a red kite", "label": "kite"}\n')
    with pytest.raises(SplitError, match="cannot be divided"):
        load_dataset(tmp_path)
    data = load_dataset(tmp_path, need_splits=False)
    assert data.splits.tolist() == ["train"]
    (tmp_path / "metadata.jsonl").write_text('{"text": "a red kite", "split": "test"}\n')
    with pytest.raises(SplitError, match=r"'train' of .* is empty"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, need_splits=False).splits.tolist() == ["test"]


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save_six(tmp_path / "six")
    expected = load_dataset(tmp_path / "six").fingerprint
    for place in ("~/six", Path("~/six"), "six-files:~/six"):
        assert load_dataset(place).fingerprint == expected


@pytest.mark.parametrize("path", ["x" * 5000, f"wikipedia:{'x' * 5000}", "x" * 5000 + "?image=a"])
def test_a_path_that_no_system_allows_is_missing(path: str) -> None:
    with pytest.raises(DataError, match="there is no data set"):
        load_dataset(path)
