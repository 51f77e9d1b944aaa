"""Prototype learning across modalities: distances to one learned prototype per class.

Yang, Zhang, Yin, Liu: Robust Classification with Convolutional Prototype Learning, CVPR 2018.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import class_cross_entropy, normalize_rows
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["PrototypeLearning", "prototype_loss"]


class PrototypeLearning(GradientMethod):
    """Prototype learning: each item near the prototype of its class, in every modality.

        min sum over modalities of mean_i [ -log p_i + l ||u_i - c_y||^2 ]
        p_i = exp(-g ||u_i - c_y||^2) / sum_k exp(-g ||u_i - c_k||^2)

    c_k are learned prototypes, one per class, shared by all modalities; u is the output of a branch
    whose last layer all modalities share. Source: Yang, Zhang, Yin, Liu: Robust Classification with
    Convolutional Prototype Learning, CVPR 2018: distance-based cross-entropy and prototype loss.
    There for one modality, with free vectors and several prototypes per class; here u and c have
    unit length, since the cosine ranks, and a class has one prototype.

    It stands for the prototype methods of cross-modal retrieval, such as PLDFL (Zhu et al., 2020)
    and DMLPA (2023), whose equations are not openly available; the abstract of the former names
    prototypes per class with compact classes, and weight sharing between modalities.

    Needs labels and two or more modalities; neither pairs nor equal sizes. A sample with several
    labels has its target, and l, spread over them. Unlabeled samples are left out.

    No results on the benchmarks of this field are published.
    """

    name: ClassVar[str] = "prototype"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "sharpness": Between(0.5, 20.0),
        "compactness": Between(1e-3, 1.0),
    }

    learning_rate: float = 3e-4
    sharpness: float = setting(1.0, help="Factor g of the squared distance.", above=0)
    compactness: float = setting(0.1, help="Weight l of the distance to the prototype.", low=0)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return branches with a shared last layer, and the prototypes."""
        prototypes = {"kind": "prototypes", "count": len(data.train.class_names)}
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                shared=True,
                heads={"classes": prototypes},
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss of the labeled samples of each modality."""
        assert isinstance(network, BranchesNetwork)
        outputs = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            loss = zero_loss(outputs)
            prototypes = normalize_rows(network.heads["classes"]())
            for name, output in outputs.items():
                u, labels = batch.labeled(normalize_rows(output), name)
                loss = loss + prototype_loss(
                    u, labels, prototypes, self.sharpness, self.compactness
                )
        return {"loss": loss}


def prototype_loss(
    embeddings: Tensor, labels: Tensor, prototypes: Tensor, sharpness: float, compactness: float
) -> Tensor:
    """Return the distance-based cross-entropy plus the weighted distance to the prototype.

    Args:
        embeddings: (n, d) float32, L2-normalized.
        labels: (n, c) float32, 1 where a sample has a class; each row has at least one.
        prototypes: (c, d) float32, L2-normalized.
        sharpness: g > 0, the factor of the squared distance.
        compactness: l >= 0, the weight of the distance to the prototype.

    Returns:
        A scalar; 0 for n = 0.

    Example:
        >>> u, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
        >>> round(float(prototype_loss(u, y, torch.eye(2), 1.0, 0.5)), 4)
        0.1269
    """
    if not len(embeddings):
        return embeddings.sum() * 0
    target = labels / labels.sum(dim=1, keepdim=True)
    squares = 2 - 2 * embeddings @ prototypes.T
    pull = (squares * target).sum(dim=1).mean()
    return class_cross_entropy(-sharpness * squares, labels) + compactness * pull
