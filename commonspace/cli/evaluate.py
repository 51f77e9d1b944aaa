"""``commonspace evaluate``: a run and a split in, the mAP of each direction out."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.options import (
    DeviceOption,
    JsonOption,
    OtherDataOption,
    OtherSplitSeedOption,
    PartialOption,
    RunArgument,
    Split,
)
from commonspace.cli.runs import data_of

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.space import CommonSpace

__all__ = ["evaluate", "trained_on"]


def evaluate(
    run: RunArgument,
    data: OtherDataOption = None,
    split: Annotated[Split, typer.Option(help="The samples that ask and answer.")] = "test",
    k: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Also give the mAP of the first K found; can be repeated.", metavar="K"
        ),
    ] = None,
    as_json: JsonOption = False,
    split_seed: OtherSplitSeedOption = None,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Measure how well one modality finds another: the mAP.

    Every labelled sample of the split asks with each of its modalities, and
    the samples of each other modality answer; whatever shares a class with
    the query is relevant. chance is the share that is relevant, which is
    about the mAP of a random order.

    [bold]Examples[/bold]

      commonspace evaluate runs/photos
      commonspace evaluate runs/photos --split validation --k 10 --k 50
      commonspace evaluate runs/photos --data other-photos --json

    Next: commonspace embed RUN --data DATA --out vectors.npz
    """
    from commonspace.evaluation.protocol import evaluate as measure
    from commonspace.space import load

    space = load(run, device=device)
    dataset = data_of(run, data, split_seed, partial=partial)
    if data is None:
        _warn_if_changed(space, dataset)
    part = dataset.split(split)
    report = measure(space, part, k=k, split="all")
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    from commonspace.cli.tables import print_report

    print_report(f"{run}: {split} split of {dataset.name}", report)


def trained_on(space: "CommonSpace", dataset: "Dataset") -> bool:
    """Tell whether the training samples of a data set are those that a space was trained on.

    Args:
        space: with the record of what it was fitted on.
        dataset: the whole of it, with all its splits.
    """
    facts = space.provenance.get("data", {})
    fingerprint = facts.get("given_fingerprint", facts.get("fingerprint"))
    return bool(dataset.take(dataset.splits == "train").fingerprint == fingerprint)


def _warn_if_changed(space: "CommonSpace", dataset: "Dataset") -> None:
    if not trained_on(space, dataset):
        typer.echo(
            "note: the training samples are no longer those that the space was trained on:"
            " samples of this split may have been among them",
            err=True,
        )
