"""Command ``embed``: the embeddings of a data set as a feature file."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.atomic import check_absent
from commonspace.cli.options import (
    DeviceOption,
    OtherSplitSeedOption,
    PartialOption,
    RunArgument,
)
from commonspace.cli.runs import data_of

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.space import CommonSpace

__all__ = ["embed", "embedded"]


def embed(
    run: RunArgument,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="A new file: .npz, .h5, .parquet or .mat.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Data set to embed (default: the training data of the run).",
            show_default=False,
        ),
    ] = None,
    split_seed: OtherSplitSeedOption = None,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Write the embeddings of a data set to a feature file.

    The file has one vector of unit length for each modality of each sample;
    the inner product of two vectors is the score. It also has ids, labels,
    splits and class names, so that every command reads it.

    [bold]Examples[/bold]

      commonspace embed runs/photos --data photos --out vectors.npz
      commonspace embed runs/photos --data new-photos --out new.parquet
      commonspace data vectors.npz
    """
    from commonspace.data.write import write_arrays, writer_of
    from commonspace.space import load

    check_absent(out)
    writer_of(out)  # an error in the name is reported before the work
    space = load(run, device=device)
    dataset = data_of(run, data, split_seed, partial=partial)
    for problem in dataset.warnings:
        typer.echo(f"note: {problem}", err=True)
    vectors = embedded(space, dataset)
    if left_out := len(dataset) - len(vectors):
        typer.echo(f"note: left out {left_out} samples without a modality of the space", err=True)
    write_arrays(vectors, out)
    counts = ", ".join(f"{c.present.sum()} {name}" for name, c in vectors.columns.items())
    typer.echo(f"{out}: {counts} vectors of {space.dimension} numbers")


def embedded(space: "CommonSpace", dataset: "Dataset") -> "Dataset":
    """Return the data set with embeddings in place of its columns.

    Args:
        space: the common space.
        dataset: the samples; those without a modality of the space are left out.

    Raises:
        SettingError: If the space and the data have no modality in common.
        DataError: If a column is of another kind or size than in training.
    """
    import numpy as np

    from commonspace.data import Features

    columns = {}
    for name, part in space.embed_dataset(dataset).items():
        values = np.zeros((len(dataset), space.dimension), dtype=np.float32)
        values[part.rows] = part.vectors
        columns[name] = Features(values, dataset.columns[name].present)
    some = np.logical_or.reduce([column.present for column in columns.values()])
    rows = np.flatnonzero(some)
    return replace(
        dataset.take(rows),
        columns={name: column.take(rows) for name, column in columns.items()},
        provenance={key: value for key, value in dataset.provenance.items() if key != "encoders"},
    )
