"""WebDataset archives: .tar files whose members 0001.jpg, 0001.txt, 0001.cls make one sample.

Members: an image of any usual suffix; ``txt`` the text; ``cls`` the label; ``json`` an object with
the columns of a metadata file. Images are decoded into memory; those of large archives are unpacked
into files, see :class:`commonspace.data.images.EncodedImages`.
"""

import json
import tarfile
from pathlib import Path
from typing import Any

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.images import IMAGE_SUFFIXES, EncodedImages
from commonspace.data.labels import labels_from_names
from commonspace.data.reading import WarningLog, reading
from commonspace.data.vocabulary import decode_bytes, spell, split_name
from commonspace.errors import FileFormatError

__all__ = ["is_shard_folder", "read_webdataset"]

_TEXT_SUFFIXES = (".txt", ".text", ".caption")
_LABEL_SUFFIXES = (".cls", ".label")
_MOST_TEXT = 1 << 20  # bytes of a member that is no image
_MOST_IMAGE = 1 << 28


def is_shard_folder(folder: Path) -> bool:
    """Return whether a folder holds .tar files and no other data."""
    return any(folder.glob("*.tar"))


def read_webdataset(path: Path, warnings: WarningLog) -> Table:
    """Read an archive, or all archives of a folder in the order of their names.

    Args:
        path: a .tar file, or a folder of them; a name that begins with a split gives the split.
        warnings: raises or records members that cannot be read.

    Raises:
        FileFormatError: an archive is damaged, or a member has a wrong form.
    """
    files = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    samples: list[dict[str, Any]] = []
    size = sum(file.stat().st_size for file in files if file.exists())
    images = EncodedImages(path, warnings, size)
    for file in files:
        split = split_name(file.stem.split("-")[0].split("_")[0]) or ""
        with reading(file, "a .tar file of samples"), tarfile.open(file, "r:") as archive:
            for key, members in _samples(archive, file, warnings):
                image = next((v for suffix, v in members.items() if suffix in IMAGE_SUFFIXES), None)
                images.add(image, key)
                samples.append({"id": key, "split": split} | _values(members, key, file, warnings))
    keys = {"image": "image members", "text": "txt", "label": "cls"}
    texts = Texts([sample["text"] for sample in samples])
    columns: dict[str, Column] = {"image": Images(images.items)} if samples else {}
    columns |= {"text": texts} if texts.present.any() else {}
    columns = {name: column for name, column in columns.items() if column.present.any()}
    labels, names = labels_from_names(
        [sample["label"] for sample in samples], None, f"the label of {path}", warnings
    )
    splits = [str(sample["split"] or "") for sample in samples]
    others = dict.fromkeys(name for sample in samples for name in sample["rest"])
    return Table(
        source=str(path),
        ids=[sample["id"] for sample in samples],
        columns=columns,
        labels=labels,
        class_names=names,
        splits=splits if any(splits) else None,
        fields={name: [sample["rest"].get(name) for sample in samples] for name in others},
        keys={name: key for name, key in keys.items() if name in columns or name == "label"},
    )


def _samples(
    archive: tarfile.TarFile, file: Path, warnings: WarningLog
) -> list[tuple[str, dict[str, bytes]]]:
    """Return key -> suffix -> content for each sample: members that share a name up to a dot."""
    samples: dict[str, dict[str, bytes]] = {}
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
            error = _member_error(file, member.name, f"at most {most:,} bytes", f"{member.size:,}")
            warnings.report(error, instead="member left out")
            continue
        samples.setdefault(key, {})[suffix] = content.read()
    return list(samples.items())


def _values(
    members: dict[str, bytes], key: str, file: Path, warnings: WarningLog
) -> dict[str, Any]:
    """Return text, label, split and the other values of one sample."""
    values: dict[str, Any] = {"text": (), "label": None, "rest": {}}
    place = Path(f"{file}, {key}")
    for suffix, content in members.items():
        if suffix in _TEXT_SUFFIXES:
            text = decode_bytes(content, place).strip()
            values["text"] = (text,) if text else ()
        elif suffix in _LABEL_SUFFIXES:
            values["label"] = decode_bytes(content, place).strip()
        elif suffix == ".json":
            try:
                record = json.loads(content)
                if not isinstance(record, dict):
                    raise ValueError(f"a JSON {type(record).__name__}")
            except (ValueError, RecursionError) as exc:
                error = _member_error(file, f"{key}.json", "a JSON object", str(exc))
                warnings.report(error, instead="member left out")
                continue
            text = record.pop("text", None)
            texts = text if isinstance(text, list) else [text]
            strings = tuple(spell(t) for t in texts if isinstance(t, str) and t.strip())
            values["text"] = values["text"] or strings
            values["label"] = record.pop("label", values["label"])
            values["split"] = spell(record.pop("split", None))
            values["rest"] = record
    if not values.get("split"):
        values.pop("split", None)
    return values


def _member_error(file: Path, name: str, expected: str, found: str) -> FileFormatError:
    return FileFormatError(
        f"{file}: the member {name} cannot be read",
        expected=expected,
        found=found,
        advice="write the archive again without it",
    )
