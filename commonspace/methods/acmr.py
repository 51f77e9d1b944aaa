"""ACMR: Adversarial Cross-Modal Retrieval.

Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017, pages 154-162.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from commonspace.data.dataset import Dataset
from commonspace.losses import reverse_gradient, triplet_loss
from commonspace.methods.base.batches import labelled
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.settings import check_setting
from commonspace.methods.descent import Backbones, Descent, Plan, descend
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.space import CommonSpace
from commonspace.training import Batch, Run

__all__ = ["ACMR", "ACMRObjective"]


@dataclass(frozen=True)
class ACMR(Descent):
    """Adversarial cross-modal retrieval: projectors against a classifier of modalities.

        min over projectors and label predictor     L_emb - g L_adv
        min over the modality classifier D          L_adv
        L_emb = alpha L_imi + beta L_imd + r L_reg
        L_imd = -(1/n) sum_i y_i (log p(v_i) + log p(t_i))     p: softmax of a shared linear layer
        L_imi = triplets from images to texts and from texts to images, see ``triplet_loss``
        L_reg = sum over the layers of both projectors of ||W||_F
        L_adv = -(1/n) sum_i (log D(v_i) + log(1 - D(t_i)))

    Both are descended at once, through a layer that reverses the gradient between projectors and
    D. Source: Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017.

    What is ours: in the paper the triplets are sampled and summed, here all of the batch count and
    are averaged; the paper takes k steps of the projectors before one of D, here both take each
    step; the factors r and g are 1 in the paper. With more than two modalities D tells all of them
    apart by a softmax (for two that is the paper's logistic), L_imi is summed over all ordered
    pairs of them and the others over all. A sample with several labels has y_i spread over them.
    Projectors have two hidden layers with tanh, one width for both, and D has two as well.

    Needs: labels, two or more modalities; neither pairs nor equal sizes. Samples without a label
    take part in L_adv alone.

    Published mAP, image->text / text->image: Wikipedia .477 / .434, Pascal .671 / .676,
    NUS-WIDE-10k .588 / .599, XMediaNet .639 / .639 on deep features (Zhen et al., CVPR 2019).

    Args:
        alpha: the factor of L_imi.
        beta: the factor of L_imd.
        margin: mu, the distance that other classes are to keep.
        negatives: lambda, the weight of the second term in a triplet.
        adversary: g, the factor of the reversed gradient; 0 leaves the adversary without effect.
        weights: r, the factor of L_reg.

    The other settings are those of ``Descent``. Defaults were chosen on the validation parts of
    Wikipedia (shallow features) and of Flipkart products.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str] = "acmr"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "alpha": Between(1e-3, 1.0),
        "adversary": Between(1e-2, 1.0),
    }

    learning_rate: float = 3e-4
    alpha: float = 0.1
    beta: float = 1.0
    margin: float = 1.0
    negatives: float = 1.0
    adversary: float = 1.0
    weights: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        super().__post_init__()
        for option in ("alpha", "beta", "negatives", "adversary", "weights"):
            factor = getattr(self, option)
            fine = 0 <= factor < float("inf")
            check_setting("acmr", option, factor, fine, "0, which leaves the term out, or more")
        fine = 0 < self.margin < float("inf")
        check_setting("acmr", "margin", self.margin, fine, "above 0")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn the common space of the training part; the epoch is chosen on validation.

        Args:
            train: labelled samples of two or more modalities.
            validation: labelled samples of the same columns.
            run: how to report progress and where to keep a checkpoint.

        Raises:
            DataError: the parts lack modalities or labels, or do not belong together.
            TrainingError: the loss is no longer finite.
            MissingExtraError: an encoder needs an optional package.
        """
        return descend(self, self._plan, train, validation, run)

    def _plan(self, backbones: Backbones, train: Dataset) -> Plan:
        narrowing = [-(-self.embedding_dim // 2), -(-self.embedding_dim // 4), len(backbones)]
        config = BranchesConfig(
            backbones,
            self.hidden_dim,
            self.embedding_dim,
            depth=2,
            activation="tanh",
            heads={
                "classes": {"kind": "layers", "sizes": [len(train.class_names)]},
                "modality": {"kind": "layers", "sizes": narrowing, "activation": "tanh"},
            },
        )
        objective = ACMRObjective(
            self.alpha, self.beta, self.margin, self.negatives, self.adversary, self.weights
        )
        return Plan(config, objective)


@dataclass(frozen=True)
class ACMRObjective:
    """alpha L_imi + beta L_imd + r L_reg + L_adv, with the gradient of the last reversed.

    Args:
        alpha: the factor of L_imi.
        beta: the factor of L_imd.
        margin: mu.
        negatives: lambda.
        adversary: g, by which the reversed gradient is multiplied.
        weights: r.
    """

    alpha: float
    beta: float
    margin: float
    negatives: float
    adversary: float
    weights: float

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss and its four terms before weighting, all scalars."""
        assert isinstance(network, BranchesNetwork)
        outputs = network(batch.inputs)
        with torch.autocast(batch.labels.device.type, enabled=False):
            known = {name: labelled(u, batch, name) for name, u in outputs.items()}
            imd = _sum(
                [_label_prediction(network.heads["classes"](u), y) for u, y in known.values()]
            )
            imi = _sum(
                [
                    triplet_loss(u, v, y, z, margin=self.margin, negative_weight=self.negatives)
                    for (u, y), (v, z) in permutations(known.values(), 2)
                ]
                or [imd * 0]
            )
            adv = _sum(
                [
                    _modality_prediction(network, name, reverse_gradient(u, self.adversary))
                    for name, u in outputs.items()
                ]
            )
            reg = _sum([torch.linalg.matrix_norm(W) for W in _matrices(network.branches)])
            loss = self.alpha * imi + self.beta * imd + self.weights * reg + adv
        return {"loss": loss, "L_imi": imi, "L_imd": imd, "L_reg": reg, "L_adv": adv}


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()


def _label_prediction(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of one modality; 0 where no sample has a label."""
    if len(labels) == 0:
        return logits.sum()
    return cross_entropy(logits, labels / labels.sum(dim=1, keepdim=True))


def _modality_prediction(network: BranchesNetwork, modality: str, vectors: Tensor) -> Tensor:
    """Return how badly D tells that the vectors are of their modality."""
    logits = network.heads["modality"](vectors)
    place = network.modalities.index(modality)
    return cross_entropy(logits, torch.full((len(logits),), place, device=logits.device))


def _matrices(module: nn.Module) -> list[Tensor]:
    return [one.weight for one in module.modules() if isinstance(one, nn.Linear)]
