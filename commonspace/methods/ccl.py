"""CCL: Cross-modal Correlation Learning, for one feature vector per item.

Peng, Qi, Huang, Yuan: CCL: Cross-modal Correlation Learning with Multi-grained Fusion by
Hierarchical Network, IEEE Transactions on Multimedia 20(2), 2018, pages 405-420.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import (
    class_cross_entropy,
    normalize_rows,
    shares_class,
    unexplained_variance,
)
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["CCL", "pairwise_loss"]


class CCL(GradientMethod):
    """Cross-modal correlation learning: classes, pairwise similarity, pairs and reconstruction.

        min L_class + p L_pair + a L_rec + b L_corr
        L_class = sum over modalities of the cross-entropy of softmax(W'u + w), W shared
        L_pair  = mean over items of two modalities of ||u - v||^2 if they share a class,
                  else max(0, m - ||u - v||^2)
        L_rec   = sum over modalities of ||x - D_m(u)||^2, divided by the variance of x
        L_corr  = mean over pairs of ||u - v||^2

    u is the output of a branch at unit length, so that m has a meaning from 0 to 4. Source: Peng,
    Qi, Huang, Yuan: CCL: Cross-modal Correlation Learning with Multi-grained Fusion by Hierarchical
    Network, IEEE Transactions on Multimedia, 2018: L_rec and L_corr are its first stage, L_class
    and L_pair the multi-task learning of its second.

    What is left out for inputs of one feature vector per item: the fine-grained half, which reads
    patches of images and segments of texts, and its fusion with the coarse half by a joint
    restricted Boltzmann machine. What the paper trains in two stages is trained at once here, on
    one representation. The paper balances the tasks adaptively; here the weights are settings, 1 by
    default. Its code (PKU-ICST-MIPL/CCL_TMM2018) divides L_pair by 2 n in place of n^2, and has
    max(0, m - ||u - v||)^2 for other classes, both for outputs that are not at unit length. With
    more than two modalities L_pair and L_corr are sums over all pairs of them. A sample with
    several labels has its target spread over them.

    Needs labels and two or more modalities; no equal sizes. Pairs are used, in L_corr. Unlabeled
    samples take part in L_rec and L_corr only.

    Published mAP of the whole method, image->text / text->image: Wikipedia 0.504 / 0.457, Pascal
    0.576 / 0.561, NUS-WIDE-10k 0.506 / 0.535, XMediaNet 0.537 / 0.528 (Zhen et al., CVPR 2019).
    """

    name: ClassVar[str] = "ccl"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "pairwise": Between(0.1, 10.0),
        "reconstruction": Between(1e-2, 1.0),
    }

    learning_rate: float = 1e-3
    pairwise: float = setting(1.0, help="Weight p of the pairwise similarity.", low=0)
    reconstruction: float = setting(1.0, help="Weight a of the reconstruction.", low=0)
    correlation: float = setting(1.0, help="Weight b of the distance of a pair.", low=0)
    margin: float = setting(
        1.0, help="Squared distance m to keep between classes.", above=0, high=4
    )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a branch with two hidden layers and a decoder per modality, and the classifier."""
        classifier = {"kind": "layers", "sizes": [len(data.train.class_names)]}
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                depth=2,
                decoded=True,
                heads={"classes": classifier},
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss and its four terms before weighting."""
        assert isinstance(network, BranchesNetwork)

        def compute(inputs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
            features = {name: network.backbone(name)(x) for name, x in inputs.items()}
            embeddings = {
                name: normalize_rows(network.project(name, x)) for name, x in features.items()
            }
            return {
                name: (u, features[name].detach().float(), network.decode(name, u))
                for name, u in embeddings.items()
            }

        computed = batch.outputs(compute)
        embeddings = {name: u for name, (u, _, _) in computed.items()}
        with torch.autocast(batch.labels.device.type, enabled=False):
            labeled = {name: batch.labeled(u, name) for name, u in embeddings.items()}
            zero = zero_loss(embeddings)
            classes = pairwise = reconstruction = correlation = zero
            for name, (u, labels) in labeled.items():
                reconstruction = reconstruction + unexplained_variance(*computed[name][1:])
                classes = classes + class_cross_entropy(network.heads["classes"](u), labels)
            for one, other in combinations(embeddings, 2):
                (u, y), (v, z) = labeled[one], labeled[other]
                pairwise = pairwise + pairwise_loss(u, v, shares_class(y, z), self.margin)
                first, second = batch.pairs(embeddings, one, other)
                if len(first):
                    distances = (first - second).square().sum(dim=1)
                    correlation = correlation + distances.mean()
            loss = (
                classes
                + self.pairwise * pairwise
                + self.reconstruction * reconstruction
                + self.correlation * correlation
            )
        terms = (classes, pairwise, reconstruction, correlation)
        names = ("L_class", "L_pair", "L_rec", "L_corr")
        return {"loss": loss, **dict(zip(names, terms, strict=True))}


def pairwise_loss(first: Tensor, second: Tensor, similar: Tensor, margin: float) -> Tensor:
    """Return the contrastive loss of all items of two modalities.

    Args:
        first: (n, d) float32, L2-normalized.
        second: (m, d) float32, L2-normalized.
        similar: (n, m), 1 where two items share a class, else 0.
        margin: Squared distance to keep between items without a shared class.

    Returns:
        A scalar; 0 if one of the two is empty.

    Example:
        >>> u, v = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> float(pairwise_loss(u, v, torch.ones(1, 1), 3.0))
        2.0
        >>> float(pairwise_loss(u, v, torch.zeros(1, 1), 3.0))
        1.0
    """
    if not len(first) or not len(second):
        return first.sum() * 0 + second.sum() * 0
    squares = 2 - 2 * first @ second.T
    return torch.where(similar > 0, squares, (margin - squares).relu()).mean()
