"""Zero-shot classes in posterior matching: texts that name the classes, in the space of items."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from commonspace.data.columns import Features, Texts
from commonspace.encoders import Encoder
from commonspace.encoders.inputs import input_reads
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.networks.zero_shot_posterior import ZeroShotPosteriorNetwork, pool_posteriors
from commonspace.training.samples import Samples
from commonspace.training.validation import ValidationScore

__all__ = [
    "TEMPLATE",
    "choose_pools",
    "class_name_vectors",
    "describe_zero_shot",
    "shared_reader",
    "with_class_vectors",
    "with_zero_shot",
]

TEMPLATE = "a photo of a {}"
"""Text that names a class."""

GAIN = 0.005
"""mAP on validation that the names must add: less is within what chance gives."""
POSTERIOR_WEIGHTS = (1.0, 0.75, 0.5, 0.25, 0.0)
NAME_WEIGHTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Weights to try; temperatures of models that share a space are between 1 and 1/100."""


def with_zero_shot(network: PosteriorNetwork, data: TrainingData) -> PosteriorNetwork:
    """Return the network with the names of the classes, if validation is better with them.

    Where the encoders of all modalities share a space, the cosine of an item and of a text that
    names a class says something about its class without any label. The weight of that, and of the
    fitted posteriors, is chosen for each modality by the likelihood of the validation labels. The
    network is returned as it is unless the mAP on validation is higher then by 0.005.

    Args:
        network: Fitted, with at most one class a sample.
        data: The data of the fit.
    """
    reader = shared_reader(data)
    if reader is None or network.config.multi_label:
        return network
    vectors = class_name_vectors(reader, data.train.class_names)
    return with_class_vectors(network, vectors, data.validation_samples)


def with_class_vectors(
    network: PosteriorNetwork, class_vectors: Tensor, validation: Samples
) -> PosteriorNetwork:
    """Return the network with class vectors, if validation is better with them.

    Args:
        network: Fitted, with at most one class a sample.
        class_vectors: (c, size), of any length above 0.
        validation: Labeled samples that nothing was fitted on.
    """
    vectors = normalize(class_vectors.to(network.shares.device))
    pools = choose_pools(network, vectors, validation)
    if all(b == 0 for _, b in pools.values()):
        return network
    extended = ZeroShotPosteriorNetwork.extend(network, vectors, pools)
    score = ValidationScore(validation)
    return extended if score(extended) > score(network) + GAIN else network


def describe_zero_shot(network: PosteriorNetwork) -> dict[str, Any]:
    """Return modality -> weights of posteriors and names, for the provenance; {} without names."""
    if not isinstance(network, ZeroShotPosteriorNetwork):
        return {}
    pools = dict(zip(network.modalities, network.pools.tolist(), strict=True))
    weights = {name: {"posteriors": a, "names": b} for name, (a, b) in pools.items()}
    return {"zero_shot": {"template": TEMPLATE, "weights": weights}}


def class_name_vectors(encoder: Encoder, names: Sequence[str], template: str = TEMPLATE) -> Tensor:
    """Return (c, size) float32, the features of texts that name the classes.

    Args:
        encoder: Of texts.
        names: Of the classes.
        template: A text with {} for the class.
    """
    texts = [template.replace("{}", name) for name in names]
    return encoder(Texts(tuple((text,) for text in texts)))


def shared_reader(data: TrainingData) -> Encoder | None:
    """Return the encoder of texts if the features of all modalities may share a space, else None.

    They have one size, and all come from encoders.
    """
    sizes = {one.size if isinstance(one, Features) else 0 for one in data.train.columns.values()}
    encoded = data.encoders.keys() == set(data.train.columns) and not data.tuned
    if len(data.train.columns) < 2 or len(sizes) > 1 or not encoded:
        return None
    readers = (one for one in data.encoders.values() if input_reads(one.input) == "texts")
    return next(readers, None)


@torch.inference_mode()
def choose_pools(
    network: PosteriorNetwork, class_vectors: Tensor, validation: Samples
) -> Mapping[str, tuple[float, float]]:
    """Return modality -> weights (a, b) of posteriors and names that make the labels most likely.

    Args:
        network: Fitted.
        class_vectors: (c, size), of length 1.
        validation: Labeled samples that nothing was fitted on.
    """
    pools = {}
    for name in network.modalities:
        labels = validation.labels[validation.present[name]]
        features = torch.cat([network.features(name, part) for part in validation.parts(name, 512)])
        known = labels.any(dim=1)
        features, labels = features[known], labels[known]
        p = network.posterior(name, network.scale(name)(features))
        cosines = normalize(features) @ class_vectors.T
        wanted = labels / labels.sum(dim=1, keepdim=True)

        def loss(
            weights: tuple[float, float],
            p: Tensor = p,
            cosines: Tensor = cosines,
            wanted: Tensor = wanted,
        ) -> float:
            pooled = pool_posteriors(p, cosines, *weights)
            return float(-(wanted * pooled.clamp(min=1e-30).log()).sum(dim=1).mean())

        grid = [(a, b) for a in POSTERIOR_WEIGHTS for b in NAME_WEIGHTS if a or b]
        pools[name] = min(grid, key=loss)
    return pools
