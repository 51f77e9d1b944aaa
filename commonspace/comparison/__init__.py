"""Comparison of methods: the same tuning budget, several seeds, significance tests."""

from commonspace.comparison.benchmark import (
    Benchmark,
    BenchmarkResult,
    read_benchmark,
    run_benchmark,
)
from commonspace.comparison.check_method import CheckResult, MethodReport, check_method
from commonspace.comparison.compare import ComparisonResult, compare
from commonspace.comparison.experiments import Experiment, TuningBudget, make_experiments
from commonspace.comparison.mean_ranks import MeanRanks, mean_ranks
from commonspace.comparison.protocols import DATA_PROTOCOLS, DataProtocol
from commonspace.comparison.summary import MethodSummary, summarize
from commonspace.comparison.tables import write_tables

__all__ = [
    "DATA_PROTOCOLS",
    "Benchmark",
    "BenchmarkResult",
    "CheckResult",
    "ComparisonResult",
    "DataProtocol",
    "Experiment",
    "MeanRanks",
    "MethodReport",
    "MethodSummary",
    "TuningBudget",
    "check_method",
    "compare",
    "make_experiments",
    "mean_ranks",
    "read_benchmark",
    "run_benchmark",
    "summarize",
    "write_tables",
]
