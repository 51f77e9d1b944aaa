"""Data sets by name or path: the benchmarks, the built-in scenes, and files of one's own."""

from commonspace.datasets.load import load_dataset

__all__ = ["load_dataset"]
