"""What a data set is, and every way to read one."""

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.dataset import SPLITS, Dataset
from commonspace.data.load import load_dataset
from commonspace.data.splits import carve_validation, draw_splits

__all__ = [
    "SPLITS",
    "Column",
    "Dataset",
    "Features",
    "Images",
    "Texts",
    "carve_validation",
    "draw_splits",
    "load_dataset",
]
