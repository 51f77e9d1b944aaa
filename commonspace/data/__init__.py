"""Data sets: samples, columns of modalities, labels, splits."""

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.dataset import SPLITS, Dataset
from commonspace.data.images import check_images, decode_image, drop_unreadable_images
from commonspace.data.splits import carve_validation, draw_splits
from commonspace.data.write import write_arrays

__all__ = [
    "SPLITS",
    "Column",
    "Dataset",
    "Features",
    "Images",
    "Texts",
    "carve_validation",
    "check_images",
    "decode_image",
    "draw_splits",
    "drop_unreadable_images",
    "write_arrays",
]
