"""Data sets from arrays and lists in memory."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table, assemble
from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.images import EncodedImages
from commonspace.data.labels import decode_labels
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import expand_home, is_missing, replace_surrogates, spell
from commonspace.errors import DataError

__all__ = ["IMAGE_NAMES", "column_from_values", "from_arrays"]

IMAGE_NAMES = frozenset({"image", "images", "photo", "photos", "picture", "img"})


def from_arrays(
    modalities: Mapping[str, Any],
    *,
    labels: Any = None,  # noqa: ANN401, any spelling of labels
    class_names: Sequence[str] | None = None,
    ids: Sequence[Any] | NDArray[Any] | None = None,
    splits: Sequence[Any] | NDArray[Any] | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    fields: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
    name: str = "arrays",
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the fields of ``Dataset`` for values in memory: see its ``from_arrays``."""
    if not modalities:
        raise DataError(
            f"{name!r} has no modality",
            expected="values for at least one modality, such as image= or text=",
            found="none",
            advice="call Dataset.from_arrays(image=X, text=Y, labels=y)",
        )
    warnings = WarningLog(partial=False)
    columns = {
        modality: column_from_values(modality, values) for modality, values in modalities.items()
    }
    lengths = {modality: len(column) for modality, column in columns.items()}
    count = next(iter(lengths.values()))
    for what, values in (
        ("labels", labels),
        ("ids", ids),
        ("splits", splits),
        ("groups", groups),
        *(fields or {}).items(),
    ):
        if values is not None:
            lengths[what] = _length(values, what)
    for what, length in lengths.items():
        if length != count:
            raise DataError(
                f"rows of {name!r} do not match",
                expected=f"{count} values in {what!r}, as in {next(iter(columns))!r}",
                found=f"{length}",
                advice="make all arguments equally long and put them in one order",
            )
    marks, names = _decode(labels, class_names, count, warnings)
    table = Table(
        source=name,
        ids=[str(row) for row in range(count)] if ids is None else [spell(v) for v in _list(ids)],
        columns=columns,
        labels=marks,
        class_names=names,
        splits=None if splits is None else [spell(value) for value in _list(splits)],
        groups=None if groups is None else _list(groups),
        fields={key: _list(values) for key, values in (fields or {}).items()}
        | ({} if groups is None else {"group": _list(groups)}),
    )
    source = {"source": name, "format": "arrays"} | dict(provenance or {})
    return assemble(table, name=name, provenance=source, seed=seed, warnings=warnings)


def column_from_values(modality: str, values: Any) -> Column:  # noqa: ANN401
    """Return a column for the values of one modality.

    Args:
        modality: its name; strings are paths of images under "image" or "photo", else texts.
        values: a column; (n, d) numbers; (n, h, w, 3) uint8; or n entries, each a vector, an image
            array, a PIL image, the bytes of an image file, a path, a string, a list of strings, or
            None where the sample lacks the modality. Arrays of torch or pandas are accepted.

    Raises:
        DataError: values of another form.
    """
    if isinstance(values, Features | Images | Texts):
        return values
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise DataError(
            f"the values of {modality!r} have the wrong form",
            expected="an (n, d) array, or n images, paths, strings or lists of strings",
            found=f"a {type(values).__name__}",
            advice="give one entry for each sample, None where it has none",
        )
    if not hasattr(values, "__len__"):  # a generator can be read once
        values = list(values)
    array = _numbers(values)
    if array is not None:
        if array.ndim == 4 and array.dtype == np.uint8:
            return Images([_rgb(pixels, modality, row) for row, pixels in enumerate(array)])
        if array.ndim == 4:
            raise DataError(
                f"the images of {modality!r} have the wrong form",
                expected="(n, height, width, 3) uint8, RGB",
                found=f"{array.dtype} of shape {array.shape}",
                advice="convert them to 8-bit RGB: (255 * pixels).astype('uint8')",
            )
        if array.ndim != 2:
            raise DataError(
                f"the values of {modality!r} have the wrong form",
                expected="an (n, d) array, or n images, paths, strings or lists of strings",
                found=f"{array.dtype} of shape {array.shape}",
                advice="give one row of numbers for each sample",
            )
        return Features(array)
    entries = [None if _is_nothing(value) else value for value in _list(values)]
    present = [value for value in entries if value is not None]
    if not present:
        raise DataError(
            f"no sample has a value of {modality!r}",
            expected="at least one entry that is not None",
            found=f"{len(entries)} missing entries",
            advice="leave the modality out",
        )
    first = present[0]
    is_vector = isinstance(first, list | tuple | np.ndarray) and np.ndim(first) == 1
    if _is_picture(first) or isinstance(first, Path) or (modality in IMAGE_NAMES and not is_vector):
        return _images(modality, entries)
    if isinstance(first, str) or (
        isinstance(first, list | tuple) and all(isinstance(text, str) for text in first)
    ):
        return _texts(modality, entries)
    return _vectors(modality, entries)


def _decode(
    labels: Any,  # noqa: ANN401
    class_names: Sequence[str] | None,
    count: int,
    warnings: WarningLog,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    if labels is None:
        names = tuple(class_names or ())
        return np.zeros((count, len(names)), dtype=bool), names
    if class_names is None and hasattr(labels, "columns"):  # a frame with a column for each class
        class_names = [str(column) for column in labels.columns]
    elif class_names is None and hasattr(getattr(labels, "cat", None), "categories"):
        class_names = [str(category) for category in labels.cat.categories]
    array = _numbers(labels)
    values = array if array is not None and array.ndim in (1, 2) else _list(labels)
    return decode_labels(values, class_names, "`labels`", warnings)


def _numbers(values: Any) -> NDArray[Any] | None:  # noqa: ANN401
    """Return an array of real numbers, None where the values are something else."""
    if hasattr(values, "detach"):  # a tensor of torch
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind in "biuf" else None
    if hasattr(values, "to_numpy"):
        array = np.asarray(values.to_numpy())
        return array if array.dtype.kind in "biuf" else None
    first = next(iter(values), None)
    if isinstance(first, str | bytes | Path | None) or _is_picture(first):
        return None
    try:
        array = np.asarray([np.asarray(value) for value in values])
    except (ValueError, TypeError):
        return None
    return array if array.dtype.kind in "biuf" else None


def _list(values: Any) -> list[Any]:  # noqa: ANN401
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _length(values: Any, what: str) -> int:  # noqa: ANN401
    if isinstance(values, str | Mapping) or not hasattr(values, "__len__"):
        raise DataError(
            f"the values of {what!r} have the wrong form",
            expected="a sequence with one value for each sample",
            found=f"a {type(values).__name__}",
            advice="give a list or an array",
        )
    return len(values)


def _is_nothing(value: object) -> bool:
    if isinstance(value, list | tuple):
        return not value or all(_is_nothing(entry) for entry in value)
    return not isinstance(value, np.ndarray) and (
        is_missing(value) if not isinstance(value, str) else not value.strip()
    )


def _is_picture(value: object) -> bool:
    """Return whether a value is a picture: a PIL image, an (h, w) or (h, w, 3) array, bytes."""
    if isinstance(value, Mapping):
        return "bytes" in value or "path" in value
    return (
        isinstance(value, bytes)
        or (hasattr(value, "convert") and hasattr(value, "size"))
        or (isinstance(value, np.ndarray) and value.ndim in (2, 3) and value.dtype == np.uint8)
    )


def _images(modality: str, entries: Sequence[Any]) -> Images:
    items: list[Any] = []
    encoded = EncodedImages(Path(modality), WarningLog(partial=False))
    for row, value in enumerate(entries):
        if isinstance(value, Mapping):  # an undecoded image of Hugging Face
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            encoded.add(value, f"row {row}")
            items.append(encoded.items[-1])
        elif value is None or isinstance(value, Path | str):
            items.append(None if value is None else expand_home(value))
        elif hasattr(value, "convert"):
            items.append(np.asarray(value.convert("RGB")))
        else:
            items.append(_rgb(np.asarray(value), modality, row))
    return Images(items)


def _rgb(pixels: NDArray[Any], modality: str, row: int) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8 of an array of gray or RGB pixels."""
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype == np.uint8 and pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(
            f"the image in row {row} of {modality!r} has the wrong form",
            expected="uint8 of shape (height, width, 3), RGB",
            found=f"{pixels.dtype} of shape {pixels.shape}",
            advice="convert it to 8-bit RGB, channels last",
        )
    return np.ascontiguousarray(pixels)


def _texts(modality: str, entries: Sequence[Any]) -> Texts:
    items = []
    for row, value in enumerate(entries):
        several = value if isinstance(value, list | tuple) else [value]
        for text in several:
            if text is not None and not isinstance(text, str):
                raise DataError(
                    f"the text in row {row} of {modality!r} has the wrong form",
                    expected="a string, a list of strings, or None",
                    found=f"{text!r:.60}",
                    advice="convert it to a string",
                )
        items.append(tuple(replace_surrogates(text) for text in several if text and text.strip()))
    return Texts(items)


def _vectors(modality: str, entries: Sequence[Any]) -> Features:
    """Return features of n vectors, of which some are None."""
    first = next(np.asarray(value) for value in entries if value is not None)
    for row, value in enumerate(entries):
        if value is not None and (
            first.ndim != 1 or first.dtype.kind not in "biuf" or np.shape(value) != first.shape
        ):
            raise DataError(
                f"the values of {modality!r} have the wrong form",
                expected="an (n, d) array, or n images, paths, strings or lists of strings",
                found=f"{value!r:.60} in row {row}",
                advice="give vectors of one size, or None where there is none",
            )
    blank = np.zeros_like(first)
    return Features(
        np.array([blank if value is None else value for value in entries]),
        np.array([value is not None for value in entries]),
    )
