"""``commonspace train``: a data set in, a folder with a common space out."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.encoders import (
    ENCODERS,
    EncoderOption,
    FineTune,
    ImageOption,
    MultiCaptionOption,
    TextOption,
    encoders_named,
)
from commonspace.cli.history import History
from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.methods import METHODS, MethodOptions, method_for, method_named
from commonspace.cli.options import (
    Classifier,
    DataArgument,
    DeviceOption,
    PartialOption,
    Precision,
    SplitSeedOption,
    Variant,
)
from commonspace.cli.runs import CHECKPOINT, RunRecord, continued_run, new_run, open_data

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.methods import Method
    from commonspace.space import CommonSpace

__all__ = ["fit_into", "train"]

HOW_LONG, OBJECTIVE, MACHINE = "How long and how fast", "Objective and network", "Machine"


def train(
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="A new folder for the space and its records.")
    ],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to learn with; by itself posterior, and dscmr where raw items have no"
            f" encoder or an option of its own is given. There are {', '.join(METHODS)}.",
            show_default=False,
        ),
    ] = None,
    variant: Annotated[
        Variant, typer.Option(help="DSCMR as in its paper, or as in its released code.")
    ] = "paper",
    seed: Annotated[
        int, typer.Option(min=0, help="Of the weights, the batches and the dropout.")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted training in RUN.")
    ] = False,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    fine_tune: Annotated[
        FineTune,
        typer.Option(
            help="Keep the encoders as they are, train their last block along, or all of them.",
            rich_help_panel=ENCODERS,
        ),
    ] = "none",
    multi_caption: MultiCaptionOption = "concat",
    backbone_learning_rate: Annotated[
        float,
        typer.Option(help="Of encoders that are trained along.", rich_help_panel=ENCODERS),
    ] = 1e-5,
    checkpoint_gradients: Annotated[
        bool,
        typer.Option(
            "--checkpoint-gradients",
            help="Train encoders with less memory and more time.",
            rich_help_panel=ENCODERS,
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At most; by itself 20 with posterior, 500 with dscmr, or 60 for raw items, and"
            " 100 with others.",
            show_default=False,
            rich_help_panel=HOW_LONG,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Stop after that many epochs without a better validation mAP; 0 never does. By"
            " itself 0 with posterior, 100 with dscmr, and 20 with others.",
            show_default=False,
            rich_help_panel=HOW_LONG,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Samples in a step; by itself what suits the method, with dscmr 100, or 50 for"
            " backbones that start from nothing.",
            show_default=False,
            rich_help_panel=HOW_LONG,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Of Adam; by itself what suits the method, with dscmr 1e-4, or 5e-4 for backbones"
            " that start from nothing.",
            show_default=False,
            rich_help_panel=HOW_LONG,
        ),
    ] = None,
    label_weight: Annotated[
        float, typer.Option(min=0, help="The factor of J1.", rich_help_panel=OBJECTIVE)
    ] = 1.0,
    lambda_: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            min=0,
            help="The factor of J2; by itself 1e-3.",
            show_default=False,
            rich_help_panel=OBJECTIVE,
        ),
    ] = None,
    eta: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="The factor of J3; by itself 1e-1, or 1e-2 for backbones that start from nothing.",
            show_default=False,
            rich_help_panel=OBJECTIVE,
        ),
    ] = None,
    classifier: Annotated[
        Classifier | None,
        typer.Option(
            help="P: learnt without or with a bias, or in closed form; by itself linear in the"
            " paper's variant, affine in the released one.",
            show_default=False,
            rich_help_panel=OBJECTIVE,
        ),
    ] = None,
    hidden_dim: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Size of each branch's hidden layers; by itself 512 with posterior, 2048 with"
            " dscmr, or 512 from nothing, and 1024 with others.",
            show_default=False,
            rich_help_panel=OBJECTIVE,
        ),
    ] = None,
    embedding_dim: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Size of the common space; by itself what suits the method, with dscmr 1024, or"
            " 256 from nothing.",
            show_default=False,
            rich_help_panel=OBJECTIVE,
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: Annotated[Precision, typer.Option(help="Of the matrix products.")] = "auto",
) -> None:
    """Learn a common space from labelled data.

    The space is learnt from the training split; what is best is chosen on
    the validation split. The test split is not looked at.
    Ctrl-C keeps a checkpoint, and the same command with --resume goes on
    from it to the same weights, to the bit.

    [bold]Examples[/bold]

      commonspace train scenes --out runs/scenes
      commonspace train photos --out runs/photos --epochs 100 --seed 1
      commonspace train photos --image vgg19 --text textcnn --out runs/vgg
      commonspace train photos --image vgg19 --fine-tune top --out runs/top
      commonspace train features.npz --out runs/features
      commonspace train features.npz --variant released --out runs/released
      commonspace train photos --out runs/photos --resume

    Next: commonspace evaluate RUN; tensorboard --logdir RUN/events
    """
    options = MethodOptions(
        variant=variant,
        seed=seed,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        label_weight=label_weight,
        lambda_=lambda_,
        eta=eta,
        classifier=classifier,
        hidden_dim=hidden_dim,
        embedding_dim=embedding_dim,
        device=device,
        precision=precision,
        encoders=encoders_named(image, text, encoder),
        multi_caption=multi_caption,
        fine_tune=fine_tune,
        backbone_learning_rate=backbone_learning_rate,
        checkpoint_gradients=checkpoint_gradients,
    )
    record = RunRecord(data, split_seed, partial)
    begin = continued_run if resume else new_run
    with _tidy_end(out), begin(out, record) as has_checkpoint:
        if method is not None:  # what cannot work is said before the data is read
            method_named(method, options)
        dataset = _open(data, split_seed, partial)
        chosen = method_named(method or method_for(dataset, options), options)
        space = fit_into(out, chosen, dataset, resume=has_checkpoint)
    _report(out, space)


def fit_into(folder: Path, method: "Method", data: "Dataset", *, resume: bool) -> "CommonSpace":
    """Fit on the training part, choose on the validation part, and fill the folder of the run.

    Args:
        folder: of the run; it holds the checkpoint meanwhile, and the space at the end.
        method: what to fit.
        data: its test part is not touched.
        resume: whether to go on from the checkpoint.

    Raises:
        CommonspaceError: the data does not suit, training fails, or something cannot be written.
    """
    from commonspace.progress import ProgressBar as TaskBar
    from commonspace.training import PreparationBar, ProgressBar, Run
    from commonspace.training.tensorboard import TensorBoard

    history = History()
    observers = (ProgressBar(), TensorBoard(folder / "events"), history)
    run = Run(folder, resume, observers, TaskBar(), PreparationBar())
    space = method.fit(data.split("train"), data.split("validation"), run)
    history.write(folder / "history.jsonl")
    space.write(folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return space


def _open(data: str, split_seed: int, partial: bool) -> "Dataset":
    dataset = open_data(data, split_seed, partial=partial)
    for problem in dataset.warnings:
        typer.echo(f"note: {problem}", err=True)
    return dataset


@contextmanager
def _tidy_end(out: Path) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, say what was kept and how to go on."""
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            if (out / CHECKPOINT).exists():
                again = [*sys.argv[1:], *([] if "--resume" in sys.argv else ["--resume"])]
                typer.echo(
                    f"stopped; kept {out / CHECKPOINT}\n"
                    f"continue with: {shlex.join(['commonspace', *again])}",
                    err=True,
                )
            else:
                typer.echo("stopped before the first epoch ended; nothing was kept", err=True)
            raise typer.Exit(INTERRUPTED) from exc


def _report(out: Path, space: "CommonSpace") -> None:
    data, chosen = space.provenance["data"], space.provenance["chosen"]
    samples = f"{data['samples']} + {space.provenance['validation']['samples']}"
    if "epoch" not in chosen:
        best = f"best of {chosen['trials']} settings, {_settings(chosen['settings'])}"
    elif chosen["by"].startswith("validation"):
        best = f"best epoch {chosen['epoch']} of {chosen['epochs']}"
    else:
        best = f"{chosen['by']}, {chosen['epochs']} epochs"
    typer.echo(
        f"learnt from {data['name']}: {samples} samples (training + validation),"
        f" {data['classes']} classes, {' and '.join(space.modalities)}\n"
        f"{best}: validation mAP {chosen['validation_map']:.3f},"
        f" after {chosen['seconds']:.0f} s on {chosen['device']}\n"
        f"saved in {out}\n"
        f"next: commonspace evaluate {shlex.quote(str(out))}"
    )


def _settings(settings: dict[str, object]) -> str:
    said = (f"{name} {value}" for name, value in settings.items() if value is not None)
    return ", ".join(said) or "of which it has none"
