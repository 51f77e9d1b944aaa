"""DCMH: Deep Cross-Modal Hashing, on features.

Jiang, Li: Deep Cross-Modal Hashing, CVPR 2017.
"""

from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from commonspace.losses import shares_class
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig
from commonspace.networks.hashing import HashingNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["DCMH", "pairwise_likelihood_loss"]


class DCMH(GradientMethod):
    """Deep cross-modal hashing: binary codes whose Hamming distance ranks.

        min sum over pairs of modalities of L_pair + sum over modalities of q Q / N + b R
        L_pair = -mean_ij [ S_ij t_ij - log(1 + exp t_ij) ],   t_ij = f_i'g_j / 2
        Q = mean_i ||b_i - f_i||^2,   b_i = sign(sum over modalities of f_i)
        R = ||mean_i f_i||^2

    f and g are the outputs of the branches (k numbers) for the samples of a batch, N is the number
    of training samples, S_ij is 1 where two samples share a class. The embedding of an item is
    sign(f) / sqrt(k): one bit a number, and the inner product of two is 1 - 2 h / k with their
    Hamming distance h. Ties count by their expected value, as everywhere here. Source: Jiang, Li:
    Deep Cross-Modal Hashing, CVPR 2017: its objective divided by N^2, with q = b = 1 by default, as
    in the paper. R demands a mean of zero, and so a mean t of zero. With many classes, where most
    pairs share none, this contradicts L_pair; a smaller b can be better, and is searched.

    The paper trains a CNN and bags of words, and alternates: the networks by turns on all samples,
    then the codes of the training set. Here features are given, both networks take each step, and
    the codes are those of the batch.

    Needs labels and two or more modalities; no equal sizes. Pairs are used, in the common code of a
    sample. Unlabeled samples take part in Q and R only.

    Published results are on MIRFlickr and NUS-WIDE with several labels a sample, with networks that
    are trained on the images, and are not comparable with the tables here.
    """

    name: ClassVar[str] = "dcmh"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "quantization": Between(1.0, 100.0),
        "balance": Between(0.01, 1.0),
    }

    learning_rate: float = 1e-3
    embedding_dim: int = setting(64, help="Number of bits of a code, k.", low=1)
    quantization: float = setting(1.0, help="Weight q of the distance to the code.", low=0)
    balance: float = setting(1.0, help="Weight b of the balance of each bit.", low=0)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a branch with one hidden layer for each modality; its signs are the code."""
        return HashingNetwork(BranchesConfig(data.backbones, self.hidden_dim, self.embedding_dim))

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss, and its three terms before weighting."""
        assert isinstance(network, HashingNetwork)
        outputs = dict(batch.outputs(network))
        with torch.autocast(batch.labels.device.type, enabled=False):
            labeled = {name: batch.labeled(f, name) for name, f in outputs.items()}
            likelihood = quantization = balance = zero_loss(outputs)
            for one, other in combinations(outputs, 2):
                (f, y), (g, z) = labeled[one], labeled[other]
                if len(f) and len(g):
                    similar = shares_class(y, z)
                    likelihood = likelihood + pairwise_likelihood_loss(f, g, similar)
            codes = _common_codes(outputs, batch)
            for name, f in outputs.items():
                if len(f):
                    distance = (codes[batch.present[name]] - f).square().sum(dim=1).mean()
                    quantization = quantization + distance
                    balance = balance + f.mean(dim=0).square().sum()
            weighted = self.quantization / len(data.train) * quantization + self.balance * balance
        return {
            "loss": likelihood + weighted,
            "likelihood": likelihood,
            "quantization": quantization,
            "balance": balance,
        }


def pairwise_likelihood_loss(first: Tensor, second: Tensor, similar: Tensor) -> Tensor:
    """Return the negative log-likelihood of shared classes by half the inner product.

        -mean_ij [ S_ij t_ij - log(1 + exp t_ij) ],   t_ij = f_i'g_j / 2

    Args:
        first: (n, k) float32, f.
        second: (m, k) float32, g.
        similar: (n, m), 1 where two samples share a class, else 0.

    Returns:
        A scalar.

    Example:
        >>> f, g = torch.tensor([[2.0]]), torch.tensor([[1.0], [-1.0]])
        >>> round(float(pairwise_likelihood_loss(f, g, torch.tensor([[1.0, 0.0]]))), 4)
        0.3133
    """
    theta = first @ second.T / 2
    return (softplus(theta) - similar.float() * theta).mean()


def _common_codes(outputs: dict[str, Tensor], batch: Batch) -> Tensor:
    """Return (n, k): the sign of the sum of the outputs of each sample of the batch."""
    width = next(iter(outputs.values())).shape[1]
    total = torch.zeros(len(batch.labels), width, device=batch.labels.device)
    for name, f in outputs.items():
        total[batch.present[name]] += f.detach()
    return torch.where(total >= 0, 1.0, -1.0)
