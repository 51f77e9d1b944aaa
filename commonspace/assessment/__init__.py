"""Assessment of a data set: baselines, learning curve, suspicious labels, and a verdict."""

from commonspace.assessment.assess import assess, default_methods
from commonspace.assessment.assessment import (
    AssessedMethod,
    Assessment,
    ClassFigures,
    Confused,
    Verdict,
)
from commonspace.assessment.bm25 import BM25
from commonspace.assessment.label_check import (
    LabelCheck,
    SuspiciousLabel,
    check_sample_labels,
)
from commonspace.assessment.learning_curve import LearningCurve, fit_learning_curve
from commonspace.assessment.next_labels import LabelProposal, propose_labels
from commonspace.assessment.page import write_assessment
from commonspace.assessment.pair_check import MismatchedPair
from commonspace.methods.base.mismatched_pairs import mismatch_probabilities

__all__ = [
    "BM25",
    "AssessedMethod",
    "Assessment",
    "ClassFigures",
    "Confused",
    "LabelCheck",
    "LabelProposal",
    "LearningCurve",
    "MismatchedPair",
    "SuspiciousLabel",
    "Verdict",
    "assess",
    "check_sample_labels",
    "default_methods",
    "fit_learning_curve",
    "mismatch_probabilities",
    "propose_labels",
    "write_assessment",
]
