"""Check that features come from the encoder that a model was trained with."""

from collections.abc import Mapping
from typing import Any

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError

__all__ = ["check_encoder"]


def check_encoder(
    provenance: Mapping[str, Any], data: Dataset, modality: str, *, reads_features: bool
) -> None:
    """Check a column of a data set against what a model reads.

    Args:
        provenance: how the model was trained; encoders are compared if both are known.
        data: a data set with the column.
        modality: name of the column.
        reads_features: whether the model reads features, or raw items.

    Raises:
        DataError: If the column has the other kind, or features of another encoder.
    """
    column = data.columns[modality]
    trained = provenance.get("encoders", {}).get(modality, {})
    actual = data.provenance.get("encoders", {}).get(modality, {})
    if reads_features != (column.kind == "features"):
        raise DataError(
            f"the space reads {modality!r} in another form",
            expected=f"features of {_describe(trained)}"
            if reads_features
            else "raw items, as in training",
            found=f"{column!r} in {data.name!r}",
            advice="extract them first: commonspace extract DATA --out FILE"
            if reads_features
            else "use the data set that the features were extracted from",
        )
    if reads_features and trained and actual and trained.get("sha256") != actual.get("sha256"):
        raise DataError(
            f"the features {modality!r} of {data.name!r} come from another encoder",
            expected=_describe(trained),
            found=_describe(actual),
            advice="extract them with the encoder that the space was trained with",
        )


def _describe(encoder: Mapping[str, Any]) -> str:
    if not encoder:
        return "the same encoder as in training"
    captions = f", captions: {encoder['multi_caption']}" if "multi_caption" in encoder else ""
    return (
        f"{encoder['name']} ({encoder['spec']}; {encoder['preprocessing']}{captions}; weights"
        f" {encoder['weights_sha256'][:12]}, all {encoder['sha256'][:12]})"
    )
