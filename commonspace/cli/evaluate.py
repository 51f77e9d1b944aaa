"""Command ``evaluate``: the mAP of each direction of retrieval, or the recall of its pairs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.engines import engine_named
from commonspace.cli.options import (
    AddressOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    OtherDataOption,
    OtherSplitSeedOption,
    PartialOption,
    ProcessesOption,
    RunArgument,
    Split,
)
from commonspace.cli.runs import data_of

if TYPE_CHECKING:
    from commonspace.data import Dataset, Overlap
    from commonspace.space import CommonSpace

__all__ = ["evaluate", "trained_on"]


def evaluate(
    run: RunArgument,
    data: OtherDataOption = None,
    split: Annotated[Split, typer.Option(help="Split of the queries and the gallery.")] = "test",
    k: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Also print mAP@K; can be repeated.", metavar="K"),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Also print R@1, R@5, R@10, median rank and MRR of the pairs; the default without"
            " labels.",
        ),
    ] = False,
    queries: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Rank so many labeled queries of each direction, drawn at random, and print the"
            " 95 % interval of the mAP (default: all).",
            show_default=False,
        ),
    ] = None,
    engine: EngineOption = "local",
    processes: ProcessesOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
    split_seed: OtherSplitSeedOption = None,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Measure cross-modal retrieval: mean average precision (mAP).

    Every labeled sample of the split is a query in each of its modalities; the
    gallery is all samples of the other modality. An item is relevant if it
    shares a class with the query. chance is the share of relevant items, about
    the mAP of a random order. "image known" is the mAP if the classes of all
    images were known perfectly: where it is far above the mAP, a better image
    encoder can help. The class accuracy is that of the model's class posteriors,
    or of a linear probe on the embeddings.

    Without labels, or with --pairs: Recall@K, median rank and mean reciprocal
    rank (MRR) of the first item of the query's own sample. Each of several
    captions is a query; items of equal content count once.

    [bold]Examples[/bold]

      commonspace evaluate runs/photos
      commonspace evaluate runs/photos --split validation --k 10 --k 50
      commonspace evaluate runs/photos --pairs
      commonspace evaluate runs/photos --queries 10000
      commonspace evaluate runs/photos --engine ray --address auto
      commonspace evaluate runs/photos --data other-photos --json

    Next: commonspace embed RUN --data DATA --out vectors.npz
    """
    from commonspace.evaluation.protocol import evaluate as measure
    from commonspace.space import load

    space = load(run, device=device)
    dataset = data_of(run, data, split_seed, partial=partial)
    if data is None:
        _warn_if_changed(space, dataset)
    report = measure(
        space,
        dataset,
        k=k,
        split=split,
        oracle=True,
        pairs=pairs or None,
        queries=queries,
        engine=engine_named(engine, processes, address),
    )
    overlaps = [] if data is None else _overlaps(space, run, dataset, split)
    if as_json:
        more: dict[str, object] = {"oracle": asdict(report.oracle)} if report.oracle else {}
        if report.pairs is not None:
            more["pairs"] = report.pairs
        if overlaps:
            more["overlap"] = [asdict(overlap) for overlap in overlaps]
        typer.echo(json.dumps({**report, **more}, indent=2))
        return
    from commonspace.cli.tables import print_report

    print_report(f"{run}: {split} split of {dataset.name}", report)
    for overlap in overlaps:
        typer.echo(f"note: {overlap}")


def trained_on(space: "CommonSpace", dataset: "Dataset") -> bool:
    """Return whether the training samples of a data set are those that a space was trained on.

    Args:
        space: with its provenance.
        dataset: with all its splits.
    """
    facts = space.provenance.get("data", {})
    fingerprint = facts.get("given_fingerprint", facts.get("fingerprint"))
    return bool(dataset.take(dataset.splits == "train").fingerprint == fingerprint)


def _overlaps(space: "CommonSpace", run: Path, data: "Dataset", split: str) -> "list[Overlap]":
    """Return which samples of another data set have the content of training samples.

    That set may be the training data at a new place.
    """
    from commonspace.cli.runs import RunRecord
    from commonspace.data import find_overlap
    from commonspace.datasets import load_dataset
    from commonspace.errors import CommonspaceError

    part = data.split(split)
    if trained_on(space, data):
        return find_overlap(data.split("train"), part, split)
    record = RunRecord.read(run)
    reason = "the run does not name its data"
    if record is not None:
        try:
            original = load_dataset(record.data, seed=record.split_seed, partial=True)
            if trained_on(space, original) or record.partial:
                return find_overlap(original.split("train"), part, split)
            reason = f"the samples in {record.data} have changed since training"
        except CommonspaceError as error:
            reason = error.problem
    typer.echo(f"note: not checked for training samples: {reason}", err=True)
    return []


def _warn_if_changed(space: "CommonSpace", dataset: "Dataset") -> None:
    if not trained_on(space, dataset):
        typer.echo(
            "note: the training samples have changed since training: samples of this split may"
            " have been among them",
            err=True,
        )
