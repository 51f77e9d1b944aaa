"""Losses, temperatures and mixture weights of posterior matching."""

from collections.abc import Mapping
from hashlib import blake2b
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from commonspace.data.row_blocks import release_rows
from commonspace.losses import multi_positive_cross_entropy
from commonspace.methods.base.gradient import zero_loss
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.training.batch import Batch
from commonspace.training.samples import Samples

__all__ = [
    "best_temperature",
    "calibrate_kernel",
    "class_losses",
    "kernel_posteriors",
    "posterior_loss",
    "same_items",
    "weigh_posteriors",
]

HASHED = 512
"""Samples that are hashed at a time."""

PART = 512
"""Samples that a network reads at a time."""

STEPS = 200
"""Steps of expectation maximization for the one weight of a modality."""

TEMPERATURES = torch.logspace(-1, 1, 41, base=4.0)
"""Temperatures to choose from, 1/4 to 4."""


def posterior_loss(
    network: PosteriorNetwork,
    batch: Batch,
    targets: Tensor,
    items: Tensor,
    instance_gradient: float = 0.0,
) -> dict[str, Tensor]:
    """Return the losses of a batch, summed over all modalities and their pairs.

        J = sum_m CE(targets, network_m) + sum_(m < k) L(instance_m, instance_k)

    CE is the cross-entropy (binary for each class if samples may have several), L is
    ``multi_positive_info_nce_loss`` with a learned temperature. Classes and instances have layers
    of their own: neither loss affects the other.

    Args:
        network: Of posterior matching.
        batch: Some samples.
        targets: (n, c) float32, class probabilities; a row of zeros is unlabeled.
        items: (n,) int64, equal for samples that are the same item.
        instance_gradient: Factor of the gradient of the instance loss in encoders that are trained;
            features of frozen encoders have no gradient.

    Returns:
        "loss", "class_loss" and, with an instance block, "instance_loss", all scalars.
    """

    def compute(inputs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
        rescaled = {name: network.rescale(name, x) for name, x in inputs.items()}
        outputs: dict[str, tuple[Tensor, ...]]
        outputs = {name: (network.logits(name, x).float(),) for name, x in rescaled.items()}
        if network.has_instance_block:
            for name, x in rescaled.items():
                partly = torch.lerp(x.detach(), x, instance_gradient) if x.requires_grad else x
                outputs[name] += (network.instance_vectors(name, partly),)
        return outputs

    outputs = batch.outputs(compute)
    logits = {name: values[0] for name, values in outputs.items()}
    class_loss = zero_loss(logits)
    for name, values in logits.items():
        wanted = targets[batch.present[name]]
        known = wanted.any(dim=1)
        if known.any():
            class_loss = class_loss + _cross_entropy(
                values[known], wanted[known], network.config.multi_label
            )
    if not network.has_instance_block:
        return {"loss": class_loss, "class_loss": class_loss}
    z = {name: values[1] for name, values in outputs.items()}
    instance_loss = zero_loss(z)
    scale = network.log_scale.clamp(max=4.6).exp()  # at most 100, as in CLIP
    for one, other in combinations(z, 2):
        numbers = items[batch.present[one] & batch.present[other]]
        same = numbers[:, None] == numbers[None, :]
        first, second = batch.pairs(z, one, other)
        instance_loss = instance_loss + multi_positive_cross_entropy(scale * first @ second.T, same)
    return {
        "loss": class_loss + instance_loss,
        "class_loss": class_loss,
        "instance_loss": instance_loss,
    }


def same_items(samples: Samples) -> Tensor:
    """Return a number for each sample, equal for samples that are equal in some modality.

    The relation is transitive: if a and b share a text, and b and c an image, all three are one
    item.

    Args:
        samples: Of a split.

    Returns:
        (N,) int64.
    """
    device = samples.labels.device
    numbers = torch.arange(len(samples), device=device)
    groups = []
    for name, inputs in samples.inputs.items():
        rows = samples.present[name].nonzero().flatten()
        keys = _row_keys(inputs)[samples.present[name].cpu().numpy()]
        same = torch.from_numpy(np.unique(keys, return_inverse=True)[1].astype(np.int64))
        groups.append((rows, same.to(device)))
    while True:
        before = numbers
        for rows, group in groups:
            smallest = torch.full_like(rows, len(samples)).scatter_reduce(
                0, group, numbers[rows], "amin"
            )
            numbers = numbers.index_put((rows,), smallest[group])
        if torch.equal(before, numbers):
            return numbers


def _row_keys(inputs: Tensor) -> NDArray[np.uint64]:
    """Return (n,) 64 bits of a hash of each row of (n, ...).

    That two different rows of 4 million have equal keys has a probability below one in a million.
    """
    keys = np.empty(len(inputs), dtype=np.uint64)
    for start in range(0, len(inputs), HASHED):
        part = inputs[start : start + HASHED].flatten(start_dim=1).cpu()
        values = (part + 0).numpy()  # -0 becomes 0
        found = b"".join(blake2b(row.data, digest_size=8).digest() for row in values)
        keys[start : start + HASHED] = np.frombuffer(found, dtype=np.uint64)
        if start % (16 * HASHED) == 0:
            release_rows()
    return keys


@torch.inference_mode()
def kernel_posteriors(network: PosteriorNetwork, samples: Samples) -> dict[str, Tensor]:
    """Return modality -> (n, c) posteriors of the kernel machine, of the samples that have it.

    Args:
        network: Of posterior matching.
        samples: A split.
    """
    return {
        name: torch.cat(
            [
                network.expert_posteriors(name, network.rescale(name, part))[0]
                for part in samples.parts(name, PART)
            ]
        )
        for name in network.modalities
    }


@torch.inference_mode()
def weigh_posteriors(
    network: PosteriorNetwork, validation: Samples, kernel: Mapping[str, Tensor] | None = None
) -> None:
    """Set temperature and mixture weight of each modality by likelihood on validation, in place.

    First the temperature t that makes the labels most likely under the class network alone, then
    the weight s in (1 - s) kernel machine + s network, by expectation maximization. One
    pseudo-observation of either expert keeps the weight inside (0, 1).

    Args:
        network: Of posterior matching.
        validation: Samples that nothing was fitted on.
        kernel: Their ``kernel_posteriors``, which training changes only with encoders; None: they
            are computed.
    """
    kernel = kernel or kernel_posteriors(network, validation)
    multi_label = network.config.multi_label
    for number, name in enumerate(network.modalities):
        present = validation.present[name]
        known = validation.labels[present].any(dim=1)
        labels = validation.labels[present][known]
        parts = [
            network.logits(name, network.rescale(name, part)).float()
            for part in validation.parts(name, PART)
        ]
        logits = torch.cat(parts)[known]
        best, _ = best_temperature(logits, labels, multi_label)
        network.temperatures[number] = best
        scaled = logits / best
        p = scaled.sigmoid() if multi_label else scaled.softmax(dim=1)
        network.shares[number] = _mixture_weight(kernel[name][known], p, labels, multi_label)


def best_temperature(logits: Tensor, labels: Tensor, multi_label: bool) -> tuple[float, float]:
    """Return the temperature that makes the labels most likely, and the log loss with it.

    Args:
        logits: (n, c).
        labels: (n, c), 1 where a sample has a class, at least once in each row.
        multi_label: Whether each class has a probability of its own.
    """
    wanted = labels if multi_label else labels / labels.sum(dim=1, keepdim=True)
    losses = [float(_cross_entropy(logits / t, wanted, multi_label)) for t in TEMPERATURES]
    best = min(range(len(losses)), key=losses.__getitem__)
    return float(TEMPERATURES[best]), losses[best]


@torch.inference_mode()
def calibrate_kernel(network: PosteriorNetwork, modality: str, validation: Samples) -> None:
    """Divide the output of a kernel machine by its best temperature on validation, in place.

    Args:
        network: Of posterior matching.
        modality: Selects the machine; it must read all features.
        validation: Samples that nothing was fitted on.
    """
    kernel, device = network.kernel(modality), network.kernel(modality).bias.device
    labels = validation.labels[validation.present[modality]]
    outputs = [
        kernel(network.rescale(modality, part.to(device))).to(labels.device)
        for part in validation.parts(modality, PART)
    ]
    known = labels.any(dim=1)
    temperature, _ = best_temperature(
        torch.cat(outputs)[known], labels[known], network.config.multi_label
    )
    kernel.coefficients /= temperature
    kernel.bias /= temperature


@torch.inference_mode()
def class_losses(network: PosteriorNetwork, samples: Samples) -> dict[str, Tensor]:
    """Return the negative log likelihood of the classes of each sample, for each modality.

    Each modality has the temperature that is best for these samples, so that posteriors which were
    calibrated on them have no advantage.

    Args:
        network: Of posterior matching, in evaluation mode.
        samples: A split with labels.

    Returns:
        Modality -> (n,) float32, of the labeled samples that have it.
    """
    losses = {}
    multi_label = network.config.multi_label
    for name in network.modalities:
        labels = samples.labels[samples.present[name]]
        p = torch.cat(
            [network.posterior(name, network.rescale(name, x)) for x in samples.parts(name, PART)]
        ).clamp(1e-7, 1 - 1e-7)
        known = labels.any(dim=1)
        p, labels = p[known], labels[known]
        logits = p.logit() if multi_label else p.log()
        logits = logits / best_temperature(logits, labels, multi_label)[0]
        if multi_label:
            each = binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(dim=1)
        else:
            each = cross_entropy(logits, labels / labels.sum(dim=1, keepdim=True), reduction="none")
        losses[name] = each.cpu()
    return losses


def _mixture_weight(first: Tensor, second: Tensor, labels: Tensor, multi_label: bool) -> float:
    """Return the weight of the second of two posteriors in the most likely mixture."""
    if multi_label:
        one, other = (torch.where(labels > 0, p, 1 - p).flatten() for p in (first, second))
    else:
        one, other = ((p * labels).sum(dim=1) for p in (first, second))
    one, other = one.double().clamp(min=1e-12), other.double().clamp(min=1e-12)
    weight = 0.5
    for _ in range(STEPS):
        by_second = weight * other / (weight * other + (1 - weight) * one)
        weight = float((by_second.sum() + 1) / (len(by_second) + 2))
    return weight


def _cross_entropy(logits: Tensor, targets: Tensor, multi_label: bool) -> Tensor:
    if multi_label:
        return binary_cross_entropy_with_logits(logits, targets) * logits.shape[1]
    return cross_entropy(logits, targets)
