"""One door for every kind of data set: a name, a file or a folder in, a data set out.

Which reader reads what is two plain dicts: by the suffix of a file, by the layout of a folder. This
module knows no format itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from commonspace.data.assemble import Table, assemble
from commonspace.data.dataset import Dataset
from commonspace.data.formats.arrays import table_from_arrays
from commonspace.data.formats.folder import find_metadata, read_folder
from commonspace.data.formats.hdf5 import read_hdf5
from commonspace.data.formats.mat import read_mat
from commonspace.data.formats.mat_folder import is_mat_folder, read_mat_folder
from commonspace.data.formats.npz import read_npz
from commonspace.data.formats.parquet import read_parquet
from commonspace.data.problems import Problems
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


def load_dataset(path: str | Path, *, seed: int = 0, partial: bool = False) -> Dataset:
    """Open a data set.

    Args:
        path: one of
            the name of a built-in data set, such as "scenes" (a folder of that name: "./scenes");
            a feature file: .npz, .mat, .h5, .hdf5 or .parquet;
            a folder in one of the ``LAYOUTS``, such as images with a metadata.jsonl;
            "layout:folder" where a folder could be read in several ways;
            "benchmark:folder" for one of the ``BENCHMARKS``, such as "pascal:folder", as its
            publisher hands it out, with the split of the papers; a feature file in place of the
            folder is split in the same way.
        seed: for splits that are drawn where the source gives none (70 % train, 10 % validation,
            20 % test, stratified by class, groups undivided), and for the tenth of train that
            becomes validation where the source gives none; also the seed of built-in data.
        partial: True loads what can be loaded, and writes a sentence into ``Dataset.warnings`` for
            each thing left out. False raises at the first one.

    Raises:
        DataError: there is no such path, rows do not match, values are not finite, an image is
            missing.
        FileFormatError: a file is corrupt, cut short, or of an unknown kind.
        SplitError: a split is empty or holds a label that train lacks; a class cannot be divided.
        SettingError: the seed is negative.

    Example:
        >>> data = load_dataset("scenes")
        >>> data.modalities
        ('image', 'text')
    """
    if seed < 0:
        raise SettingError(
            "the seed of the splits cannot work",
            expected="a whole number from 0",
            found=repr(seed),
            advice="leave it out to take 0",
        )
    if isinstance(path, str) and path in BUILT_IN:
        return BUILT_IN[path](seed)
    layout, place = _named_layout(path)
    _check_exists(path, place)
    problems = Problems(partial=partial)
    if layout in BENCHMARKS:
        benchmark, kind = BENCHMARKS[layout], layout
        if place.is_dir():
            table = benchmark.read(place, problems, seed)
        else:
            table = _reader(place)(place, problems)
        table = paper_split(table, benchmark, seed=seed, problems=problems)
    elif place.is_dir():
        layout = layout or _recognised(place)
        table, kind = LAYOUTS[layout].read(place, problems), layout
    else:
        read, kind = _reader(place), place.suffix.lower().lstrip(".")
        table = read(place, problems)
    resolved = place.resolve()
    return assemble(
        table,
        name=resolved.name if place.is_dir() else resolved.stem,
        provenance={"source": resolved.name, "format": kind},
        seed=seed,
        problems=problems,
    )


@dataclass(frozen=True)
class Layout:
    """A way in which a folder can hold a data set.

    Args:
        means: what such a folder looks like, for messages.
        recognises: folder -> whether it looks like that.
        read: (folder, problems) -> table.
    """

    means: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Problems], Table]


def _scenes(seed: int) -> Dataset:
    from commonspace.datasets.scenes.scenes import (
        scenes,  # drawn with Pillow: only for who asks for it
    )

    return scenes(seed)


def _npz(path: Path, problems: Problems) -> Table:
    return table_from_arrays(read_npz(path), source=str(path), problems=problems)


def _hdf5(path: Path, problems: Problems) -> Table:
    return table_from_arrays(read_hdf5(path), source=str(path), problems=problems)


def _parquet(path: Path, problems: Problems) -> Table:
    return table_from_arrays(read_parquet(path, problems), source=str(path), problems=problems)


def _mat(path: Path, problems: Problems) -> Table:
    arrays = read_mat(path)
    if has_wikipedia_keys(arrays):
        return read_wikipedia(path, problems)
    return table_from_arrays(arrays, source=str(path), problems=problems)


BUILT_IN: dict[str, Callable[[int], Dataset]] = {"scenes": _scenes}

FILES: dict[str, Callable[[Path, Problems], Table]] = {
    ".npz": _npz,
    ".mat": _mat,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".parquet": _parquet,
    ".jsonl": read_folder,
    ".csv": read_folder,
}

LAYOUTS: dict[str, Layout] = {
    "imagefolder": Layout(
        "images with a metadata.jsonl or metadata.csv",
        lambda folder: bool(find_metadata(folder)),
        read_folder,
    ),
    "six-files": Layout(
        "train_img.mat, train_txt.mat, train_img_lab.mat and the same of test",
        is_mat_folder,
        read_mat_folder,
    ),
    "wikipedia": Layout(
        "raw_features.mat with trainset_txt_img_cat.list and testset_txt_img_cat.list",
        is_wikipedia_folder,
        read_wikipedia,
    ),
}

BENCHMARKS: dict[str, Benchmark] = {
    "wikipedia": Benchmark((2173, 231, 462), read_wikipedia_pairs, divides_test=True),
    "pascal": Benchmark((800, 100, 100), read_pascal),
    "nuswide10k": Benchmark((8000, 1000, 1000), read_nuswide),
    "xmedianet": Benchmark((32000, 4000, 4000), read_xmedianet, divides_test=True),
}


def _named_layout(path: str | Path) -> tuple[str, Path]:
    """Divide "layout:folder"; a colon elsewhere belongs to the path."""
    if isinstance(path, str):
        layout, colon, rest = path.partition(":")
        if colon and layout in LAYOUTS | BENCHMARKS and rest:
            return layout, Path(rest)
    return "", Path(path)


def _check_exists(path: str | Path, place: Path) -> None:
    if place.exists():
        return
    beside = [entry.name for entry in place.parent.iterdir()] if place.parent.is_dir() else []
    close = get_close_matches(place.name, [*beside, *BUILT_IN], n=3, cutoff=0.6)
    near = [name if name in BUILT_IN else str(place.parent / name) for name in close]
    raise DataError(
        f"there is no data set {str(path)!r}",
        expected=f"a file or folder, or a built-in name: {', '.join(BUILT_IN)}",
        found=f"no such path; {place.parent} "
        + ("is there" if place.parent.is_dir() else "is not there either"),
        advice=f"did you mean {' or '.join(near)}?" if near else "check the spelling of the path",
    )


def _reader(file: Path) -> Callable[[Path, Problems], Table]:
    read = FILES.get(file.suffix.lower())
    if read is None:
        raise FileFormatError(
            f"{file} is of a kind that nobody here reads",
            expected=", ".join(FILES),
            found=file.suffix or "a name without suffix",
            advice="convert it, for example with numpy.savez(file, image=..., text=..., label=...)",
        )
    return read


def _recognised(folder: Path) -> str:
    """Return the one layout that a folder has; else say what could be meant."""
    found = [name for name, layout in LAYOUTS.items() if layout.recognises(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{folder} can be read in several ways",
            expected="a folder with one layout",
            found=", ".join(found),
            advice="say which: " + " or ".join(f"{name}:{folder}" for name in found),
        )
    inside = [str(entry) for entry in sorted(folder.iterdir()) if _is_candidate(entry)]
    raise DataError(
        f"{folder} has none of the layouts that a folder can have",
        expected="; or ".join(layout.means for layout in LAYOUTS.values()),
        found=", ".join(Path(entry).name for entry in inside[:10]) or "none of these",
        advice=f"did you mean {' or '.join(inside[:5])}?"
        if inside
        else "point at the folder that holds the metadata or the feature files; a benchmark as it"
        f" is published goes by its name: {', '.join(f'{name}:FOLDER' for name in BENCHMARKS)}",
    )


def _is_candidate(entry: Path) -> bool:
    if entry.is_dir():
        return any(layout.recognises(entry) for layout in LAYOUTS.values())
    return entry.suffix.lower() in FILES
