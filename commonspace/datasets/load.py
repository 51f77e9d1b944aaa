"""Loading of every kind of data set: built-in, benchmark, file, folder, or Hugging Face data set.

Readers are chosen from two dicts: by the suffix of a file, and by the layout of a folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from commonspace.data.assemble import Table, assemble
from commonspace.data.corrections import correct_labels, read_corrections
from commonspace.data.dataset import Dataset
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
from commonspace.data.images import unpacked_folder
from commonspace.data.photo_folder import drop_outside
from commonspace.data.reading import WarningLog, reading
from commonspace.data.remote import is_url, local_copy
from commonspace.data.vocabulary import exists, expand_home
from commonspace.datasets.benchmark import Benchmark, paper_split
from commonspace.datasets.nuswide import read_nuswide
from commonspace.datasets.pascal import read_pascal
from commonspace.datasets.wikipedia import (
    has_wikipedia_keys,
    is_wikipedia_folder,
    read_wikipedia,
    read_wikipedia_pairs,
)
from commonspace.datasets.xmedianet import read_xmedianet
from commonspace.errors import DataError, FileFormatError, SettingError

__all__ = ["BENCHMARKS", "BUILT_IN", "FILES", "LAYOUTS", "Layout", "load_dataset"]

HUGGING_FACE = "hf:"


def load_dataset(
    path: str | Path,
    *,
    seed: int = 0,
    partial: bool = False,
    need_splits: bool = True,
    modalities: Mapping[str, str] | None = None,
    label: str | None = None,
    photos: str | Path | None = None,
    corrections: str | Path | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        path: one of
            the name of a built-in data set, such as "scenes" (a folder of that name: "./scenes");
            a feature file: .npz, .mat, .h5, .hdf5, .h5py or .parquet; a .tar of samples;
            a folder in one of the ``LAYOUTS``, such as images with a metadata.jsonl;
            "layout:folder" where a folder could be read in several ways;
            "benchmark:folder" for one of the ``BENCHMARKS``, such as "pascal:folder", as its
            publisher distributes it, with the split of the papers; a feature file in place of the
            folder is split in the same way;
            a URL of one of these files or folders, such as "s3://bucket/photos", through fsspec:
            it is copied into the cache folder, and later only what has changed;
            "hf:name" for a data set of the Hugging Face Hub (the package ``datasets``), or
            "hf:folder" for one that was saved with ``save_to_disk``;
            any of these followed by "?image=KEY&label=KEY&photos=FOLDER&corrections=FILE" sets
            ``modalities``, ``label``, ``photos`` and ``corrections``, the last two there relative
            to the folder of the data. A leading ~ is the home folder.
        seed: for splits that are drawn where the source gives none (70 % train, 10 % validation,
            20 % test, stratified by class, groups undivided), and for the tenth of train that
            becomes validation where the source gives none; also the seed of built-in data.
        partial: True loads what can be loaded, and adds a sentence to ``Dataset.warnings`` for
            each thing left out. False raises at the first one.
        need_splits: False accepts what only training and evaluation need: a class of one sample, an
            empty split, a class that train lacks. For an index.
        modalities: modality -> key or column of the file, in place of the usual names.
        label: the key or column of the labels.
        photos: the folder that all image files must be in, links resolved (default: the folder of
            the data), because an index and a service hand them out.
        corrections: a file of labels that people gave on the page; they replace those of train
            and validation. See ``commonspace.data.corrections``.

    Raises:
        DataError: no such path, rows do not match, values are not finite, an image is missing or
            outside of the folder.
        FileFormatError: a file is corrupt, cut short, or of an unknown kind.
        SplitError: a split is empty or holds a label that train lacks; a class cannot be divided.
        SettingError: the seed is negative, or a mapped key is missing.
        MissingExtraError: "hf:" without the package ``datasets``, or a URL without the package that
            reads it.

    Example:
        >>> data = load_dataset("scenes")
        >>> data.modalities
        ('image', 'text')
    """
    if not isinstance(path, str | Path):
        raise DataError(
            "`path` must be the path or name of a data set",
            expected="a str or Path",
            found=f"a {type(path).__name__}",
            advice="for values in memory: Dataset.from_arrays(image=..., text=..., labels=...),"
            " Dataset.from_pandas(frame) or Dataset.from_huggingface(dataset)",
        )
    if seed < 0:
        raise SettingError(
            f"the seed of the splits must be >= 0, got {seed!r}",
            expected="a whole number from 0",
            found=repr(seed),
            advice="leave it out for the default, 0",
        )
    path, rules, beside = _key_rules(path, modalities, label)
    data = _read(path, rules, photos, beside, seed=seed, partial=partial, need_splits=need_splits)
    if corrections is None and "corrections" in beside:
        corrections = _folder_of(path) / beside["corrections"]
    if corrections is None:
        return data
    return correct_labels(data, read_corrections(expand_home(corrections)))


def _read(
    path: str | Path,
    rules: KeyRules,
    photos: str | Path | None,
    beside: Mapping[str, str],
    *,
    seed: int,
    partial: bool,
    need_splits: bool,
) -> Dataset:
    """Read a data set as its source gives it."""
    if isinstance(path, str) and path in BUILT_IN:
        return BUILT_IN[path](seed)
    path = _downloaded(path)
    if isinstance(path, str) and path.startswith(HUGGING_FACE):
        return _hugging_face(path.removeprefix(HUGGING_FACE), rules, seed)
    layout, place = _named_layout(path)
    _check_exists(path, place)
    warnings = WarningLog(partial=partial)
    with reading(place, "a data set"):
        if layout in BENCHMARKS:
            benchmark, kind = BENCHMARKS[layout], layout
            if place.is_dir():
                table = benchmark.read(place, warnings, seed)
            else:
                table = _reader(place)(place, warnings, rules)
            table = paper_split(table, benchmark, seed=seed, warnings=warnings)
        elif place.is_dir():
            layout = layout or _recognize(place)
            table, kind = LAYOUTS[layout].read(place, warnings, rules), layout
        else:
            read, kind = _reader(place), place.suffix.lower().lstrip(".")
            table = read(place, warnings, rules)
    folder = place if place.is_dir() else place.parent
    if photos is not None or "photos" in beside:
        folder = _photo_folder(expand_home(photos or folder.resolve() / beside["photos"]))
    columns = drop_outside(table.columns, table.ids, folder, warnings, unpacked_folder(place))
    table = replace(table, columns=columns)
    resolved = place.resolve()
    content = assemble(
        table,
        name=resolved.name if place.is_dir() else resolved.stem,
        provenance={"source": resolved.name, "format": kind},
        seed=seed,
        warnings=warnings,
        need_splits=need_splits,
    )
    return Dataset(**content)


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
    read: Callable[[Path, WarningLog, KeyRules], Table]


def _scenes(seed: int) -> Dataset:
    from commonspace.datasets.scenes.scenes import scenes  # loads Pillow's drawing code

    return scenes(seed)


def _npz(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    return table_from_arrays(read_npz(path), source=str(path), warnings=warnings, rules=rules)


def _npy_folder(folder: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    arrays = read_npy_folder(folder)
    return table_from_arrays(arrays, source=str(folder), warnings=warnings, rules=rules)


def _hdf5(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    return table_from_arrays(read_hdf5(path), source=str(path), warnings=warnings, rules=rules)


def _parquet(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    if path.is_file() and has_file_names(path):
        return read_folder(path, warnings, rules)
    arrays = read_parquet(path, warnings)
    return table_from_arrays(arrays, source=str(path), warnings=warnings, rules=rules)


def _mat(path: Path, warnings: WarningLog, rules: KeyRules) -> Table:
    arrays = read_mat(path)
    if has_wikipedia_keys(arrays):
        return read_wikipedia(path, warnings)
    return table_from_arrays(arrays, source=str(path), warnings=warnings, rules=rules)


def _without_rules(
    read: Callable[[Path, WarningLog], Table],
) -> Callable[[Path, WarningLog, KeyRules], Table]:
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


BUILT_IN: dict[str, Callable[[int], Dataset]] = {"scenes": _scenes}

FILES: dict[str, Callable[[Path, WarningLog, KeyRules], Table]] = {
    ".npz": _npz,
    ".mat": _mat,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".h5py": _hdf5,
    ".parquet": _parquet,
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


def _key_rules(
    path: str | Path, modalities: Mapping[str, str] | None, label: str | None
) -> tuple[str | Path, KeyRules, dict[str, str]]:
    """Return the path without "?image=KEY&photos=FOLDER", the rules of both, and those paths."""
    named: dict[str, str] = {}
    if isinstance(path, str) and "?" in path and not exists(expand_home(path)):
        path, _, query = path.partition("?")
        try:
            named = dict(parse_qsl(query, strict_parsing=True))
        except ValueError as exc:
            raise SettingError(
                f"the keys after {path!r} cannot be read",
                expected="image=KEY&text=KEY&label=KEY",
                found=repr(query),
                advice="give --modality image=KEY --label KEY",
            ) from exc
    label = label or named.pop("label", None)
    paths = ("photos", "corrections")
    beside: dict[str, str] = {name: named.pop(name) for name in paths if name in named}
    return path, KeyRules(named | dict(modalities or {}), label), beside


def _folder_of(path: str | Path) -> Path:
    """Return the folder of a data set; the current one for built-in data and names of the Hub."""
    place = _named_layout(path)[1]
    if not exists(place):
        return Path()
    return (place if place.is_dir() else place.parent).resolve()


def _downloaded(path: str | Path) -> str | Path:
    """Return "layout:URL" or a URL with the path of its local copy in its place."""
    if not isinstance(path, str) or "://" not in path or path.startswith(HUGGING_FACE):
        return path
    layout, _, rest = path.partition(":")
    if layout in LAYOUTS | BENCHMARKS and is_url(rest):
        return f"{layout}:{local_copy(rest)}"
    return local_copy(path) if is_url(path) else path


def _photo_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(
            f"the folder of the photos, {folder}, does not exist",
            expected="a folder that all image files of the data are in",
            found="a file" if folder.exists() else "no such path",
            advice="correct the path, or leave it out for the folder of the data",
        )
    return folder


def _named_layout(path: str | Path) -> tuple[str, Path]:
    """Split "layout:folder"; a colon elsewhere belongs to the path."""
    if isinstance(path, str):
        layout, colon, rest = path.partition(":")
        if colon and layout in LAYOUTS | BENCHMARKS and rest:
            return layout, expand_home(rest)
    return "", expand_home(path)


def _hugging_face(name: str, rules: KeyRules, seed: int) -> Dataset:
    from commonspace.extras import optional

    datasets: Any = optional("datasets", "a data set of Hugging Face", "huggingface")
    place = expand_home(name)
    try:
        loaded = (
            datasets.load_from_disk(str(place)) if place.is_dir() else datasets.load_dataset(name)
        )
    except Exception as exc:  # the package raises errors of several other packages
        raise DataError(
            f"the data set {HUGGING_FACE}{name} cannot be loaded",
            expected="a name on the Hugging Face Hub, or a folder that save_to_disk wrote",
            found=f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0]}",
            advice="check the name and the connection; HF_HUB_OFFLINE=1 uses the cache only",
        ) from exc
    return Dataset.from_huggingface(
        loaded, modalities=rules.modalities or None, label=rules.label, seed=seed, name=place.name
    )


def _check_exists(path: str | Path, place: Path) -> None:
    if exists(place):
        if not place.is_file() and not place.is_dir():
            raise DataError(
                f"{path} is neither a file nor a folder",
                expected="a file that can be read more than once, or a folder",
                found="a pipe, a socket or a device",
                advice="write the data into a file first",
            )
        return
    beside = [entry.name for entry in place.parent.iterdir()] if place.parent.is_dir() else []
    close = get_close_matches(place.name, [*beside, *BUILT_IN], n=3, cutoff=0.6)
    near = [name if name in BUILT_IN else str(place.parent / name) for name in close]
    raise DataError(
        f"there is no data set {str(path)!r}",
        expected=f"a file or folder, or a built-in name: {', '.join(BUILT_IN)}",
        found=f"no such path; {place.parent} "
        + ("exists" if place.parent.is_dir() else "does not exist either"),
        advice=f"did you mean {' or '.join(near)}?" if near else "check the spelling of the path",
    )


def _reader(file: Path) -> Callable[[Path, WarningLog, KeyRules], Table]:
    read = FILES.get(file.suffix.lower())
    if read is None:
        raise FileFormatError(
            f"{file} is of an unknown kind",
            expected=", ".join(FILES),
            found=file.suffix or "a name without suffix",
            advice="convert it, for example with numpy.savez(file, image=..., text=..., label=...)",
        )
    return read


def _recognize(folder: Path) -> str:
    """Return the one layout that a folder has; else say what could be meant."""
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
    inside = [str(entry) for entry in sorted(folder.iterdir()) if _is_candidate(entry)]
    raise DataError(
        f"{folder} has none of the supported layouts",
        expected="; or ".join(layout.means for layout in LAYOUTS.values()),
        found=", ".join(Path(entry).name for entry in inside[:10]) or "none of these",
        advice=f"did you mean {' or '.join(inside[:5])}?"
        if inside
        else "point at the folder that holds the metadata or the feature files; a benchmark as it"
        f" is published goes by its name: {', '.join(f'{name}:FOLDER' for name in BENCHMARKS)}",
    )


def _is_candidate(entry: Path) -> bool:
    if entry.is_dir():
        return any(layout.recognizes(entry) for layout in LAYOUTS.values())
    return entry.suffix.lower() in FILES
