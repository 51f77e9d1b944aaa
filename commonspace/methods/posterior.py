"""Posterior matching: rank by the probability of a shared class, with an instance block."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from commonspace.calibration import Calibration
from commonspace.callbacks import Callbacks, EpochRecord
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError, invalid_setting
from commonspace.losses import multi_positive_cross_entropy
from commonspace.methods.base.gradient import GradientMethod, TrainingData, zero_loss
from commonspace.methods.base.instance_weight import choose_instance_weight
from commonspace.methods.base.kernel_posteriors import KernelPosteriors, fit_kernel_posteriors
from commonspace.methods.base.outliers import count_references, detect_outliers
from commonspace.networks.kernel import set_buffers
from commonspace.networks.posterior import PosteriorConfig, PosteriorNetwork
from commonspace.settings import setting
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig
from commonspace.training.samples import Batch, Samples
from commonspace.training.settings import TrainingSettings

__all__ = [
    "PosteriorMatching",
    "detect_outliers",
    "posterior_loss",
    "same_items",
    "weigh_posteriors",
]

BATCHES = 10
"""Smallest number of batches in an epoch, so that few samples are not one step."""

STEPS = 200
"""Steps of expectation maximization for the one weight of a modality."""

TEMPERATURES = torch.logspace(-1, 1, 41, base=4.0)
"""Temperatures to choose from, 1/4 to 4."""


class PosteriorMatching(GradientMethod):
    """Scores by the probability that query and item share a class; an instance block ranks items.

        P(q and d share a class) = sum_c p(c | q) p(c | d)

    This is an inner product of posteriors, and by the probability ranking principle the order of
    highest expected precision, see docs/method.md. The posteriors p of a modality are a mixture of
    two: a kernel machine in closed form, whose kernel, penalty and calibration are chosen by
    leave-one-out likelihood, and a network trained with cross-entropy. The weight of the mixture
    is chosen by likelihood on validation. If the modalities of samples that are left out disagree
    with a share of the labels, class probabilities replace the labels, so wrong labels do little
    harm. With several labels a sample, each class has its own probability, and the inner product
    is the first-order term of P(share a class) = 1 - prod_c (1 - p_c q_c).

    The instance block distinguishes items of one class. It is trained by contrast over pairs, in
    layers of its own. ``space.as_queries(vectors, instance_weight)`` weighs the two blocks.

    ``hidden_dim`` is the hidden size of the class network (half of it in the instance network),
    ``embedding_dim`` the size of the instance block. ``batch_size`` is an upper limit: an epoch has
    at least 10 batches.

    Source: semantic matching is Rasiwasia et al.: A New Approach to Cross-Modal Multimedia
    Retrieval, ACM Multimedia 2010; the contrast, Radford et al.: Learning Transferable Visual
    Models From Natural Language Supervision, ICML 2021. The rest is new here.

    Needs labels; no pairs, without which there is no instance block; two or more modalities of any
    size, as features or raw through frozen encoders.
    """

    name: ClassVar[str] = "posterior"

    epochs: int = 20
    patience: int | None = None
    batch_size: int = 256
    learning_rate: float = 2e-3
    hidden_dim: int = 512
    embedding_dim: int = 64
    mixture: float = setting(
        0.03, help="Weight of the instance block if no instance_weight is given.", above=0, below=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        tuning = self.encoders.fine_tune
        if tuning != "none":
            raise invalid_setting("fine_tune", tuning, "'none' for posterior: encoders are frozen")

    def prepare(self, train: Dataset, validation: Dataset, run: RunConfig) -> "_PosteriorData":
        """Prepare the data, and fit the kernel machines on the training split."""
        _check_features(train, set(self.encoders.specs))
        data = super().prepare(train, validation, run)
        start = time.monotonic()
        multi_label = bool((data.train.labels.sum(axis=1) > 1).any())
        kernels = fit_kernel_posteriors(
            data.train,
            multi_label=multi_label,
            seed=self.seed,
            callbacks=Callbacks(run.callbacks),
        )
        return _PosteriorData(
            **vars(data),
            multi_label=multi_label,
            kernels=kernels,
            targets=torch.from_numpy(kernels.targets).float().to(data.device),
            items=same_items(data.samples),
            seconds=time.monotonic() - start,
        )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the network with the fitted kernel machines in it."""
        assert isinstance(data, _PosteriorData)
        machines = data.kernels.machines
        present = np.stack([column.present for column in data.train.columns.values()])
        pairs = bool(((present.sum(axis=0) >= 2) & present).sum(axis=1).min() >= 2)
        network = PosteriorNetwork(
            PosteriorConfig(
                backbones=data.backbones,
                classes=len(data.train.class_names),
                landmarks={name: len(one.landmarks) for name, one in machines.items()},
                hidden_dim=self.hidden_dim,
                instance_dim=self.embedding_dim if pairs else 0,
                multi_label=data.multi_label,
                mixture=self.mixture,
                references=count_references(data.train, data.validation),
            )
        )
        _set_kernels(network, data.kernels)
        return network

    def training_settings(self, data: TrainingData) -> TrainingSettings:
        """Return the settings: one cycle of the rates, and smaller batches for few samples."""
        size = max(1, min(self.batch_size, len(data.train) // BATCHES))
        return replace(super().training_settings(data), batch_size=size, schedule="one cycle")

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return class loss and instance loss, and their sum."""
        assert isinstance(network, PosteriorNetwork)
        assert isinstance(data, _PosteriorData)
        assert batch.rows is not None
        return posterior_loss(network, batch, data.targets[batch.rows], data.items[batch.rows])

    def after_epoch(self, network: nn.Module, data: TrainingData) -> None:
        """Set temperatures and mixture weights by likelihood on validation."""
        assert isinstance(network, PosteriorNetwork)
        weigh_posteriors(network, data.validation_samples)

    def calibrate(
        self, network: nn.Module, data: TrainingData, history: tuple[EpochRecord, ...]
    ) -> CommonSpace:
        """Return the common space; with one class a sample, scores already are probabilities."""
        assert isinstance(network, PosteriorNetwork)
        assert isinstance(data, _PosteriorData)
        detect_outliers(network, data.samples, data.validation_samples)
        space = super().calibrate(network, data, history)
        if network.has_instance_block:
            embeddings = data.validation_samples.embed(network)
            space.provenance["chosen"]["instance_weight"] = choose_instance_weight(
                space, embeddings, data.validation
            )
        if not data.multi_label:
            space.calibration = Calibration((0.0, 1.0), (0.0, 1.0))
        space.provenance["chosen"]["seconds"] += data.seconds
        space.provenance["posteriors"] = _describe(data.kernels, network)
        return space


@dataclass(frozen=True)
class _PosteriorData(TrainingData):
    """The data of one fit, with the kernel machines."""

    multi_label: bool
    """Whether samples may have several classes."""
    kernels: KernelPosteriors
    targets: Tensor
    """(N, c) float32, class probabilities to train on; a row of zeros is unlabeled."""
    items: Tensor
    """(N,) int64, equal for samples that are the same item, see ``same_items``."""
    seconds: float
    """Time that fitting the kernel machines took."""


def posterior_loss(
    network: PosteriorNetwork, batch: Batch, targets: Tensor, items: Tensor
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

    Returns:
        "loss", "class_loss" and, with an instance block, "instance_loss", all scalars.
    """

    def compute(inputs: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
        rescaled = {name: network.rescale(name, x) for name, x in inputs.items()}
        outputs: dict[str, tuple[Tensor, ...]]
        outputs = {name: (network.logits(name, x).float(),) for name, x in rescaled.items()}
        if network.has_instance_block:
            for name, x in rescaled.items():
                outputs[name] += (network.instance_vectors(name, x),)
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


@torch.inference_mode()
def weigh_posteriors(network: PosteriorNetwork, validation: Samples) -> None:
    """Set temperature and mixture weight of each modality by likelihood on validation, in place.

    First the temperature t that makes the labels most likely under the class network alone, then
    the weight s in (1 - s) kernel machine + s network, by expectation maximization. One
    pseudo-observation of either expert keeps the weight inside (0, 1).

    Args:
        network: Of posterior matching.
        validation: Samples that nothing was fitted on.
    """
    multi_label = network.config.multi_label
    for number, name in enumerate(network.modalities):
        present = validation.present[name]
        known = validation.labels[present].any(dim=1)
        labels = validation.labels[present][known]
        parts = [
            (network.logits(name, x).float(), network.expert_posteriors(name, x)[0])
            for part in validation.parts(name, 512)
            for x in [network.rescale(name, part)]
        ]
        logits, kernel = (torch.cat(part)[known] for part in zip(*parts, strict=True))
        wanted = labels if multi_label else labels / labels.sum(dim=1, keepdim=True)
        losses = [float(_cross_entropy(logits / t, wanted, multi_label)) for t in TEMPERATURES]
        best = TEMPERATURES[min(range(len(losses)), key=losses.__getitem__)]
        network.temperatures[number] = best
        scaled = logits / best
        p = scaled.sigmoid() if multi_label else scaled.softmax(dim=1)
        network.shares[number] = _mixture_weight(kernel, p, labels, multi_label)


def _check_features(train: Dataset, encoded: set[str]) -> None:
    for modality, column in train.columns.items():
        if not isinstance(column, Features) and modality not in encoded:
            raise DataError(
                f"posterior needs features, and {modality!r} is raw",
                expected=f"{modality!r} as features, or with a frozen encoder",
                found=column.kind,
                advice="extract them first with commonspace extract, or name an encoder",
            )


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


def _set_kernels(network: PosteriorNetwork, kernels: KernelPosteriors) -> None:
    for name, machine in kernels.machines.items():
        set_buffers(
            network.scale(name),
            power=machine.scaling.power,
            shift=machine.shift,
            weight=machine.weight,
        )
        set_buffers(
            network.kernel(name),
            landmarks=machine.landmarks,
            width=machine.width,
            coefficients=machine.coefficients,
            bias=machine.bias,
        )


def _describe(kernels: KernelPosteriors, network: PosteriorNetwork) -> dict[str, Any]:
    """Return the fitted posteriors for the provenance of the space, as JSON."""
    machines = {
        name: {
            **machine.scaling._asdict(),
            "width": machine.width,
            "ridge": machine.ridge,
            "landmarks": len(machine.landmarks),
            "left_out_loss": machine.loss,
            "temperature": float(temperature),
            "share_of_network": float(share),
        }
        for (name, machine), temperature, share in zip(
            kernels.machines.items(), network.temperatures, network.shares, strict=True
        )
    }
    return {"label_noise": kernels.noise, "modalities": machines}
