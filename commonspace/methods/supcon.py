"""Supervised contrastive learning across modalities."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import supervised_contrastive_loss
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["SupervisedContrastive"]


class SupervisedContrastive(GradientMethod):
    """Supervised contrastive learning: samples that share a class are positives.

        min - mean_i mean_(p in P(i)) log [ exp(z_i'z_p / t) / sum_(a != i) exp(z_i'z_a / t) ]

    z are the L2-normalized embeddings of all modalities of a batch together; P(i) are all others
    that share a class with i, in its own modality and in the others. Source: Khosla et al.:
    Supervised Contrastive Learning, NeurIPS 2020, eq. 2, with the positives outside the logarithm.
    There the views of a sample are augmentations of one image; here they are its modalities. The
    paper discards its projection after training; here it is the common space.

    Needs labels and two or more modalities; neither pairs nor equal sizes. A sample may have
    several labels; one shared class makes two samples positives. Unlabeled samples are left out.

    No results on the benchmarks of this field are published.
    """

    name: ClassVar[str] = "supcon"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "temperature": Between(0.02, 0.5),
    }

    learning_rate: float = 3e-4
    temperature: float = setting(0.5, help="Temperature t.", above=0)

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss of the labeled samples, all modalities at once."""
        embeddings = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            labeled = [batch.labeled(u, name) for name, u in embeddings.items()]
            loss = supervised_contrastive_loss(
                torch.cat([u for u, _ in labeled]),
                torch.cat([labels for _, labels in labeled]),
                self.temperature,
            )
        return {"loss": loss}
