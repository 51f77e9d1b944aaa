"""The class posterior of an item, read from its vectors where the space keeps one there."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from commonspace.networks.posterior import PosteriorNetwork
from commonspace.serve.messages import Probability
from commonspace.space import CommonSpace

__all__ = ["posterior_of"]

SHOWN = 10


def posterior_of(
    space: CommonSpace, vectors: Mapping[str, NDArray[np.float32]]
) -> dict[str, list[Probability]] | None:
    """Return modality -> its most probable classes, at most ten; None where the space tells none.

    Vectors of posterior matching begin with the posterior, times sqrt(1 - w) where an instance
    block of weight w follows; see ``PosteriorNetwork``.

    Args:
        space: that the vectors belong to.
        vectors: modality -> (d,).
    """
    network = space.network
    if not isinstance(network, PosteriorNetwork):
        return None
    scale = sqrt(1 - network.config.mixture) if network.has_instance_block else 1.0
    found = {}
    for modality, vector in vectors.items():
        shares = np.clip(vector[: network.config.classes] / scale, 0, 1)
        order = np.argsort(-shares, kind="stable")[:SHOWN]
        found[modality] = [
            Probability(name=space.class_names[place], probability=float(shares[place]))
            for place in order.tolist()
        ]
    return found
