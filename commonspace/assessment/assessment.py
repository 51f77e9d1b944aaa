"""Result of an assessment: a table, a verdict, and the evidence for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from commonspace.assessment.label_check import SuspiciousLabel
from commonspace.assessment.learning_curve import LearningCurve
from commonspace.assessment.pair_check import MismatchedPair
from commonspace.evaluation import Interval
from commonspace.tables import Table

__all__ = [
    "CHANCE",
    "KEYWORDS",
    "RAW",
    "AssessedMethod",
    "Assessment",
    "ClassFigures",
    "Confused",
    "Verdict",
    "VerdictKind",
    "format_p",
]

CHANCE = "chance"
"""Name of a random order in the table."""
KEYWORDS = "keyword search (BM25)"
"""Name of the search by common words."""
RAW = "encoders as they are"
"""Name of the cosine of the features."""

VerdictKind = Literal["train", "label more", "more pairs", "use the encoder as it is"]


@dataclass(frozen=True)
class AssessedMethod:
    """Figures of one method on the test split.

    Args:
        name: Of the method.
        uses_labels: Whether it needs the labels of the training split.
        map: Average mAP over the directions, with a 95 % bootstrap interval over the samples.
        p: p-value of the paired randomization test against the chosen method, after Holm's
            correction; None for the chosen one.
        precision: Class precision among the first 10.
        recall: Share of queries with their pair among the first 10; None if not defined.
        seconds: Time of its fit.
        bytes: Bytes of an item in the gallery.
        validation: Average mAP on validation, by which methods are chosen.
        chosen: Whether it is the method with labels that validation favors, see ``assess``.
        note: What limits the comparison.
    """

    name: str
    uses_labels: bool
    map: Interval
    p: float | None
    precision: float
    recall: float | None
    seconds: float
    bytes: int
    validation: float
    chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class Confused:
    """Share of the first results that have another class, for the queries of a class."""

    query: str
    result: str
    share: float


@dataclass(frozen=True)
class ClassFigures:
    """Figures of a class.

    Args:
        name: Of the class.
        labels: Number of its labeled training samples.
        map: mAP of its validation queries; NaN without one.
        lacking: Whether it has less than 0.8 of the labels of the average class, and a mAP below
            the average.
    """

    name: str
    labels: int
    map: float
    lacking: bool


@dataclass(frozen=True)
class Verdict:
    """What to do, and why.

    Args:
        kind: "train", "label more" (without labels "more pairs"), or "use the encoder as it is".
        text: One paragraph.
    """

    kind: VerdictKind
    text: str


@dataclass(frozen=True, repr=False)
class Assessment:
    """Answer to whether training is worth it on a data set; prints as a table and a paragraph.

    Args:
        name: Of the data set.
        samples: Split -> number of labeled samples.
        methods: Figures of each method, on test.
        skipped: Method -> why it has no figures.
        curve: mAP of posterior matching by number of labels, on validation; None if there are too
            few labels.
        confused: The largest confusions of the chosen method on validation.
        classes: Figures of each class on validation, those that lack samples first.
        noise: Estimated share of wrong labels in train and validation; None if not estimated.
        suspicious: The most suspicious labels of train and validation.
        modality_noise: Modality -> estimated share of labels there that do not fit this modality.
        pair_noise: Estimated share of samples there whose modalities do not belong together.
        mismatched: Samples whose modalities are of different classes, the most probable first.
        verdict: What to do.
        seconds: Time of the whole assessment.
    """

    name: str
    samples: dict[str, int]
    methods: Sequence[AssessedMethod]
    skipped: dict[str, str]
    curve: LearningCurve | None
    confused: Sequence[Confused]
    classes: Sequence[ClassFigures]
    noise: float | None
    suspicious: Sequence[SuspiciousLabel]
    modality_noise: Mapping[str, float]
    pair_noise: float | None
    mismatched: Sequence[MismatchedPair]
    verdict: Verdict
    seconds: float

    def to_table(self) -> Table:
        """Return the figures of the methods as a formatted table."""
        rows = [
            [
                one.name + (" *" if one.chosen else ""),
                f"{one.map.mean:.3f}",
                f"{one.map.low:.3f}-{one.map.high:.3f}",
                "" if one.p is None else format_p(one.p),
                f"{one.precision:.3f}",
                "" if one.recall is None else f"{one.recall:.3f}",
                f"{one.seconds:.1f}",
                str(one.bytes) if one.bytes else "",
            ]
            for one in self.methods
        ]
        notes = [f"{one.name}: {one.note}" for one in self.methods if one.note]
        notes += [f"{name}: left out, {why}" for name, why in self.skipped.items()]
        return Table(
            f"{self.name}: test split, {self.samples['test']} labeled samples",
            ["method", "mAP", "95 %", "p", "P@10", "R@10", "s", "bytes"],
            rows,
            [
                "* chosen on validation; p is that of the difference from it, corrected; s: seconds"
                " of the fit; bytes: of an item",
                *notes,
            ],
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        values = asdict(self)
        for one in values["classes"]:  # JSON has no NaN
            one["map"] = None if math.isnan(one["map"]) else one["map"]
        return values

    def __repr__(self) -> str:
        """Return the table and the verdict."""
        return f"{self.to_table()}\n\n{self.verdict.kind}: {self.verdict.text}"

    def _repr_html_(self) -> str:
        """Return the table and the verdict for a notebook."""
        from html import escape

        verdict = f"<b>{escape(self.verdict.kind)}</b>: {escape(self.verdict.text)}"
        return f"{self.to_table().to_html()}<p>{verdict}</p>"


def format_p(p: float) -> str:
    """Return a p-value with three decimals.

    Example:
        >>> format_p(0.0001), format_p(0.25)
        ('<0.001', '0.250')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"
