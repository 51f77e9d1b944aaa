"""ACMR: Adversarial Cross-Modal Retrieval.

Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017, pages 154-162.
"""

from itertools import permutations
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from commonspace.errors import SettingError
from commonspace.losses import class_cross_entropy, reverse_gradient, triplet_loss
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["ACMR"]


class ACMR(GradientMethod):
    """Adversarial cross-modal retrieval: projectors against a classifier of modalities.

        min over projectors and label predictor     L_emb - g L_adv
        min over the modality classifier D          L_adv
        L_emb = alpha L_imi + beta L_imd + r L_reg
        L_imd = -(1/n) sum_i y_i (log p(v_i) + log p(t_i))     p: softmax of a shared linear layer
        L_imi = triplets from images to texts and from texts to images, see ``triplet_loss``
        L_reg = sum over the layers of both projectors of ||W||_F
        L_adv = -(1/n) sum_i (log D(v_i) + log(1 - D(t_i)))

    Both are minimized in the same step, with a layer that reverses the gradient between projectors
    and D. Source: Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017.

    Differences: the paper samples and sums triplets, here all triplets of the batch are averaged;
    the paper takes k steps of the projectors before one of D, here both take each step; r and g are
    1 in the paper. With more than two modalities, D is a softmax over them (for two that is the
    paper's logistic), L_imi is summed over all ordered pairs of them, and the other terms over all
    of them. A sample with several labels has y_i spread over them. Projectors have two hidden
    layers with tanh, of one width; D has two as well.

    Needs labels and two or more modalities; neither pairs nor equal sizes. Unlabeled samples take
    part in L_adv only.

    Published mAP, image->text / text->image: Wikipedia 0.477 / 0.434, Pascal 0.671 / 0.676,
    NUS-WIDE-10k 0.588 / 0.599, XMediaNet 0.639 / 0.639 on deep features (Zhen et al., CVPR 2019).
    """

    name: ClassVar[str] = "acmr"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "alpha": Between(1e-3, 1.0),
        "adversary": Between(1e-2, 1.0),
    }

    learning_rate: float = 3e-4
    alpha: float = setting(0.1, help="Factor of L_imi; 0 leaves it out.", low=0)
    beta: float = setting(1.0, help="Factor of L_imd; 0 leaves it out.", low=0)
    margin: float = setting(1.0, help="Margin mu of the triplets.", above=0)
    negatives: float = setting(1.0, help="Weight lambda of the negatives of a triplet.", low=0)
    adversary: float = setting(
        1.0, help="Factor g of the reversed gradient; 0 disables the adversary.", low=0
    )
    weights: float = setting(1e-3, help="Factor r of L_reg; 0 leaves it out.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha == self.beta == self.adversary == 0:
            raise SettingError(
                "`alpha`, `beta` and `adversary` must not all be 0: nothing would be trained",
                advice="give at least one of them a value above 0",
            )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the projectors, with the label predictor and D as training-only heads."""
        narrowing = [-(-self.embedding_dim // 2), -(-self.embedding_dim // 4), len(data.backbones)]
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                depth=2,
                activation="tanh",
                heads={
                    "classes": {"kind": "layers", "sizes": [len(data.train.class_names)]},
                    "modality": {"kind": "layers", "sizes": narrowing, "activation": "tanh"},
                },
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return alpha L_imi + beta L_imd + r L_reg + L_adv, and the four terms unweighted."""
        assert isinstance(network, BranchesNetwork)
        embeddings = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            labeled = {name: batch.labeled(u, name) for name, u in embeddings.items()}
            imd = _sum(
                [class_cross_entropy(network.heads["classes"](u), y) for u, y in labeled.values()]
            )
            imi = _sum(
                [
                    triplet_loss(u, v, y, z, margin=self.margin, negative_weight=self.negatives)
                    for (u, y), (v, z) in permutations(labeled.values(), 2)
                ]
                or [imd * 0]
            )
            adv = _sum(
                [
                    _modality_prediction(network, name, reverse_gradient(u, self.adversary))
                    for name, u in embeddings.items()
                ]
            )
            reg = _sum([torch.linalg.matrix_norm(W) for W in _matrices(network.branches)])
            loss = self.alpha * imi + self.beta * imd + self.weights * reg + adv
        return {"loss": loss, "L_imi": imi, "L_imd": imd, "L_reg": reg, "L_adv": adv}


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()


def _modality_prediction(network: BranchesNetwork, modality: str, vectors: Tensor) -> Tensor:
    """Return the cross-entropy of D for embeddings of one modality."""
    logits = network.heads["modality"](vectors)
    target = network.modalities.index(modality)
    return cross_entropy(logits, torch.full((len(logits),), target, device=logits.device))


def _matrices(module: nn.Module) -> list[Tensor]:
    return [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)]
