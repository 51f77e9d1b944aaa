"""Ensemble probe: a linear probe on the embeddings of several networks, a baseline.

Lakshminarayanan, Pritzel, Blundell: Simple and Scalable Predictive Uncertainty Estimation using
Deep Ensembles, NeurIPS 2017.
"""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.losses import class_cross_entropy
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.methods.base.views import shrink
from commonspace.networks.ensemble import EnsembleConfig, EnsembleNetwork
from commonspace.networks.linear import AffineMap
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["EnsembleProbe", "ridge_probe"]


class EnsembleProbe(GradientMethod):
    """Several classifiers from different initial weights, and a linear probe on all of them.

        min sum over members j and modalities of the cross-entropy of softmax(C_j u_j + c_j)
        embedding: P_m'(z - n_m),   z = (u_1 / ||u_1||, ..., u_k / ||u_k||) / sqrt(k)

    P_m is the ridge regression of ``LinearProbe`` from z to the classes, computed on the training
    samples after each epoch. Members differ in their initial weights alone, which come one after
    the other from the seed; they share the batches, but no weight and no term of the loss. For one
    modality and the mean of the posteriors in place of the probe this is a deep ensemble
    (Lakshminarayanan, Pritzel, Blundell, NeurIPS 2017). It shows what several seeds of a plain
    classifier give together. There are no published results on the benchmarks of this field.

    Needs labels and two or more modalities; neither pairs nor equal sizes. A sample with several
    labels has its target spread over them. Unlabeled samples are left out.
    """

    name: ClassVar[str] = "ensemble-probe"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "regularization": Between(1e-3, 0.9),
    }

    learning_rate: float = 3e-4
    embedding_dim: int = setting(64, help="Size of the last layer of a member.", low=1)
    members: int = setting(5, help="Number of members k.", low=1)
    regularization: float = setting(0.1, help="Regularization r of the probe.", low=0, high=1)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the members and the probes."""
        return EnsembleNetwork(
            EnsembleConfig(
                data.backbones,
                len(data.train.class_names),
                self.members,
                self.hidden_dim,
                self.embedding_dim,
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the sum of the cross-entropies."""
        assert isinstance(network, EnsembleNetwork)
        terms = []
        computed = batch.outputs(
            lambda inputs: {name: tuple(network.outputs(name, x)) for name, x in inputs.items()}
        )
        for name, outputs in computed.items():
            with torch.autocast(batch.labels.device.type, enabled=False):
                for member, u in enumerate(outputs):
                    known, labels = batch.labeled(u, name)
                    terms.append(class_cross_entropy(network.logits(member, known), labels))
        return {"loss": torch.stack(terms).sum()}

    @torch.no_grad()
    def after_epoch(self, network: nn.Module, data: TrainingData) -> None:
        """Set the probes to the ridge regression of the training samples."""
        assert isinstance(network, EnsembleNetwork)
        samples = data.samples
        for name in network.modalities:
            parts = [network.represent(name, part) for part in samples.parts(name, 512)]
            z = torch.cat(parts).double().cpu().numpy()
            labels = (samples.labels[samples.present[name]] > 0).cpu().numpy()
            known = labels.any(axis=1)
            network.probe(name).set(ridge_probe(z[known], labels[known], self.regularization))


def ridge_probe(
    values: NDArray[np.float64], labels: NDArray[np.bool_], regularization: float
) -> AffineMap:
    """Return the ridge regression to the classes.

        W = ((1 - r) C + r t I)^-1 (Z - m)'Y / n

    C is the covariance of Z, t the mean of its diagonal. With r = 0 and a singular C the solution
    of least norm.

    Args:
        values: (n, d) float64, Z; n >= 1.
        labels: (n, c) bool, Y.
        regularization: r in [0, 1].
    """
    mean = values.mean(axis=0)
    centered = values - mean
    covariance = shrink(centered.T @ centered / len(values), regularization)
    cross = centered.T @ labels / len(values)
    weights, *_ = np.linalg.lstsq(covariance, cross, rcond=None)
    return AffineMap(mean, weights)
