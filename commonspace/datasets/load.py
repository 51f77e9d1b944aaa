"""Loading of every kind of data set: built-in, benchmark, file, folder, URL, or Hugging Face."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from commonspace.data.assemble import assemble
from commonspace.data.corrections import correct_labels, read_corrections
from commonspace.data.dataset import Dataset
from commonspace.data.formats.keys import KeyRules
from commonspace.data.images import unpacked_folder
from commonspace.data.photo_folder import drop_outside
from commonspace.data.reading import WarningLog, reading
from commonspace.data.remote import is_url, local_copy
from commonspace.data.vocabulary import exists, expand_home
from commonspace.datasets.benchmark import paper_split
from commonspace.datasets.readers import BENCHMARKS, LAYOUTS, file_reader, recognize_layout
from commonspace.errors import DataError, SettingError

__all__ = ["BUILT_IN", "load_dataset"]

HUGGING_FACE = "hf:"


def _scenes(seed: int) -> Dataset:
    from commonspace.datasets.scenes.scenes import scenes  # loads Pillow's drawing code

    return scenes(seed)


BUILT_IN: dict[str, Callable[[int], Dataset]] = {"scenes": _scenes}


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
            a feature file: .npz, .mat, .h5, .hdf5, .h5py, .parquet or .arrow; a .tar of samples;
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
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SettingError(
            f"the seed of the splits must be a whole number >= 0, got {seed!r}",
            expected="a whole number from 0",
            found=repr(seed),
            advice="leave it out for the default, 0",
        )
    _check_options(modalities, label, photos=photos, corrections=corrections)
    path, rules, beside = _key_rules(path, modalities, label)
    data = _read(path, rules, photos, beside, seed=seed, partial=partial, need_splits=need_splits)
    if corrections is None and "corrections" in beside:
        corrections = _folder_of(path) / beside["corrections"]
    if corrections is None:
        return data
    return correct_labels(data, read_corrections(expand_home(corrections)))


def _check_options(modalities: object, label: object, **paths: object) -> None:
    """Check the types of the options of ``load_dataset``.

    Raises:
        SettingError: one has another type.
    """
    wrong = [
        (name, value, "a str or Path")
        for name, value in paths.items()
        if not isinstance(value, str | Path | None)
    ]
    if not isinstance(label, str | None):
        wrong.append(("label", label, "the name of a key"))
    if not isinstance(modalities, Mapping | None):
        wrong.append(("modalities", modalities, "a dict, modality -> key"))
    for name, value, expected in wrong:
        raise SettingError(
            f"`{name}` has the wrong type",
            expected=expected,
            found=f"{type(value).__name__}: {value!r:.60}",
            advice="leave it out, or correct it",
        )


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
        if rules != KeyRules():
            raise SettingError(
                f"the keys of {path} cannot be mapped",
                expected="--modality and --label with feature files and metadata files",
                found="built-in data",
                advice="leave the options out",
            )
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
                table = file_reader(place)(place, warnings, rules)
            table = paper_split(table, benchmark, seed=seed, warnings=warnings)
        elif place.is_dir():
            layout = layout or recognize_layout(place)
            table, kind = LAYOUTS[layout].read(place, warnings, rules), layout
        else:
            read, kind = file_reader(place), place.suffix.lower().lstrip(".")
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
            f"{os.path.normpath(folder)} is no folder of photos",
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


def _state(folder: Path) -> str:
    if folder.is_dir():
        return "exists"
    return "is a file" if exists(folder) else "does not exist either"


def _check_exists(path: str | Path, place: Path) -> None:
    if exists(place) and str(path).strip():
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
        found=f"no such path; {place.parent} {_state(place.parent)}",
        advice=f"did you mean {' or '.join(near)}?" if near else "check the spelling of the path",
    )
