"""Parquet tables: lists of numbers are features, strings texts or fields, null is missing.

A table is one file, or all .parquet or .arrow files of a folder in the order of their names. It is
read batch by batch; features of 64 MiB or more are written into a temporary file and mapped, so
that they take no memory. Images may be inside, as structs of bytes and path (the Hugging Face form)
or as binary columns.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.formats.names import MODALITY_LIST, PROVENANCE, canonical_key
from commonspace.data.images import EncodedImages
from commonspace.data.reading import WarningLog, reading
from commonspace.data.row_blocks import rows_on_disk
from commonspace.errors import DataError, FileFormatError
from commonspace.json_text import parse_json

__all__ = ["WITHOUT_ROWS", "has_file_names", "is_table_folder", "read_parquet", "write_parquet"]

_METADATA_KEY = b"commonspace"
WITHOUT_ROWS = ("class_names", PROVENANCE, MODALITY_LIST)  # kept in the metadata of the schema
_SUFFIXES = (".parquet", ".arrow")
_BATCH = 8192
"""Rows that are read at a time."""


def has_file_names(path: Path) -> bool:
    """Return whether a Parquet file is metadata of images: it has a column file_name."""
    import pyarrow.parquet as pq

    with reading(path, "a Parquet file"):
        names = pq.ParquetFile(path).schema_arrow.names
    return "file_name" in {name.strip().casefold() for name in names}


def is_table_folder(folder: Path) -> bool:
    """Return whether a folder holds parts of a table."""
    return bool(_parts(folder))


def read_parquet(path: Path, warnings: WarningLog) -> dict[str, NDArray[Any]]:
    """Read the columns of a table as named arrays.

    Args:
        path: a .parquet file, or a folder of .parquet or .arrow files with the same columns.
        warnings: notes a column that is neither numbers nor strings nor lists of them.

    Returns:
        Lists of numbers as (n, d) float32, with ``<name>_present`` where some are null; lists of
        strings as n tuples; strings as n objects (str or None); numbers as (n,), or as n objects
        where some are null. A label with nulls is float with NaN.

    Raises:
        FileFormatError: a file is damaged, no Parquet file, or has other columns than the first.
        DataError: the lists of a column differ in length.
    """
    import pyarrow as pa  # slow to import

    files = _parts(path) if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.exists())
    tables = [_open(file) for file in files]
    schema, count = tables[0].schema, sum(table.count for table in tables)
    vectors: dict[str, _Vectors] = {}
    images: dict[str, EncodedImages] = {}
    others: dict[str, list[Any]] = {}
    for field in schema:
        if _is_vector(field.name, field.type):
            vectors[field.name] = _Vectors(field.name, field.type, count, str(path))
        elif _holds_images(field.type):
            images[field.name] = EncodedImages(path, warnings, size)
        else:
            others[field.name] = []
    row = 0
    for file, table in zip(files, tables, strict=True):
        _check_columns(file, table.schema, files[0], schema)
        with reading(file, "a Parquet file"):
            for batch in table.batches():
                for name in schema.names:
                    values = batch.column(name)
                    if name in vectors:
                        vectors[name].add(values, row)
                    elif name in images:
                        _add_images(images[name], name, values, row)
                    else:
                        others[name].append(values)
                row += len(batch)
    arrays: dict[str, NDArray[Any]] = {}
    for field in schema:
        name = field.name
        if name in vectors:
            arrays |= vectors[name].arrays()
        elif name in images:
            arrays[name] = _objects(images[name].items)
        else:
            with reading(path, "a Parquet file"):
                found = _column(name, pa.chunked_array(others.pop(name), field.type))
            if not found:
                warnings.add(f"{path}: column {name!r} of type {field.type} is not used")
            arrays |= found
    return arrays | _stored(tables, path)


def write_parquet(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as :func:`commonspace.data.write.write_arrays` lays them out.

    Labels are written as names of classes, so that any tool can read them; the order of the classes
    is kept in the metadata of the schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    for key, values in arrays.items():
        if key == "label":
            columns[key] = _named(values, arrays["class_names"].tolist())
        elif values.ndim == 2:
            present = arrays.get(f"{key}_present", np.ones(len(values), dtype=bool))
            columns[key] = pa.FixedSizeListArray.from_arrays(
                pa.array(values.reshape(-1)), values.shape[1], mask=pa.array(~present)
            )
        elif key not in WITHOUT_ROWS and not key.endswith("_present"):
            columns[key] = pa.array(
                values.tolist(), pa.string() if values.dtype.kind == "U" else None
            )
    stored = json.dumps({key: arrays[key].tolist() for key in WITHOUT_ROWS if key in arrays})
    pq.write_table(pa.table(columns).replace_schema_metadata({_METADATA_KEY: stored}), path)


class _Part:
    """One file of a table, read in batches: Parquet, or Arrow in either of its two forms."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._path = path
        self._parquet = None if path.suffix.lower() == ".arrow" else pq.ParquetFile(path)
        if self._parquet is None:
            self.schema = self._arrow().schema
            self.count = sum(len(batch) for batch in self.batches())
        else:
            self.schema = self._parquet.schema_arrow
            self.count = int(self._parquet.metadata.num_rows)

    def batches(self) -> Iterator[Any]:
        """Yield record batches, in order."""
        if self._parquet is not None:
            yield from self._parquet.iter_batches(_BATCH)
            return
        arrow = self._arrow()
        if hasattr(arrow, "get_batch"):
            yield from map(arrow.get_batch, range(arrow.num_record_batches))
        else:
            yield from arrow

    def _arrow(self) -> Any:  # noqa: ANN401
        import pyarrow as pa

        with self._path.open("rb") as file:
            seekable = file.read(6) == b"ARROW1"
        mapped = pa.memory_map(str(self._path))
        return pa.ipc.open_file(mapped) if seekable else pa.ipc.open_stream(mapped)


class _Vectors:
    """A column of equally long lists of numbers, collected batch by batch."""

    def __init__(self, name: str, kind: Any, count: int, source: str) -> None:  # noqa: ANN401
        self._name, self._source = name, source
        fixed = getattr(kind, "list_size", -1)
        self._size: int | None = fixed if fixed >= 0 else None
        self._present = np.zeros(count, dtype=bool)
        self._values: NDArray[np.float32] | None = None

    def add(self, column: Any, start: int) -> None:  # noqa: ANN401
        """Take the next rows.

        Raises:
            DataError: a list is of another length than the first.
        """
        import pyarrow.compute as pc

        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        present = ~np.isnan(lengths.astype(float))
        self._present[start : start + len(present)] = present
        if not present.any():
            return
        if self._size is None:
            self._size = int(lengths[present][0])
        other = np.flatnonzero(present & (lengths != self._size))
        if len(other):
            raise DataError(
                f"the lists in column {self._name!r} of {self._source} differ in length",
                expected=f"{self._size} numbers in every row, as in the first",
                found=f"{int(lengths[other[0]])} in row {start + int(other[0])}",
                advice="give every row a vector of the same size, or null",
            )
        if self._values is None:
            self._values = rows_on_disk(len(self._present), self._size)
        flat = column.flatten().to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore", invalid="ignore"):
            self._values[np.flatnonzero(present) + start] = flat.reshape(-1, self._size)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return (n, d) float32 and, where some are null, (n,) bool under ``<name>_present``."""
        values = self._values
        if values is None:
            values = np.zeros((len(self._present), self._size or 0), dtype=np.float32)
        if self._present.all():
            return {self._name: values}
        return {self._name: values, f"{self._name}_present": self._present}


def _parts(folder: Path) -> list[Path]:
    """Return the files of the suffix that comes first, in the order of their names."""
    found = (sorted(folder.glob(f"*{suffix}")) for suffix in _SUFFIXES)
    return next((files for files in found if files), [])


def _open(file: Path) -> _Part:
    with reading(file, "an Arrow file" if file.suffix.lower() == ".arrow" else "a Parquet file"):
        return _Part(file)


def _check_columns(file: Path, schema: Any, first: Path, expected: Any) -> None:  # noqa: ANN401
    if not schema.equals(expected, check_metadata=False):
        raise FileFormatError(
            f"{file} has other columns than {first.name}",
            expected=", ".join(f"{field.name} {field.type}" for field in expected),
            found=", ".join(f"{field.name} {field.type}" for field in schema),
            advice="write all parts of a table with the same columns and types",
        )


def _stored(tables: list[_Part], path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays without rows: classes of all parts, and the provenance of the first."""
    texts = [(table.schema.metadata or {}).get(_METADATA_KEY) for table in tables]
    with reading(path, "a Parquet file"):
        stored = [parse_json(text) for text in texts if text is not None]
        first = dict(stored[0]) if stored else {}
        if "class_names" in first:
            names = [name for part in stored for name in part.get("class_names", ())]
            first["class_names"] = list(dict.fromkeys(names))
        return {key: np.array(value, dtype=str) for key, value in first.items()}


def _named(labels: NDArray[Any], class_names: list[str]) -> Any:  # noqa: ANN401, a pyarrow array
    import pyarrow as pa

    if labels.ndim == 1:
        names = [class_names[label] if label >= 0 else None for label in labels.tolist()]
        return pa.array(names, pa.string())
    rows = [[class_names[k] for k in np.flatnonzero(row)] or None for row in labels]
    return pa.array(rows, pa.list_(pa.string()))


def _is_vector(name: str, kind: Any) -> bool:  # noqa: ANN401
    from pyarrow import types

    if not _is_list(kind):
        return False
    item = kind.value_type
    if types.is_boolean(item):
        return True
    number = types.is_floating(item) or types.is_integer(item)
    return bool(number and canonical_key(name)[0] != "label")


def _is_list(kind: Any) -> bool:  # noqa: ANN401
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _column(name: str, column: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401
    """Return the arrays that one column becomes, none where its type has no use here."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    is_label = canonical_key(name)[0] == "label"
    if _is_list(kind):
        item = kind.value_type
        if types.is_floating(item) or types.is_integer(item):  # of a label
            return {name: _objects([tuple(row) for row in _lists(column.to_pylist())])}
        return {name: _tuples(column)} if _is_text(item) else {}
    if types.is_decimal(kind):
        values = [None if value is None else float(value) for value in column.to_pylist()]
        return {name: _objects(values) if None in values else np.array(values)}
    if types.is_temporal(kind):
        values = column.to_pylist()
        return {name: _objects([None if value is None else str(value) for value in values])}
    if _is_text(kind) or types.is_null(kind):
        return {name: _objects(column.to_pylist())}
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        if column.null_count and not is_label:
            return {name: _objects(column.to_pylist())}
        return {name: column.to_numpy()}
    return {}


def _holds_images(kind: Any) -> bool:  # noqa: ANN401
    from pyarrow import types

    if types.is_struct(kind):
        return "bytes" in {kind.field(number).name for number in range(kind.num_fields)}
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _add_images(into: EncodedImages, name: str, column: Any, start: int) -> None:  # noqa: ANN401
    """Add images as bytes, as a path where a row has no bytes, None for none."""
    for row, scalar in enumerate(column, start):
        value = scalar.as_py()
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        into.add(value, f"column {name!r}, row {row}")


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _tuples(column: Any) -> NDArray[np.object_]:  # noqa: ANN401
    return _objects(
        [tuple(str(v) for v in row if v is not None) for row in _lists(column.to_pylist())]
    )


def _lists(rows: list[list[Any] | None]) -> list[list[Any]]:
    return [row or [] for row in rows]


def _objects(values: list[Any]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
