"""Figures: arrays in, matplotlib figures, files and an HTML page out."""

from commonspace.plots.card_rows import CardRow, draw_card_rows
from commonspace.plots.classes import draw_class_map, sort_classes
from commonspace.plots.colors import class_colors, modality_markers
from commonspace.plots.confusion import Confusion, draw_confusion, most_confused
from commonspace.plots.critical_difference import draw_critical_difference
from commonspace.plots.curves import Curves, draw_precision_curves
from commonspace.plots.embedding_scatter import (
    ModalityPoints,
    Panel,
    PlacedPoints,
    draw_embedding_scatter,
    project_panels,
)
from commonspace.plots.label_curve import draw_label_curve
from commonspace.plots.learning_curves import Steps, draw_learning_curves
from commonspace.plots.method_bars import MethodBar, draw_method_bars
from commonspace.plots.method_classes import draw_method_classes
from commonspace.plots.page import Fact, Page, PageFigure, Table, render
from commonspace.plots.projection import TSNEMap, fit_tsne, stratified_sample, tsne
from commonspace.plots.ranked_lists import Card, RankedList, draw_ranked_lists
from commonspace.plots.sensitivity import draw_sensitivity
from commonspace.plots.style import (
    FORMATS,
    check_formats,
    figure_to_svg,
    require_plots,
    save,
    to_inline_svg,
)

__all__ = [
    "FORMATS",
    "Card",
    "CardRow",
    "Confusion",
    "Curves",
    "Fact",
    "MethodBar",
    "ModalityPoints",
    "Page",
    "PageFigure",
    "Panel",
    "PlacedPoints",
    "RankedList",
    "Steps",
    "TSNEMap",
    "Table",
    "check_formats",
    "class_colors",
    "draw_card_rows",
    "draw_class_map",
    "draw_confusion",
    "draw_critical_difference",
    "draw_embedding_scatter",
    "draw_label_curve",
    "draw_learning_curves",
    "draw_method_bars",
    "draw_method_classes",
    "draw_precision_curves",
    "draw_ranked_lists",
    "draw_sensitivity",
    "figure_to_svg",
    "fit_tsne",
    "modality_markers",
    "most_confused",
    "project_panels",
    "render",
    "require_plots",
    "save",
    "sort_classes",
    "stratified_sample",
    "to_inline_svg",
    "tsne",
]
