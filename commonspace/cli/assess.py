"""Command ``assess``: whether training is worth it on a data set, and which labels to look at."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from commonspace.cli.features import extracted_with_names
from commonspace.cli.options import (
    CorrectionsOption,
    DataArgument,
    JsonOption,
    LabelOption,
    ModalityOption,
    PartialOption,
    SplitSeedOption,
)
from commonspace.cli.runs import open_data
from commonspace.errors import OutputError

if TYPE_CHECKING:
    from commonspace.assessment import Assessment
    from commonspace.data import Dataset

__all__ = ["assess"]


def assess(
    data: DataArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="New folder for a page of figures and the results as JSON (default: none).",
            show_default=False,
        ),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Photos and texts that the features were made of (default: those beside the"
            " feature file).",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of the methods and of the intervals.")
    ] = 0,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    multi_caption: MultiCaptionOption = "concat",
    input_form: InputFormOption = "auto",
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    modality: ModalityOption = None,
    label: LabelOption = None,
    corrections: CorrectionsOption = None,
) -> None:
    """Answer whether training is worth it on a data set.

    Measures chance, keyword search, the encoders as they are and zero-shot
    classes, a linear probe, Tip-Adapter, semantic matching, DSCMR and
    posterior matching; how the mAP would grow with twice the labels; which
    classes are confused or lack samples; and which labels look wrong. The
    verdict is to train, to label more, or to use the encoder as it is.
    Choices are made on validation; the test split is used once, for the
    table. Without an encoder option raw items take the installed encoder that
    is best on validation.

    [bold]Examples[/bold]

      commonspace assess features.npz --out assessment
      commonspace assess photos --out assessment
      commonspace assess photos --image hf:FOLDER --text tfidf --out assessment
      commonspace assess features.npz --json

    Next: commonspace train DATA --out RUN
    """
    from commonspace.assessment import assess as measure
    from commonspace.assessment.page import write_assessment
    from commonspace.data import Features
    from commonspace.plots import require_plots
    from commonspace.reporting.items import find_item_data

    if out is not None:
        require_plots()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(
                f"{out} exists already",
                expected="a new folder",
                found="a file" if out.is_file() else "a folder that is not empty",
                advice="choose another folder",
            )
    dataset = open_data(
        map_keys(data, modality, label, corrections=corrections), split_seed, partial=partial
    )
    specs = {
        **{name: "auto" for name, one in dataset.columns.items() if not isinstance(one, Features)},
        **encoders_named(image, text, encoder),
    }
    shown: Dataset | None
    names = None
    if specs:
        shown = dataset
        dataset, names = extracted_with_names(dataset, specs, multi_caption, input_form)
    else:
        source = Path(data.partition("?")[0])
        shown, _ = find_item_data(dataset, items, source if source.is_file() else None)
    found = measure(dataset, items=shown, class_vectors=names, seed=seed)
    if out is not None:
        write_assessment(found, dataset, out, shown)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    _print(found)
    if out is not None:
        typer.echo(f"\n{out}\nnext: open {shlex.quote(str(out / 'assessment.html'))}")


def _print(found: "Assessment") -> None:
    from commonspace.cli.label_check import print_label_check
    from commonspace.cli.tables import print_table

    table = found.to_table()
    print_table(table.title, table.head, table.rows)
    for note in table.notes:
        typer.echo(note)
    print_label_check(found)
    typer.echo(f"\n{found.verdict.kind}: {found.verdict.text}")
