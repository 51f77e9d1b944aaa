"""Data sets by name or path: benchmarks, built-in scenes, and user files."""

from commonspace.datasets.load import load_dataset

__all__ = ["load_dataset"]
