"""How good a ranking is: arrays in, figures out, without torch."""

from commonspace.evaluation.average_precision import (
    Denominator,
    average_precision,
    mean_average_precision,
)
from commonspace.evaluation.ranking import RankedBlock, Ranking
from commonspace.evaluation.report import Figures, evaluate_retrieval

__all__ = [
    "Denominator",
    "Figures",
    "RankedBlock",
    "Ranking",
    "average_precision",
    "evaluate_retrieval",
    "mean_average_precision",
]
