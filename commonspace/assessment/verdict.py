"""The verdict of an assessment: train, label more, or use the encoder as it is."""

from collections.abc import Sequence

from commonspace.assessment.assessment import (
    AssessedMethod,
    ClassFigures,
    Verdict,
    VerdictKind,
    format_p,
)
from commonspace.assessment.learning_curve import LearningCurve

__all__ = ["MARGIN", "SIGNIFICANT", "decide"]

MARGIN = 0.02
"""Smallest difference of mAP that is worth the work of training or labeling."""
SIGNIFICANT = 0.05
NAMED = 5


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
        if plain.name == "chance":
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
