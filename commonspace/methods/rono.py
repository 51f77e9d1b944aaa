"""RONO: Robust Discriminative Learning with Noisy Labels.

Feng, Zhu, Peng, Peng, Hu: RONO: Robust Discriminative Learning with Noisy Labels for 2D-3D
Cross-Modal Retrieval, CVPR 2023.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import multimodal_contrastive_loss, normalize_rows
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork, Counter
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["RONO", "center_loss"]


class RONO(GradientMethod):
    """Robust discriminative learning: clean samples attracted to their center, others repelled.

        min L_center + w L_class + m L_c
        L_center = mean [ (1 - v) (exp(s'u) - exp(r c_y'u)) - v |exp(s'u) - exp(c_y'u) + h| ] / a
        L_class  = 5 sum over modalities of mean (1 - p_y),   p = softmax(W'u + w), W shared

    c_k are learned centers of unit length, s their mean, r = (K + 1) / K for K classes, and u the
    output of a branch at unit length. v rises from 0 in the first epoch to 1 after ``warm_up``
    epochs: then a sample is attracted if exp(c_y'u) exceeds exp(s'u) + h, and repelled if not, as
    if its label were wrong. L_c is the contrastive loss of pairs in ``MRL``, with temperature t.
    Source: Feng, Zhu, Peng, Peng, Hu: RONO, CVPR 2023; equations as in its official code, and
    the defaults of its script for 3D MNIST: a = 0.05, h = 0.3, t = 0.22, and weights of 1. (That
    for ModelNet has h = 0.01 and a weight of 0.1 for the contrast.)

    The paper retrieves point clouds, meshes and images with networks of their own, of which this
    takes the features; the official code uses a learning rate for each network and drops them by
    steps. Here it is one constant rate, and the epoch is chosen by validation mAP. W acts on u at
    unit length, without the hidden layer of that code. A sample with several labels has p summed
    over them and c_y'u averaged.

    Needs labels and two or more modalities; no equal sizes. Pairs are used, in L_c; unlabeled
    samples take part in L_c only.

    No results on the benchmarks of this field are published.
    """

    name: ClassVar[str] = "rono"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "threshold": Between(0.05, 0.6),
        "warm_up": OneOf((10, 25, 50)),
    }

    batch_size: int = 128
    classes: float = setting(1.0, help="Weight w of L_class.", low=0)
    contrast: float = setting(1.0, help="Weight m of L_c.", low=0)
    threshold: float = setting(0.3, help="Threshold h of a clean sample.", low=0)
    scale: float = setting(0.05, help="Scale a of L_center.", above=0)
    temperature: float = setting(0.22, help="Temperature t of L_c.", low=0.01)
    warm_up: int = setting(25, help="Number of epochs until samples are separated.", low=2)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the branches, the centers, the classifier and the number of past epochs."""
        classes = len(data.train.class_names)
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                heads={
                    "centers": {"kind": "prototypes", "count": classes},
                    "classes": {"kind": "layers", "sizes": [classes]},
                    "epochs": {"kind": "counter"},
                },
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss and its three terms before weighting."""
        assert isinstance(network, BranchesNetwork)
        outputs = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            embeddings = {name: normalize_rows(u) for name, u in outputs.items()}
            centers = normalize_rows(network.heads["centers"]())
            progress = float((network.heads["epochs"]() / (self.warm_up - 1)).clamp(max=1))
            labeled = [batch.labeled(u, name) for name, u in embeddings.items()]
            error = zero_loss(embeddings)
            for u, labels in labeled:
                if len(u):
                    p = network.heads["classes"](u).softmax(dim=1)
                    error = error + 5 * (1 - (p * labels).sum(dim=1)).mean()
            center = center_loss(
                torch.cat([u for u, _ in labeled]),
                torch.cat([labels for _, labels in labeled]),
                centers,
                progress,
                threshold=self.threshold,
                scale=self.scale,
            )
            contrast = multimodal_contrastive_loss(embeddings, batch.present, self.temperature)
            loss = center + self.classes * error + self.contrast * contrast
        return {"loss": loss, "L_center": center, "L_class": error, "L_c": contrast}

    @torch.no_grad()
    def after_epoch(self, network: nn.Module, data: TrainingData) -> None:
        """Count the epoch."""
        assert isinstance(network, BranchesNetwork)
        counter = network.heads["epochs"]
        assert isinstance(counter, Counter)
        counter.value.add_(1)


def center_loss(
    embeddings: Tensor,
    labels: Tensor,
    centers: Tensor,
    progress: float,
    *,
    threshold: float,
    scale: float,
) -> Tensor:
    """Return the loss that attracts clean samples to their center and repels others.

    Args:
        embeddings: (n, d) float32, L2-normalized.
        labels: (n, c) float32, 1 where a sample has a class; each row has at least one.
        centers: (c, d) float32, L2-normalized.
        progress: v, from 0 (all samples are attracted) to 1.
        threshold: h >= 0.
        scale: a > 0.

    Returns:
        A scalar; 0 for n = 0.
    """
    if not len(embeddings):
        return embeddings.sum() * 0
    count = len(centers)
    target = labels / labels.sum(dim=1, keepdim=True)
    own = (embeddings @ centers.T * target).sum(dim=1)
    middle = (embeddings @ centers.mean(dim=0)).exp()
    attracted = middle - (own * (count + 1) / count).exp()
    separated = -(middle - own.exp() + threshold).abs()
    return ((1 - progress) * attracted + progress * separated).mean() / scale
