"""Command ``assess``: whether training is worth it on a data set, and which labels to look at."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from commonspace.errors import OutputError, SettingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from commonspace.assessment import Assessment, PairAssessment
    from commonspace.data import Dataset
    from commonspace.methods import EncoderConfig

__all__ = ["assess"]

TRAINED = " with trained encoders"


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
    fine_tune: Annotated[
        FineTune,
        typer.Option(
            help="Part of the encoders to train for one more line of the table: none, their last"
            " block, all, updates of low rank, or what validation prefers. It needs raw items, and"
            " minutes to hours.",
            rich_help_panel=ENCODERS,
        ),
    ] = "none",
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
    Without labels it measures how often photo and text find each other: by
    chance, keyword search and TF-IDF between texts, the encoders as they are,
    and InfoNCE; how R@10 would grow with twice the pairs; and which pairs
    probably do not belong together.
    Choices are made on validation; the test split is used once, for the
    table. Without an encoder option raw items take the installed encoder that
    is best on validation.

    [bold]Examples[/bold]

      commonspace assess features.npz --out assessment
      commonspace assess photos --out assessment
      commonspace assess photos --image hf:FOLDER --text tfidf --out assessment
      commonspace assess photos --image hf:FOLDER --text tfidf --fine-tune auto
      commonspace assess features.npz --json

    Next: commonspace train DATA --out RUN
    """
    from commonspace.assessment.page import write_assessment
    from commonspace.data import Features
    from commonspace.methods import EncoderConfig
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
    if fine_tune != "none" and not specs:
        raise SettingError(
            f"`fine_tune` {fine_tune!r} needs raw items, and {dataset.name!r} has features",
            expected="photos or texts, with an encoder that can be trained",
            found=", ".join(f"{name!r}: features" for name in dataset.columns),
            advice="name the folder of the photos, or omit the option",
        )
    shown: Dataset | None
    names = encoders = None
    if specs:
        shown = dataset
        dataset, names = extracted_with_names(dataset, specs, multi_caption, input_form)
        if fine_tune != "none":
            encoders = EncoderConfig(
                specs=specs, fine_tune=fine_tune, multi_caption=multi_caption, input_form=input_form
            )
    else:
        source = Path(data.partition("?")[0])
        shown, note = find_item_data(dataset, items, source if source.is_file() else None)
        if shown is not None:
            typer.echo(f"note: {note}", err=True)
    found = _measure(dataset, shown, names, seed, encoders)
    if out is not None:
        write_assessment(found, dataset, out, shown)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    _print(found)
    if out is not None:
        typer.echo(f"\n{out}\nnext: open {shlex.quote(str(out / 'assessment.html'))}")


def _measure(
    data: "Dataset",
    items: "Dataset | None",
    class_vectors: "NDArray[np.float32] | None",
    seed: int,
    encoders: "EncoderConfig | None",
) -> "Assessment | PairAssessment":
    """Assess by labels, or without them by the pairs; ``encoders``: to be trained, if any."""
    from commonspace.assessment import assess as assess_labels
    from commonspace.assessment import assess_pairs
    from commonspace.methods import InfoNCE, Method, PosteriorMatching

    raw_methods: dict[str, Method] = {}
    if data.labels.any():
        if encoders is not None:
            method = PosteriorMatching(seed=seed, encoders=encoders)
            raw_methods[f"posterior matching{TRAINED}"] = method
        return assess_labels(
            data, items=items, raw_methods=raw_methods, class_vectors=class_vectors, seed=seed
        )
    typer.echo("no labels: assessed by the recall of the pairs", err=True)
    if items is not None and "sample" not in data.fields and _has_several_texts(items):
        typer.echo(
            "note: several texts of a sample are one item; --multi-caption expand ranks each",
            err=True,
        )
    if encoders is not None:
        raw_methods[f"InfoNCE{TRAINED}"] = InfoNCE(seed=seed, encoders=encoders)
    return assess_pairs(data, items=items, raw_methods=raw_methods, seed=seed)


def _has_several_texts(items: "Dataset") -> bool:
    from commonspace.data import Texts

    columns = [one for one in items.columns.values() if isinstance(one, Texts)]
    return any(len(texts) > 1 for one in columns for texts in one.items)


def _print(found: "Assessment | PairAssessment") -> None:
    from commonspace.assessment import Assessment
    from commonspace.cli.label_check import print_label_check, print_pair_check
    from commonspace.cli.tables import print_table

    table = found.to_table()
    print_table(table.title, table.head, table.rows, wrap_names=True)
    for note in table.notes:
        typer.echo(note)
    if isinstance(found, Assessment):
        print_label_check(found)
    else:
        print_pair_check(found)
    typer.echo(f"\n{found.verdict.kind}: {found.verdict.text}")
