"""Columns from the arrays of all splits: features, texts, images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Features, Images, Texts
from commonspace.data.formats.keys import NUMBERS
from commonspace.data.formats.parts import Part, first_array
from commonspace.data.reading import WarningLog
from commonspace.data.row_blocks import row_blocks, rows_on_disk
from commonspace.data.vocabulary import as_strings, expand_home, find_file, is_missing
from commonspace.errors import DataError

__all__ = ["features_of", "images_of", "texts_of"]


def features_of(base: str, parts: Sequence[Part], source: str, warnings: WarningLog) -> Features:
    """Return the features of a modality, as float32.

    Args:
        base: the modality.
        parts: one for each split; one without it has no features.
        source: what to call the source in messages.
        warnings: raises or records rows of values that are not finite.

    Raises:
        DataError: the parts have features of another form, or of no size.
    """
    size, total = first_array(parts, base).shape[1], sum(part.count for part in parts)
    if not total:
        return Features(np.zeros((0, max(size, 1)), dtype=np.float32))
    if not size:
        raise DataError(
            f"the features {base!r} of {source} are empty",
            expected="(rows, size) numbers",
            found=f"shape {first_array(parts, base).shape}",
            advice="write the features again, or leave the key out",
        )
    whole = _unchanged(base, parts)
    if whole is not None:
        return Features(whole)
    values = rows_on_disk(total, size)
    present = np.zeros(total, dtype=bool)
    start = 0
    for part in parts:
        stop = start + part.count
        if base in part.arrays:
            raw = part.arrays[base]
            if raw.ndim != 2 or raw.dtype.kind not in NUMBERS or raw.shape[1] != size:
                raise DataError(
                    f"the features {base!r} of {source} have another form in {part.split}",
                    expected=f"(rows, {size}) numbers, as in {parts[0].split}",
                    found=f"{raw.dtype} of shape {raw.shape}",
                    advice="give the features of all splits one size",
                )
            mask = part.arrays.get(f"{base}_present")
            present[start:stop] = True if mask is None else mask.astype(bool)
            finite = ~present[start:stop]
            for rows in row_blocks(values[start:stop]):
                with np.errstate(over="ignore", invalid="ignore"):
                    values[start:stop][rows] = raw[rows]
                finite[rows] |= np.isfinite(values[start:stop][rows]).all(axis=1)
            if not finite.all():
                _report_not_finite(base, part, raw, finite, source, warnings)
                present[start:stop] &= finite
        start = stop
    if not present.all():
        values[~present] = 0
    return Features(values, present)


def texts_of(base: str, parts: Sequence[Part]) -> Texts:
    """Return the texts of a modality; those of only white space are left out.

    Args:
        base: the modality.
        parts: one for each split; one without it has no texts.
    """
    items: list[tuple[str, ...]] = []
    for part in parts:
        raw = part.arrays.get(base)
        mask = part.arrays.get(f"{base}_present")
        if raw is None:
            items += [()] * part.count
            continue
        table = raw.reshape(len(raw), -1) if len(raw) else raw.reshape(0, 1)
        rows = raw.tolist() if _holds_tuples(raw) else as_strings(table).tolist()
        found = [tuple(text for text in row or () if text and text.strip()) for row in rows]
        shown = [True] * part.count if mask is None else mask.astype(bool).tolist()
        items += [texts if show else () for texts, show in zip(found, shown, strict=True)]
    return Texts(items)


def images_of(base: str, parts: Sequence[Part], source: str, warnings: WarningLog) -> Images:
    """Return images: paths beside the file, or pixels that the reader has decoded.

    Args:
        base: the modality.
        parts: one for each split; one without it has no images.
        source: path of the file.
        warnings: raises or records files that are missing.
    """
    items: list[Path | NDArray[np.uint8] | None] = []
    missing: list[str] = []
    folder = expand_home(source).parent
    for part in parts:
        raw = part.arrays.get(base)
        mask = part.arrays.get(f"{base}_present")
        if raw is not None and raw.ndim == 2 and raw.shape[1] > 1:
            warnings.report(
                DataError(
                    f"{source}: {base!r} holds several strings in each row",
                    expected="(n,) names of image files, or (n, d) numbers",
                    found=f"{raw.dtype} of shape {raw.shape}, such as {str(raw[0, 0])[:40]!r}",
                    advice="store numbers as numbers: values.astype(float)",
                ),
                instead="these samples have no image",
            )
            raw = None
        for row in range(part.count):
            value = None if raw is None or (mask is not None and not mask[row]) else raw[row]
            if isinstance(value, np.ndarray):
                items.append(value if value.ndim == 3 else None)
                continue
            name = "" if is_missing(value) else as_strings(np.array([value], object))[0]
            path = find_file(folder, name) if name else None
            if name and path is None:
                missing.append(name)
            items.append(path)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        warnings.report(
            DataError(
                f"{source}: {len(missing)} image files are missing",
                expected=f"files below {folder}",
                found=f"no {', '.join(missing[:3])}{more}",
                advice="put the files there, or correct the names",
            ),
            instead="these samples have no image",
        )
    return Images(items)


def _unchanged(base: str, parts: Sequence[Part]) -> NDArray[np.float32] | None:
    """Return features that need no copy: all rows are there, as finite float32 in one array."""
    if len(parts) != 1 or f"{base}_present" in parts[0].arrays:
        return None
    raw = parts[0].arrays.get(base)
    if raw is None or raw.dtype != np.float32 or raw.ndim != 2 or not raw.flags.c_contiguous:
        return None
    return raw if all(np.isfinite(raw[rows]).all() for rows in row_blocks(raw)) else None


def _report_not_finite(
    base: str,
    part: Part,
    raw: NDArray[Any],
    finite: NDArray[np.bool_],
    source: str,
    warnings: WarningLog,
) -> None:
    row = int(np.flatnonzero(~finite)[0])
    with np.errstate(over="ignore", invalid="ignore"):
        column = int(np.flatnonzero(~np.isfinite(raw[row].astype(np.float32)))[0])
    key = f"{base}_{part.split}" if part.split else base
    bad = int((~finite).sum())
    warnings.report(
        DataError(
            f"{source}: the features {key!r} hold values that are not finite",
            expected="finite float32 numbers",
            found=f"{raw[row, column]} in row {row}, column {column};"
            f" rows affected: {bad} of {len(raw)}",
            advice=f"repair or drop these rows, or mark them as missing in '{base}_present'",
        ),
        instead=f"{bad} row{'' if bad == 1 else 's'} left out of {key!r}",
    )


def _holds_tuples(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "O" and any(isinstance(value, tuple) for value in values.flat)
