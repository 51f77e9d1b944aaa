"""Scatter plot of the embeddings of a data set."""

from typing import TYPE_CHECKING

from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.evaluation.protocol import EmbeddedData, choose_split
from commonspace.plots import draw_embedding_scatter, project_panels
from commonspace.reporting.sampling import sample_points
from commonspace.space import CommonSpace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_space"]


def plot_space(
    space: CommonSpace,
    data: Dataset,
    *,
    split: str | None = None,
    max_points: int = 2000,
    seed: int = 0,
) -> "Figure":
    """Return a figure with a t-SNE panel for each modality, and one for all of them.

    Args:
        space: Embeds the samples.
        data: Samples; colors are their classes.
        split: "train", "validation", "test", or "all". Default: as for ``evaluate``.
        max_points: Maximum number of samples of each modality, >= 5, drawn by class.
        seed: Seed of the sampling and of t-SNE.

    Raises:
        SettingError: If the data set has none of the modalities, or ``max_points`` is below 5.
        DataError: If there are fewer than 5 samples.
        MissingExtraError: If matplotlib or scikit-learn is not installed.
    """
    if max_points < 5:
        raise SettingError(
            f"`max_points` must be >= 5, got {max_points!r}", advice="leave it out for 2000"
        )
    part = choose_split(data, split)
    embedded = space.embed_dataset(part)
    drawn = sample_points(
        space,
        EmbeddedData(
            part,
            {name: one.vectors for name, one in embedded.items()},
            {name: part.labels[one.rows] for name, one in embedded.items()},
            {name: one.rows for name, one in embedded.items()},
        ),
        max_points,
        seed,
    )
    panels = [panel for panel in project_panels(drawn.modalities, seed) if panel.shared]
    return draw_embedding_scatter(panels, part.class_names)
