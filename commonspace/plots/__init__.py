"""Pictures: arrays in, figures and files out. The only room that touches matplotlib and t-SNE."""

from commonspace.plots.classes import draw_classes, order_of_classes
from commonspace.plots.common_space import Cloud, Panel, Points, draw_panels, lay_out
from commonspace.plots.confusion import Mistake, draw_confusion, most_confused
from commonspace.plots.course import Steps, draw_course
from commonspace.plots.curves import Curves, draw_curves
from commonspace.plots.page import Fact, Page, Picture, Table, render
from commonspace.plots.palette import class_colours, markers_of
from commonspace.plots.paper import FORMATS, check_formats, for_page, require, save, svg_of
from commonspace.plots.projection import stratified_sample, tsne
from commonspace.plots.queries import Answered, Card, draw_queries
from commonspace.plots.surface import draw_surface

__all__ = [
    "FORMATS",
    "Answered",
    "Card",
    "Cloud",
    "Curves",
    "Fact",
    "Mistake",
    "Page",
    "Panel",
    "Picture",
    "Points",
    "Steps",
    "Table",
    "check_formats",
    "class_colours",
    "draw_classes",
    "draw_confusion",
    "draw_course",
    "draw_curves",
    "draw_panels",
    "draw_queries",
    "draw_surface",
    "for_page",
    "lay_out",
    "markers_of",
    "most_confused",
    "order_of_classes",
    "render",
    "require",
    "save",
    "stratified_sample",
    "svg_of",
    "tsne",
]
