"""SDML: Scalable Deep Multimodal Learning.

Hu, Zhen, Peng, Liu: Scalable Deep Multimodal Learning for Cross-Modal Retrieval, SIGIR 2019, pages
635-644.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.data.dataset import Dataset
from commonspace.errors import SettingError
from commonspace.losses import label_space_loss, normalize_rows, residual_norm
from commonspace.methods.base.batches import labelled
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.settings import check_setting
from commonspace.methods.descent import Backbones, Descent, Plan, descend
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.space import CommonSpace
from commonspace.training import Batch, Run

__all__ = ["SDML", "SDMLObjective"]


@dataclass(frozen=True)
class SDML(Descent):
    """Scalable deep multimodal learning: each modality alone into a space that is fixed before.

        min sum_m (1 - a) (1/n_m) sum_i ||P'u_i - y_i|| + a (1/n_m) sum_i ||x_i - D_m(u_i)||

    P (d x c) has orthonormal columns, one for each class, is drawn once from the seed and never
    learnt; u is the output of the branch at unit length, D_m a decoder for each modality. Branches
    and decoders have two hidden layers. No weight is shared and no term joins two modalities, so
    that they are learnt apart: that they run in one loop changes nothing. Source: Hu, Zhen, Peng,
    Liu: Scalable Deep Multimodal Learning for Cross-Modal Retrieval, SIGIR 2019. The norms, which
    are not squared, the length 1 and the sizes are those of its released code.

    The released code keeps for each modality the epoch with the least label error on validation;
    here there is one epoch for all, by the validation mAP, as for every other method. Where a backbone
    is trained along, its features are rebuilt as they are, without learning from that.

    Needs: labels; any number of modalities; neither pairs nor equal sizes. A sample may have
    several labels, and without one it takes part in the rebuilding alone. d is at least the number
    of classes.

    Published: the reference lists no figure; the paper's are on text features of its own (doc2vec),
    and are not repeated here.

    Args:
        reconstruction: a, from 0 to 1; 0.5 in the released code. Features of large norm make their
            term outweigh the other.

    The other settings are those of ``Descent``. Defaults were chosen on the validation parts of
    Wikipedia (shallow features) and of Flipkart products.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str] = "sdml"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "reconstruction": Between(1e-3, 0.9),
    }

    embedding_dim: int = 512
    reconstruction: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        super().__post_init__()
        a = self.reconstruction
        check_setting("sdml", "reconstruction", a, 0 <= a < 1, "from 0 to below 1")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn each modality's way into the space; the epoch is chosen on validation.

        Args:
            train: labelled samples of two or more modalities.
            validation: labelled samples of the same columns.
            run: how to report progress and where to keep a checkpoint.

        Raises:
            DataError: the parts lack modalities or labels, or do not belong together.
            SettingError: the space has fewer dimensions than there are classes.
            TrainingError: the loss is no longer finite.
            MissingExtraError: an encoder needs an optional package.
        """
        return descend(self, self._plan, train, validation, run)

    def _plan(self, backbones: Backbones, train: Dataset) -> Plan:
        classes = len(train.class_names)
        if self.embedding_dim < classes:
            raise SettingError(
                "the common space of sdml is too small for the classes",
                expected=f"at least {classes}: each class has a direction at right angles to all",
                found=f"embedding_dim = {self.embedding_dim}",
                advice="choose a larger common space, or merge classes",
            )
        config = BranchesConfig(
            backbones,
            self.hidden_dim,
            self.embedding_dim,
            depth=2,
            decoded=self.reconstruction > 0,
            heads={"classes": {"kind": "orthonormal", "columns": classes}},
        )
        return Plan(config, SDMLObjective(self.reconstruction))


@dataclass(frozen=True)
class SDMLObjective:
    """The label error and the error of rebuilding, summed over the modalities of a batch.

    Args:
        reconstruction: a.
    """

    reconstruction: float

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss and both parts before weighting, all scalars."""
        assert isinstance(network, BranchesNetwork)
        classes, rebuilt = [], []
        for name, inputs in batch.inputs.items():
            x = network.backbone(name)(inputs)
            u = normalize_rows(network.project(name, x))
            decoded = network.decode(name, u) if network.decoders else None
            with torch.autocast(batch.labels.device.type, enabled=False):
                known, labels = labelled(u, batch, name)
                classes.append(label_space_loss(network.heads["classes"](known), labels, "rows"))
                if decoded is not None:
                    rebuilt.append(residual_norm(x.detach().float() - decoded, "rows"))
        error = torch.stack(classes).sum()
        lost = torch.stack(rebuilt).sum() if rebuilt else error * 0
        loss = (1 - self.reconstruction) * error + self.reconstruction * lost
        return {"loss": loss, "labels": error, "reconstruction": lost}
