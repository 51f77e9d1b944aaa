"""``commonspace data``: what is in a data set, and what is wrong with it."""

import json
from typing import TYPE_CHECKING, Any

import typer

from commonspace.cli.options import DataArgument, JsonOption, SplitSeedOption
from commonspace.cli.runs import open_data

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = ["data", "described"]


def data(data: DataArgument, as_json: JsonOption = False, split_seed: SplitSeedOption = 0) -> None:
    """Show what is in a data set: samples, modalities, classes, splits, problems.

    Every image is opened, and whatever cannot be read is listed. train needs
    a data set without problems, or --partial to do without the broken parts.

    [bold]Examples[/bold]

      commonspace data scenes
      commonspace data photos
      commonspace data features.npz --json

    Next: commonspace train DATA --out RUN
    """
    facts = described(open_data(data, split_seed, partial=True))
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print(facts)


def described(dataset: "Dataset") -> dict[str, Any]:
    """Return what there is to know about a data set before training, fit for JSON.

    Args:
        dataset: opened with ``partial=True``, by :func:`commonspace.cli.runs.open_data`.
    """
    from commonspace.data import SPLITS

    labels_each = dataset.labels.sum(axis=1)
    return {
        "name": dataset.name,
        "samples": len(dataset),
        "provenance": dict(dataset.provenance),
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
        "problems": list(dataset.warnings),
    }


def _print(facts: dict[str, Any]) -> None:
    from commonspace.cli.tables import print_table

    splits = list(facts["splits"])
    labels = ", ".join(f"{count} with {kind}" for kind, count in facts["labels"].items() if count)
    typer.echo(
        f"{facts['name']}: {facts['samples']} samples, {len(facts['classes'])} classes\n"
        f"labels: {labels}\n"
        f"splits: {facts['provenance'].get('split', 'as given')}\n"
        f"fields: {', '.join(facts['fields']) or 'none'}\n"
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
    total = ["all samples", *(str(facts["splits"][split]) for split in splits)]
    print_table("Samples", ["class", *splits, "all"], [*rows, [*total, str(facts["samples"])]])
    problems = facts["problems"]
    typer.echo(f"problems: {len(problems) or 'none'}")
    for problem in problems:
        typer.echo(f"  {problem}")
