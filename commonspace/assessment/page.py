"""Page of an assessment: its table, verdict and figures as one HTML file."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from commonspace.assessment.assessment import Assessment
from commonspace.atomic import write_folder
from commonspace.data.dataset import Dataset
from commonspace.plots import (
    CardRow,
    Fact,
    MethodBar,
    Page,
    PageFigure,
    Table,
    draw_card_rows,
    draw_label_curve,
    draw_method_bars,
    figure_to_svg,
    render,
    require_plots,
)
from commonspace.reporting.items import Items

__all__ = ["PAGE", "RESULTS", "write_assessment"]

PAGE = "assessment.html"
RESULTS = "assessment.json"


def write_assessment(
    assessment: Assessment, data: Dataset, folder: Path, items: Dataset | None = None
) -> None:
    """Write ``assessment.html`` and ``assessment.json`` into a new folder.

    Args:
        assessment: What ``assess`` returned.
        data: The data set that was assessed.
        folder: A new path.
        items: The same samples with photos and texts, by id.

    Raises:
        OutputError: The folder exists, or it cannot be written.
        MissingExtraError: A package of the extra plots is not installed.
    """
    require_plots()
    page = Page(
        title=f"Is training worth it? {assessment.name}",
        subtitle=f"{', '.join(f'{n:,} {name}' for name, n in assessment.samples.items())} labeled"
        f" samples; verdict: {assessment.verdict.kind}",
        tables=list(_tables(assessment)),
        notes=[assessment.verdict.text, *assessment.to_table().notes],
        facts=[Fact("Choices", "made on validation; the test split was used once, for the table")],
        figures=list(_figures(assessment, data, items)),
    )
    with write_folder(folder) as draft:
        (draft / PAGE).write_bytes(render(page).encode("utf-8", errors="replace"))
        text = json.dumps(assessment.to_json(), indent=2, ensure_ascii=False)
        (draft / RESULTS).write_bytes(text.encode("utf-8", errors="replace"))


def _tables(assessment: Assessment) -> Iterator[Table]:
    table = assessment.to_table()
    yield Table("Methods on the test split", table.head, table.rows, table.notes[0])
    if assessment.confused:
        yield Table(
            "Confused classes",
            ["queries of", "find", "share"],
            [[one.query, one.result, f"{one.share:.1%}"] for one in assessment.confused],
            "Share of another class among the first results on validation (at most 10, and no more"
            " than the smallest class has), the mean over the directions.",
        )
    if assessment.mismatched:
        yield Table(
            "Pairs that do not belong together",
            ["sample", "probability", "classes"],
            [
                [
                    f"{one.id} ({one.split})",
                    f"{one.p:.0%}",
                    ", ".join(f"{name}: {best}" for name, best in one.by_modality.items()),
                ]
                for one in assessment.mismatched
            ],
            "Samples of train and validation whose modalities are of different classes. An"
            f" estimated {assessment.pair_noise or 0:.1%} of all pairs do not belong together.",
        )
    yield Table(
        "Classes",
        ["class", "labels", "validation mAP", "few labels"],
        [
            [
                one.name,
                str(one.labels),
                "" if np.isnan(one.map) else f"{one.map:.3f}",
                "yes" if one.lacking else "",
            ]
            for one in assessment.classes
        ],
        "Classes with few labels and a low mAP come first: labels help them most.",
    )


def _figures(assessment: Assessment, data: Dataset, items: Dataset | None) -> Iterator[PageFigure]:
    bars = [
        MethodBar(one.name, one.map.mean, one.map.low, one.map.high, one.chosen)
        for one in assessment.methods
    ]
    yield PageFigure(
        "methods",
        "mAP of each method",
        "Test mAP, the mean over the directions, with 95 % bootstrap intervals over the samples."
        " The second color marks the method that validation favors.",
        figure_to_svg(draw_method_bars(bars, "mAP"), "methods"),
    )
    curve = assessment.curve
    if curve is not None:
        last = 2 * curve.samples[-1]
        x = np.geomspace(curve.samples[0], last, 60)
        figure = draw_label_curve(
            curve.samples,
            curve.figures,
            (x, curve.at(x)),
            (last, curve.predicted, curve.low, curve.high),
        )
        yield PageFigure(
            "labels",
            "mAP by number of labels",
            "Posterior matching on a part of the labels and on all, measured on validation, and the"
            f" fitted curve {curve.intercept:.3f} - {curve.factor:.3f} (n / {curve.samples[-1]:,})^"
            f"-{curve.exponent:.2f}. The interval is a bootstrap over the validation samples.",
            figure_to_svg(figure, "labels"),
        )
    if assessment.suspicious:
        shown = Items(data, items)
        rows = [
            CardRow(
                tuple(shown.card(one.row, name) for name in data.modalities),
                (
                    f"{one.id} ({one.split})",
                    f"label: {', '.join(one.given)} ({one.p_given:.1%})",
                    f"likely: {one.likely} ({one.p_likely:.1%})",
                    *(f"{name}: {best} ({p:.0%})" for name, (best, p) in one.by_modality.items()),
                ),
            )
            for one in assessment.suspicious
        ]
        noise = assessment.noise
        yield PageFigure(
            "suspicious",
            "Suspicious labels",
            "Samples of train and validation whose label is least probable, given all others."
            + (f" An estimated {noise:.1%} of all labels are wrong." if noise is not None else ""),
            figure_to_svg(draw_card_rows(rows), "suspicious"),
        )
