"""The verdict of an assessment: train, label more, find more pairs, or train nothing."""

from collections.abc import Sequence

from commonspace.assessment.assessment import (
    CHANCE,
    AssessedMethod,
    ClassFigures,
    Verdict,
    VerdictKind,
    format_p,
)
from commonspace.assessment.learning_curve import LearningCurve
from commonspace.assessment.pair_assessment import AssessedPairMethod

__all__ = ["MARGIN", "SIGNIFICANT", "decide", "decide_pairs"]

MARGIN = 0.02
"""Smallest difference of mAP, or of R@10, that is worth the work of training or labeling."""
SIGNIFICANT = 0.05
NAMED = 5
EASY = 0.5
"""R@10 of a random order from which the test split says little."""


def decide(
    methods: Sequence[AssessedMethod],
    p: float,
    curve: LearningCurve | None,
    classes: Sequence[ClassFigures],
) -> Verdict:
    """Decide by the test figures of the best method with labels and the best one without.

    Which methods are compared was chosen on validation. Training is worth it if the method with
    labels is better by at least 0.02 mAP at p < 0.05. Labels are worth it if twice as many are
    predicted to add at least 0.02 mAP, and training is worth it already or would be then.

    Args:
        methods: Figures of all methods that answer queries of every modality.
        p: p-value of the difference between the best with labels and the best without.
        curve: Learning curve, or None.
        classes: Figures of the classes, those that lack samples first.
    """
    trained = next(one for one in methods if one.chosen)
    plain = max((one for one in methods if not one.uses_labels), key=lambda one: one.validation)
    difference = trained.map.mean - plain.map.mean
    worth = difference >= MARGIN and p < SIGNIFICANT
    growth = curve is not None and curve.gain >= MARGIN
    would = difference + (curve.gain if curve else 0.0) >= MARGIN
    kind: VerdictKind = "use the encoder as it is"
    if growth and would:
        kind = "label more"
    elif worth:
        kind = "train"
    sentences = [
        f"{trained.name} reaches a test mAP of {trained.map.mean:.3f}"
        f" ({trained.map.low:.3f}-{trained.map.high:.3f}), and the best without labels,"
        f" {plain.name}, {plain.map.mean:.3f}: a difference of {difference:+.3f}"
        f" (p {'' if p < 0.001 else '= '}{format_p(p)})."
    ]
    if curve is not None:
        sentences.append(
            f"Twice the labels ({2 * curve.samples[-1]:,}) are predicted to change the mAP by"
            f" {curve.gain:+.3f}, to {curve.predicted:.3f} ({curve.low:.3f}-{curve.high:.3f}) on"
            " validation."
        )
    sentences.append(
        _advice(kind, trained, plain, classes, worth=worth, measured=curve is not None)
    )
    return Verdict(kind, " ".join(sentences))


def decide_pairs(
    methods: Sequence[AssessedPairMethod], p: float, curve: LearningCurve | None
) -> Verdict:
    """Decide by the test figures of the best trained method and the best one without training.

    Which methods are compared was chosen on validation. Training is worth it if R@10 is higher by
    at least 0.02 at p < 0.05. More pairs are worth it if twice as many are predicted to add at
    least 0.02, and training is worth it already or would be then.

    Args:
        methods: Figures of all methods.
        p: p-value of the difference between the two that are compared.
        curve: Learning curve, or None.
    """
    trained = next(one for one in methods if one.chosen)
    plain = max(
        (one for one in methods if one.complete and not one.trained),
        key=lambda one: one.validation,
    )
    difference = trained.recall.mean - plain.recall.mean
    worth = difference >= MARGIN and p < SIGNIFICANT
    gain = curve.gain if curve else 0.0
    kind: VerdictKind = "use the encoder as it is"
    if gain >= MARGIN and difference + gain >= MARGIN:
        kind = "more pairs"
    elif worth:
        kind = "train"
    sentences = [
        f"{trained.name} finds the pair among the first 10 in {trained.recall.mean:.3f} of the test"
        f" queries ({trained.recall.low:.3f}-{trained.recall.high:.3f}), and the best without"
        f" training, {plain.name}, in {plain.recall.mean:.3f}: a difference of {difference:+.3f}"
        f" (p {'' if p < 0.001 else '= '}{format_p(p)})."
    ]
    if curve is not None:
        sentences.append(
            f"Twice the pairs ({2 * curve.samples[-1]:,}) are predicted to change R@10 by"
            f" {gain:+.3f}, to {curve.predicted:.3f} ({curve.low:.3f}-{curve.high:.3f}) on"
            " validation."
        )
    if kind == "train":
        more = "; more pairs would add little" if curve else ""
        sentences.append(f"Train {trained.name}{more}.")
    elif kind == "more pairs":
        now = f"Train {trained.name}" if worth else f"Use {plain.name}"
        first = "Collect" if plain.name == CHANCE and not worth else f"{now} now, and collect"
        sentences.append(f"{first} more pairs.")
    elif plain.name == CHANCE and plain.recall.mean >= EASY:
        sentences.append("The test split has too few distinct items to decide: add pairs to it.")
    elif plain.name == CHANCE:
        sentences.append("Neither is worth much: check the pairs and the encoders.")
    else:
        sentences.append(f"Training is not worth it here: use {plain.name}.")
    return Verdict(kind, " ".join(sentences))


def _advice(
    kind: VerdictKind,
    trained: AssessedMethod,
    plain: AssessedMethod,
    classes: Sequence[ClassFigures],
    *,
    worth: bool,
    measured: bool,
) -> str:
    if kind == "use the encoder as it is":
        if plain.name == CHANCE:
            return "Neither is worth much: check the labels and the features."
        return f"Training is not worth it here: use {plain.name}."
    lacking = [f"{one.name} ({one.labels})" for one in classes if one.lacking][:NAMED]
    hardest = [one.name for one in sorted(classes, key=lambda one: one.map)][:NAMED]
    if kind == "train":
        return f"Train {trained.name}{'; more labels would add little' if measured else ''}."
    first = f"Train {trained.name} now, and label" if worth else "Label"
    if lacking:
        return f"{first} more samples, first of classes with few labels: {', '.join(lacking)}."
    return f"{first} more samples, first of the classes that are found worst: {', '.join(hardest)}."
