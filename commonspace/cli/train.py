"""Command ``train``: a data set in, a folder with a common space out."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.atomic import replace_file
from commonspace.callbacks import Callback, EpochRecord
from commonspace.cli.data import map_keys
from commonspace.cli.encoders import (
    ENCODERS,
    EncoderOption,
    FineTune,
    ImageOption,
    InputFormOption,
    MultiCaptionOption,
    TextOption,
    encoders_named,
)
from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.methods import (
    ConfigOption,
    SetOption,
    choose_method,
    collect_settings,
    configure_method,
    list_settings,
    setting_option,
)
from commonspace.cli.options import (
    CorrectionsOption,
    DataArgument,
    LabelOption,
    ModalityOption,
    PartialOption,
    PhotosOption,
    SplitSeedOption,
)
from commonspace.cli.processes import (
    check_method,
    in_first,
    launcher,
    training_processes,
)
from commonspace.cli.runs import (
    CHECKPOINT,
    RunRecord,
    continued_run,
    new_run,
    open_data,
    write_run_checksums,
)
from commonspace.registry import method_names
from commonspace.settings import Precision
from commonspace.training.settings import NetworkSettings, TrainingSettings

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.distributed import Processes
    from commonspace.methods import Method
    from commonspace.space import CommonSpace

__all__ = ["describe_selection", "fit_into", "train"]

SETTINGS = "Settings (default: chosen by the method)"
OPTIONS = (
    "seed",
    "epochs",
    "patience",
    "batch_size",
    "learning_rate",
    "hidden_dim",
    "embedding_dim",
    "device",
    "precision",
    "minutes",
)
"""Options that are settings of methods."""


def _show_settings(name: str | None) -> None:
    if name is not None:
        typer.echo(list_settings(name))
        raise typer.Exit


def train(
    context: typer.Context,
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="New folder for the space and its records.")
    ],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Training method (default: infonce without labels; posterior for features and"
            " encoded raw data; dscmr otherwise), or FILE.py:Class."
            f" Methods: {', '.join(method_names())}.",
            show_default=False,
        ),
    ] = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    list_settings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="List the settings of a method with their defaults and ranges, and exit.",
            show_default=False,
            is_eager=True,
            callback=_show_settings,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the interrupted training in RUN.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write TensorBoard events to RUN/events."),
    ] = False,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    modality: ModalityOption = None,
    label: LabelOption = None,
    photos: PhotosOption = None,
    corrections: CorrectionsOption = None,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    fine_tune: Annotated[
        FineTune,
        typer.Option(
            help="Part of the encoders to train jointly with the space: none, their last block,"
            " all, updates of low rank, or what validation prefers.",
            rich_help_panel=ENCODERS,
        ),
    ] = "none",
    multi_caption: MultiCaptionOption = "concat",
    input_form: InputFormOption = "auto",
    seed: Annotated[int | None, setting_option(TrainingSettings, "seed", SETTINGS)] = None,
    epochs: Annotated[int | None, setting_option(TrainingSettings, "epochs", SETTINGS)] = None,
    patience: Annotated[
        int | None,
        setting_option(
            TrainingSettings,
            "patience",
            SETTINGS,
            min=0,
            help="Epochs without a better validation mAP before training stops; 0 never stops.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, setting_option(TrainingSettings, "batch_size", SETTINGS)
    ] = None,
    learning_rate: Annotated[
        float | None, setting_option(TrainingSettings, "learning_rate", SETTINGS)
    ] = None,
    hidden_dim: Annotated[
        int | None, setting_option(NetworkSettings, "hidden_dim", SETTINGS)
    ] = None,
    embedding_dim: Annotated[
        int | None, setting_option(NetworkSettings, "embedding_dim", SETTINGS)
    ] = None,
    device: Annotated[str | None, setting_option(TrainingSettings, "device", SETTINGS)] = None,
    precision: Annotated[
        Precision | None, setting_option(TrainingSettings, "precision", SETTINGS)
    ] = None,
    minutes: Annotated[float | None, setting_option(TrainingSettings, "minutes", SETTINGS)] = None,
) -> None:
    """Train a common space on pairs, with or without labels.

    The space is trained on the training split; the best epoch or setting is
    chosen on the validation split, by mAP, or without labels by the recall of
    the pairs. The test split is not used. After Ctrl-C
    the same command with --resume continues from a checkpoint, to the same
    weights bit by bit.

    [bold]Examples[/bold]

      commonspace train scenes --out runs/scenes
      commonspace train photos --out runs/photos --epochs 100 --seed 1
      commonspace train photos --image vgg19 --text textcnn --out runs/vgg
      commonspace train features.npz --out runs/features
      commonspace train features.npz --method dscmr --set preset=official --out runs/dscmr
      commonspace train features.npz --method mine.py:CenterLoss --out runs/mine
      commonspace train --list-settings dscmr
      commonspace train photos --corrections shop-labels.jsonl --out runs/b
      commonspace train photos --out runs/photos --resume
      torchrun --nproc-per-node 2 -m commonspace train photos --out runs/photos

    Next: commonspace evaluate RUN
    """
    settings = collect_settings(
        {name: context.params[name] for name in OPTIONS}, assignments or [], config
    )
    encoders = {
        "specs": encoders_named(image, text, encoder),
        "fine_tune": fine_tune if fine_tune != "none" else None,
        "multi_caption": multi_caption if multi_caption != "concat" else None,
        "input_form": input_form if input_form != "auto" else None,
    }
    encoders = {key: value for key, value in encoders.items() if value}
    if encoders:
        settings["encoders"] = {**settings.get("encoders", {}), **encoders}
    name = method or settings.pop("method", None)
    data = map_keys(data, modality, label, photos, corrections)
    record = RunRecord(data, split_seed, partial)
    start = continued_run if resume else new_run
    with (
        _report_interrupt(out),
        training_processes(settings.get("device", "auto")) as processes,
        in_first(processes, start(out, record)) as has_checkpoint,
    ):
        if name is not None:  # refuse wrong settings before the data is read
            configure_method(name, settings)
        dataset = _open(data, split_seed, partial)
        if name is None:
            name = choose_method(dataset, settings)
            if name == "infonce":
                typer.echo(
                    "no labels: trained on the pairs by infonce, chosen on validation by the mean"
                    " of R@1, R@5 and R@10",
                    err=True,
                )
        chosen = configure_method(name, settings)
        check_method(processes, name, chosen)
        space = fit_into(
            out,
            chosen,
            dataset,
            resume=has_checkpoint,
            tensorboard=tensorboard,
            processes=processes,
        )
    _report(out, space)


def fit_into(
    folder: Path,
    method: "Method",
    data: "Dataset",
    *,
    resume: bool = False,
    tensorboard: bool = False,
    processes: "Processes | None" = None,
) -> "CommonSpace":
    """Fit a method and write space and history into the folder of the run.

    Args:
        folder: Of the run; it holds the checkpoint during training.
        method: What to fit.
        data: Its test split is not used.
        resume: Whether to continue from the checkpoint.
        tensorboard: Whether to write TensorBoard events.
        processes: Those that train together; the first one writes.

    Raises:
        CommonspaceError: If the data does not suit, training fails, or something cannot be written.
    """
    from commonspace.progress import ProgressBar
    from commonspace.training import RunConfig

    parts = data.split("train"), data.split("validation")
    if processes is not None and processes.rank:
        return method.fit(*parts, RunConfig((), folder, resume, processes))
    history = _History()
    callbacks: tuple[Callback, ...] = (ProgressBar(), history)
    if tensorboard:
        from commonspace.training.tensorboard import TensorBoard

        callbacks += (TensorBoard(folder / "events"),)
    space = method.fit(*parts, RunConfig(callbacks, folder, resume, processes))
    history.write(folder / "history.jsonl")
    space.write(folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    write_run_checksums(folder)
    return space


class _History(Callback):
    """Collects the figures of each epoch, also of those before a resume."""

    def __init__(self) -> None:
        self.records: tuple[EpochRecord, ...] = ()

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        """Take over the epochs before a resume."""
        self.records += tuple(history)

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Keep the figures of the epoch."""
        self.records += (record,)

    def write(self, path: Path) -> None:
        """Write one line of JSON for each epoch, replacing an older file.

        Raises:
            OutputError: If it cannot be written.
        """
        with replace_file(path, overwrite=True) as draft:
            lines = (json.dumps(asdict(record)) + "\n" for record in self.records)
            draft.write_text("".join(lines), "utf-8")


def _open(data: str, split_seed: int, partial: bool) -> "Dataset":
    dataset = open_data(data, split_seed, partial=partial)
    for warning in dataset.warnings:
        typer.echo(f"note: {warning}", err=True)
    return dataset


@contextmanager
def _report_interrupt(out: Path) -> Iterator[None]:
    """After Ctrl-C or SIGTERM, print what was kept and how to continue."""
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            if (out / CHECKPOINT).exists():
                again = [*sys.argv[1:], *([] if "--resume" in sys.argv else ["--resume"])]
                typer.echo(
                    f"stopped; kept {out / CHECKPOINT}\n"
                    f"continue with: {shlex.join([*launcher(), *again])}",
                    err=True,
                )
            else:
                typer.echo("stopped before the first epoch ended; nothing was kept", err=True)
            raise typer.Exit(INTERRUPTED) from exc


def _report(out: Path, space: "CommonSpace") -> None:
    data, chosen = space.provenance["data"], space.provenance.get("chosen", {})
    lines = [f"trained {space.provenance['method']['name']} on {data['name']}"]
    validation = space.provenance.get("validation")
    if validation:
        lines[0] += (
            f": {data['samples']} + {validation['samples']} samples (training + validation),"
            f" {data['classes'] or 'no'} classes; modalities: {', '.join(space.modalities)}"
        )
    if chosen:
        metric = chosen.get("metric", "mAP")
        lines.append(
            f"{describe_selection(chosen)}: validation {metric} {chosen['validation_score']:.3f},"
            f" after {chosen['seconds']:.0f} s on {chosen['device']}"
        )
    typer.echo(
        "\n".join(
            [*lines, f"saved in {out}", f"next: commonspace evaluate {shlex.quote(str(out))}"]
        )
    )


def describe_selection(chosen: Mapping[str, object]) -> str:
    """Return how the weights or settings of a space were chosen.

    Args:
        chosen: the entry "chosen" of its provenance.
    """
    if "epoch" not in chosen:
        settings = chosen["settings"]
        assert isinstance(settings, dict)
        values = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
        return f"best of {chosen['trials']} settings, {values or 'no hyperparameters'}"
    if str(chosen["by"]).startswith("validation"):
        return f"best epoch {chosen['epoch']} of {chosen['epochs']}"
    return f"{chosen['by']}, {chosen['epochs']} epochs"
