"""Folders of Parquet and Arrow files: the data of one file, read batch by batch."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from commonspace.data import Dataset, Features, Images, row_blocks
from commonspace.data.formats import parquet
from commonspace.data.images import UNPACKED, decode_image, unpacked_folder
from commonspace.data.write import write_parts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, FileFormatError, OutputError


@pytest.fixture
def table() -> Any:  # noqa: ANN401
    draw = np.random.default_rng(0)
    image: list[Any] = list(draw.normal(size=(60, 6)).astype(np.float32))
    image[0] = image[31] = None
    return pa.table(
        {
            "image": pa.array([None if row is None else row.tolist() for row in image]),
            "text": pa.FixedSizeListArray.from_arrays(
                pa.array(draw.normal(size=300).astype(np.float16)), 5
            ),
            "label": pa.array([f"class {row % 3}" for row in range(60)]).dictionary_encode(),
            "split": ["train"] * 40 + ["validation"] * 10 + ["test"] * 10,
            "price": pa.array([*range(59), None]),
            "names": pa.array([["a", "b"]] * 60),
        }
    )


def as_parquet(part: Any, path: Path) -> None:  # noqa: ANN401
    pq.write_table(part, path.with_suffix(".parquet"), row_group_size=7)


def as_arrow(part: Any, path: Path) -> None:  # noqa: ANN401
    with pa.ipc.new_file(str(path.with_suffix(".arrow")), part.schema) as writer:
        writer.write_table(part, max_chunksize=7)


def as_stream(part: Any, path: Path) -> None:  # noqa: ANN401
    with pa.ipc.new_stream(str(path.with_suffix(".arrow")), part.schema) as writer:
        writer.write_table(part, max_chunksize=7)


@pytest.mark.parametrize("write", [as_parquet, as_arrow, as_stream])
@pytest.mark.parametrize("on_disk", [0, 2**26])
def test_parts_are_the_same_data_as_one_file(
    write: Any,  # noqa: ANN401
    on_disk: int,
    table: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pq.write_table(table, tmp_path / "whole.parquet")
    whole = load_dataset(tmp_path / "whole.parquet")
    monkeypatch.setattr(row_blocks, "ON_DISK", on_disk)
    monkeypatch.setattr(parquet, "_BATCH", 4)
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, start in enumerate((0, 25, 26)):  # the second part has one row
        stop = (25, 26, 60)[number]
        write(table.slice(start, stop - start), folder / f"part-{number:05}.x")
    parts = load_dataset(folder)
    assert parts.fingerprint == whole.fingerprint
    assert dict(parts.fields) == dict(whole.fields)
    assert parts.class_names == ("class 0", "class 1", "class 2")
    image = parts.columns["image"]
    assert isinstance(image, Features)
    assert np.flatnonzero(~image.present).tolist() == [0, 31]
    raw = table.column("image").to_pylist()
    assert np.array_equal(image.values[1], np.array(raw[1], np.float32))
    text = parts.split("train").columns["text"]
    assert isinstance(text, Features)
    base: Any = text.values
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert (base is not None) == (on_disk == 0)


def test_what_extract_writes_in_parts_is_read_as_one(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    data = Dataset.from_arrays(
        image=[None, *draw.normal(size=(29, 4))],
        text=draw.normal(size=(30, 3)),
        labels=[["b", "a"], *([["a"], ["c"]] * 14), []],  # the second part has one label each
        class_names=["c", "a", "b"],
        splits=["train"] * 20 + ["test"] * 10,
    )
    write_parts(data, tmp_path / "parts", 13)
    assert len(list((tmp_path / "parts").iterdir())) == 3
    assert load_dataset(tmp_path / "parts").fingerprint == data.fingerprint
    with pytest.raises(OutputError, match="already"):
        write_parts(data, tmp_path / "parts", 13)


def test_parts_with_other_columns_name_the_file(table: Any, tmp_path: Path) -> None:  # noqa: ANN401
    as_parquet(table, tmp_path / "0.parquet")
    as_parquet(table.drop(["price"]), tmp_path / "1.parquet")
    with pytest.raises(FileFormatError, match=r"1\.parquet has other columns than 0\.parquet"):
        load_dataset(tmp_path)


def test_a_length_that_differs_names_the_row_of_the_whole(tmp_path: Path) -> None:
    for number, rows in enumerate(([[1.0, 2.0]] * 3, [[1.0, 2.0], [1.0]])):
        pq.write_table(pa.table({"image": rows}), tmp_path / f"{number}.parquet")
    with pytest.raises(DataError, match="found:    1 in row 4"):
        load_dataset(tmp_path)


def test_a_damaged_part_names_its_file(table: Any, tmp_path: Path) -> None:  # noqa: ANN401
    as_parquet(table, tmp_path / "0.parquet")
    (tmp_path / "1.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(FileFormatError, match=r"1\.parquet is corrupt"):
        load_dataset(tmp_path)


def test_images_of_large_tables_become_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(2)
    encoded = []
    for _ in range(12):
        content = BytesIO()
        Image.fromarray(draw.integers(0, 255, (9, 7, 3), np.uint8)).save(content, "PNG")
        encoded.append({"bytes": content.getvalue(), "path": None})
    encoded[5] = encoded[4]
    path = tmp_path / "photos.parquet"
    columns = {"image": encoded, "text": ["a cat", "a dog"] * 6, "label": ["cat", "dog"] * 6}
    pq.write_table(pa.table(columns), path)
    small = load_dataset(path).columns["image"]
    assert path.stat().st_size < UNPACKED
    monkeypatch.setattr("commonspace.data.images.UNPACKED", 1)
    for _ in range(2):  # the second time they are there
        large = load_dataset(path).columns["image"]
        assert isinstance(small, Images)
        assert isinstance(large, Images)
        assert all(isinstance(item, Path) for item in large.items)
        assert large.items[4] == large.items[5]
        for one, other in zip(small.items, large.items, strict=True):
            assert one is not None
            assert other is not None
            assert np.array_equal(decode_image(one), decode_image(other))
    files = [file for file in unpacked_folder(path).rglob("*") if file.is_file()]
    assert len(files) == 11
