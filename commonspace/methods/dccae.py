"""DCCAE: Deep Canonically Correlated Autoencoders.

Wang, Arora, Livescu, Bilmes: On Deep Multi-View Representation Learning, ICML 2015.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import unexplained_variance
from commonspace.methods.base.hyperparameters import Between, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.methods.dcca import DCCA
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["DCCAE"]


class DCCAE(DCCA):
    """Deep canonically correlated autoencoders: DCCA with a decoder for each modality.

        min -corr(H_1, H_2) + a sum_m E_m,   E_m = sum_i ||x_i - D_m(h_i)||^2 / sum_i ||x_i - x||^2

    corr is the total correlation of ``DCCA``, D_m the decoder of a modality, and x the mean of its
    features in the batch. Linear CCA of the outputs follows as in ``DCCA``. With a = 0 there are no
    decoders, and this is DCCA, bit for bit. Source: Wang, Arora, Livescu, Bilmes: On Deep
    Multi-View Representation Learning, ICML 2015, also trained with stochastic batches.

    The paper takes the squared error per sample, so that a depends on the unit and the number of
    features; here the error is divided by the variance of the features: 0 for a perfect
    reconstruction, 1 for the mean. The paper chooses a on validation and states no value for the
    features of this field. Samples that lack a modality take part in the reconstruction only. The
    features of a fine-tuned backbone are reconstructed without a gradient to the backbone.

    Needs pairs and two modalities; no labels and no equal sizes.

    Published mAP, image->text / text->image: Wikipedia 0.435 / 0.385, Pascal 0.680 / 0.671,
    NUS-WIDE-10k 0.511 / 0.540, XMediaNet 0.594 / 0.606 on deep features (Zhen et al., CVPR 2019).
    """

    name: ClassVar[str] = "dccae"
    search_space: ClassVar[SearchSpace] = {
        **DCCA.search_space,
        "reconstruction": Between(1e-2, 10.0),
    }

    reconstruction: float = setting(1.0, help="Weight a of the reconstruction; 0: DCCA.", low=0)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a branch with a decoder for each modality, followed by a fixed map."""
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                self.embedding_dim,
                decoded=self.reconstruction > 0,
                projected=self.dimension or self.embedding_dim,
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss, minus the total correlation, and the sum of E_m before weighting."""
        assert isinstance(network, BranchesNetwork)

        def compute(inputs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
            features = {name: network.backbone(name)(x) for name, x in inputs.items()}
            outputs = {name: network.project(name, x) for name, x in features.items()}
            if not network.decoders:
                return {name: (h,) for name, h in outputs.items()}
            return {
                name: (h, features[name].detach().float(), network.decode(name, h))
                for name, h in outputs.items()
            }

        computed = batch.outputs(compute)
        outputs = {name: h for name, (h, *_) in computed.items()}
        decoded = {name: (x, y) for name, (_, *pair) in computed.items() if pair for x, y in [pair]}
        with torch.autocast(batch.labels.device.type, enabled=False):
            correlation = self.correlation_loss(outputs, batch)
            if not decoded:
                return {"loss": correlation}
            errors = [unexplained_variance(x, y) for x, y in decoded.values()]
            reconstruction = torch.stack(errors).sum()
            loss = correlation + self.reconstruction * reconstruction
        return {"loss": loss, "correlation": correlation, "reconstruction": reconstruction}
