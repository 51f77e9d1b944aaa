"""``commonspace data``: content of a data set, and what is wrong with it."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from commonspace.cli.options import (
    CorrectionsOption,
    DataArgument,
    JsonOption,
    LabelOption,
    ModalityOption,
    PhotosOption,
    SplitSeedOption,
)
from commonspace.cli.runs import open_data
from commonspace.errors import DataError

if TYPE_CHECKING:
    from commonspace.assessment import LabelCheck, PairCheck
    from commonspace.data import Dataset

__all__ = ["data", "describe", "folder_of", "map_keys", "place_of"]

_MOST_CLASSES = 40  # rows of the table of classes
_MOST_PROBLEMS = 40  # lines of problems


def data(
    data: DataArgument,
    as_json: JsonOption = False,
    split_seed: SplitSeedOption = 0,
    modality: ModalityOption = None,
    label: LabelOption = None,
    photos: PhotosOption = None,
    corrections: CorrectionsOption = None,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates",
            help="Also compare photos of validation and test with those of train by a perceptual"
            " hash.",
        ),
    ] = False,
    check_labels: Annotated[
        bool,
        typer.Option(
            "--check-labels",
            help="Also list labels of train and validation that the other samples contradict, and"
            " pairs of different classes; without labels, pairs that probably do not belong"
            " together. Needs features.",
        ),
    ] = False,
) -> None:
    """Show a data set: samples, modalities, keys, classes, splits, problems.

    Every image is opened, and whatever cannot be read is listed, as is content
    of validation and test that is also in train. train needs a data set
    without errors, or --skip-invalid to leave the broken samples out.

    [bold]Examples[/bold]

      commonspace data scenes
      commonspace data photos --near-duplicates
      commonspace data features.npz --modality image=feats --label y
      commonspace data features.npz --check-labels

    Next: commonspace train DATA --out RUN
    """
    source = map_keys(data, modality, label, photos, corrections)
    dataset = open_data(source, split_seed, partial=True)
    facts = describe(dataset, near_duplicates=near_duplicates)
    found = _check_labels(dataset) if check_labels else None
    if found is not None:
        facts["label_check" if dataset.labels.any() else "pair_check"] = found.to_json()
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    _print(facts)
    if found is not None:
        from commonspace.assessment import LabelCheck
        from commonspace.cli.label_check import print_label_check, print_pair_check

        if isinstance(found, LabelCheck):
            print_label_check(found)
        else:
            print_pair_check(found)


def _check_labels(dataset: "Dataset") -> "LabelCheck | PairCheck":
    """Check labels and pairs, or pairs alone where there are no labels."""
    from commonspace.assessment import check_pairs, check_sample_labels
    from commonspace.data import Features

    raw = [name for name, one in dataset.columns.items() if not isinstance(one, Features)]
    if raw:
        raise DataError(
            f"`--check-labels` needs features, and {raw[0]!r} is raw",
            expected="columns of features",
            found=dataset.columns[raw[0]].kind,
            advice="extract them first with commonspace extract, or use commonspace assess",
        )
    kept = dataset.take(np.flatnonzero(dataset.splits != "test"))
    if not dataset.labels.any():
        return check_pairs(kept)
    found = check_sample_labels(kept)
    if found is None:
        raise DataError(
            f"{dataset.name!r} has too few labels to check them",
            expected="two or more classes, and two labels of each on average",
            found=f"{int(kept.labels.sum())} labels in train and validation",
            advice="leave --check-labels out",
        )
    return found


def map_keys(
    data: str,
    modality: list[str] | None = None,
    label: str | None = None,
    photos: Path | None = None,
    corrections: Path | None = None,
) -> str:
    """Return the data argument with mapped keys: features.npz?image=feats&label=y.

    Args:
        data: as on the command line.
        modality: entries NAME=KEY.
        label: the key of the labels.
        photos: the folder that all photos must be in; written relative to the data, so that both
            can be moved together.
        corrections: a file of labels given on the page; written relative to the data, too.

    Raises:
        SettingError: an entry is not NAME=KEY, or two have one name.
    """
    from urllib.parse import urlencode

    from commonspace.errors import SettingError

    pairs: list[tuple[str, str]] = []
    for entry in modality or ():
        name, equals, key = entry.partition("=")
        if not (name.strip() and equals and key):
            raise SettingError(
                f"`--modality` must be NAME=KEY, got {entry!r}",
                expected="the name of a modality and the key that holds it",
                found=repr(entry),
                advice="write --modality image=feats",
            )
        if name.strip() in dict(pairs):
            raise SettingError(
                f"two keys are given for the modality {name.strip()!r}",
                expected="one key for each modality",
                found=f"{dict(pairs)[name.strip()]!r} and {key!r}",
                advice="drop one of them, or give it another name",
            )
        pairs.append((name.strip(), key))
    pairs += [("label", label)] if label else []
    folder = (folder_of(data) or Path()).resolve()
    for name, path in (("photos", photos), ("corrections", corrections)):
        if path is not None:
            pairs.append((name, os.path.relpath(path.expanduser().resolve(), folder)))
    return f"{data}{'&' if '?' in data else '?'}{urlencode(pairs)}" if pairs else data


def folder_of(data: str) -> Path | None:
    """Return the folder of a data argument "layout:path?keys"; None if there is no such path."""
    path = place_of(data)
    return path if path is None or path.is_dir() else path.parent


def place_of(data: str) -> Path | None:
    """Return the file or folder of a data argument; None if there is no such path."""
    from commonspace.data.vocabulary import exists, expand_home

    for text in (data, data.partition("?")[0], data.partition(":")[2].partition("?")[0]):
        path = expand_home(text)
        if text and exists(path):
            return path
    return None


def describe(dataset: "Dataset", *, near_duplicates: bool = False) -> dict[str, Any]:
    """Return a description of a data set that can be written as JSON.

    Args:
        dataset: opened with ``partial=True``, by :func:`commonspace.cli.runs.open_data`.
        near_duplicates: whether to compare photos by a perceptual hash.
    """
    from commonspace.data import SPLITS, find_leakage, find_near_duplicates

    labels_each = dataset.labels.sum(axis=1)
    overlaps = find_leakage(dataset)
    overlaps += find_near_duplicates(dataset) if near_duplicates else []
    return {
        "name": dataset.name,
        "samples": len(dataset),
        "provenance": dict(dataset.provenance),
        "keys": dict(dataset.provenance.get("keys", {})),
        "modalities": {
            name: {
                "kind": column.kind,
                "form": repr(column),
                "present": int(column.present.sum()),
                "missing": int((~column.present).sum()),
            }
            for name, column in dataset.columns.items()
        },
        "labels": {
            "one": int((labels_each == 1).sum()),
            "several": int((labels_each > 1).sum()),
            "none": int((labels_each == 0).sum()),
        },
        "splits": {split: int((dataset.splits == split).sum()) for split in SPLITS},
        "classes": {
            name: {
                split: int(dataset.labels[dataset.splits == split, number].sum())
                for split in SPLITS
            }
            for number, name in enumerate(dataset.class_names)
        },
        "fields": list(dataset.fields),
        "leakage": [
            {
                "split": overlap.split,
                "samples": overlap.samples,
                "modalities": list(overlap.modalities),
                "count": overlap.count,
                "example": list(overlap.example),
                "near": overlap.near,
            }
            for overlap in overlaps
        ],
        "problems": [*dataset.warnings, *map(str, overlaps)],
    }


def _print(facts: dict[str, Any]) -> None:
    from commonspace.cli.tables import print_table

    splits = list(facts["splits"])
    labels = ", ".join(f"{count} with {kind}" for kind, count in facts["labels"].items() if count)
    keys = ", ".join(f"{name} from {key}" for name, key in facts["keys"].items())
    typer.echo(
        f"{facts['name']}: {facts['samples']} samples, {len(facts['classes'])} classes\n"
        f"labels: {labels}\n"
        f"splits: {facts['provenance'].get('split', 'as given')}\n"
        + (f"keys: {keys}\n" if keys else "")
        + f"fields: {', '.join(facts['fields']) or 'none'}\n"
    )
    print_table(
        "Modalities",
        ["", "form", "present", "missing"],
        [
            [name, column["form"], str(column["present"]), str(column["missing"])]
            for name, column in facts["modalities"].items()
        ],
    )
    rows = [
        [name, *(str(counts[split]) for split in splits), str(sum(counts.values()))]
        for name, counts in facts["classes"].items()
    ]
    if len(rows) > _MOST_CLASSES:
        left = f"… {len(rows) - _MOST_CLASSES + 1} more classes: see --json"
        rows = [*rows[: _MOST_CLASSES - 1], [left, *("" for _ in splits), ""]]
    total = ["all samples", *(str(facts["splits"][split]) for split in splits)]
    print_table("Samples", ["class", *splits, "all"], [*rows, [*total, str(facts["samples"])]])
    problems = facts["problems"]
    typer.echo(f"problems: {len(problems) or 'none'}")
    for problem in problems[:_MOST_PROBLEMS]:
        typer.echo(f"  {problem}")
    if len(problems) > _MOST_PROBLEMS:
        typer.echo(f"  … {len(problems) - _MOST_PROBLEMS} more problems: see --json")
