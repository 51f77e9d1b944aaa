"""Comparison of methods: the same tuning budget, several seeds, significance tests."""

from commonspace.comparison.benchmark import (
    Benchmark,
    BenchmarkResult,
    read_benchmark,
    run_benchmark,
)
from commonspace.comparison.compare import ComparisonResult, compare
from commonspace.comparison.experiments import Experiment, TuningBudget, make_experiments
from commonspace.comparison.mean_ranks import MeanRanks, mean_ranks
from commonspace.comparison.summary import MethodSummary, summarize
from commonspace.comparison.tables import write_tables

__all__ = [
    "Benchmark",
    "BenchmarkResult",
    "ComparisonResult",
    "Experiment",
    "MeanRanks",
    "MethodSummary",
    "TuningBudget",
    "compare",
    "make_experiments",
    "mean_ranks",
    "read_benchmark",
    "run_benchmark",
    "summarize",
    "write_tables",
]
