"""InfoNCE: symmetric contrastive learning of pairs, without labels."""

from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import normalize_rows, paired_cross_entropy
from commonspace.methods.base.gradient import GradientMethod, TrainingData, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.samples import Batch

__all__ = ["InfoNCE"]


class InfoNCE(GradientMethod):
    """Contrastive learning of pairs: each sample against all others of the batch.

        min -(1/2n) sum_i [ log softmax_j(cos(u_i, v_j) / t)_i
                          + log softmax_j(cos(u_j, v_i) / t)_i ]

    Source: van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding,
    2018, eq. 4; in both directions, with the cosine and a learned temperature, Radford et al.:
    Learning Transferable Visual Models From Natural Language Supervision, ICML 2021. With more than
    two modalities the loss is summed over all pairs of them. Unlike the sources, which train large
    encoders, the networks here have one hidden layer per modality on given features.

    Needs pairs and two or more modalities; no labels and no equal sizes. Other samples of the same
    class count as negatives, which lowers class-level mAP and raises instance-level recall. A
    sample that lacks a modality is used in those that it has. The default temperature is higher
    than in the sources, which aim at instance retrieval: it favors class-level mAP.

    No results on the benchmarks of this field are published.
    """

    name: ClassVar[str] = "infonce"
    supervised: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "temperature": Between(0.02, 0.5),
    }

    temperature: float = setting(0.5, help="Temperature t, or its initial value.", low=0.01)
    learn_temperature: bool = setting(True, help="Learn the temperature; 1/t stays below 100.")

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a branch for each modality, and the learned temperature."""
        scale = {"scale": {"kind": "scale", "temperature": self.temperature}}
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                heads=scale if self.learn_temperature else {},
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the sum of the losses of all pairs of modalities, and the temperature."""
        assert isinstance(network, BranchesNetwork)
        embeddings = network(batch.inputs)
        learned = "scale" in network.heads
        scale = network.heads["scale"]() if learned else torch.tensor(1 / self.temperature)
        with torch.autocast(batch.labels.device.type, enabled=False):
            loss = zero_loss(embeddings)
            for one, other in combinations(embeddings, 2):
                first, second = batch.pairs(embeddings, one, other)
                scores = scale * normalize_rows(first) @ normalize_rows(second).T
                loss = loss + paired_cross_entropy(scores)
        return {"loss": loss, **({"temperature": 1 / scale} if learned else {})}
