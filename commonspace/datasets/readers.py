"""Which reader a file or folder gets: by the suffix of a file, by the layout of a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from commonspace.data.assemble import Table
from commonspace.data.formats.arrays import table_from_arrays
from commonspace.data.formats.class_folder import is_class_folder, read_class_folder
from commonspace.data.formats.folder import find_metadata, read_folder
from commonspace.data.formats.hdf5 import read_hdf5
from commonspace.data.formats.keys import KeyRules
from commonspace.data.formats.mat import read_mat
from commonspace.data.formats.mat_folder import is_mat_folder, read_mat_folder
from commonspace.data.formats.npy_folder import is_npy_folder, read_npy_folder
from commonspace.data.formats.npz import read_npz
from commonspace.data.formats.parquet import has_file_names, is_table_folder, read_parquet
from commonspace.data.formats.webdataset import is_shard_folder, read_webdataset
from commonspace.data.reading import WarningLog
from commonspace.datasets.advice import advice_for, advice_for_folder
from commonspace.datasets.benchmark import Benchmark
from commonspace.datasets.nuswide import read_nuswide
from commonspace.datasets.pascal import read_pascal
from commonspace.datasets.wikipedia import (
    has_wikipedia_keys,
    is_wikipedia_file,
    is_wikipedia_folder,
    read_wikipedia,
    read_wikipedia_pairs,
)
from commonspace.datasets.xmedianet import read_xmedianet
from commonspace.errors import DataError, FileFormatError, SettingError

__all__ = ["BENCHMARKS", "FILES", "LAYOUTS", "Layout", "Reader", "file_reader", "recognize_layout"]

Reader = Callable[[Path, WarningLog, KeyRules], Table]
"""(path, warnings, rules) -> the table of a file or folder."""


@dataclass(frozen=True)
class Layout:
    """A way in which a folder can hold a data set.

    Args:
        means: description of such a folder, for messages.
        recognizes: folder -> whether it looks like that.
        read: (folder, warnings, rules) -> table.
    """

    means: str
    recognizes: Callable[[Path], bool]
    read: Reader


def _npz(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    return table_from_arrays(read_npz(path), source=str(path), warnings=warnings, rules=rules)


def _npy_folder(folder: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    arrays = read_npy_folder(folder)
    return table_from_arrays(arrays, source=str(folder), warnings=warnings, rules=rules)


def _hdf5(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    return table_from_arrays(read_hdf5(path), source=str(path), warnings=warnings, rules=rules)


def _parquet(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    if path.suffix.lower() == ".parquet" and path.is_file() and has_file_names(path):
        return read_folder(path, warnings, rules)
    arrays = read_parquet(path, warnings)
    return table_from_arrays(arrays, source=str(path), warnings=warnings, rules=rules)


def _mat(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    arrays = read_mat(path)
    if has_wikipedia_keys(arrays) and rules == KeyRules() and is_wikipedia_file(path, arrays):
        return read_wikipedia(path, warnings)
    return table_from_arrays(arrays, source=str(path), warnings=warnings, rules=rules)


def _without_rules(read: Callable[[Path, WarningLog], Table]) -> Reader:
    """Return a reader that refuses mapped keys: its keys are fixed."""

    def read_fixed(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
        if rules != KeyRules():
            raise SettingError(
                f"the keys of {path} cannot be mapped",
                expected="--modality and --label with feature files and metadata files",
                found="a layout whose names are fixed",
                advice="leave the options out",
            )
        return read(path, warnings)

    return read_fixed


FILES: dict[str, Reader] = {
    ".npz": _npz,
    ".mat": _mat,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".h5py": _hdf5,
    ".parquet": _parquet,
    ".arrow": _parquet,
    ".tar": _without_rules(read_webdataset),
    ".jsonl": read_folder,
    ".csv": read_folder,
    ".tsv": read_folder,
}

LAYOUTS: dict[str, Layout] = {
    "imagefolder": Layout(
        "images with a metadata.jsonl, metadata.csv, metadata.tsv or metadata.parquet",
        lambda folder: bool(find_metadata(folder)),
        read_folder,
    ),
    "six-files": Layout(
        "train_img.mat, train_txt.mat, train_img_lab.mat and the same of test",
        is_mat_folder,
        _without_rules(read_mat_folder),
    ),
    "wikipedia": Layout(
        "raw_features.mat with trainset_txt_img_cat.list and testset_txt_img_cat.list",
        is_wikipedia_folder,
        _without_rules(read_wikipedia),
    ),
    "classes": Layout(
        "one folder of images for each class",
        lambda folder: is_class_folder(folder) and not find_metadata(folder),
        _without_rules(read_class_folder),
    ),
    "npy": Layout(
        ".npy files named as the keys of a feature file, such as image.npy and label.npy",
        is_npy_folder,
        _npy_folder,
    ),
    "parquet": Layout(
        "parts of a table, such as 000.parquet and 001.parquet, or .arrow files",
        lambda folder: is_table_folder(folder) and not find_metadata(folder),
        _parquet,
    ),
    "webdataset": Layout(
        ".tar files of samples (WebDataset)", is_shard_folder, _without_rules(read_webdataset)
    ),
}

BENCHMARKS: dict[str, Benchmark] = {
    "wikipedia": Benchmark((2173, 231, 462), read_wikipedia_pairs, divides_test=True),
    "pascal": Benchmark((800, 100, 100), read_pascal),
    "nuswide10k": Benchmark((8000, 1000, 1000), read_nuswide),
    "xmedianet": Benchmark((32000, 4000, 4000), read_xmedianet, divides_test=True),
}


def file_reader(file: Path) -> Reader:
    """Return the reader of a file by its suffix.

    Args:
        file: with a suffix of any case.

    Raises:
        FileFormatError: no reader has this suffix.
    """
    read = FILES.get(file.suffix.lower())
    if read is None:
        raise FileFormatError(
            f"{file} is of an unknown kind",
            expected=", ".join(FILES),
            found=file.suffix or "a name without suffix",
            advice=advice_for(file),
        )
    return read


def recognize_layout(folder: Path) -> str:
    """Return the one layout that a folder has; else say what could be meant.

    Args:
        folder: that exists.

    Raises:
        DataError: the folder has no layout, or several.
    """
    found = [name for name, layout in LAYOUTS.items() if layout.recognizes(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{folder} can be read in several ways",
            expected="a folder with one layout",
            found=", ".join(found),
            advice="choose one: " + " or ".join(f"{name}:{folder}" for name in found),
        )
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    inside = [str(entry) for entry in entries if _is_candidate(entry)]
    shown = [entry.name + "/" * entry.is_dir() for entry in entries[:10]]
    more = [f"{len(entries) - 10} more"] if len(entries) > 10 else []
    raise DataError(
        f"{folder} has none of the supported layouts",
        expected="; or ".join(layout.means for layout in LAYOUTS.values()),
        found=", ".join(shown + more) or "an empty folder",
        advice=f"did you mean {' or '.join(inside[:5])}?"
        if inside
        else advice_for_folder(folder, entries)
        or "point at the folder that holds the metadata or the feature files; a benchmark as it"
        f" is published goes by its name: {', '.join(f'{name}:FOLDER' for name in BENCHMARKS)}",
    )


def _is_candidate(entry: Path) -> bool:
    if entry.is_dir():
        return any(layout.recognizes(entry) for layout in LAYOUTS.values())
    return entry.suffix.lower() in FILES
