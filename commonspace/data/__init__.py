"""Data sets: samples, columns of modalities, labels, splits."""

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.corrections import correct_labels, label_file_of, read_corrections
from commonspace.data.dataset import Dataset
from commonspace.data.images import decode_image
from commonspace.data.leakage import Overlap, find_leakage, find_near_duplicates, find_overlap
from commonspace.data.splits import carve_validation, draw_splits
from commonspace.data.unreadable import check_images, drop_unreadable_images
from commonspace.data.vocabulary import SPLITS
from commonspace.data.write import write_arrays

__all__ = [
    "SPLITS",
    "Column",
    "Dataset",
    "Features",
    "Images",
    "Overlap",
    "Texts",
    "carve_validation",
    "check_images",
    "correct_labels",
    "decode_image",
    "draw_splits",
    "drop_unreadable_images",
    "find_leakage",
    "find_near_duplicates",
    "find_overlap",
    "label_file_of",
    "read_corrections",
    "write_arrays",
]
