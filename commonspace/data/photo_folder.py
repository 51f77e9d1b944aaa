"""Image files of a data set must be in its folder, because an index and a service hand them out."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from commonspace.data.columns import Column, Images
from commonspace.data.reading import WarningLog
from commonspace.errors import DataError

__all__ = ["PhotoFolder", "drop_outside"]


class PhotoFolder:
    """A folder that files are in or not, with all links resolved.

    Args:
        path: the folder.

    Example:
        >>> folder = PhotoFolder(Path("shots"))
        >>> Path("shots/a.jpg") in folder, Path("shots/../a.jpg") in folder
        (True, False)
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self._parents: dict[Path, bool] = {}

    def __contains__(self, file: Path) -> bool:
        """Return whether a file is in the folder; of each parent, links are resolved once."""
        if os.path.islink(file):  # noqa: PTH114 - Path.is_link is several times slower
            return Path(os.path.realpath(file)).is_relative_to(self.path)
        parent = file.parent
        if parent not in self._parents:
            self._parents[parent] = Path(os.path.realpath(parent)).is_relative_to(self.path)
        return self._parents[parent] and file.name != ".."


def drop_outside(
    columns: Mapping[str, Column],
    ids: Sequence[str],
    folder: Path,
    warnings: WarningLog,
    unpacked: Path | None = None,
) -> dict[str, Column]:
    """Refuse image files outside of a folder; a partial reader leaves them out.

    Args:
        columns: modality -> column of n entries.
        ids: n ids, for messages.
        folder: the folder that every file must be in, links resolved.
        warnings: raises or records files outside.
        unpacked: another folder that files may be in, that of unpacked archives.

    Raises:
        DataError: strict, and a file is outside.
    """
    allowed = PhotoFolder(folder)
    also = PhotoFolder(unpacked) if unpacked is not None and unpacked.is_dir() else ()
    kept = dict(columns)
    for name, column in columns.items():
        if not isinstance(column, Images):
            continue
        outside = [
            row
            for row, item in enumerate(column.items)
            if isinstance(item, Path) and item not in allowed and item not in also
        ]
        if not outside:
            continue
        warnings.report(
            _error([(column.items[row], ids[row]) for row in outside], allowed.path),
            instead="these samples have no image",
        )
        items = list(column.items)
        for row in outside:
            items[row] = None
        kept[name] = Images(items)
    return kept


def _error(files: Sequence[tuple[object, str]], folder: Path) -> DataError:
    named = [
        f"{file} (sample {id!r})" + (f", which is {real}" if real != str(file) else "")
        for file, id in files[:3]
        for real in [os.path.realpath(str(file))]
    ]
    more = f"; and {len(files) - 3} more" if len(files) > 3 else ""
    count = f"{len(files)} image files are" if len(files) > 1 else "1 image file is"
    return DataError(
        f"{count} outside the folder of the data",
        expected=f"files in {folder}",
        found="; ".join(named) + more,
        advice="move them there, or allow a larger folder: --photos DIR, or photos=DIR in Python",
    )
