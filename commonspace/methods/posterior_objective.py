"""What the network of posterior matching learns by descent, and how much its posteriors count.

Classes and instances have layers of their own, so that neither objective reaches the other's.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from commonspace.losses import multi_positive_cross_entropy
from commonspace.methods.base.batches import nothing, paired
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.training import Batch, Samples

__all__ = ["PosteriorObjective", "Weighing", "same_things"]

STEPS = 200
"""Of expectation and maximisation, for one number a modality."""

TEMPERATURES = torch.logspace(-1, 1, 41, base=4.0)
"""From 1/4 to 4."""


@dataclass(frozen=True)
class PosteriorObjective:
    """The sum of both objectives over all modalities and their pairs.

        J = sum_m CE(beliefs, network_m) + sum_(m < k) L(instance_m, instance_k)

    with CE the cross-entropy (binary for each class where there may be several) and L
    ``multi_positive_info_nce_loss``.

    Args:
        beliefs: (N, c) float32, for each sample of the part; a row of zeros where it is unlabelled.
        things: (N,) int64, a number for each sample; equal ones are the same thing.
    """

    beliefs: Tensor
    things: Tensor

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return J as "loss", and its two parts, all scalars."""
        assert isinstance(network, PosteriorNetwork)
        assert batch.rows is not None
        beliefs, things = self.beliefs[batch.rows], self.things[batch.rows]
        rescaled = {name: network.rescale(name, given) for name, given in batch.inputs.items()}
        logits = {name: network.logits(name, x).float() for name, x in rescaled.items()}
        kind = nothing(logits)
        for name, found in logits.items():
            wanted = beliefs[batch.present[name]]
            known = wanted.any(dim=1)
            if known.any():
                kind = kind + _class_loss(found[known], wanted[known], network.config.multi_label)
        if not network.has_instance_block:
            return {"loss": kind, "kind": kind}
        z = {name: network.instance_vectors(name, x) for name, x in rescaled.items()}
        thing = nothing(z)
        scale = network.log_scale.clamp(max=4.6).exp()  # 100 at most, as in CLIP
        for one, other in combinations(z, 2):
            numbers = things[batch.present[one] & batch.present[other]]
            same = numbers[:, None] == numbers[None, :]
            first, second = paired(z, batch, one, other)
            thing = thing + multi_positive_cross_entropy(scale * first @ second.T, same)
        return {"loss": kind + thing, "kind": kind, "thing": thing}


def same_things(samples: Samples) -> Tensor:
    """Return a number for each sample, equal for samples that are equal in some modality.

    Being equal is passed on: if a and b have one text, and b and c one picture, all three are one.

    Args:
        samples: a part, as network input.

    Returns:
        (N,) int64.
    """
    numbers = torch.arange(len(samples), device=samples.labels.device)
    groups = []
    for name, inputs in samples.inputs.items():
        rows = samples.present[name].nonzero().flatten()
        flat = inputs[rows].flatten(start_dim=1)
        groups.append((rows, torch.unique(flat, dim=0, return_inverse=True)[1]))
    while True:
        before = numbers
        for rows, group in groups:
            smallest = torch.full_like(rows, len(samples)).scatter_reduce(
                0, group, numbers[rows], "amin"
            )
            numbers = numbers.index_put((rows,), smallest[group])
        if torch.equal(before, numbers):
            return numbers


@dataclass(frozen=True)
class Weighing:
    """Sets temperature and share of the network's posteriors, by likelihood on validation.

    For each modality first the temperature t that makes the labels most likely under the network
    alone, then the share s under (1 - s) kernel machine + s network, by expectation maximisation.
    One pseudo-observation of either expert keeps the share inside (0, 1).

    Args:
        validation: samples that nothing was fitted on.
    """

    validation: Samples

    @torch.inference_mode()
    def __call__(self, network: nn.Module, _: Samples) -> None:
        """Set both, in place."""
        assert isinstance(network, PosteriorNetwork)
        for number, name in enumerate(network.modalities):
            there = self.validation.present[name]
            known = self.validation.labels[there].any(dim=1)
            labels = self.validation.labels[there][known]
            parts = [
                (network.logits(name, x).float(), network.expert_posteriors(name, x)[0])
                for part in self.validation.parts(name, 512)
                for x in [network.rescale(name, part)]
            ]
            logits, kernel = (torch.cat(one)[known] for one in zip(*parts, strict=True))
            several = network.config.multi_label
            losses = [
                float(_class_loss(logits / t, _shares(labels, several), several))
                for t in TEMPERATURES
            ]
            best = TEMPERATURES[min(range(len(losses)), key=losses.__getitem__)]
            network.temperatures[number] = best
            tempered = logits / best
            p = tempered.sigmoid() if several else tempered.softmax(dim=1)
            network.shares[number] = _share(kernel, p, labels, several)


def _share(first: Tensor, second: Tensor, labels: Tensor, several: bool) -> float:
    """Return the weight of the second of two posteriors in the most likely mixture."""
    if several:
        one, other = (torch.where(labels > 0, p, 1 - p).flatten() for p in (first, second))
    else:
        one, other = ((p * labels).sum(dim=1) for p in (first, second))
    one, other = one.double().clamp(min=1e-12), other.double().clamp(min=1e-12)
    share = 0.5
    for _ in range(STEPS):
        by_second = share * other / (share * other + (1 - share) * one)
        share = float((by_second.sum() + 1) / (len(by_second) + 2))
    return share


def _class_loss(logits: Tensor, targets: Tensor, several: bool) -> Tensor:
    if several:
        return binary_cross_entropy_with_logits(logits, targets) * logits.shape[1]
    return cross_entropy(logits, targets)


def _shares(labels: Tensor, several: bool) -> Tensor:
    return labels if several else labels / labels.sum(dim=1, keepdim=True)
