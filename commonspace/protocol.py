"""The protocol of evaluation: which samples ask, which answer, and what counts as found.

Every sample of the part that has a modality and a label is a query in it, and every one is in the
gallery of its own modality; two are relevant to each other when they share a class. The paired
sample is in the gallery too, as in the published tables.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Texts
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_row_per_text
from commonspace.encoders import Vectors
from commonspace.errors import DataError, SettingError
from commonspace.evaluation import average_precision, evaluate_retrieval
from commonspace.space import CommonSpace

__all__ = ["Embeddings", "average_precisions", "embeddings", "evaluate"]


def evaluate(space: CommonSpace, data: Dataset, *, k: Sequence[int] = ()) -> dict[str, Any]:
    """Measure how well samples of one modality find samples of another.

    Args:
        space: the common space.
        data: the samples to measure on, such as ``dataset.split("test")``.
        k: cut-offs at which the mAP is given beside that of the whole ranking.

    Returns:
        For each direction, such as "image->text", and for their "average", the figures by name:
        "map" over the whole ranking, and one for each k. Fit for JSON.

    Raises:
        SettingError: the space and the data have no two modalities in common.
        DataError: a column is of another kind or size than the space was fitted on, or comes from
            another encoder.
    """
    found = embeddings(space, data)
    return evaluate_retrieval(found.vectors, found.labels, k=k)


def average_precisions(space: CommonSpace, data: Dataset) -> dict[str, NDArray[np.float64]]:
    """Return the average precision of every query, by the same protocol as ``evaluate``.

    Args:
        space: the common space.
        data: the samples to measure on.

    Returns:
        For each direction, such as "image->text", (n,) values for the n samples: NaN where a
        sample lacks the modality that asks, or a label. Where the space was fitted on one sample
        for each text, n is the number of texts.

    Raises:
        SettingError, DataError: as for ``evaluate``.
    """
    found = embeddings(space, data)
    directions = {}
    for source, target in permutations(found.vectors, 2):
        values = np.full(len(found.data), np.nan)
        values[found.rows[source]] = average_precision(
            found.vectors[source], found.vectors[target], found.labels[source], found.labels[target]
        )
        directions[f"{source}->{target}"] = values
    return directions


class Embeddings(NamedTuple):
    """What asks and answers: the vectors of a data set, by modality."""

    data: Dataset
    """The samples; one for each text, where the space was fitted so."""
    vectors: dict[str, NDArray[np.float32]]
    """(m, d), one for each sample that has the modality."""
    labels: dict[str, NDArray[np.bool_]]
    """(m, c), their classes."""
    rows: dict[str, NDArray[np.intp]]
    """(m,): to which row of ``data`` each belongs."""


def embeddings(space: CommonSpace, data: Dataset) -> Embeddings:
    """Embed what asks and answers, for whoever measures more than ``evaluate`` does.

    Args:
        space: the common space.
        data: the samples to measure on.

    Raises:
        SettingError, DataError: as for ``evaluate``.
    """
    shared = [name for name in space.modalities if name in data.columns]
    if len(shared) < 2:
        raise SettingError(
            f"the space and {data.name!r} have no two modalities in common",
            expected=f"at least two of {', '.join(map(repr, space.modalities))}",
            found=", ".join(map(repr, data.modalities)),
            advice="rename the columns of the data, or use the data it was fitted on",
        )
    for name in shared:
        _check_encoder(space, data, name)
    if _multi_caption(space) == "expand":
        data = _divided(data)
    embedded = space.embed_dataset(data)
    return Embeddings(
        data,
        {name: part.vectors for name, part in embedded.items()},
        {name: data.labels[part.rows] for name, part in embedded.items()},
        {name: part.rows for name, part in embedded.items()},
    )


def _check_encoder(space: CommonSpace, data: Dataset, modality: str) -> None:
    """Refuse what another encoder made than the space was fitted on, as far as both are known."""
    column = data.columns[modality]
    fitted = space.provenance.get("encoders", {}).get(modality, {})
    given = data.provenance.get("encoders", {}).get(modality, {})
    reads_features = isinstance(space.inputs[modality], Vectors)
    if reads_features != (column.kind == "features"):
        wanted = (
            f"features of {_called(fitted)}" if reads_features else "raw items, as it was fitted on"
        )
        raise DataError(
            f"the space reads {modality!r} in another form",
            expected=wanted,
            found=f"{column!r} in {data.name!r}",
            advice="extract them first: commonspace extract DATA --out FILE"
            if reads_features
            else "give the data set that the features were extracted from",
        )
    if reads_features and fitted and given and fitted.get("sha256") != given.get("sha256"):
        raise DataError(
            f"the features {modality!r} of {data.name!r} come from another encoder",
            expected=_called(fitted),
            found=_called(given),
            advice="extract them with the encoder that the space was fitted on",
        )


def _called(facts: Mapping[str, Any]) -> str:
    """Return a sentence that tells encoders apart."""
    if not facts:
        return "the same origin as in training"
    several = f", several texts: {facts['multi_caption']}" if "multi_caption" in facts else ""
    return (
        f"{facts['name']} ({facts['spec']}; {facts['preprocessing']}{several}; weights"
        f" {facts['weights_sha256'][:12]}, all {facts['sha256'][:12]})"
    )


def _multi_caption(space: CommonSpace) -> str:
    raw = space.provenance.get("method", {}).get("options", {}).get("encoders", {})
    return str(raw.get("multi_caption", ""))


def _divided(data: Dataset) -> Dataset:
    """Return one sample for each text, as the space was fitted on."""
    several = any(
        len(texts) > 1
        for column in data.columns.values()
        if isinstance(column, Texts)
        for texts in column.items
    )
    return one_row_per_text(data) if several else data
