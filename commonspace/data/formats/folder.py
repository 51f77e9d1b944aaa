"""Folders of images with metadata: the Hugging Face imagefolder convention.

A metadata file (.jsonl, .csv, .tsv or .parquet) lies beside the images, or one in each folder named
after a split. Its columns: file_name (none: a sample without image), text (one, or a list), label
(one, a list, or none), split, group, id; any other column becomes a field. Several lines with one
file_name are one sample with several texts. Image files are located, not opened.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.formats.keys import LABEL_HINTS, KeyRules
from commonspace.data.formats.metadata import METADATA_NAMES, Record, read_records
from commonspace.data.images import IMAGE_SUFFIXES
from commonspace.data.labels import labels_from_names
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import class_names_of, find_file, near_names, spell, split_name
from commonspace.errors import DataError, FileFormatError, SettingError

__all__ = ["find_metadata", "read_folder"]

_KNOWN = frozenset({"file_name", "text", "label", "split", "id"})
_HINTS = {
    "file_name": frozenset(
        ["filename", "file", "image", "img", "path", "image_path", "filepath", "photo"]
    ),
    "text": frozenset(
        ["texts", "caption", "captions", "description", "sentence", "sentences", "title"]
    ),
    "label": LABEL_HINTS | {"labels"},
}


@dataclass
class _Sample:
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


def find_metadata(folder: Path) -> list[Path]:
    """Return the metadata files of a folder: its own, else those of its split folders."""
    own = [folder / name for name in METADATA_NAMES if (folder / name).is_file()]
    if own:
        return own
    return [
        sub / name
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and split_name(sub.name)
        for name in METADATA_NAMES
        if (sub / name).is_file()
    ]


def read_folder(path: Path, warnings: WarningLog, rules: KeyRules | None = None) -> Table:
    """Read a folder of images with metadata, or its metadata file.

    Args:
        path: the folder, or a metadata file beside the images.
        warnings: raises or records damaged lines, missing images, lines that contradict.
        rules: the caller's mapping of columns.

    Returns:
        A table with the columns "image" and "text", each where at least one sample has it.

    Raises:
        DataError: no metadata, two metadata files for one folder, a missing image.
        FileFormatError: a damaged line, or a value of a wrong type; the message has its number.
        SettingError: a mapped column is missing.
    """
    files = [path] if path.is_file() else find_metadata(path)
    _check_one_each(path, files)
    names = _renamed(rules or KeyRules())
    samples: list[_Sample] = []
    for file in files:
        inside = file.parent != path and path.is_dir()
        samples += _samples(file, file.parent.name if inside else "", names, warnings)
    merged = _merge(samples, warnings)
    _check_images(merged, warnings)
    _check_columns(path, merged, warnings)
    _warn_of_other_names(str(path), merged, warnings)
    _warn_of_unnamed(path if path.is_dir() else path.parent, merged, warnings)
    return _table(str(path), merged, names, warnings)


def _check_columns(path: Path, samples: Sequence[_Sample], warnings: WarningLog) -> None:
    """Name the columns of a file in which none is a modality."""
    if not samples or warnings.errors or any(one.file_name or one.texts for one in samples):
        return
    found = list(dict.fromkeys(name for sample in samples for name in sample.rest))
    raise DataError(
        f"{path} has neither images nor texts",
        expected="a column or key 'file_name' or 'text'",
        found=f"{', '.join(map(repr, found[:8])) or 'none'} in {_count(len(samples), 'line')}",
        advice="name the columns in the first line, or map one: --modality text=COLUMN",
    )


def _renamed(rules: KeyRules) -> dict[str, str]:
    """Return column of the file -> the known column that it stands for."""
    names = {}
    for modality, key in rules.modalities.items():
        if modality not in ("image", "text"):
            raise SettingError(
                f"a folder of images has no modality {modality!r}",
                expected="image or text",
                found=f"{modality}={key}",
                advice="map --modality image=COLUMN or text=COLUMN",
            )
        names[key] = "file_name" if modality == "image" else "text"
    return names | ({rules.label: "label"} if rules.label else {})


def _check_one_each(path: Path, files: list[Path]) -> None:
    folders = [file.parent for file in files]
    if not files or len(set(folders)) != len(files):
        raise DataError(
            f"{path} has {'two metadata files for one folder' if files else 'no metadata file'}",
            expected=" or ".join(METADATA_NAMES),
            found=" and ".join(file.name for file in files) or "none of them",
            advice="keep one; it names each image: file_name, text, label, split"
            if files
            else "write one line for each image: file_name, text, label, split",
        )


def _samples(
    file: Path, folder: str, names: Mapping[str, str], warnings: WarningLog
) -> list[_Sample]:
    records = read_records(file, warnings)
    for key in names:
        if records and not any(key in record for _, record in records):
            raise SettingError(
                f"{file} has no column {key!r}",
                expected=", ".join(dict.fromkeys(key for _, record in records for key in record)),
                found=repr(key),
                advice="map a column of the file",
            )
    samples = []
    for number, record in records:
        where = f"{file}, line {number}"
        renamed = {key: value for key, value in record.items() if key not in names.values()}
        renamed = {
            names.get(key, key): value for key, value in (renamed if names else record).items()
        }
        try:
            samples.append(_sample(renamed, where, file.parent, folder))
        except FileFormatError as error:
            warnings.report(error, instead="line left out")
    if not folder and all(sample.split is None for sample in samples):
        _split_by_folder(samples)
    return samples


def _sample(record: Record, where: str, parent: Path, folder: str) -> _Sample:
    name = record.get("file_name")
    if name is not None and not isinstance(name, str):
        raise _wrong(where, "file_name", "a path relative to the metadata file", name)
    split = record.get("split")
    if split is not None and not isinstance(split, str):
        raise _wrong(where, "split", "train, validation or test", split)
    try:
        label = class_names_of(record.get("label"))
    except (ValueError, OverflowError) as exc:
        expected = "a string, a whole number, or a list of them"
        raise _wrong(where, "label", expected, record.get("label")) from exc
    return _Sample(
        where=where,
        file_name=f"{folder}/{name}" if name and folder else name or None,
        folder=parent,
        image=parent / name if name else None,
        texts=_texts(record.get("text"), where),
        label=label,
        raw_label=record.get("label"),
        split=split or folder or None,
        rest={key: value for key, value in record.items() if key not in _KNOWN},
        id=spell(record.get("id")) or None,
    )


def _texts(value: object, where: str) -> list[str]:
    texts: list[str] = []
    for text in value if isinstance(value, list) else [value]:
        if text is not None and not isinstance(text, str):
            raise _wrong(where, "text", "a string, or a list of strings", value)
        texts += [text] if text and text.strip() else []
    return texts


def _wrong(where: str, key: str, expected: str, value: object) -> FileFormatError:
    return FileFormatError(
        f"{where}: {key!r} has a wrong type",
        expected=expected,
        found=repr(value)[:80],
        advice="correct this line",
    )


def _split_by_folder(samples: Sequence[_Sample]) -> None:
    """Take the split from "train/a.jpg" and the like, where every file name begins so."""
    firsts = [PurePosixPath(sample.file_name or "").parts[:1] for sample in samples]
    if samples and all(first and split_name(first[0]) for first in firsts):
        for sample, first in zip(samples, firsts, strict=True):
            sample.split = first[0]


def _merge(samples: Sequence[_Sample], warnings: WarningLog) -> list[_Sample]:
    """Make one sample of the lines that share a file name; note fields that differ."""
    merged: dict[object, _Sample] = {}
    differing: set[str] = set()
    for number, sample in enumerate(samples):
        first = merged.setdefault(sample.file_name or number, sample)
        if first is sample:
            continue
        if set(first.label) != set(sample.label) or first.split != sample.split:
            what = "labels" if set(first.label) != set(sample.label) else "splits"
            left, right = (
                (first.label, sample.label)
                if what == "labels"
                else (
                    first.split,
                    sample.split,
                )
            )
            warnings.report(
                DataError(
                    f"{sample.where}: {sample.file_name} has two different {what}",
                    expected=f"{left!r}, as in {first.where.rpartition(', ')[2]}",
                    found=repr(right),
                    advice="give all lines of one image the same label and split",
                ),
                instead="line left out",
            )
            continue
        first.texts += [text for text in sample.texts if text not in first.texts]
        first.id = first.id if first.id == sample.id else None
        differing |= {k for k, value in sample.rest.items() if first.rest.get(k) != value}
    for name in sorted(differing):
        warnings.add(f"the field {name!r} differs between lines of one image: the first was kept")
    return list(merged.values())


def _check_images(samples: Sequence[_Sample], warnings: WarningLog) -> None:
    """Replace each path by that of the file; report those that are missing."""
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
            f"{_count(len(respelled), 'file name')} spelled otherwise than the file, for example"
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
            advice="put the files there, correct the names, or drop the lines",
        ),
        instead="these samples have no image",
    )
    for sample in missing:
        sample.image = None


def _with_near(sample: _Sample) -> str:
    near = near_names(sample.folder, str(sample.file_name)) if sample.file_name else []
    return f"{sample.file_name}, did you mean {near[0]}?" if near else str(sample.file_name)


def _warn_of_other_names(source: str, samples: Sequence[_Sample], warnings: WarningLog) -> None:
    """Name a key that is likely meant as a known one, where no line has the known one."""
    others = dict.fromkeys(name for sample in samples for name in sample.rest)
    option = {"file_name": "--modality image=", "text": "--modality text=", "label": "--label "}
    for key, given in (
        ("file_name", any(sample.file_name for sample in samples)),
        ("text", any(sample.texts for sample in samples)),
        ("label", any(sample.label for sample in samples)),
    ):
        found = [name for name in others if name.casefold() in _HINTS[key] and not given]
        if found:
            warnings.add(
                f"{source}: no line has {key!r}, but {found[0]!r}: rename it if meant so,"
                f" or give {option[key]}{found[0]}"
            )


def _warn_of_unnamed(folder: Path, samples: Sequence[_Sample], warnings: WarningLog) -> None:
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
            f"{_count(len(unnamed), 'image file')} of {folder} {verb} named by no line and not"
            f" used, for example {first}"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, with a NUL, or in a closed folder
        return False


def _table(
    source: str, samples: Sequence[_Sample], names: Mapping[str, str], warnings: WarningLog
) -> Table:
    columns: dict[str, Column] = {}
    images = Images([sample.image for sample in samples])
    texts = Texts([tuple(sample.texts) for sample in samples])
    columns |= {"image": images} if images.present.any() else {}
    columns |= {"text": texts} if texts.present.any() else {}
    labels, class_names = labels_from_names(
        [s.raw_label for s in samples], None, f"the label of {source}", warnings
    )
    given = any(sample.split is not None for sample in samples)
    fields = _fields(samples)
    return Table(
        source=source,
        ids=[sample.id or sample.file_name or _line(sample) for sample in samples],
        columns=columns,
        labels=labels,
        class_names=class_names,
        splits=[sample.split or "" for sample in samples] if given else None,
        groups=fields.get("group"),
        fields=fields,
        keys=_keys(columns, bool(labels.any()), given, fields, names),
    )


def _line(sample: _Sample) -> str:
    return sample.where.rpartition(", ")[2].replace(" ", "-")


def _fields(samples: Sequence[_Sample]) -> Mapping[str, list[Any]]:
    names = dict.fromkeys(name for sample in samples for name in sample.rest)
    return {name: [sample.rest.get(name) for sample in samples] for name in names}


def _keys(
    columns: Mapping[str, Column],
    labeled: bool,
    split: bool,
    fields: Mapping[str, list[Any]],
    names: Mapping[str, str],
) -> dict[str, str]:
    """Return modality, label, split or group -> the column that was taken as it."""
    own = {known: key for key, known in names.items()}
    taken = {"image": "file_name", "text": "text"}
    keys = {name: own.get(taken[name], taken[name]) for name in columns}
    keys |= {"label": own.get("label", "label")} if labeled else {}
    keys |= {"split": "split"} if split else {}
    return keys | ({"group": "group"} if "group" in fields else {})
