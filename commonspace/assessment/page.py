"""Page of an assessment: its table, verdict and figures as one HTML file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from commonspace.assessment.assessment import AssessedMethod, Assessment
from commonspace.assessment.learning_curve import LearningCurve
from commonspace.assessment.pair_assessment import AssessedPairMethod, PairAssessment
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
CHOICES = Fact("Choices", "made on validation; the test split was used once, for the table")


def write_assessment(
    assessment: Assessment | PairAssessment,
    data: Dataset,
    folder: Path,
    items: Dataset | None = None,
) -> None:
    """Write ``assessment.html`` and ``assessment.json`` into a new folder.

    Args:
        assessment: What ``assess`` or ``assess_pairs`` returned.
        data: The data set that was assessed.
        folder: A new path.
        items: The same samples with photos and texts, by id.

    Raises:
        OutputError: The folder exists, or it cannot be written.
        MissingExtraError: A package of the extra plots is not installed.
    """
    require_plots()
    if isinstance(assessment, PairAssessment):
        page = _pair_page(assessment, data, items)
    else:
        page = _label_page(assessment, data, items)
    with write_folder(folder) as draft:
        (draft / PAGE).write_bytes(render(page).encode("utf-8", errors="replace"))
        text = json.dumps(assessment.to_json(), indent=2, ensure_ascii=False)
        (draft / RESULTS).write_bytes(text.encode("utf-8", errors="replace"))


def _label_page(assessment: Assessment, data: Dataset, items: Dataset | None) -> Page:
    return Page(
        title=f"Is training worth it? {assessment.name}",
        subtitle=f"{_counts(assessment.samples)} labeled samples; verdict:"
        f" {assessment.verdict.kind}",
        tables=list(_tables(assessment)),
        notes=[assessment.verdict.text, *assessment.to_table().notes],
        facts=[CHOICES],
        figures=list(_figures(assessment, data, items)),
    )


def _pair_page(assessment: PairAssessment, data: Dataset, items: Dataset | None) -> Page:
    table, directions = assessment.to_mean_table(), assessment.to_direction_table()
    figures = [_bars(assessment.methods, "R@10")]
    if assessment.curve is not None:
        figures.append(
            _curve(assessment.curve, "R@10", "pairs", "InfoNCE on a part of the pairs and on all")
        )
    if assessment.suspicious_pairs:
        figures.append(_suspicious_pairs(assessment, data, items))
    return Page(
        title=f"Is training worth it? {assessment.name}",
        subtitle=f"{_counts(assessment.samples)} pairs without labels; verdict:"
        f" {assessment.verdict.kind}",
        tables=[
            Table("Methods on the test split", table.head, table.rows, ". ".join(table.notes)),
            Table(directions.title, directions.head, directions.rows),
        ],
        notes=[assessment.verdict.text, *assessment.notes()],
        facts=[CHOICES],
        figures=figures,
    )


def _suspicious_pairs(
    assessment: PairAssessment, data: Dataset, items: Dataset | None
) -> PageFigure:
    shown = Items(data, items)
    rows = [
        CardRow(
            tuple(shown.card(one.row, name) for name in data.modalities),
            (
                f"{one.id} ({one.split})",
                *(() if one.p is None else (f"mismatch: {one.p:.1%}",)),
                *(f"{name}: {better:.0%} fit better" for name, better in one.by_modality.items()),
            ),
        )
        for one in assessment.suspicious_pairs
    ]
    noise = assessment.pair_noise
    return PageFigure(
        "suspicious",
        "Pairs that probably do not belong together",
        "Pairs of train and validation that fit worst, by what the other pairs have in common; with"
        " the share of the other items of each modality that fit better."
        + (f" An estimated {noise:.1%} do not belong together." if noise is not None else ""),
        figure_to_svg(draw_card_rows(rows), "suspicious"),
    )


def _counts(samples: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in samples.items())


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
    yield _bars(assessment.methods, "mAP")
    if assessment.curve is not None:
        ways = "Posterior matching on a part of the labels and on all"
        yield _curve(assessment.curve, "mAP", "labels", ways)
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


def _bars(methods: Sequence[AssessedMethod | AssessedPairMethod], metric: str) -> PageFigure:
    bars = []
    for one in methods:
        figure = one.map if isinstance(one, AssessedMethod) else one.recall
        bars.append(MethodBar(one.name, figure.mean, figure.low, figure.high, one.chosen))
    return PageFigure(
        "methods",
        f"{metric} of each method",
        f"Test {metric}, the mean over the directions, with 95 % bootstrap intervals over the"
        " samples. The second color marks the method that validation favors.",
        figure_to_svg(draw_method_bars(bars, metric), "methods"),
    )


def _curve(curve: LearningCurve, metric: str, unit: str, ways: str) -> PageFigure:
    last = 2 * curve.samples[-1]
    x = np.geomspace(curve.samples[0], last, 60)
    figure = draw_label_curve(
        curve.samples,
        curve.figures,
        (x, curve.at(x)),
        (last, curve.predicted, curve.low, curve.high),
        metric,
        {"labels": "labeled training samples", "pairs": "training pairs"}[unit],
    )
    return PageFigure(
        unit,
        f"{metric} by number of {unit}",
        f"{ways}, measured on validation, and the fitted curve {curve.intercept:.3f} -"
        f" {curve.factor:.3f} (n / {curve.samples[-1]:,})^-{curve.exponent:.2f}. The interval is a"
        " bootstrap over the validation samples.",
        figure_to_svg(figure, unit),
    )
