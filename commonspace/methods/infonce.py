"""InfoNCE: pairwise contrast between modalities, which learns from pairs alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from commonspace.data.dataset import Dataset
from commonspace.losses import normalize_rows, paired_cross_entropy
from commonspace.methods.base.batches import nothing, paired
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.settings import check_setting
from commonspace.methods.descent import Backbones, Descent, Plan, check_pairs, descend
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.space import CommonSpace
from commonspace.training import Batch, Run

__all__ = ["InfoNCE", "InfoNCEObjective"]


@dataclass(frozen=True)
class InfoNCE(Descent):
    """Pairwise contrastive learning: each sample is to know its own pair among all of the batch.

        min -(1/2n) sum_i [ log softmax_j(cos(u_i, v_j) / t)_i
                          + log softmax_j(cos(u_j, v_i) / t)_i ]

    Source: van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding,
    2018, eq. 4; in both directions, with the cosine and a learnt temperature, Radford et al.:
    Learning Transferable Visual Models From Natural Language Supervision, ICML 2021. With more than
    two modalities the loss is summed over all pairs of them. The networks, one hidden layer for
    each modality on features that are given, are ours: the sources train large encoders.

    Needs: pairs, two or more modalities; no labels and no equal sizes. What else is of the same
    class counts as wrong, which costs mAP by class and gains recall of the very pair. A sample that
    lacks a modality is learnt from in those that it has.

    Published: none of the benchmarks of this field is in the sources; the reference lists none.

    Args:
        temperature: t, or where it begins if it is learnt. The default is higher than in the
            sources, which look for the very pair: it serves mAP by class.
        learn_temperature: whether t is learnt along; 1/t stays below 100.

    The other settings are those of ``Descent``. Defaults were chosen on the validation parts of
    Wikipedia (shallow features) and of Flipkart products.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str] = "infonce"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "temperature": Between(0.02, 0.5),
    }

    temperature: float = 0.5
    learn_temperature: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        super().__post_init__()
        t = self.temperature
        check_setting("infonce", "temperature", t, 0.01 <= t < float("inf"), "at least 0.01")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn the common space of the training pairs; the epoch is chosen on validation.

        Args:
            train: samples of two or more modalities; their labels are not looked at.
            validation: labelled samples of the same columns.
            run: how to report progress and where to keep a checkpoint.

        Raises:
            DataError: a modality has too few pairs, or the parts do not belong together.
            TrainingError: the loss is no longer finite.
            MissingExtraError: an encoder needs an optional package.
        """
        return descend(self, self._plan, train, validation, run)

    def _plan(self, backbones: Backbones, train: Dataset) -> Plan:
        check_pairs(train)
        heads: dict[str, Mapping[str, Any]] = (
            {"scale": {"kind": "scale", "temperature": self.temperature}}
            if self.learn_temperature
            else {}
        )
        config = BranchesConfig(backbones, self.hidden_dim, self.embedding_dim, heads=heads)
        return Plan(config, InfoNCEObjective(self.temperature), supervised=False)


@dataclass(frozen=True)
class InfoNCEObjective:
    """The sum of InfoNCE over all pairs of modalities of a batch.

    Args:
        temperature: where the network does not learn one.
    """

    temperature: float

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss, and the temperature where it is learnt, both scalars."""
        assert isinstance(network, BranchesNetwork)
        outputs = network(batch.inputs)
        learnt = "scale" in network.heads
        scale = network.heads["scale"]() if learnt else torch.tensor(1 / self.temperature)
        with torch.autocast(batch.labels.device.type, enabled=False):
            loss = nothing(outputs)
            for one, other in combinations(outputs, 2):
                first, second = paired(outputs, batch, one, other)
                scores = scale * normalize_rows(first) @ normalize_rows(second).T
                loss = loss + paired_cross_entropy(scores)
        return {"loss": loss, **({"temperature": 1 / scale} if learnt else {})}
