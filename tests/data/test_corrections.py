"""Corrections: labels that people gave replace those of train and validation."""

import json
from pathlib import Path

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import correct_labels, read_corrections
from commonspace.errors import DataError, FileFormatError


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def data() -> cs.Dataset:
    return cs.Dataset(
        name="four",
        ids=("1", "2", "3", "4"),
        columns={"image": cs.Features(np.eye(4)), "text": cs.Features(np.eye(4))},
        labels=np.array([[1, 0], [0, 1], [0, 0], [1, 0]], dtype=bool),
        class_names=("hat", "sock"),
        splits=np.array(["train", "validation", "train", "test"]),
    )


def names(labeled: cs.Dataset) -> list[list[str]]:
    return [[labeled.class_names[place] for place in np.flatnonzero(row)] for row in labeled.labels]


def test_the_last_line_of_an_id_counts_and_a_cut_line_is_ignored(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"id": "1", "labels": ["sock"]},
        {"id": "1", "labels": ["hat", "hat", "new"], "time": 3},
        {"id": "2", "labels": []},
    )
    with file.open("a") as raw:
        raw.write('{"id": "3", "lab')
    assert read_corrections(file) == {"1": ("hat", "new"), "2": ()}


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_corrections(tmp_path / "absent.jsonl")
    for line in ('{"id": 1, "labels": []}', '{"id": "1", "labels": "hat"}', "[]", "nonsense"):
        file = tmp_path / "b.jsonl"
        file.write_text(f'{line}\n{{"id": "1", "labels": []}}\n')
        with pytest.raises(FileFormatError, match="no file of corrections"):
            read_corrections(file)


def test_train_and_validation_are_corrected_and_test_stays() -> None:
    before = data()
    corrections = {"1": ("shoe",), "2": ("sock",), "3": ("hat",), "4": ("sock",), "9": ("hat",)}
    after = correct_labels(before, corrections)
    assert names(after) == [["shoe"], ["sock"], ["hat"], ["hat"]]
    assert after.class_names == ("hat", "sock", "shoe")
    assert after.splits.tolist() == before.splits.tolist()
    assert after.warnings[-1] == (
        "corrections: 3 labels given by people, of which 2 differ;"
        " 1 of test samples are left out; 1 of unknown ids are left out"
    )


def test_an_index_takes_labels_of_test_samples_too() -> None:
    after = correct_labels(data(), {"3": ("hat",), "4": ("sock",)}, test=True)
    assert names(after) == [["hat"], ["sock"], ["hat"], ["sock"]]
    assert after.warnings[-1] == "corrections: 2 labels given by people, of which 2 differ"


def test_labels_can_be_taken_away() -> None:
    assert names(correct_labels(data(), {"1": ()})) == [[], ["sock"], [], ["hat"]]


def test_a_data_set_is_loaded_with_corrections(tmp_path: Path) -> None:
    place = tmp_path / "features.npz"
    splits = np.array(["train"] * 4 + ["validation"] * 2 + ["test"] * 2)
    labels = np.array(["hat", "sock"] * 4)
    np.savez(place, image=np.eye(8), text=np.eye(8), label=labels, split=splits)
    ids = cs.load_dataset(place).ids
    write(tmp_path / "given.jsonl", {"id": ids[0], "labels": ["sock"]})
    by_name = cs.load_dataset(f"{place}?corrections=given.jsonl")
    by_argument = cs.load_dataset(place, corrections=tmp_path / "given.jsonl")
    assert names(by_name)[0] == names(by_argument)[0] == ["sock"]
    assert names(by_name)[1:] == names(cs.load_dataset(place))[1:]


def test_built_in_data_can_be_corrected(tmp_path: Path) -> None:
    plain = cs.load_dataset("scenes")
    row = int(np.flatnonzero(plain.splits == "train")[0])
    file = write(tmp_path / "given.jsonl", {"id": plain.ids[row], "labels": ["comet"]})
    assert names(cs.load_dataset("scenes", corrections=file))[row] == ["comet"]
