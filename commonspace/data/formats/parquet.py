"""Parquet tables: lists of numbers are features, strings texts or fields, null is missing.

Images may be inside, as structs of bytes and path (the Hugging Face form) or as binary columns.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.formats.keys import MODALITY_LIST, PROVENANCE, canonical_key
from commonspace.data.images import EncodedImages
from commonspace.data.reading import WarningLog, reading
from commonspace.errors import DataError

__all__ = ["has_file_names", "read_parquet", "write_parquet"]

_METADATA_KEY = b"commonspace"
_WITHOUT_ROWS = ("class_names", PROVENANCE, MODALITY_LIST)  # kept in the metadata of the schema


def has_file_names(path: Path) -> bool:
    """Return whether a Parquet file is metadata of images: it has a column file_name."""
    import pyarrow.parquet as pq

    with reading(path, "a Parquet file"):
        names = pq.ParquetFile(path).schema_arrow.names
    return "file_name" in {name.strip().casefold() for name in names}


def read_parquet(path: Path, warnings: WarningLog) -> dict[str, NDArray[Any]]:
    """Read the columns of a Parquet file as named arrays.

    Args:
        path: the file.
        warnings: notes a column that is neither numbers nor strings nor lists of them.

    Returns:
        Lists of numbers as (n, d) float32, with ``<name>_present`` where some are null; lists of
        strings as n tuples; strings as n objects (str or None); numbers as (n,), or as n objects
        where some are null. A label with nulls is float with NaN.

    Raises:
        FileFormatError: the file is damaged, or no Parquet file.
        DataError: the lists of a column differ in length.
    """
    import pyarrow.parquet as pq  # slow to import

    arrays: dict[str, NDArray[Any]] = {}
    with reading(path, "a Parquet file"):
        table = pq.ParquetFile(path).read()
        for name in table.column_names:
            column = table.column(name)
            if _holds_images(column):
                arrays[name] = _images(name, column, path, warnings)
                continue
            found = _column(name, column, str(path))
            if not found:
                kind = table.schema.field(name).type
                warnings.add(f"{path}: column {name!r} of type {kind} is not used")
            arrays |= found
        stored = (table.schema.metadata or {}).get(_METADATA_KEY)
        if stored is not None:
            for key, strings in json.loads(stored).items():
                arrays[key] = np.array(strings, dtype=str)
    return arrays


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
        elif key not in _WITHOUT_ROWS and not key.endswith("_present"):
            columns[key] = pa.array(
                values.tolist(), pa.string() if values.dtype.kind == "U" else None
            )
    stored = json.dumps({key: arrays[key].tolist() for key in _WITHOUT_ROWS if key in arrays})
    pq.write_table(pa.table(columns).replace_schema_metadata({_METADATA_KEY: stored}), path)


def _named(labels: NDArray[Any], class_names: list[str]) -> Any:  # noqa: ANN401, a pyarrow array
    import pyarrow as pa

    if labels.ndim == 1:
        names = [class_names[label] if label >= 0 else None for label in labels.tolist()]
        return pa.array(names, pa.string())
    rows = [[class_names[k] for k in np.flatnonzero(row)] or None for row in labels]
    return pa.array(rows, pa.list_(pa.string()))


def _column(name: str, column: Any, source: str) -> dict[str, NDArray[Any]]:  # noqa: ANN401
    """Return the arrays that one column becomes, none where its type has no use here."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    is_label = canonical_key(name)[0] == "label"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        item = kind.value_type
        is_number = types.is_floating(item) or types.is_integer(item) or types.is_boolean(item)
        if is_number and (not is_label or types.is_boolean(item)):
            return _vectors(name, column, source)
        if is_number or _is_text(item, pa):
            return {name: _tuples(column)}
        return {}
    if _is_text(kind, pa) or types.is_null(kind):
        return {name: _objects(column.to_pylist())}
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        if column.null_count and not is_label:
            return {name: _objects(column.to_pylist())}
        return {name: column.to_numpy()}
    return {}


def _holds_images(column: Any) -> bool:  # noqa: ANN401
    from pyarrow import types

    kind = column.type
    if types.is_struct(kind):
        return "bytes" in {kind.field(number).name for number in range(kind.num_fields)}
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _images(name: str, column: Any, path: Path, warnings: WarningLog) -> NDArray[np.object_]:  # noqa: ANN401
    """Return n images as arrays, paths as str where a row has no bytes, None for none."""
    decoded = EncodedImages(path, warnings)
    for row in range(len(column)):
        value = column[row].as_py()
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        decoded.add(value, f"column {name!r}, row {row}")
    return _objects(decoded.items)


def _is_text(kind: Any, pa: Any) -> bool:  # noqa: ANN401
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _vectors(name: str, column: Any, source: str) -> dict[str, NDArray[Any]]:  # noqa: ANN401
    """Return (n, d) float32 and, where some are null, (n,) bool under ``<name>_present``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    present = ~np.isnan(lengths.astype(float))
    sizes = np.unique(lengths[present])
    if len(sizes) > 1:
        row = int(np.flatnonzero(present & (lengths != lengths[present][0]))[0])
        raise DataError(
            f"the lists in column {name!r} of {source} differ in length",
            expected=f"{int(lengths[present][0])} numbers in every row, as in the first",
            found=f"{int(lengths[row])} in row {row}",
            advice="give every row a vector of the same size, or null",
        )
    fixed = column.type.list_size if pa.types.is_fixed_size_list(column.type) else 0
    values = np.zeros((len(column), int(sizes[0]) if len(sizes) else fixed), dtype=np.float32)
    start = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in column.chunks:
            rows = np.flatnonzero(present[start : start + len(chunk)]) + start
            flat = chunk.flatten().to_numpy(zero_copy_only=False)
            values[rows] = flat.reshape(len(rows), values.shape[1])
            start += len(chunk)
    return {name: values} if present.all() else {name: values, f"{name}_present": present}


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
