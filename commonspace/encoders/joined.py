"""Several encoders of one modality side by side."""

from collections.abc import Sequence

import torch

from commonspace.cache_folder import default_cache
from commonspace.callbacks import Callback
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.extract import Extraction, extract
from commonspace.encoders.inputs import Joined
from commonspace.networks.backbones.joined import JoinedBackbone

__all__ = ["join_encoders"]


def join_encoders(
    encoders: Sequence[Encoder], train: Dataset, modality: str, callback: Callback | None = None
) -> Encoder:
    """Return one encoder with the features of several, standardized on the training samples.

    Args:
        encoders: two or more encoders of one modality.
        train: the training split, whose features give mean and variance.
        modality: the column that they read.
        callback: receives the progress.

    Raises:
        DataError: If an item cannot be read.
    """
    settings = Extraction(cache=default_cache())
    features = []
    for encoder in encoders:
        column = extract(train, {modality: encoder}, settings, callback).columns[modality]
        assert isinstance(column, Features)
        features.append(torch.from_numpy(column.values[column.present]))
    backbone = JoinedBackbone([encoder.backbone for encoder in encoders])
    backbone.standardize(features)
    parts = [encoder.provenance for encoder in encoders]
    forms = [part["input_form"] for part in parts if "input_form" in part]
    return describe(
        Joined([encoder.input for encoder in encoders]),
        backbone,
        {"kind": "joined", "backbones": [dict(encoder.backbone_config) for encoder in encoders]},
        spec=" + ".join(part["spec"] for part in parts),
        name=" + ".join(part["name"] for part in parts),
        preprocessing="; ".join(part["preprocessing"] for part in parts),
        fitted_on="train (means and variances); " + "; ".join(part["fitted_on"] for part in parts),
        more={"input_form": " + ".join(forms)} if forms else None,
    )
