"""Folders of images with metadata: the Hugging Face imagefolder convention.

A metadata file (.jsonl, .csv, .tsv or .parquet) lies beside the images, or one in each folder named
after a split. Its columns: file_name (none: a sample without image), text (one, or a list), label
(one, a list, or none), split, group, id; any other column becomes a field. Several lines with one
file_name are one sample with several texts. A line with several images (a list) becomes one sample
for each of them, with the same texts, in the same split and with the same value of the field
item_group. Image files are located, not opened.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.formats.hints import add_hints, likely_names
from commonspace.data.formats.image_files import Sample, check_images, count_of, warn_of_unnamed
from commonspace.data.formats.keys import KeyRules, check_distinct
from commonspace.data.formats.metadata import (
    METADATA_NAMES,
    Record,
    read_records,
    texts_of,
    wrong_type,
)
from commonspace.data.formats.several_photos import (
    column_of_photos,
    groups_of,
    join_photos,
    one_record_for_each,
)
from commonspace.data.labels import labels_from_names
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import class_names_of, is_missing, spell, split_name
from commonspace.errors import DataError, FileFormatError, SettingError

__all__ = ["find_metadata", "read_folder"]

_KNOWN = frozenset({"file_name", "text", "label", "split", "id"})
_OPTIONS = {"image": "--modality image=", "text": "--modality text=", "label": "--label "}


def find_metadata(folder: Path) -> list[Path]:
    """Return the metadata files of a folder: its own, else those of its split folders."""
    own = _metadata_in(folder)
    if own:
        return own
    return [
        file
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and split_name(sub.name)
        for file in _metadata_in(sub)
    ]


def _metadata_in(folder: Path) -> list[Path]:
    """Return the metadata files in a folder; METADATA.CSV is one, too."""
    own = [folder / name for name in METADATA_NAMES if (folder / name).is_file()]
    return own or sorted(
        entry
        for entry in folder.iterdir()
        if entry.name.casefold() in METADATA_NAMES and entry.is_file()
    )


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
    samples: list[Sample] = []
    columns: dict[str, str] = {}
    for file in files:
        inside = file.parent != path and path.is_dir()
        made, taken = _samples(file, file.parent.name if inside else "", names, warnings)
        samples += made
        columns |= taken
    merged = _merge(samples, warnings)
    check_images(merged, warnings)
    _check_columns(path, merged, warnings)
    _warn_of_other_names(str(path), merged, warnings)
    warn_of_unnamed(path if path.is_dir() else path.parent, merged, warnings)
    return _table(str(path), merged, columns, warnings)


def _check_columns(path: Path, samples: Sequence[Sample], warnings: WarningLog) -> None:
    """Name the columns of a file in which none is a modality."""
    if not samples or warnings.errors or any(one.file_name or one.texts for one in samples):
        return
    found = dict.fromkeys(name for sample in samples for name in sample.rest)
    likely = {role: likely_names(role, {name: name for name in found}) for role in _OPTIONS}
    given = " ".join(f"{_OPTIONS[role]}{names[0]}" for role, names in likely.items() if names)
    raise DataError(
        f"{path} has neither images nor texts",
        expected="a column or key 'file_name' or 'text'",
        found=f"{', '.join(map(repr, list(found)[:8])) or 'none'} in"
        f" {count_of(len(samples), 'line')}",
        advice="name the columns in the first line, or map them:"
        f" {given or '--modality text=COLUMN'}",
    )


def _renamed(rules: KeyRules) -> dict[str, str]:
    """Return column of the file -> the known column that it stands for."""
    names = {}
    check_distinct(dict(rules.modalities) | ({"label": rules.label} if rules.label else {}))
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
) -> tuple[list[Sample], Mapping[str, str]]:
    """Return the samples of a file, and column -> the known column that it stands for."""
    records = read_records(file, warnings)
    for key in names:
        if records and not any(key in record for _, record in records):
            raise SettingError(
                f"{file} has no column {key!r}",
                expected=", ".join(dict.fromkeys(key for _, record in records for key in record)),
                found=repr(key),
                advice="map a column of the file",
            )
    column = column_of_photos([record for _, record in records])
    if column is not None and column not in names:
        names = {**names, column: "file_name"}
    samples: list[Sample] = []
    for number, record in records:
        where = f"{file}, line {number}"
        renamed = {key: value for key, value in record.items() if key not in names.values()}
        renamed = {
            names.get(key, key): value for key, value in (renamed if names else record).items()
        }
        try:
            samples += join_photos(
                _sample(one, where, file.parent, folder) for one in one_record_for_each(renamed)
            )
        except FileFormatError as error:
            warnings.report(error, instead="line left out")
    if not folder and all(sample.split is None for sample in samples):
        _split_by_folder(samples)
    return samples, names


def _sample(record: Record, where: str, parent: Path, folder: str) -> Sample:
    name = record.get("file_name")
    if name is not None and not isinstance(name, str):
        raise wrong_type(where, "file_name", "a path relative to the metadata file", name)
    name = _plain_path(name, parent) if name and name.strip() else None
    split = None if is_missing(record.get("split")) else record["split"]
    if split is not None and not isinstance(split, str):
        raise wrong_type(where, "split", "train, validation or test", split)
    try:
        label = class_names_of(record.get("label"))
    except (ValueError, OverflowError) as exc:
        expected = "a string, a whole number, or a list of them"
        raise wrong_type(where, "label", expected, record.get("label")) from exc
    id = record.get("id")
    return Sample(
        where=where,
        file_name=f"{folder}/{name}" if name and folder else name or None,
        folder=parent,
        image=parent / name if name else None,
        texts=texts_of(record.get("text"), where),
        label=label,
        raw_label=record.get("label"),
        split=split or folder or None,
        rest={key: value for key, value in record.items() if key not in _KNOWN},
        id=None if is_missing(id) else spell(id),
    )


def _plain_path(name: str, parent: Path) -> str:
    """Return a path relative to the folder, without "./" and "//", so that a file has one name."""
    if name.startswith("/"):
        for folder in (parent.absolute(), parent.resolve()):
            if Path(name).is_relative_to(folder):
                return str(Path(name).relative_to(folder))
        return name
    parts = [part for part in name.split("/") if part not in (".", "")]
    return name if "://" in name or not parts else "/".join(parts)


def _split_by_folder(samples: Sequence[Sample]) -> None:
    """Take the split from "train/a.jpg" and the like, where every file name begins so."""
    firsts = [PurePosixPath(sample.file_name or "").parts[:1] for sample in samples]
    if samples and all(first and split_name(first[0]) for first in firsts):
        for sample, first in zip(samples, firsts, strict=True):
            sample.split = first[0]


def _merge(samples: Sequence[Sample], warnings: WarningLog) -> list[Sample]:
    """Make one sample of the lines that share a file name; note fields that differ.

    A line without label, split or id takes those of the other lines of its image. The id is kept if
    all of them name the same.
    """
    groups: dict[object, list[Sample]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault(sample.file_name or number, []).append(sample)
    differing: set[str] = set()
    for first, *others in groups.values():
        ids = {first.id}
        labeled = split = first  # the lines that gave label and split
        for other in others:
            if _contradicts(labeled, split, other, warnings):
                continue
            if other.label and not first.label:
                first.label, first.raw_label = other.label, other.raw_label
                labeled = other
            if other.split and not first.split:
                first.split = other.split
                split = other
            first.texts += [text for text in other.texts if text not in first.texts]
            ids.add(other.id)
            differing |= {k for k, value in other.rest.items() if first.rest.get(k) != value}
        named = ids - {None}
        first.id = named.pop() if len(named) == 1 else None
    for name in sorted(differing):
        warnings.add(f"the field {name!r} differs between lines of one image: the first was kept")
    return [first for first, *_ in groups.values()]


def _contradicts(labeled: Sample, split: Sample, other: Sample, warnings: WarningLog) -> bool:
    """Report a line of an image with another label or split than an earlier line gave."""
    for what, line, before, now, equal in (
        ("labels", labeled, labeled.label, other.label, set(labeled.label) == set(other.label)),
        ("splits", split, split.split, other.split, split.split == other.split),
    ):
        if before and now and not equal:
            warnings.report(
                DataError(
                    f"{other.where}: {other.file_name} has two different {what}",
                    expected=f"{before!r}, as in {line.where.rpartition(', ')[2]}",
                    found=repr(now),
                    advice="give all lines of one image the same label and split, or only one of"
                    " them",
                ),
                instead="line left out",
            )
            return True
    return False


def _warn_of_other_names(source: str, samples: Sequence[Sample], warnings: WarningLog) -> None:
    """Name a key that is likely meant as a known one, where no line has the known one."""
    others = dict.fromkeys(name for sample in samples for name in sample.rest)
    given = {
        "image": any(sample.file_name for sample in samples),
        "text": any(sample.texts for sample in samples),
        "label": any(sample.label for sample in samples),
        "split": any(sample.split for sample in samples),
    }
    known = {"image": "file_name", "text": "text", "label": "label", "split": "split"}
    missing = {role: name for role, name in known.items() if not given[role]}
    add_hints({name: name for name in others}, missing, source, warnings, lack="no line has")


def _table(
    source: str, samples: Sequence[Sample], names: Mapping[str, str], warnings: WarningLog
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
        groups=groups_of(fields),
        fields=fields,
        keys=_keys(columns, bool(labels.any()), given, fields, names),
    )


def _line(sample: Sample) -> str:
    return sample.where.rpartition(", ")[2].replace(" ", "-")


def _fields(samples: Sequence[Sample]) -> Mapping[str, list[Any]]:
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
