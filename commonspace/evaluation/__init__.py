"""Retrieval metrics, the evaluation protocol, confidence intervals and significance tests."""

from commonspace.evaluation.average_precision import (
    Denominator,
    average_precision,
    mean_average_precision,
)
from commonspace.evaluation.confusion import class_confusion
from commonspace.evaluation.curves import (
    PrecisionRecall,
    PrecisionScope,
    precision_recall_curve,
    precision_scope_curve,
)
from commonspace.evaluation.intervals import Interval, bootstrap_interval, crossed_interval
from commonspace.evaluation.means import mean_by_class, mean_over_queries
from commonspace.evaluation.modality_gap import modality_gap
from commonspace.evaluation.oracle import LinearDiscriminant, OracleAnalysis, analyze_oracle
from commonspace.evaluation.pairs import PairReport, evaluate_pairs, mean_recall
from commonspace.evaluation.protocol import average_precisions, embed_for_evaluation, evaluate
from commonspace.evaluation.ranked_block import RankedBlock
from commonspace.evaluation.ranked_metrics import (
    PairRetrieval,
    ndcg,
    pair_retrieval,
    r_precision,
)
from commonspace.evaluation.ranked_pairs import PairItems, RankedPairs, rank_pairs
from commonspace.evaluation.ranking import Ranking
from commonspace.evaluation.relevance import chance_level
from commonspace.evaluation.report import EvaluationReport, Figures, evaluate_retrieval
from commonspace.evaluation.significance import (
    Comparison,
    compare_to,
    holm,
    paired_randomization,
)

__all__ = [
    "Comparison",
    "Denominator",
    "EvaluationReport",
    "Figures",
    "Interval",
    "LinearDiscriminant",
    "OracleAnalysis",
    "PairItems",
    "PairReport",
    "PairRetrieval",
    "PrecisionRecall",
    "PrecisionScope",
    "RankedBlock",
    "RankedPairs",
    "Ranking",
    "analyze_oracle",
    "average_precision",
    "average_precisions",
    "bootstrap_interval",
    "chance_level",
    "class_confusion",
    "compare_to",
    "crossed_interval",
    "embed_for_evaluation",
    "evaluate",
    "evaluate_pairs",
    "evaluate_retrieval",
    "holm",
    "mean_average_precision",
    "mean_by_class",
    "mean_over_queries",
    "mean_recall",
    "modality_gap",
    "ndcg",
    "pair_retrieval",
    "paired_randomization",
    "precision_recall_curve",
    "precision_scope_curve",
    "r_precision",
    "rank_pairs",
]
