"""The protocol of evaluation: which samples ask, which answer, and what counts as found.

Every sample of the part that has a modality and a label is a query in it, and every one is in the
gallery of its own modality; two are relevant to each other when they share a class. The paired
sample is in the gallery too, as in the published tables.
"""

from collections.abc import Sequence
from typing import Any

from commonspace.data.dataset import Dataset
from commonspace.errors import SettingError
from commonspace.evaluation import evaluate_retrieval
from commonspace.space import CommonSpace

__all__ = ["evaluate"]


def evaluate(space: CommonSpace, data: Dataset, *, k: Sequence[int] = ()) -> dict[str, Any]:
    """Measure how well samples of one modality find samples of another.

    Args:
        space: the common space.
        data: the samples to measure on, such as ``dataset.part("test")``.
        k: cut-offs at which the mAP is given beside that of the whole ranking.

    Returns:
        For each direction, such as "image->text", and for their "average", the figures by name:
        "map" over the whole ranking, and one for each k. Fit for JSON.

    Raises:
        SettingError: the space and the data have no two modalities in common.
        DataError: a column is of another kind or size than the space was fitted on.
    """
    shared = [name for name in space.modalities if name in data.columns]
    if len(shared) < 2:
        raise SettingError(
            f"the space and {data.name!r} have no two modalities in common",
            expected=f"at least two of {', '.join(map(repr, space.modalities))}",
            found=", ".join(map(repr, data.modalities)),
            advice="rename the columns of the data, or use the data it was fitted on",
        )
    embedded = space.embed_dataset(data)
    return evaluate_retrieval(
        {name: part.vectors for name, part in embedded.items()},
        {name: data.labels[part.rows] for name, part in embedded.items()},
        k=k,
    )
