"""MRL: Multimodal Robust Learning.

Hu, Peng, Zhu, Zhen, Lin: Learning Cross-Modal Retrieval with Noisy Labels, CVPR 2021.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import multimodal_contrastive_loss, normalize_rows
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["MRL", "robust_clustering_loss"]


class MRL(GradientMethod):
    """Multimodal robust learning: classes from labels of which some are wrong.

        min b L_r + (1 - b) L_c
        L_r = sum over modalities of mean_i log(1 - p_i),  p = softmax_k(c_k'u_i / t) at the class
        L_c = -2 mean_i log [ sum_(j in P(i)) exp(u_i'u_j / t) / sum_(j != i) exp(u_i'u_j / t) ]

    c_k is a learned prototype of unit length, u the output of a branch at unit length, and P(i) the
    same sample in the other modalities; j runs over all modalities. The gradient of log(1 - p) in
    the logit of the class is -p, that of the cross-entropy p - 1: with the former, samples that do
    not fit their label weigh less. Source: Hu, Peng, Zhu, Zhen, Lin: Learning Cross-Modal Retrieval
    with Noisy Labels, CVPR 2021. The factor 2 of L_c, the orthogonal start of the prototypes, two
    hidden layers and 512 dimensions follow its official code, whose layers are wider (4096).

    The official code lowers the learning rate along a cosine within 30 epochs, with betas of Adam
    of 0.5 and 0.999; here the rate is constant and the epoch is chosen by validation mAP. The paper
    tunes b for each data set and noise rate; the default is that of its example for Wikipedia.
    A sample with several labels has p summed over them; one with every label is left out of L_r.

    Needs labels and two or more modalities; no equal sizes. Pairs are used: a sample that has one
    modality only takes part in L_r and as a negative in L_c. Unlabeled samples take part in L_c.

    Published mAP with 20 % wrong labels, image->text / text->image: Wikipedia 0.514 / 0.461, on its
    own deep features.
    """

    name: ClassVar[str] = "mrl"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "beta": Between(0.1, 0.9),
        "temperature": Between(0.1, 1.0),
    }

    embedding_dim: int = 512
    beta: float = setting(0.7, help="Weight b of the robust clustering loss.", low=0, high=1)
    temperature: float = setting(1.0, help="Temperature t.", low=0.01)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a branch with two hidden layers for each modality, and the prototypes."""
        prototypes = {"kind": "prototypes", "count": len(data.train.class_names)}
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                depth=2,
                heads={"classes": prototypes},
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss and its two terms before weighting."""
        assert isinstance(network, BranchesNetwork)
        outputs = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            embeddings = {name: normalize_rows(u) for name, u in outputs.items()}
            prototypes = normalize_rows(network.heads["classes"]())
            terms = []
            for name, u in embeddings.items():
                known, labels = batch.labeled(u, name)
                cosines = known @ prototypes.T
                terms.append(robust_clustering_loss(cosines, labels, self.temperature))
            robust = torch.stack(terms).sum()
            contrast = multimodal_contrastive_loss(embeddings, batch.present, self.temperature)
            loss = self.beta * robust + (1 - self.beta) * contrast
        return {"loss": loss, "L_r": robust, "L_c": contrast}


def robust_clustering_loss(cosines: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the mean of log(1 - p), p the probability of the labeled classes.

    Args:
        cosines: (n, c) float32, of an embedding and each prototype.
        labels: (n, c) float32, 1 where a sample has a class; each row has at least one.
        temperature: > 0.

    Returns:
        A scalar <= 0; 0 if no sample lacks a class.

    Example:
        >>> loss = robust_clustering_loss(torch.zeros(1, 4), torch.tensor([[1.0, 0, 0, 0]]), 1.0)
        >>> round(float(loss.exp()), 6)
        0.75
    """
    usable = (labels == 0).any(dim=1)
    if not bool(usable.any()):
        return cosines.sum() * 0
    logits = cosines[usable] / temperature
    others = logits.masked_fill(labels[usable] > 0, -torch.inf).logsumexp(dim=1)
    return (others - logits.logsumexp(dim=1)).mean()
