"""Command ``extract``: raw images and texts to a feature file."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.cli.data import map_keys
from commonspace.cli.encoders import (
    EncoderOption,
    ImageOption,
    InputFormOption,
    MultiCaptionOption,
    TextOption,
    encoders_named,
)
from commonspace.cli.engines import engine_named
from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.options import (
    AddressOption,
    DataArgument,
    DeviceOption,
    EngineOption,
    PartialOption,
    PhotosOption,
    ProcessesOption,
    SplitSeedOption,
)
from commonspace.errors import DataError, OutputError
from commonspace.progress import ProgressBar

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.encoders import Encoder

__all__ = ["extract"]


def extract(
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="A new file: .npz, .h5, .parquet or .mat.")
    ],
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    multi_caption: MultiCaptionOption = "concat",
    input_form: InputFormOption = "auto",
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option(help="Stop at an image that cannot be read, or list it and leave it out."),
    ] = "stop",
    batch_size: Annotated[int, typer.Option(min=1, help="Items in a batch of the network.")] = 32,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that decode images (default: all cores but one, at most 4).",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Precision of matrix multiplications.")
    ] = "float32",
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the feature cache (default: ~/.cache/commonspace).",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of encoders that are fitted on train.")
    ] = 0,
    engine: EngineOption = "local",
    processes: ProcessesOption = None,
    address: AddressOption = None,
    rows_per_file: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Write --out as a folder of .parquet files of so many samples each.",
            show_default=False,
        ),
    ] = None,
    photos: PhotosOption = None,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Turn raw images and texts into features.

    Each item is encoded once and cached by its content: the same command
    after a kill continues where it stopped, and after its end does nothing.
    The file records the encoder, its weights and pre-processing, and what
    it was fitted on. Encoders that are fitted use the training and
    validation splits only.

    [bold]Examples[/bold]

      commonspace extract photos --image vgg19 --text textcnn --out f.npz
      commonspace extract photos --image vgg19 --text word2vec:FILE --out f.npz
      commonspace extract photos --image hf:dinov2 --text st:minilm --out f.h5
      commonspace extract photos --image onnx:FILE --text tfidf --out f.npz
      commonspace extract photos --image hf:dinov2 --engine ray --out f.parquet

    Next: commonspace train FILE --out RUN
    """
    from commonspace.atomic import ensure_folder
    from commonspace.cache_folder import default_cache
    from commonspace.data.texts import one_sample_per_text
    from commonspace.data.write import write_arrays, write_parts, writer_of
    from commonspace.datasets import load_dataset
    from commonspace.encoders import Extraction, Source, encoder_from_spec
    from commonspace.encoders import extract as run
    from commonspace.machine import choose_device

    # an error in the name is reported before the work
    if rows_per_file is None:
        writer_of(out)
    else:
        ensure_folder(out.parent)
    folder = cache or default_cache()
    chosen = str(choose_device(device))
    settings = Extraction(
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        device=chosen,
        on_error=on_error,
        cache=folder,
        engine=engine_named(engine, processes, address, gpu=chosen.startswith("cuda")),
    )
    data = map_keys(data, photos=photos)
    dataset = load_dataset(data, seed=split_seed, partial=partial or on_error == "skip")
    if multi_caption == "expand":
        dataset = one_sample_per_text(dataset)
    specs = encoders_named(image, text, encoder)
    _check_all_named(dataset, specs)
    train, validation = dataset.split("train"), dataset.split("validation")
    bar = ProgressBar()
    with _report_interrupt(folder):
        encoders = {
            name: encoder_from_spec(
                spec,
                Source(
                    train,
                    validation,
                    name,
                    multi_caption=multi_caption,
                    seed=seed,
                    input_form=input_form,
                    callback=bar,
                ),
            )
            for name, spec in specs.items()
        }
        recipe = _recipe(dataset, encoders, precision)
        if _is_up_to_date(out, recipe):
            typer.echo(f"{out} is up to date: the same items through the same encoders")
            return
        features = run(dataset, encoders, settings, bar)
    for problem in features.warnings:
        typer.echo(f"note: {problem}", err=True)
    features = replace(features, provenance={**features.provenance, "recipe_sha256": recipe})
    if rows_per_file is None:
        write_arrays(features, out)
    else:
        write_parts(features, out, rows_per_file)
    for name, built in encoders.items():
        about = built.provenance
        typer.echo(f"{name}: {about['name']}, {about['size']}-d, fitted on {about['fitted_on']}")
    typer.echo(
        f"{out}: {len(features)} samples\nnext: commonspace train {shlex.quote(str(out))} --out RUN"
    )


@contextmanager
def _report_interrupt(cache: Path) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, report what is cached and how to continue."""
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            typer.echo(
                f"stopped; the features so far are in {cache}\n"
                "the same command continues from there",
                err=True,
            )
            raise typer.Exit(INTERRUPTED) from exc


def _check_all_named(dataset: "Dataset", specs: dict[str, str]) -> None:
    raw = [name for name, column in dataset.columns.items() if column.kind != "features"]
    without = [name for name in raw if name not in specs]
    if without:
        raise DataError(
            f"{' and '.join(without)} of {dataset.name!r} has no encoder",
            expected=f"one for each of {', '.join(raw)}",
            found=", ".join(f"{name}: {spec}" for name, spec in specs.items()) or "none",
            advice=f"name it: --encoder {without[0]}=ENCODER, or --image and --text;"
            " extract --help lists the encoders",
        )


def _recipe(dataset: "Dataset", encoders: "dict[str, Encoder]", precision: str) -> str:
    hashes = {name: encoder.provenance["sha256"] for name, encoder in encoders.items()}
    made_of = json.dumps([dataset.fingerprint, hashes, precision], sort_keys=True)
    return sha256(made_of.encode()).hexdigest()


def _is_up_to_date(out: Path, recipe: str) -> bool:
    """Return whether the file has these features already; any other content is an error."""
    from commonspace.datasets import load_dataset

    if not out.exists():
        return False
    try:
        same = load_dataset(out, partial=True).provenance.get("recipe_sha256") == recipe
    except DataError:
        same = False
    if not same:
        raise OutputError(
            f"{out} already exists",
            expected="a new file, or one with the features of this same command",
            found="a file with other content",
            advice="choose another file, or move this one away; nothing was changed",
        )
    return True
