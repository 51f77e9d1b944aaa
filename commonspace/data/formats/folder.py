"""Folders of images with metadata: the Hugging Face imagefolder convention.

A ``metadata.jsonl`` or ``metadata.csv`` lies beside the images, or one in each folder named after a
split. Its columns: file_name (none: a sample without image), text (one, or a list), label (one, a
list, or none), split, group, id; any other column becomes a field. Several lines with one file_name
are one sample with several texts. Images are looked for, not opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.formats.metadata import METADATA_NAMES, Record, read_records
from commonspace.data.labels import labels_from_names
from commonspace.data.problems import Problems
from commonspace.data.splits import split_name
from commonspace.errors import DataError, FileFormatError

__all__ = ["find_metadata", "read_folder"]

_KNOWN = frozenset({"file_name", "text", "label", "split", "id"})
_MEANT = {
    "file_name": ("filename", "file", "image", "path"),
    "text": ("texts", "caption", "captions", "description"),
    "label": ("labels", "class", "category"),
}


@dataclass
class _Sample:
    """One image, or none, with all that its lines say."""

    where: str
    file_name: str | None
    image: Path | None
    texts: list[str]
    label: tuple[str, ...]
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


def read_folder(path: Path, problems: Problems) -> Table:
    """Read a folder of images with metadata, or its metadata file.

    Args:
        path: the folder, or a metadata file (.jsonl or .csv) beside the images.
        problems: raises or records damaged lines, missing images, lines that contradict.

    Returns:
        A table with the columns "image" and "text", each where at least one sample has it.

    Raises:
        DataError: no metadata, two metadata files for one folder, a missing image.
        FileFormatError: a damaged line, or a value of a wrong kind; the message has its number.
    """
    files = [path] if path.is_file() else find_metadata(path)
    _check_one_each(path, files)
    samples: list[_Sample] = []
    for file in files:
        inside = file.parent != path and path.is_dir()
        samples += _samples(file, file.parent.name if inside else "", problems)
    merged = _merged(samples, problems)
    _check_images(merged, problems)
    _note_other_names(str(path), merged, problems)
    return _table(str(path), merged)


def _check_one_each(path: Path, files: list[Path]) -> None:
    folders = [file.parent for file in files]
    if not files or len(set(folders)) != len(files):
        raise DataError(
            f"{path} has {'two metadata files for one folder' if files else 'no metadata file'}",
            expected=" or ".join(METADATA_NAMES),
            found=" and ".join(file.name for file in files) or "neither",
            advice="keep one; it names each image: file_name, text, label, split"
            if files
            else "write one line for each image: file_name, text, label, split",
        )


def _samples(file: Path, folder: str, problems: Problems) -> list[_Sample]:
    records = read_records(file, problems)
    samples = []
    for number, record in records:
        where = f"{file}, line {number}"
        try:
            samples.append(_sample(record, where, file.parent, folder))
        except FileFormatError as error:
            problems.meet(error, instead="line left out")
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
    return _Sample(
        where=where,
        file_name=f"{folder}/{name}" if name and folder else name or None,
        image=parent / name if name else None,
        texts=_texts(record.get("text"), where),
        label=_label(record.get("label"), where),
        split=split or folder or None,
        rest={key: value for key, value in record.items() if key not in _KNOWN},
        id=None if record.get("id") is None else str(record["id"]),
    )


def _texts(value: object, where: str) -> list[str]:
    texts: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        if one is not None and not isinstance(one, str):
            raise _wrong(where, "text", "a string, or a list of strings", value)
        texts += [one] if one and one.strip() else []
    return texts


def _label(value: object, where: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    names = []
    for one in values:
        if one is None or one == "" or one != one or one == -1:
            continue
        if isinstance(one, float) and one.is_integer():
            one = int(one)
        if not isinstance(one, str | int):
            raise _wrong(where, "label", "a string, a whole number, or a list of them", value)
        names.append(str(one))
    return tuple(names)


def _wrong(where: str, key: str, expected: str, value: object) -> FileFormatError:
    return FileFormatError(
        f"{where}: {key!r} is of a wrong kind",
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


def _merged(samples: Sequence[_Sample], problems: Problems) -> list[_Sample]:
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
            problems.meet(
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
        problems.note(f"the field {name!r} differs between lines of one image: the first was kept")
    return list(merged.values())


def _check_images(samples: Sequence[_Sample], problems: Problems) -> None:
    missing = [s for s in samples if s.image is not None and not _is_there(s.image)]
    if not missing:
        return
    named = "; ".join(f"{sample.file_name} ({sample.where})" for sample in missing[:5])
    more = f"; and {len(missing) - 5} more" if len(missing) > 5 else ""
    count = f"{len(missing)} image files are" if len(missing) > 1 else "1 image file is"
    problems.meet(
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


def _note_other_names(source: str, samples: Sequence[_Sample], problems: Problems) -> None:
    """Say so where all lines lack a key, and have one that is likely meant for it."""
    others = {name for sample in samples for name in sample.rest}
    for key, given in (
        ("file_name", any(sample.file_name for sample in samples)),
        ("text", any(sample.texts for sample in samples)),
        ("label", any(sample.label for sample in samples)),
    ):
        found = [name for name in _MEANT[key] if name in others and not given]
        if found:
            problems.note(f"{source}: no line has {key!r}, but {found[0]!r}: rename it if meant so")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long to be one, or a folder that may not be entered
        return False


def _table(source: str, samples: Sequence[_Sample]) -> Table:
    columns: dict[str, Column] = {}
    images = Images([sample.image for sample in samples])
    texts = Texts([tuple(sample.texts) for sample in samples])
    columns |= {"image": images} if images.present.any() else {}
    columns |= {"text": texts} if texts.present.any() else {}
    labels, names = labels_from_names([s.label for s in samples], None, f"the label of {source}")
    given = any(sample.split is not None for sample in samples)
    fields = _fields(samples)
    return Table(
        source=source,
        ids=[sample.id or sample.file_name or _line(sample) for sample in samples],
        columns=columns,
        labels=labels,
        class_names=names,
        splits=[sample.split or "" for sample in samples] if given else None,
        groups=fields.get("group"),
        fields=fields,
    )


def _line(sample: _Sample) -> str:
    return sample.where.rpartition(", ")[2].replace(" ", "-")


def _fields(samples: Sequence[_Sample]) -> Mapping[str, list[Any]]:
    names = dict.fromkeys(name for sample in samples for name in sample.rest)
    return {name: [sample.rest.get(name) for sample in samples] for name in names}
