"""SDML: Scalable Deep Multimodal Learning.

Hu, Zhen, Peng, Liu: Scalable Deep Multimodal Learning for Cross-Modal Retrieval, SIGIR 2019, pages
635-644.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import label_space_loss, normalize_rows, residual_norm
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.orthonormal_head import orthonormal_head
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["SDML"]


class SDML(GradientMethod):
    """Scalable deep multimodal learning: each modality alone into a predefined space.

        min sum_m (1 - a) (1/n_m) sum_i ||P'u_i - y_i|| + a (1/n_m) sum_i ||x_i - D_m(u_i)||

    P (d x c) has an orthonormal column for each class, is drawn once from the seed and stays
    fixed; u is the output of the branch at unit length, D_m the decoder of the modality. Branches
    and decoders have two hidden layers. No weight is shared and no term joins two modalities, so
    they could be trained separately. Source: Hu, Zhen, Peng, Liu: Scalable Deep Multimodal Learning
    for Cross-Modal Retrieval, SIGIR 2019. The norms without squares, the unit length and the sizes
    are those of its official code.

    The official code keeps, for each modality, the epoch with the lowest label error on validation;
    here one epoch is chosen for all by validation mAP, as in every other method. The features of
    a fine-tuned backbone are reconstructed without a gradient to the backbone. Features of large
    norm make the reconstruction outweigh the label error.

    Needs labels and any number of modalities; neither pairs nor equal sizes. A sample may have
    several labels; an unlabeled one takes part in the reconstruction only. d must be at least the
    number of classes.

    The paper's results use its own text features (doc2vec) and are not repeated here.
    """

    name: ClassVar[str] = "sdml"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "reconstruction": Between(1e-3, 0.9),
    }

    embedding_dim: int = 512
    reconstruction: float = setting(0.5, help="Weight a of the reconstruction.", low=0, below=1)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return branches with decoders and the fixed matrix P.

        Raises:
            SettingError: If the space has fewer dimensions than there are classes.
        """
        directions = orthonormal_head(self.embedding_dim, len(data.train.class_names))
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                depth=2,
                decoded=self.reconstruction > 0,
                heads={"classes": directions},
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss, and label error and reconstruction error before weighting."""
        assert isinstance(network, BranchesNetwork)

        def compute(inputs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
            outputs: dict[str, tuple[Tensor, ...]] = {}
            for name, item in inputs.items():
                x = network.backbone(name)(item)
                u = normalize_rows(network.project(name, x))
                decoded = (x.detach().float(), network.decode(name, u)) if network.decoders else ()
                outputs[name] = (u, *decoded)
            return outputs

        label_errors, reconstruction_errors = [], []
        for name, (u, *decoded) in batch.outputs(compute).items():
            with torch.autocast(batch.labels.device.type, enabled=False):
                known, labels = batch.labeled(u, name)
                predicted = network.heads["classes"](known)
                label_errors.append(label_space_loss(predicted, labels, "rows"))
                if decoded:
                    x, reconstructed = decoded
                    reconstruction_errors.append(residual_norm(x - reconstructed, "rows"))
        label_error = torch.stack(label_errors).sum()
        reconstruction = (
            torch.stack(reconstruction_errors).sum() if reconstruction_errors else label_error * 0
        )
        loss = (1 - self.reconstruction) * label_error + self.reconstruction * reconstruction
        return {"loss": loss, "labels": label_error, "reconstruction": reconstruction}
