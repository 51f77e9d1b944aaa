"""Supervised contrastive learning across modalities."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.data.dataset import Dataset
from commonspace.losses import supervised_contrastive_loss
from commonspace.methods.base.batches import labelled
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.settings import check_setting
from commonspace.methods.descent import Backbones, Descent, Plan, descend
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.space import CommonSpace
from commonspace.training import Batch, Run

__all__ = ["SupervisedContrastive", "SupervisedContrastiveObjective"]


@dataclass(frozen=True)
class SupervisedContrastive(Descent):
    """Supervised contrastive learning: near is what shares a class, in whatever modality.

        min - mean_i mean_(p in P(i)) log [ exp(z_i'z_p / t) / sum_(a != i) exp(z_i'z_a / t) ]

    z are the unit vectors of all modalities of a batch together, P(i) all others that share a
    class with i: its own counterparts, other samples in the other modalities, and in its own.
    Source: Khosla et al.: Supervised Contrastive Learning, NeurIPS 2020, eq. 2, the positives
    outside the logarithm. There the views of a sample are augmentations of one image; here they are
    its modalities. The paper learns a projection that it throws away and classifies before it; here
    the projection is the common space.

    Needs: labels, two or more modalities; neither pairs nor equal sizes. A sample may have several
    labels, and one shared class makes two samples positive. Samples without a label are left out.

    Published: none on the benchmarks of this field; the reference lists none.

    Args:
        temperature: t.

    The other settings are those of ``Descent``. Defaults were chosen on the validation parts of
    Wikipedia (shallow features) and of Flipkart products.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str] = "supcon"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "temperature": Between(0.02, 0.5),
    }

    learning_rate: float = 3e-4
    temperature: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        super().__post_init__()
        t = self.temperature
        check_setting("supcon", "temperature", t, 0 < t < float("inf"), "above 0")

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

    def _plan(self, backbones: Backbones, _: Dataset) -> Plan:
        config = BranchesConfig(backbones, self.hidden_dim, self.embedding_dim)
        return Plan(config, SupervisedContrastiveObjective(self.temperature))


@dataclass(frozen=True)
class SupervisedContrastiveObjective:
    """The supervised contrastive loss of the labelled samples of a batch, all modalities at once.

    Args:
        temperature: t.
    """

    temperature: float

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss, a scalar."""
        assert isinstance(network, BranchesNetwork)
        outputs = network(batch.inputs)
        with torch.autocast(batch.labels.device.type, enabled=False):
            known = [labelled(u, batch, name) for name, u in outputs.items()]
            loss = supervised_contrastive_loss(
                torch.cat([u for u, _ in known]),
                torch.cat([labels for _, labels in known]),
                self.temperature,
            )
        return {"loss": loss}
