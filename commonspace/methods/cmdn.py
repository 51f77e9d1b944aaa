"""CMDN: Cross-media Multiple Deep Network, for one feature vector per item.

Peng, Huang, Qi: Cross-Media Shared Representation by Hierarchical Learning with Multiple Deep
Networks, IJCAI 2016, pages 3846-3853.
"""

from collections.abc import Mapping
from itertools import combinations, permutations
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import class_cross_entropy, normalize_rows, unexplained_variance
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.hierarchical import HierarchicalConfig, HierarchicalNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["CMDN"]


class CMDN(GradientMethod):
    """Cross-media multiple deep network: two pathways per modality, combined for all of them.

        min L_class + a (L_intra + L_inter) + b L_corr
        L_intra = sum over modalities of ||x - D_m(e)||^2, divided by the variance of x
        L_inter = sum over ordered pairs of modalities of ||x_k - R_k(t_m)||^2, divided likewise
        L_corr  = sum over pairs of modalities of the mean over samples of ||u - v||^2
        L_class = sum over modalities of the cross-entropy of softmax(W'u + w), W shared

    e and t are the two pathways of a modality, u their combination at unit length; see
    ``HierarchicalNetwork``. Source: Peng, Huang, Qi: Cross-Media Shared Representation by
    Hierarchical Learning with Multiple Deep Networks, IJCAI 2016, from which the hierarchy is
    taken: intra-media and inter-media representations, their combination for each modality, and
    a shared representation of all.

    The full text could not be read when this was written; its code is public
    (PKU-ICST-MIPL/CMDN_IJCAI2016). Its networks are restricted Boltzmann machines and autoencoders
    trained one after the other; here each is a term of one loss: an autoencoder for the intra-media
    network, the reconstruction of the other modality for the inter-media network, a layer for the
    joint one, and distances of pairs with classes for the stacked one, without the reconstruction
    of that network. Figures of the paper are not expected to be met by this form. The weights are
    1. A sample with several labels has its target spread over them.

    Needs labels and two or more modalities; no equal sizes. Pairs are used, in L_inter and L_corr.
    Unlabeled samples take part in all terms but L_class.

    Published mAP of the whole method, image->text / text->image: Wikipedia 0.487 / 0.427, Pascal
    0.544 / 0.526, NUS-WIDE-10k 0.492 / 0.515, XMediaNet 0.485 / 0.516 (Zhen et al., CVPR 2019).
    """

    name: ClassVar[str] = "cmdn"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "reconstruction": Between(1e-2, 1.0),
        "correlation": Between(0.1, 10.0),
    }

    learning_rate: float = 1e-3
    reconstruction: float = setting(1.0, help="Weight a of both reconstructions.", low=0)
    correlation: float = setting(1.0, help="Weight b of the distance of a pair.", low=0)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the network with two pathways for each modality."""
        classes = len(data.train.class_names)
        return HierarchicalNetwork(
            HierarchicalConfig(data.backbones, classes, self.hidden_dim, self.embedding_dim)
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss and its four terms before weighting."""
        assert isinstance(network, HierarchicalNetwork)

        def compute(inputs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
            features = {name: network.backbone(name)(x) for name, x in inputs.items()}
            paths = {name: network.pathways(name, x) for name, x in features.items()}
            return {
                name: (
                    features[name].detach().float(),
                    *both,
                    normalize_rows(network.combine(name, *both)),
                )
                for name, both in paths.items()
            }

        computed = batch.outputs(compute)
        targets = {name: x for name, (x, _, _, _) in computed.items()}
        paths = {name: (e, t) for name, (_, e, t, _) in computed.items()}
        embeddings = {name: u for name, (_, _, _, u) in computed.items()}
        classes = intra = inter = correlation = zero_loss(embeddings)
        for name, (e, _) in paths.items():
            intra = intra + unexplained_variance(targets[name], network.decode_own(name, e))
        for source, target in permutations(paths, 2):
            t, x = batch.pairs({source: paths[source][1], target: targets[target]}, source, target)
            inter = inter + unexplained_variance(x, network.decode_cross(target, t))
        with torch.autocast(batch.labels.device.type, enabled=False):
            for name, u in embeddings.items():
                known, labels = batch.labeled(u, name)
                classes = classes + class_cross_entropy(network.classifier(known), labels)
            for one, other in combinations(embeddings, 2):
                first, second = batch.pairs(embeddings, one, other)
                if len(first):
                    correlation = correlation + (first - second).square().sum(dim=1).mean()
            reconstruction = self.reconstruction * (intra + inter)
            loss = classes + reconstruction + self.correlation * correlation
        terms = (classes, intra, inter, correlation)
        names = ("L_class", "L_intra", "L_inter", "L_corr")
        return {"loss": loss, **dict(zip(names, terms, strict=True))}
