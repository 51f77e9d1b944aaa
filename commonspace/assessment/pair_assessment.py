"""Result of an assessment without labels: a table of pair retrieval, a verdict, the evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np

from commonspace.assessment.assessment import Verdict, format_p
from commonspace.assessment.learning_curve import LearningCurve
from commonspace.assessment.suspicious_pairs import SuspiciousPair
from commonspace.evaluation import Interval
from commonspace.tables import Table

__all__ = ["AssessedPairMethod", "PairAssessment"]

RECALLS = ("R@1", "R@5", "R@10")
EXPLAINED = "95 %: interval of R@10; s: seconds of the fit; bytes: of an item"
CHOSEN = "* chosen on validation; p is that of the difference of R@10 from it, corrected"


@dataclass(frozen=True)
class AssessedPairMethod:
    """Figures of one method on the test split.

    Args:
        name: Of the method.
        trained: Whether it is trained on the pairs.
        recall: R@10, the mean over the directions, with a 95 % bootstrap interval over the samples.
        p: p-value of the paired randomization test of that figure against the chosen method, after
            Holm's correction; None for the chosen one, and where the directions differ.
        directions: Such as "image->text" -> figures, as ``PairReport`` has them.
        seconds: Time of its fit.
        bytes: Bytes of an item in the gallery.
        validation: R@10 on validation, by which methods are chosen.
        complete: Whether it answers queries of every modality.
        chosen: Whether it is the trained method that validation favors, see ``assess_pairs``.
        note: What limits the comparison.
    """

    name: str
    trained: bool
    recall: Interval
    p: float | None
    directions: Mapping[str, Mapping[str, Any]]
    seconds: float
    bytes: int
    validation: float
    complete: bool = True
    chosen: bool = False
    note: str = ""

    @property
    def average(self) -> dict[str, float]:
        """R@1, R@5 and R@10, each the mean over the directions."""
        return {
            name: float(np.mean([figures[name] for figures in self.directions.values()]))
            for name in RECALLS
        }


@dataclass(frozen=True, repr=False)
class PairAssessment:
    """Answer to whether training is worth it on pairs; prints as a table and a paragraph.

    Args:
        name: Of the data set.
        samples: Split -> number of samples that have two modalities.
        methods: Figures of each method, on test.
        skipped: Method -> why it has no figures.
        curve: R@10 of InfoNCE by number of pairs, on validation; None if there are too few.
        pair_noise: Estimated share of pairs of train and validation that do not belong together;
            None if it cannot be estimated.
        suspicious_pairs: The most suspicious of them first.
        verdict: What to do.
        seconds: Time of the whole assessment.
    """

    name: str
    samples: dict[str, int]
    methods: Sequence[AssessedPairMethod]
    skipped: dict[str, str]
    curve: LearningCurve | None
    pair_noise: float | None
    suspicious_pairs: Sequence[SuspiciousPair]
    verdict: Verdict
    seconds: float

    def to_table(self) -> Table:
        """Return a line for each method, the mean, and below it one for each direction."""
        rows = []
        for one in self.methods:
            name, *recalls, p, seconds, size = _mean_row(one)
            rows.append([name, *recalls, "", p, seconds, size])
            for direction, figures in one.directions.items():
                low, high = figures["intervals"]["R@10"]
                recalls = [f"{figures[name]:.3f}" for name in RECALLS]
                rank = f"{figures['median_rank']:.1f}"
                rows.append([f"  {direction}", *recalls, f"{low:.3f}-{high:.3f}", rank, "", "", ""])
        return Table(
            self._title(),
            ["method", *RECALLS, "95 %", "rank", "p", "s", "bytes"],
            rows,
            [f"rank: median rank of the pair; {EXPLAINED}", CHOSEN, *self.notes()],
        )

    def to_mean_table(self) -> Table:
        """Return a line for each method, the mean over the directions."""
        head = ["method", *RECALLS, "95 %", "p", "s", "bytes"]
        rows = [_mean_row(one) for one in self.methods]
        return Table(self._title(), head, rows, [EXPLAINED, CHOSEN])

    def to_direction_table(self) -> Table:
        """Return a line for each method and direction, each figure with its interval."""
        rows = [
            [
                one.name,
                direction,
                *(_with_interval(figures, name, 3) for name in RECALLS),
                _with_interval(figures, "median_rank", 1),
            ]
            for one in self.methods
            for direction, figures in one.directions.items()
        ]
        head = ["method", "direction", *RECALLS, "median rank"]
        return Table("Each direction, with 95 % bootstrap intervals over the samples", head, rows)

    def _title(self) -> str:
        return f"{self.name}: test split, {self.samples['test']} pairs"

    def notes(self) -> list[str]:
        """Return what limits the comparison, what was left out and why, and the share of pairs."""
        found = [f"{one.name}: {one.note}" for one in self.methods if one.note]
        if self.pair_noise is not None:
            share = f"an estimated {self.pair_noise:.1%} do not belong together"
            found.append(f"pairs of train and validation: {share}")
        return found + [f"{name}: left out, {why}" for name, why in self.skipped.items()]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        values = asdict(self)
        for written, one in zip(values["methods"], self.methods, strict=True):
            written["average"] = one.average
        return values

    def __repr__(self) -> str:
        """Return the table and the verdict."""
        return f"{self.to_table()}\n\n{self.verdict.kind}: {self.verdict.text}"

    def _repr_html_(self) -> str:
        """Return the table and the verdict for a notebook."""
        verdict = f"<b>{escape(self.verdict.kind)}</b>: {escape(self.verdict.text)}"
        return f"{self.to_table().to_html()}<p>{verdict}</p>"


def _mean_row(one: AssessedPairMethod) -> list[str]:
    return [
        one.name + (" *" if one.chosen else ""),
        *(f"{value:.3f}" for value in one.average.values()),
        f"{one.recall.low:.3f}-{one.recall.high:.3f}",
        "" if one.p is None else format_p(one.p),
        f"{one.seconds:.1f}",
        str(one.bytes) if one.bytes else "",
    ]


def _with_interval(figures: Mapping[str, Any], name: str, digits: int) -> str:
    low, high = figures["intervals"][name]
    return f"{figures[name]:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
