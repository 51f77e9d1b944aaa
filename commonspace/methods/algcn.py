"""ALGCN: Adaptive Label-aware Graph Convolutional Networks.

Qian, Xue, Fang, Xu: Adaptive Label-aware Graph Convolutional Networks for Cross-Modal Retrieval,
IEEE Transactions on Multimedia, 2022 (online 2021).
"""

from itertools import combinations_with_replacement
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.data.dataset import Dataset
from commonspace.losses import common_space_loss, label_space_loss, normalize_rows
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork, LabelGraph
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["ALGCN", "label_correlations"]


class ALGCN(GradientMethod):
    """Label-aware graph convolution: classifiers computed from a graph of the classes.

        min sum over modalities of mean_i ||cos(u_i, W) - y_i|| + a J2
        W = G s(G s(G Z A_1) A_2) A_3,   G = D^-1/2 max(A + g B, 0) D^-1/2

    W has a classifier per class, Z a code per class, s is a leaky ReLU, D the row sums; A holds
    how often class j is present where class i is, from the training labels, and B is learned. J2 is
    the loss in the common space of DSCMR, over all pairings of modalities. Source: Qian, Xue, Fang,
    Xu: Adaptive Label-aware Graph Convolutional Networks for Cross-Modal Retrieval, IEEE
    Transactions on Multimedia, 2022; sizes, a = 0.2, g = 0.5 and the value of the threshold
    follow its official code.

    Z is learned here, as in that code without word vectors, but from a normal distribution; the
    paper takes word vectors of the class names, which features do not bring. A is 0 below the
    threshold and 1 on its diagonal; the code reads it from files. With one label per sample A is
    the identity, and only B joins the classes. The code trains B 100 times faster than the rest;
    here at one rate. A branch has one hidden layer more, and a ReLU follows the last one. S of J2
    is 1 for samples that share a class; the code takes the number of shared classes.

    Needs labels and two or more modalities; neither pairs nor equal sizes. Unlabeled samples are
    left out. Meant for samples with several labels.

    No results on the benchmarks of DSCMR are published.
    """

    name: ClassVar[str] = "algcn"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "alpha": Between(1e-2, 1.0),
        "adaptive": Between(0.1, 2.0),
    }

    embedding_dim: int = 1024
    alpha: float = setting(0.2, help="Weight a of J2.", low=0)
    adaptive: float = setting(0.5, help="Weight g of the learned graph B.", low=0)
    threshold: float = setting(
        0.4, help="Share of common samples below which A has no edge.", low=0, high=1
    )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the branches and the graph of the classes, with A from the training labels."""
        graph = {
            "kind": "label_graph",
            "classes": len(data.train.class_names),
            "adaptive": self.adaptive,
        }
        network = BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                activate_last=True,
                heads={"classes": graph},
            )
        )
        head = network.heads["classes"]
        assert isinstance(head, LabelGraph)
        head.fixed.copy_(label_correlations(data.train, self.threshold))
        return network

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss, and the errors in label space and common space before weighting."""
        assert isinstance(network, BranchesNetwork)
        outputs = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            classifiers = normalize_rows(network.heads["classes"]())
            labeled = [batch.labeled(u, name) for name, u in outputs.items()]
            errors = zero_loss(outputs)
            for u, labels in labeled:
                errors = errors + label_space_loss(
                    normalize_rows(u) @ classifiers.T, labels, "rows"
                )
            common = zero_loss(outputs)
            for (u, y), (v, z) in combinations_with_replacement(labeled, 2):
                if len(u) and len(v):
                    common = common + common_space_loss(u, v, y, z)
        return {"loss": errors + self.alpha * common, "labels": errors, "J2": common}


def label_correlations(train: Dataset, threshold: float) -> Tensor:
    """Return A: how often each class is present where another is.

    Args:
        train: Its labels are counted.
        threshold: Shares below it become 0.

    Returns:
        (c, c) float32: A_ij, the share of the samples of class i that have class j; 1 on the
        diagonal.
    """
    labels = torch.from_numpy(train.labels).float()
    counts = labels.T @ labels
    shares = counts / counts.diagonal().clamp(min=1)[:, None]
    shares = shares.masked_fill(shares < threshold, 0)
    return shares.fill_diagonal_(1)
