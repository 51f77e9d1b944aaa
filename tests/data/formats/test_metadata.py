"""Metadata files: delimiters, encodings, missing values and lists are read alike in all of them."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from commonspace.data import Dataset, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, FileFormatError

Row = dict[str, Any]
KINDS = ("kite", "dog", "boat")


def rows(count: int = 30) -> list[Row]:
    return [
        {
            "file_name": f"images/{row:03}.png",
            "text": f"a {KINDS[row % 3]} {row}",
            "label": KINDS[row % 3],
        }
        for row in range(count)
    ]


def folder(path: Path, content: list[Row], count: int = 30) -> Path:
    """Write the images and a metadata.jsonl."""
    (path / "images").mkdir(parents=True)
    for row in range(count):
        Image.new("RGB", (4, 4), (row * 8, 0, 0)).save(path / f"images/{row:03}.png")
    lines = "\n".join(json.dumps(row) for row in content)
    (path / "metadata.jsonl").write_text(lines + "\n", "utf-8")
    return path


def as_table(path: Path, content: list[Row], name: str = "metadata.csv", delimiter: str = ",",
             encoding: str = "utf-8", header: str = "") -> Path:  # fmt: skip
    """Write the images and a table in place of the metadata.jsonl."""
    folder(path, content)
    (path / "metadata.jsonl").unlink()
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(content[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(content)
    text = stream.getvalue().replace(
        delimiter.join(content[0]), header or delimiter.join(content[0]), 1
    )
    (path / name).write_bytes(text.encode(encoding))
    return path


def same(data: Dataset, other: Dataset) -> bool:
    text, another = data.columns["text"], other.columns["text"]
    assert isinstance(text, Texts)
    assert isinstance(another, Texts)
    return (
        text.items == another.items
        and data.class_names == other.class_names
        and (data.labels == other.labels).all()
    )


@pytest.mark.parametrize(
    "form",
    [
        {"delimiter": ";"},
        {"delimiter": "\t"},
        {"delimiter": "|"},
        {"delimiter": "\t", "name": "metadata.tsv"},
        {"header": "File_Name,Text,Label"},
        {"header": " FILE_NAME , TEXT , LABEL "},
        {"encoding": "utf-8-sig"},
        {"encoding": "utf-16"},
    ],
    ids=str,
)
def test_tables_of_every_form(form: dict[str, str], tmp_path: Path) -> None:
    expected = load_dataset(folder(tmp_path / "lines", rows()))
    assert same(load_dataset(as_table(tmp_path / "table", rows(), **form)), expected)


def test_a_table_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    content = [row | {"text": "une fête"} for row in rows()]
    path = as_table(tmp_path / "table", content, encoding="latin-1")
    with pytest.raises(FileFormatError, match=r"(?s)line 2, is not UTF-8.*save the file as UTF-8"):
        load_dataset(path)


def test_metadata_in_parquet(tmp_path: Path) -> None:
    expected = load_dataset(folder(tmp_path / "a", rows()))
    path = folder(tmp_path / "b", rows())
    (path / "metadata.jsonl").unlink()
    pq.write_table(pa.Table.from_pylist(rows()), path / "metadata.parquet")
    for place in (path, path / "metadata.parquet"):
        data = load_dataset(place)
        assert same(data, expected)
        assert data.columns["image"].present.all()
        assert data.warnings == ()


def change(content: list[Row], labels: Mapping[int, object]) -> list[Row]:
    return [row | {"label": labels.get(number, row["label"])} for number, row in enumerate(content)]


SPELLINGS = {0: " kite", 3: "kite ", 6: "NA", 9: "nan", 12: "None", 15: "null", 18: "N/A"}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_labels_are_spelled_alike_in_every_format(kind: str, tmp_path: Path) -> None:
    content = change(rows(), SPELLINGS)
    path = folder(tmp_path / "a", content) if kind != "csv" else as_table(tmp_path / "a", content)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(content), path / "metadata.parquet")
        (path / "metadata.jsonl").unlink()
    data = load_dataset(path)
    assert data.class_names == ("boat", "dog", "kite")
    assert data.labels.any(axis=1).sum() == 25
    assert "'N/A', 'NA', 'None', 'nan', 'null' mean no label here: 5 samples" in data.warnings[0]


def test_names_that_differ_in_case_are_named(tmp_path: Path) -> None:
    data = load_dataset(folder(tmp_path / "a", change(rows(), {0: "Kite", 3: "Kite"})))
    assert len(data.class_names) == 4
    assert "differ only in case: 'Kite' (2), 'kite' (8)" in data.warnings[0]


@pytest.mark.parametrize("cell", ['["kite", "dog"]', "['kite', 'dog']"])
def test_lists_in_cells_are_several_classes(cell: str, tmp_path: Path) -> None:
    data = load_dataset(as_table(tmp_path / "a", change(rows(), {0: cell, 5: cell})))
    assert data.class_names == ("boat", "dog", "kite")
    assert data.labels[0].tolist() == [False, True, True]
    captions = [row | {"text": json.dumps(["one", "two"])} for row in rows()]
    text = load_dataset(as_table(tmp_path / "b", captions)).columns["text"]
    assert isinstance(text, Texts)
    assert text.items[0] == ("one", "two")


def test_a_cell_of_several_classes_without_brackets_is_named(tmp_path: Path) -> None:
    data = load_dataset(as_table(tmp_path / "a", change(rows(), {0: "kite|dog", 1: "kite|dog"})))
    assert (
        "'kite|dog' is read as one class, although 'kite' and 'dog' are classes" in data.warnings[0]
    )


def test_half_a_surrogate_pair_is_replaced_and_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", rows())
    file = path / "metadata.jsonl"
    file.write_text(file.read_text().replace("a kite 3", "a kite 3 \\ud83d"))
    data = load_dataset(path)
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items[3] == ("a kite 3 \ufffd",)
    assert f"{file}, line 4" in data.warnings[0]


def test_images_that_no_line_names_are_counted(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", rows(20))
    assert load_dataset(path).warnings == (
        f"10 image files of {path} are named by no line and not used, for example images/020.png",
    )


def test_file_names_in_another_spelling_are_found(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", rows())
    (path / "images/003.png").rename(path / "images/003.PNG")
    data = load_dataset(path)
    assert data.columns["image"].present.all()
    assert "images/003.png" in data.warnings[0]
    assert str(path / "images/003.PNG") in data.warnings[0]
    windows = [row | {"file_name": row["file_name"].replace("/", "\\")} for row in rows()]
    assert load_dataset(folder(tmp_path / "b", windows)).columns["image"].present.all()


def test_a_missing_file_with_a_near_name_is_asked_about(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", rows())
    (path / "images/003.png").rename(path / "images/003.jpeg")
    with pytest.raises(DataError, match=r"images/003.png, did you mean images/003.jpeg\?"):
        load_dataset(path)


@pytest.mark.parametrize("partial", [False, True])
def test_the_reason_why_nothing_is_left_is_given(partial: bool, tmp_path: Path) -> None:
    path = folder(tmp_path / "array", [])
    (path / "metadata.jsonl").write_text(json.dumps(rows(), indent=1))
    with pytest.raises(FileFormatError, match="line 1, cannot be read"):
        load_dataset(path, partial=partial)
    numbers = folder(tmp_path / "numbers", [row | {"text": 3} for row in rows()])
    with pytest.raises(FileFormatError, match="line 1: 'text' has a wrong type"):
        load_dataset(numbers, partial=partial)


def put(folder: Path, content: bytes, name: str = "metadata.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="two columns of one name") as caught:
        load_dataset(put(tmp_path / "x", b"text,text,label\na,b,c\n"))
    assert caught.value.found == "text, text, label"


def test_a_table_without_header_shows_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither images nor texts") as caught:
        load_dataset(put(tmp_path / "x", b"a kite,kite\na dog,dog\na boat,boat\n"))
    assert caught.value.found == "'a kite', 'kite' in 2 lines"


def test_utf_16_without_a_mark_is_named(tmp_path: Path) -> None:
    content = "text,label\n".encode("utf-16-le") + "a kite,kite\n".encode("utf-16-le") * 9
    with pytest.raises(FileFormatError, match="is not UTF-8") as caught:
        load_dataset(put(tmp_path / "x", content))
    assert "UTF-16" in caught.value.found


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    rows = b"".join(b"a kite %d,kite\n" % row for row in range(9)) + b"x" * 200_000 + b",kite\n"
    data = load_dataset(put(tmp_path / "x", b"text,label\n" + rows))
    assert len(data.columns["text"].items[9][0]) == 200_000  # type: ignore[attr-defined]


def marks(name: object) -> list[int]:
    return [int(name == each) for each in ("kite", "dog", "boat")]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_one_hot_lists_are_labels_in_every_format(kind: str, tmp_path: Path) -> None:
    content = [row | {"label": marks(row["label"])} for row in rows()]
    path = folder(tmp_path / "a", content) if kind != "csv" else as_table(tmp_path / "a", content)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(content), path / "metadata.parquet")
        (path / "metadata.jsonl").unlink()
    data = load_dataset(path)
    assert data.class_names == ("0", "1", "2")
    assert data.labels.astype(int).tolist() == [row["label"] for row in content]


@pytest.mark.parametrize("value", ["NA", "nan", None, ""])
def test_a_missing_split_or_id_is_none(value: str | None, tmp_path: Path) -> None:
    path = folder(tmp_path / "a", [row | {"split": value, "id": value} for row in rows()])
    data = load_dataset(path)
    assert data.ids[0] == rows()[0]["file_name"]
    assert data.provenance["split"].startswith("drawn")


def test_invisible_characters_are_no_part_of_a_class(tmp_path: Path) -> None:
    spelled = {0: "kite\u200b", 3: "\ufeffkite", 6: "ki\u00adte"}
    data = load_dataset(folder(tmp_path / "a", change(rows(), spelled)))
    assert data.class_names == ("boat", "dog", "kite")


def test_the_first_line_that_excel_writes_is_skipped(tmp_path: Path) -> None:
    path = as_table(tmp_path / "a", rows(), delimiter=";")
    file = path / "metadata.csv"
    file.write_text("sep=;\n" + file.read_text("utf-8"), "utf-8")
    assert same(load_dataset(path), load_dataset(folder(tmp_path / "b", rows())))


def test_a_column_without_name_is_left_out(tmp_path: Path) -> None:
    path = as_table(tmp_path / "a", rows())
    file = path / "metadata.csv"
    lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join([lines[0] + ",", *(f"{line},7" for line in lines[1:])]), "utf-8")
    assert "" not in load_dataset(path).fields


def test_a_json_array_is_named_as_such(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", rows())
    for indent in (None, 1):
        (path / "metadata.jsonl").write_text(json.dumps(rows(), indent=indent), "utf-8")
        with pytest.raises(FileFormatError, match=r"(?s)a JSON array.*on a line of its own"):
            load_dataset(path)
    text = ",\n".join(json.dumps(row) for row in rows())
    (path / "metadata.jsonl").write_text(text, "utf-8")
    with pytest.raises(FileFormatError, match="end lines without a comma"):
        load_dataset(path)


def test_columns_of_other_names_are_offered(tmp_path: Path) -> None:
    names = {"file_name": "image", "text": "caption", "label": "category"}
    content = [{names.get(key, key): value for key, value in row.items()} for row in rows()]
    path = folder(tmp_path / "a", content)
    advice = "--modality image=image --modality text=caption --label category"
    with pytest.raises(DataError, match=advice):
        load_dataset(path)
    data = load_dataset(path, modalities={"image": "image", "text": "caption"}, label="category")
    assert same(data, load_dataset(folder(tmp_path / "b", rows())))


def test_names_of_metadata_files_in_another_case(tmp_path: Path) -> None:
    path = as_table(tmp_path / "a", rows())
    (path / "metadata.csv").rename(path / "METADATA.CSV")
    assert same(load_dataset(path), load_dataset(folder(tmp_path / "b", rows())))


def test_one_file_has_one_name(tmp_path: Path) -> None:
    content = [row | {"file_name": f"./{row['file_name']}"} for row in rows()]
    content += [rows()[0] | {"file_name": str(rows()[0]["file_name"]), "text": "another"}]
    data = load_dataset(folder(tmp_path / "a", content))
    assert data.ids == load_dataset(folder(tmp_path / "b", rows())).ids
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items[0][1:] == ("another",)


@pytest.mark.parametrize(
    "place", ["C:\\photos\\{}", "/elsewhere/{}", "https://example.org/{}", "a/{}"]
)
def test_the_end_of_a_missing_path_is_asked_about(place: str, tmp_path: Path) -> None:
    def changed(name: str) -> str:
        return place.format(name.replace("/", "\\") if "\\" in place else name)

    content = [row | {"file_name": changed(str(row["file_name"]))} for row in rows()]
    path = folder(tmp_path / "a", rows())
    (path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    with pytest.raises(DataError, match=f"did you mean {rows()[0]['file_name']}") as caught:
        load_dataset(path)
    assert ("download the images" in caught.value.advice) == ("://" in place)


def test_file_urls_and_percent_signs_are_found(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", rows())
    content = rows()
    content[0]["file_name"] = f"file://{path.resolve()}/{content[0]['file_name']}"
    content[1]["file_name"] = str(content[1]["file_name"]).replace("/", "%2F")
    (path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    assert load_dataset(path).columns["image"].present.all()
