"""The figure by which an epoch is chosen: the mAP on the validation part."""

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.errors import TrainingError
from commonspace.evaluation import evaluate_retrieval
from commonspace.training.samples import Samples

__all__ = ["ValidationScore"]


class ValidationScore:
    """Scores a network by the mean mAP over all directions on a part.

    Args:
        samples: the validation part.
        batch_size: how many samples the network sees at a time.
    """

    def __init__(self, samples: Samples, batch_size: int = 512) -> None:
        """Keep the samples, and where each modality is present."""
        self._samples = samples
        self._labels = {
            name: (samples.labels[mask] > 0).cpu().numpy() for name, mask in samples.present.items()
        }
        self._batch_size = batch_size

    @torch.inference_mode()
    def __call__(self, network: nn.Module) -> float:
        """Return the mAP of the network, which is in evaluation mode, in [0, 1].

        Raises:
            TrainingError: a vector is not finite.
        """
        embeddings = {
            name: torch.cat(
                [
                    self._embed(network, name, part)
                    for part in self._samples.parts(name, self._batch_size)
                ]
            )
            .cpu()
            .numpy()
            for name in self._samples.present
        }
        for name, vectors in embeddings.items():
            bad = int((~np.isfinite(vectors).all(axis=1)).sum())
            if bad:
                raise TrainingError(
                    f"the network no longer embeds {name!r} in finite numbers",
                    expected="finite vectors of the validation part",
                    found=f"{bad} of {len(vectors)} are not",
                    advice="lower the learning rate, or scale the features to about unit size",
                )
        return float(evaluate_retrieval(embeddings, self._labels)["average"]["map"])

    def _embed(self, network: nn.Module, modality: str, inputs: Tensor) -> Tensor:
        vectors: Tensor = network.embed(modality, inputs)  # type: ignore[operator]
        return vectors
