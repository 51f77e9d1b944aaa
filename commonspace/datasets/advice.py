"""What to do with files and folders that are no data set as they are."""

from collections.abc import Sequence
from pathlib import Path

from commonspace.data.images import IMAGE_SUFFIXES

__all__ = ["advice_for", "advice_for_folder"]

_SAVE = "numpy.savez(file, image=..., text=..., label=...)"
_TABLE = "save it as metadata.csv in UTF-8, beside the images"
_PICKLE = f"it may run code when it is read: write its arrays with {_SAVE}"
_ADVICE = {
    ".zip": "unpack it into a folder first",
    ".7z": "unpack it into a folder first",
    ".rar": "unpack it into a folder first",
    ".gz": "decompress it first: gzip -d FILE",
    ".tgz": "decompress it first: gzip -d FILE",
    ".bz2": "decompress it first: bzip2 -d FILE",
    ".xz": "decompress it first: xz -d FILE",
    ".zst": "decompress it first: zstd -d FILE",
    ".json": "write one object a line into metadata.jsonl, beside the images: jq -c '.[]' FILE",
    ".ndjson": "rename it metadata.jsonl, beside the images",
    ".xlsx": _TABLE,
    ".xls": _TABLE,
    ".ods": _TABLE,
    ".txt": _TABLE,
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".pt": _PICKLE,
    ".pth": _PICKLE,
    ".npy": "name the folder: it holds image.npy, text.npy and label.npy",
    ".feather": "write it as .parquet or .arrow",
    ".lmdb": f"write its arrays with {_SAVE}",
    ".tfrecord": "write it as .parquet, or as .tar of samples",
}
_UNREAD = frozenset((".heic", ".heif", ".svg", ".psd", ".raw", ".dng", ".cr2", ".nef", ".pdf"))
_UNPACK = frozenset((".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst"))


def advice_for(file: Path) -> str:
    """Return what to do with a file of a kind that no reader knows.

    Example:
        >>> advice_for(Path("photos.zip"))
        'unpack it into a folder first'
    """
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "name the folder of the images, with a metadata.jsonl or a folder for each class"
    return _ADVICE.get(suffix, f"convert it, for example with {_SAVE}").replace("FILE", str(file))


def advice_for_folder(folder: Path, entries: Sequence[Path]) -> str:
    """Return what to do with a folder that has no layout, "" where nothing in it is telling.

    Args:
        folder: the folder.
        entries: what it holds.
    """
    files = [entry for entry in entries if entry.is_file()]
    for entry in files:
        if entry.suffix.lower() in _UNPACK:
            return f"{entry.name}: {advice_for(entry)}"
        if entry.stem.casefold() == "metadata" or entry.suffix.lower() in (".ndjson", ".json"):
            return f"{entry.name}: {advice_for(entry)}"
    suffixes = {entry.suffix.lower() for entry in _few_files(folder)}
    unread = sorted(suffixes & _UNREAD)
    if unread and not suffixes & IMAGE_SUFFIXES:
        return f"convert the {' and '.join(unread)} files to JPEG or PNG"
    if suffixes & IMAGE_SUFFIXES:
        return (
            "write a metadata.jsonl with one line for each image (file_name, text, label), or put"
            " the images of each class into a folder of its own"
        )
    return ""


def _few_files(folder: Path) -> list[Path]:
    """Return files of a folder and of the folders in it, a thousand of each at most."""
    found: list[Path] = []
    for place in [folder, *(sub for sub in sorted(folder.iterdir()) if sub.is_dir())][:100]:
        found += [path for path, _ in zip(place.iterdir(), range(1000), strict=False)]
    return found
