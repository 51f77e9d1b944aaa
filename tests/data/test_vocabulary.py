"""Vocabulary of readers: one spelling means the same for every format."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commonspace.data.vocabulary import (
    as_strings,
    class_name,
    class_names_of,
    decode_bytes,
    expand_home,
    find_file,
    is_missing,
    near_names,
    parse_list,
    spell,
)
from commonspace.errors import DataError, FileFormatError


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), np.nan, pd.NaT, pd.NA, "", " ", "NA", "N/A", "nan", "NaN", "None", "null"],
)
def test_missing_values(value: object) -> None:
    assert is_missing(value)
    assert class_names_of(value) == ()
    assert class_name(value) is None


@pytest.mark.parametrize("value", [0, "0", False, "Nan", "none of these", "-", np.zeros(3)])
def test_values_that_are_not_missing(value: object) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (" kite", "kite"),
        ("red  kite\t", "red kite"),
        (b"kite", "kite"),
        (np.str_("kite"), "kite"),
        (3, "3"),
        (3.0, "3"),
        ("3.0", "3"),
        (np.float32(3), "3"),
        (True, "True"),
        (unicodedata.normalize("NFD", "fête"), "fête"),
    ],
)
def test_class_names_have_one_spelling(value: object, name: str) -> None:
    assert class_name(value) == name


@pytest.mark.parametrize("value", [-1, -1.0, "-1", np.int8(-1)])
def test_minus_one_is_no_label(value: object) -> None:
    assert class_name(value) is None


@pytest.mark.parametrize("value", [0.5, -2, {"a": 1}, [["a"]], float("inf")])
def test_values_that_are_no_class(value: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        class_names_of(value)


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ('["kite", "dog"]', ["kite", "dog"]),
        ("['kite', 'dog']", ["kite", "dog"]),
        ("('kite', None)", ["kite", None]),
        ("[1, 2]", [1, 2]),
        ("[kite]", None),
        ("kite", None),
        ("[__import__('os')]", None),
        ("[" * 5000 + "]" * 5000, None),
    ],
)
def test_lists_in_cells(cell: str, values: list[object] | None) -> None:
    assert parse_list(cell) == values


def test_ids_of_whole_floats_have_no_decimals() -> None:
    assert as_strings(np.array([1001.0, 1002.0])).tolist() == ["1001", "1002"]
    assert [spell(v) for v in (0.5, 1e300, float("inf"))] == ["0.5", "1e+300", "inf"]
    with pytest.raises(DataError, match="UTF-8"):
        spell(b"\xff")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_announce_themselves(encoding: str) -> None:
    assert decode_bytes("une fête".encode(encoding), Path("x.csv")) == "une fête"


def test_another_encoding_names_line_and_byte() -> None:
    with pytest.raises(
        FileFormatError, match=r"line 2, is not UTF-8\n(.*\n)*.*0xea.*fête"
    ) as caught:
        decode_bytes("a\nune fête".encode("latin-1"), Path("x.csv"))
    assert caught.value.advice == "save the file as UTF-8"


def test_files_are_found_in_another_spelling(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    file = tmp_path / "images" / "003.PNG"
    file.touch()
    composed = tmp_path / "images" / "fête.png"
    composed.touch()
    for name in (
        "images/003.PNG",
        "images/003.png",
        "images\\003.PNG",
        " Images/003.png ",
        str(file),
    ):
        assert find_file(tmp_path, name) == file
    assert find_file(tmp_path, unicodedata.normalize("NFD", "images/fête.png")) == composed
    for name in ("images/004.png", "images", "a\0b", "x" * 5000, "../images/003.PNG/x"):
        assert find_file(tmp_path, name) is None
    assert near_names(tmp_path, "images/003.jpg") == ["images/003.PNG"]
    assert near_names(tmp_path, "other/003.jpg") == []


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home("~/pics") == tmp_path / "pics"
    assert expand_home("~no-such-user/pics") == Path("~no-such-user/pics")
