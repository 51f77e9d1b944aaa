"""Samples of metadata files, and their image files: found, missing, or named by no line."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commonspace.data.formats.metadata import Record
from commonspace.data.images import IMAGE_SUFFIXES
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import find_file, near_names
from commonspace.errors import DataError

__all__ = ["Sample", "check_images", "count_of", "warn_of_unnamed"]


@dataclass
class Sample:
    """One image, or none, with the content of all its lines."""

    where: str
    file_name: str | None
    folder: Path
    image: Path | None
    texts: list[str]
    label: tuple[str, ...]
    raw_label: Any
    split: str | None
    rest: Record = field(default_factory=dict)
    id: str | None = None


def check_images(samples: Sequence[Sample], warnings: WarningLog) -> None:
    """Replace each path by that of the file; report those that are missing.

    Args:
        samples: their ``image`` is the path as it is written; None where there is no such file.
        warnings: raises or records missing files; gets names that are spelled otherwise.

    Raises:
        DataError: strict, and a file is missing.
    """
    missing, respelled = [], []
    for sample in samples:
        if sample.image is None:
            continue
        if _is_there(sample.image):
            continue
        inside = sample.image.is_relative_to(sample.folder)
        name = sample.image.relative_to(sample.folder) if inside else sample.image
        file = find_file(sample.folder, str(name))
        if file is None:
            missing.append(sample)
        else:
            respelled.append((sample, file))
            sample.image = file
    if respelled:
        sample, file = respelled[0]
        warnings.add(
            f"{count_of(len(respelled), 'file name')} spelled otherwise than the file, for example"
            f" {sample.file_name} ({sample.where}) for {file}: the file is used"
        )
    if not missing:
        return
    named = "; ".join(f"{_with_near(sample)} ({sample.where})" for sample in missing[:5])
    more = f"; and {len(missing) - 5} more" if len(missing) > 5 else ""
    count = f"{len(missing)} image files are" if len(missing) > 1 else "1 image file is"
    warnings.report(
        DataError(
            f"{count} missing",
            expected="every file_name beside its metadata file",
            found=f"no file {named}{more}",
            advice=_advice(missing[0]),
        ),
        instead="these samples have no image",
    )
    for sample in missing:
        sample.image = None


def _advice(sample: Sample) -> str:
    if str(sample.file_name).startswith(("http://", "https://", "s3://", "gs://")):
        return "download the images, and write their names in place of the URLs"
    return "put the files there, correct the names, or drop the lines"


def _with_near(sample: Sample) -> str:
    near = near_names(sample.folder, str(sample.file_name)) if sample.file_name else []
    return f"{sample.file_name}, did you mean {near[0]}?" if near else str(sample.file_name)


def warn_of_unnamed(folder: Path, samples: Sequence[Sample], warnings: WarningLog) -> None:
    """Count the image files of a folder that no line names."""
    named = {sample.image for sample in samples}
    unnamed = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
        and path not in named
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    real = os.path.realpath  # unlike Path.resolve, it accepts links that lead to themselves
    resolved = {real(path) for path in named if path is not None} if unnamed else set()
    unnamed = [path for path in unnamed if real(path) not in resolved]
    if unnamed:
        first = unnamed[0].relative_to(folder)
        verb = "are" if len(unnamed) > 1 else "is"
        warnings.add(
            f"{count_of(len(unnamed), 'image file')} of {folder} {verb} named by no line and not"
            f" used, for example {first}"
        )


def count_of(number: int, what: str) -> str:
    """Return "1 line", "2 lines"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, with a NUL, or in a closed folder
        return False
