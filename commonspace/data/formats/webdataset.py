"""WebDataset archives: .tar files whose members 0001.jpg, 0001.txt, 0001.cls make one sample.

Members: an image of any usual suffix; ``txt`` the text; ``cls`` the label; ``json`` an object with
the columns of a metadata file. Images are decoded into memory; those of large archives are unpacked
into files, see :class:`commonspace.data.images.EncodedImages`.
"""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.formats.hints import add_hints
from commonspace.data.formats.metadata import Record, fold_names, texts_of, wrong_type
from commonspace.data.images import IMAGE_SUFFIXES, EncodedImages
from commonspace.data.labels import labels_from_names
from commonspace.data.reading import WarningLog, reading
from commonspace.data.vocabulary import (
    class_names_of,
    decode_bytes,
    is_missing,
    spell,
    split_name,
)
from commonspace.errors import FileFormatError
from commonspace.json_text import parse_json

__all__ = ["is_shard_folder", "read_webdataset"]

_TEXT_SUFFIXES = (".txt", ".text", ".caption")
_LABEL_SUFFIXES = (".cls", ".label")
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MOST_TEXT = 1 << 20  # bytes of a member that is no image
_MOST_IMAGE = 1 << 28


def is_shard_folder(folder: Path) -> bool:
    """Return whether a folder holds .tar files and no other data."""
    return any(folder.glob("*.tar"))


def read_webdataset(path: Path, warnings: WarningLog) -> Table:
    """Read an archive, or all archives of a folder in the order of their names.

    Args:
        path: a .tar file, or a folder of them. The split is a value of the .json members, else the
            beginning of the name of the file, or the first folder of all names in it.
        warnings: raises or records members that cannot be read.

    Raises:
        FileFormatError: an archive is damaged, or a member has a wrong form.
    """
    files = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    samples: list[dict[str, Any]] = []
    size = sum(file.stat().st_size for file in files if file.exists())
    images = EncodedImages(path, warnings, size)
    for file in files:
        with reading(file, "a .tar file of samples"):
            _check_plain(file)
            with tarfile.open(file, "r:") as archive:
                found = _samples(archive, file, warnings)
        split = _split_of(file, [key for key, _ in found])
        for key, members in found:
            image = next((v for suffix, v in members.items() if suffix in IMAGE_SUFFIXES), None)
            images.add(image, key)
            values = _values(members, key, file, warnings)
            samples.append({"id": key, "split": split(key)} | values)
    return _table(path, samples, images, warnings)


def _table(
    path: Path, samples: list[dict[str, Any]], images: EncodedImages, warnings: WarningLog
) -> Table:
    texts = Texts([sample["text"] for sample in samples])
    columns: dict[str, Column] = {"image": Images(images.items)} if samples else {}
    columns |= {"text": texts} if texts.present.any() else {}
    columns = {name: column for name, column in columns.items() if column.present.any()}
    labels, names = labels_from_names(
        [sample["label"] for sample in samples], None, f"the label of {path}", warnings
    )
    splits = [str(sample["split"] or "") for sample in samples]
    others = dict.fromkeys(name for sample in samples for name in sample["rest"])
    known = {"text": "text" in columns, "label": labels.any(), "split": any(splits)}
    add_hints(
        {name: name for name in others},
        {name: name for name, given in known.items() if not given},
        str(path),
        warnings,
        lack="no .json member has",
        mapped=False,
    )
    if samples and not labels.any():
        warnings.add(
            f"{path}: no sample has a label: it is read from .cls members, or from 'label' in"
            " .json members, and not from the names of folders"
        )
    fields = {name: [sample["rest"].get(name) for sample in samples] for name in others}
    keys = {"image": "image members", "text": "txt and json", "label": "cls and json"}
    used = {name for name, given in known.items() if given} | set(columns)
    return Table(
        source=str(path),
        ids=[sample["id"] for sample in samples],
        columns=columns,
        labels=labels,
        class_names=names,
        splits=splits if any(splits) else None,
        groups=fields.get("group"),
        fields=fields,
        keys={name: key for name, key in keys.items() if name in used},
    )


def _check_plain(file: Path) -> None:
    with file.open("rb") as opened:
        start = opened.read(6)
    kind = next((kind for mark, kind in _COMPRESSED.items() if start.startswith(mark)), None)
    if kind:
        raise FileFormatError(
            f"{file} is compressed",
            expected="a .tar file without compression",
            found=kind,
            advice=f"decompress it: {kind} -d -c {file} > FILE.tar",
        )


def _split_of(file: Path, keys: list[str]) -> Callable[[str], str]:
    """Return the function that gives the split of a sample of one archive."""
    named = split_name(re.split(r"[-_.]", file.stem)[0]) or ""
    folders = {key: split_name(key.partition("/")[0]) if "/" in key else None for key in keys}
    if not named and keys and all(folders.values()):
        return lambda key: folders[key] or ""
    return lambda key: named


def _samples(
    archive: tarfile.TarFile, file: Path, warnings: WarningLog
) -> list[tuple[str, dict[str, bytes]]]:
    """Return key -> suffix -> content for each sample: members that share a name up to a dot."""
    samples: dict[str, dict[str, bytes]] = {}
    twice, first = 0, ""
    for member in archive:
        folder, _, name = member.name.rpartition("/")
        stem, dot, suffix = name.partition(".")
        if not member.isfile() or not dot or not stem:
            continue
        key, suffix = (
            (f"{folder}/{stem}" if folder else stem).removeprefix("./"),
            f".{suffix.lower()}",
        )
        usual = suffix in (*_TEXT_SUFFIXES, *_LABEL_SUFFIXES, ".json")
        if not usual and suffix not in IMAGE_SUFFIXES:
            warnings.add(f"{file}: members *{suffix} are not used")
            continue
        most = _MOST_TEXT if usual else _MOST_IMAGE
        content = archive.extractfile(member) if member.size <= most else None
        if content is None:
            where = f"{file}, {member.name}"
            error = _member_error(where, f"at most {most:,} bytes", f"{member.size:,}")
            warnings.report(error, instead="member left out")
            continue
        sample = samples.setdefault(key, {})
        if suffix in sample:
            twice += 1
            first = first or member.name
        sample[suffix] = content.read()
    if twice:
        warnings.add(
            f"{file}: {twice} member{'s' * (twice > 1)} of a name that came before, such as"
            f" {first}: the last one is used"
        )
    return list(samples.items())


def _values(
    members: dict[str, bytes], key: str, file: Path, warnings: WarningLog
) -> dict[str, Any]:
    """Return text, label, split, id and the other values of one sample."""
    values: dict[str, Any] = {"text": (), "label": None, "rest": {}}
    record: Record = {}
    for suffix, content in members.items():
        try:
            if suffix in _TEXT_SUFFIXES:
                values["text"] = (decode_bytes(content, Path(f"{file}, {key}")).strip(),)
            elif suffix in _LABEL_SUFFIXES:
                values["label"] = decode_bytes(content, Path(f"{file}, {key}")).strip()
            elif suffix == ".json":
                record = _record(content, f"{file}, {key}.json")
        except FileFormatError as error:
            warnings.report(error, instead="member left out")
    values["text"] = tuple(t for t in values["text"] if t) or tuple(record.pop("text", ()))
    values["label"] = record.pop("label", values["label"])
    for name in ("split", "id"):
        given = spell(record.pop(name, None))
        values |= {name: given} if not is_missing(given) else {}
    return values | {"rest": record}


def _record(content: bytes, where: str) -> Record:
    """Return the object of a .json member; its text is a list of strings, its label is one.

    Raises:
        FileFormatError: no object, or a value of a wrong type.
    """
    try:
        record = parse_json(decode_bytes(content, Path(where)))
    except ValueError as exc:
        raise _member_error(where, "a JSON object", str(exc)) from exc
    if not isinstance(record, dict):
        raise _member_error(where, "a JSON object", f"a JSON {type(record).__name__}")
    record = fold_names(record)
    if "text" in record:
        record["text"] = texts_of(record["text"], where)
    try:
        class_names_of(record.get("label"))
    except (ValueError, OverflowError) as exc:
        expected = "a string, a whole number, or a list of them"
        raise wrong_type(where, "label", expected, record["label"]) from exc
    return record


def _member_error(where: str, expected: str, found: str) -> FileFormatError:
    return FileFormatError(
        f"the member {where} cannot be read",
        expected=expected,
        found=found,
        advice="write the archive again without it",
    )
