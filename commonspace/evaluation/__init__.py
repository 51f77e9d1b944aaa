"""Retrieval metrics, the evaluation protocol, confidence intervals and significance tests."""

from commonspace.evaluation.average_precision import (
    Denominator,
    average_precision,
    mean_average_precision,
)
from commonspace.evaluation.chance import chance_level
from commonspace.evaluation.confusion import class_confusion
from commonspace.evaluation.curves import (
    PrecisionRecall,
    PrecisionScope,
    precision_recall_curve,
    precision_scope_curve,
)
from commonspace.evaluation.gap import modality_gap
from commonspace.evaluation.means import mean_by_class, mean_over_queries
from commonspace.evaluation.ndcg import ndcg
from commonspace.evaluation.pairs import PairRetrieval, pair_retrieval
from commonspace.evaluation.protocol import average_precisions, embed_for_evaluation, evaluate
from commonspace.evaluation.r_precision import r_precision
from commonspace.evaluation.ranking import RankedBlock, Ranking
from commonspace.evaluation.report import EvaluationReport, Figures, evaluate_retrieval
from commonspace.evaluation.significance import (
    Comparison,
    Interval,
    bootstrap_interval,
    compare_to,
    holm,
    paired_randomisation,
)

__all__ = [
    "Comparison",
    "Denominator",
    "EvaluationReport",
    "Figures",
    "Interval",
    "PairRetrieval",
    "PrecisionRecall",
    "PrecisionScope",
    "RankedBlock",
    "Ranking",
    "average_precision",
    "average_precisions",
    "bootstrap_interval",
    "chance_level",
    "class_confusion",
    "compare_to",
    "embed_for_evaluation",
    "evaluate",
    "evaluate_retrieval",
    "holm",
    "mean_average_precision",
    "mean_by_class",
    "mean_over_queries",
    "modality_gap",
    "ndcg",
    "pair_retrieval",
    "paired_randomisation",
    "precision_recall_curve",
    "precision_scope_curve",
    "r_precision",
]
