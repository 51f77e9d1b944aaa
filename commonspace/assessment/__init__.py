"""Assessment of labels or pairs: baselines, learning curve, suspicious labels, a verdict."""

from commonspace.assessment.assess import assess, default_methods
from commonspace.assessment.assess_pairs import assess_pairs, default_pair_methods
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
from commonspace.assessment.pair_assessment import AssessedPairMethod, PairAssessment
from commonspace.assessment.pair_check import MismatchedPair
from commonspace.assessment.suspicious_pairs import PairCheck, SuspiciousPair, check_pairs
from commonspace.methods.base.mismatched_pairs import mismatch_probabilities

__all__ = [
    "BM25",
    "AssessedMethod",
    "AssessedPairMethod",
    "Assessment",
    "ClassFigures",
    "Confused",
    "LabelCheck",
    "LabelProposal",
    "LearningCurve",
    "MismatchedPair",
    "PairAssessment",
    "PairCheck",
    "SuspiciousLabel",
    "SuspiciousPair",
    "Verdict",
    "assess",
    "assess_pairs",
    "check_pairs",
    "check_sample_labels",
    "default_methods",
    "default_pair_methods",
    "fit_learning_curve",
    "mismatch_probabilities",
    "propose_labels",
    "write_assessment",
]
