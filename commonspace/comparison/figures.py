"""Figures of a comparison as files: mAP of each class, and mean ranks over the classes."""

from pathlib import Path
from typing import TYPE_CHECKING

from commonspace.comparison.compare import ComparisonResult
from commonspace.comparison.mean_ranks import mean_ranks
from commonspace.comparison.reproduction import PaperFigure
from commonspace.plots import draw_critical_difference
from commonspace.plots.style import FORMATS, save

if TYPE_CHECKING:
    from commonspace.plots.style import Figure

__all__ = ["draw_comparison"]

RANKS = (
    "Mean ranks of the methods over the classes, with Nemenyi's critical difference. Classes of one"
    " data set are no independent data sets: this is no test."
)


def draw_comparison(result: ComparisonResult, folder: Path) -> list[PaperFigure]:
    """Write ``classes`` and ``class-ranks`` as PNG, SVG and PDF into a folder.

    The ranks are of the methods on each class, with Nemenyi's critical difference. Classes of one
    data set share the gallery, so that they are no independent data sets: the diagram describes
    how regularly a method is ahead, and is no test. Earlier files are replaced. Nothing is written
    without classes, and no diagram for fewer than two methods.

    Args:
        result: of the comparison.
        folder: an existing folder.

    Returns:
        The figures that were written.

    Raises:
        OutputError: a file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    tables = {one.name: one.class_map for one in result.methods if one.class_map}
    if not tables:
        return []
    _replace(result.plot_classes(), folder / "classes")
    drawn = [PaperFigure("classes", "mAP of the queries of each class, the mean over the seeds.")]
    names = next(iter(tables.values()))
    if len(tables) > 1:
        ranks = mean_ranks([{name: tables[name][label] for name in tables} for label in names])
        figure = draw_critical_difference(ranks.ranks, ranks.critical_difference)
        _replace(figure, folder / "class-ranks")
        drawn.append(PaperFigure("class-ranks", RANKS))
    return drawn


def _replace(figure: "Figure", path: Path) -> None:
    for kind in FORMATS:
        path.with_name(f"{path.name}.{kind}").unlink(missing_ok=True)
    save(figure, path)
