"""Score of a network on the validation split, which chooses the epoch."""

import math
from collections.abc import Mapping
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from commonspace.evaluation.average_precision import average_precision
from commonspace.training.samples import Samples

__all__ = ["ValidationScore"]


class ValidationScore:
    """Figure of a network on one split, the mean over all directions, that chooses the epoch.

    It is the mean average precision by class; without labels, the mean of R@1, R@5 and R@10 of the
    pairs, in which items of equal content are one item.

    Args:
        samples: The validation split.
        batch_size: Maximum number of samples in a batch.

    Attributes:
        metric: "mAP" or "mean recall".
    """

    def __init__(self, samples: Samples, batch_size: int = 512) -> None:
        self._samples, self._batch_size = samples, batch_size
        self.metric = "mAP" if bool((samples.labels > 0).any()) else "mean recall"
        self._rows: dict[str, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
        if self.metric != "mAP":
            from commonspace.data.content import content_keys

            for name, mask in samples.present.items():
                rows = np.flatnonzero(mask.cpu().numpy())
                self._rows[name] = rows, content_keys(samples.columns[name].take(rows))
        self._labels = {
            name: (samples.labels[mask] > 0).cpu().numpy() for name, mask in samples.present.items()
        }

    def __call__(self, network: nn.Module) -> float:
        """Return the figure, in [0, 1], of a network in evaluation mode.

        Raises:
            TrainingError: If an embedding is not finite.
        """
        embeddings = self._samples.embed(network, self._batch_size)
        if self.metric != "mAP":
            return self._mean_recall(embeddings)
        means = []
        for query, gallery in permutations(embeddings, 2):
            values = average_precision(
                embeddings[query], embeddings[gallery], self._labels[query], self._labels[gallery]
            )
            judged = values[~np.isnan(values)]
            means.append(math.fsum(judged) / len(judged))
        return math.fsum(means) / len(means)

    def _mean_recall(self, embeddings: Mapping[str, NDArray[np.float32]]) -> float:
        from commonspace.evaluation import PairItems, mean_recall

        return mean_recall(
            {name: PairItems(embeddings[name], *rows) for name, rows in self._rows.items()}
        )
