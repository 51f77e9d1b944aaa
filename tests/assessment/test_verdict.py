"""The verdict for known figures."""

import pytest

from commonspace.assessment.assessment import AssessedMethod, ClassFigures
from commonspace.assessment.learning_curve import LearningCurve
from commonspace.assessment.pair_assessment import AssessedPairMethod
from commonspace.assessment.verdict import decide, decide_pairs
from commonspace.evaluation import Interval


def line(name: str, value: float, *, labels: bool) -> AssessedMethod:
    interval = Interval(value, value - 0.02, value + 0.02)
    return AssessedMethod(name, labels, interval, None, 0.5, 0.5, 1.0, 4, value, chosen=labels)


def curve(gain: float) -> LearningCurve:
    return LearningCurve((50, 100), (0.5, 0.6), 0.6 + gain, 0.5, 0.7, 0.8, 0.2, 0.5)


CLASSES = [ClassFigures("rare", 3, 0.1, True), ClassFigures("usual", 90, 0.9, False)]


@pytest.mark.parametrize(
    ("trained", "p", "gain", "kind"),
    [
        (0.80, 0.001, 0.01, "train"),
        (0.80, 0.001, 0.05, "label more"),
        (0.61, 0.001, 0.0, "use the encoder as it is"),  # too small
        (0.80, 0.20, 0.01, "use the encoder as it is"),  # not significant
        (0.59, 0.20, 0.05, "label more"),  # would be worth it then
        (0.40, 0.001, 0.05, "use the encoder as it is"),  # not even then
    ],
)
def test_the_kind_follows_from_difference_p_and_gain(
    trained: float, p: float, gain: float, kind: str
) -> None:
    methods = [line("probe", trained, labels=True), line("raw", 0.60, labels=False)]
    assert decide(methods, p, curve(gain), CLASSES).kind == kind


def test_the_text_has_the_evidence() -> None:
    methods = [line("probe", 0.8, labels=True), line("raw", 0.6, labels=False)]
    text = decide(methods, 0.0001, curve(0.05), CLASSES).text
    for words in ("0.800", "0.600", "+0.200", "<0.001", "200", "+0.050", "rare (3)"):
        assert words in text


def test_without_a_curve_labels_are_not_predicted() -> None:
    methods = [line("probe", 0.8, labels=True), line("raw", 0.6, labels=False)]
    verdict = decide(methods, 0.001, None, CLASSES)
    assert verdict.kind == "train"
    assert "Twice" not in verdict.text


def pair_line(
    name: str, value: float, *, trained: bool, complete: bool = True
) -> AssessedPairMethod:
    interval = Interval(value, value - 0.02, value + 0.02)
    return AssessedPairMethod(
        name, trained, interval, None, {}, 1.0, 4, value, complete, chosen=trained
    )


@pytest.mark.parametrize(
    ("trained", "p", "gain", "kind", "words"),
    [
        (0.80, 0.001, 0.01, "train", "Train InfoNCE; more pairs would add little"),
        (0.80, 0.001, 0.05, "more pairs", "Train InfoNCE now, and collect more pairs"),
        (0.61, 0.001, 0.0, "use the encoder as it is", "use raw"),  # too small
        (0.80, 0.20, 0.01, "use the encoder as it is", "use raw"),  # not significant
        (0.59, 0.20, 0.05, "more pairs", "Use raw now, and collect more pairs"),
        (0.40, 0.001, 0.05, "use the encoder as it is", "use raw"),  # not even then
    ],
)
def test_pairs_are_decided_by_the_same_rule(
    trained: float, p: float, gain: float, kind: str, words: str
) -> None:
    methods = [
        pair_line("InfoNCE", trained, trained=True),
        pair_line("raw", 0.60, trained=False),
        pair_line("keywords", 0.99, trained=False, complete=False),
    ]
    verdict = decide_pairs(methods, p, curve(gain))
    assert verdict.kind == kind
    assert words in verdict.text


def test_where_chance_is_best_nothing_is_recommended() -> None:
    methods = [pair_line("InfoNCE", 0.3, trained=True), pair_line("chance", 0.3, trained=False)]
    assert "check the pairs" in decide_pairs(methods, 0.9, None).text
    few = [pair_line("InfoNCE", 0.9, trained=True), pair_line("chance", 0.9, trained=False)]
    assert "too few distinct items" in decide_pairs(few, 0.9, None).text
