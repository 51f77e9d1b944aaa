"""Posterior matching: rank by the probability of a shared class, with an instance block."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.calibration import Calibration
from commonspace.callbacks import Callbacks, EpochRecord
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.data.row_blocks import to_rows
from commonspace.errors import DataError
from commonspace.methods.base.contradicted_labels import relabeled_by_neighbors
from commonspace.methods.base.encoder_config import EncoderConfig
from commonspace.methods.base.encoder_training import FeatureFit
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.kernel_posteriors import KernelPosteriors, fit_kernel_posteriors
from commonspace.methods.base.method import calibrate_scores, select_splits
from commonspace.methods.base.mismatched_pairs import (
    count_mismatched,
    taught_by_matched,
    without_mismatched,
)
from commonspace.methods.base.network_kernels import describe_kernels, set_kernels
from commonspace.methods.base.outliers import count_references, detect_outliers
from commonspace.methods.base.posterior_loss import (
    calibrate_kernel,
    kernel_posteriors,
    posterior_loss,
    same_items,
    weigh_posteriors,
)
from commonspace.methods.base.pseudo_labels import taught_by_unlabeled
from commonspace.methods.base.search_defaults import choose_instance_weight, set_text_weight
from commonspace.methods.base.trained_posteriors import fit_with_trained_encoders
from commonspace.methods.base.training_data import TrainingData
from commonspace.methods.base.zero_shot import describe_zero_shot, with_zero_shot
from commonspace.methods.infonce import pair_vectors
from commonspace.networks.posterior import PosteriorConfig, PosteriorNetwork
from commonspace.progress import ProgressBar
from commonspace.settings import setting
from commonspace.space import CommonSpace
from commonspace.training.batch import Batch
from commonspace.training.loop import RunConfig
from commonspace.training.random_rows import random_tensor_rows
from commonspace.training.samples import Samples
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

PAIRS_SHARE = 0.3
"""Share of a time budget for the space of the pairs that samples without a label need."""


class PosteriorMatching(GradientMethod):
    """Scores by the probability that query and item share a class; an instance block ranks items.

        P(q and d share a class) = sum_c p(c | q) p(c | d)

    This is an inner product of posteriors, and by the probability ranking principle the order of
    highest expected precision, see docs/method.md. The posteriors p of a modality are a mixture of
    two: a kernel machine in closed form, whose kernel, penalty and calibration are chosen by
    leave-one-out likelihood, and a network trained with cross-entropy. The weight of the mixture
    is chosen by likelihood on validation. If the modalities of samples that are left out disagree
    with a share of the labels, class probabilities replace the labels, so wrong labels do little
    harm; if they contradict most of them, the classes of a sample's neighbors replace them
    (``relabeled_by_neighbors``). Where the labels fit one modality but not another, pairs whose
    modalities are of different classes are taken apart (``taught_by_matched``). If some samples
    have no label, their classes are estimated from their neighbors, in the features or in a space
    of InfoNCE (``spread_labels``), and from what the modalities agree on, and used where that
    raises the mAP of the kernel machines on validation. Where the encoders of raw items share a
    space, texts that name the classes give zero-shot posteriors, which are used where that raises
    the mAP on validation (``ZeroShotPosteriorNetwork``). With several labels a sample, each class
    has its own probability, and the inner product is the first-order term of P(share a class) = 1 -
    prod_c (1 - p_c q_c).

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
    drop_mismatched: bool = setting(
        True,
        help="Leave out modalities that seem to be of another class than their sample, if"
        " validation is not worse.",
    )
    pseudo_labels: bool = setting(
        True, help="Let samples without a label teach the classes too, if validation improves."
    )
    zero_shot: bool = setting(
        True,
        help="Use texts that name the classes, if the encoders share a space and validation"
        " improves.",
    )

    def fit(
        self, train: Dataset, validation: Dataset | None = None, run: RunConfig | None = None
    ) -> CommonSpace:
        """Fit a common space; with ``fine_tune``, train the encoders first, see docs/method.md.

        Args:
            train: The training split, or a data set with a training and a validation split.
            validation: Samples of the same columns; None: those of ``train``.
            run: Callbacks and checkpoint; default: a progress bar and no checkpoint.

        Raises:
            DataError: If the splits lack modalities, labels or pairs, or do not match.
            SettingError: If no encoder can be trained.
            TrainingError: If the loss is not finite.
            SpaceError: If there is no usable checkpoint to resume from.
            MissingExtraError: If an encoder needs an optional package.
        """
        if self.encoders.fine_tune == "none":
            return super().fit(train, validation, run)
        run = run or RunConfig(callbacks=(ProgressBar(),))
        train, validation = select_splits(train, validation)
        return fit_with_trained_encoders(self, train, validation, run, self._fit_features)

    def _fit_features(
        self,
        train: Dataset,
        validation: Dataset,
        trained: tuple[str, ...],
        kernel_features: Mapping[str, int],
    ) -> FeatureFit:
        """Fit features, of which some modalities come from encoders trained on these samples."""
        settings = {one.name: getattr(self, one.name) for one in fields(self)}
        settings["encoders"] = EncoderConfig()
        method = _OnTrainedFeatures(
            **settings, trained=trained, kernel_features=dict(kernel_features)
        )
        data = method.prepare(train, validation, RunConfig())
        network, history = method.fit_network(data, RunConfig())
        space = method.calibrate(network, data, history)
        assert isinstance(network, PosteriorNetwork)
        return FeatureFit(space, network, data, data.targets, data.items)

    def prepare(self, train: Dataset, validation: Dataset, run: RunConfig) -> "_PosteriorData":
        """Prepare the data, and fit the kernel machines on the training split."""
        _check_features(train, set(self.encoders.specs))
        data = super().prepare(train, validation, run)
        given, start = data.train, time.monotonic()
        multi_label = bool((data.train.labels.sum(axis=1) > 1).any())
        known, callbacks = self._kernel_split(data.train), Callbacks(run.callbacks)
        kernels = fit_kernel_posteriors(
            known, multi_label=multi_label, seed=self.seed, callbacks=callbacks
        )
        held_out = self._kernel_split(data.validation)
        relabeled = apart = taught = None
        if not multi_label:
            relabeled = relabeled_by_neighbors(kernels, known, seed=self.seed, callbacks=callbacks)
            kernels = relabeled or kernels
        trusted = not multi_label and relabeled is None
        if self.drop_mismatched and trusted and _has_pairs(known):
            apart = taught_by_matched(kernels, known, held_out, seed=self.seed, callbacks=callbacks)
        if apart is not None:
            kernels, matched = apart
            known = without_mismatched(known, matched)
            train = without_mismatched(data.train, matched)
            samples = Samples(train, data.inputs, data.device)
            data = replace(data, train=train, samples=samples)
        if self.pseudo_labels and trusted:
            vectors = partial(
                pair_vectors,
                known,
                held_out,
                seed=self.seed,
                device=self.device,
                minutes=None if self.minutes is None else PAIRS_SHARE * self.minutes,
                callbacks=callbacks,
            )
            taught = taught_by_unlabeled(
                kernels,
                known,
                held_out,
                seed=self.seed,
                callbacks=callbacks,
                pair_vectors=vectors if _has_pairs(known) else None,
            )
            kernels = taught or kernels
        return _PosteriorData(
            **vars(data),
            multi_label=multi_label,
            kernels=kernels,
            targets=torch.from_numpy(to_rows(kernels.targets)).to(data.device),
            items=same_items(data.samples),
            seconds=time.monotonic() - start,
            pseudo_labeled=taught is not None,
            mismatched={} if apart is None else count_mismatched(given, apart[1]),
        )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the network with the fitted kernel machines in it."""
        assert isinstance(data, _PosteriorData)
        machines = data.kernels.machines
        network = PosteriorNetwork(
            PosteriorConfig(
                backbones=data.backbones,
                classes=len(data.train.class_names),
                landmarks={name: len(one.landmarks) for name, one in machines.items()},
                hidden_dim=self.hidden_dim,
                instance_dim=self.embedding_dim if _has_pairs(data.train) else 0,
                multi_label=data.multi_label,
                mixture=self.mixture,
                references=count_references(data.train, data.validation),
                kernel_features=self._kernel_features(),
            )
        )
        set_kernels(network, data.kernels, data.train)
        return network

    def _kernel_split(self, train: Dataset) -> Dataset:
        """Return the training split with the features that the kernel machines read."""
        return train

    def _kernel_features(self) -> Mapping[str, int]:
        """Return how many leading features the kernel machine of a modality reads, if not all."""
        return {}

    def training_settings(self, data: TrainingData) -> TrainingSettings:
        """Return the settings: one cycle of the rates, and smaller batches for few samples."""
        size = max(1, min(self.batch_size, len(data.train) // BATCHES))
        return replace(super().training_settings(data), batch_size=size, schedule="one cycle")

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return class loss and instance loss, and their sum."""
        assert isinstance(network, PosteriorNetwork)
        assert isinstance(data, _PosteriorData)
        assert batch.rows is not None
        targets = random_tensor_rows(data.targets, batch.rows)
        return posterior_loss(network, batch, targets, data.items[batch.rows])

    def after_epoch(self, network: nn.Module, data: TrainingData) -> None:
        """Set temperatures and mixture weights by likelihood on validation."""
        assert isinstance(network, PosteriorNetwork)
        assert isinstance(data, _PosteriorData)
        if not data.known:
            data.known.update(kernel_posteriors(network, data.validation_samples))
        weigh_posteriors(network, data.validation_samples, data.known)

    def calibrate(
        self, network: nn.Module, data: TrainingData, history: tuple[EpochRecord, ...]
    ) -> CommonSpace:
        """Return the common space; with one class a sample, scores already are probabilities."""
        assert isinstance(network, PosteriorNetwork)
        assert isinstance(data, _PosteriorData)
        if self.zero_shot:
            network = with_zero_shot(network, data)
        detect_outliers(network, data.samples, data.validation_samples)
        space = super().calibrate(network, data, history)
        space.provenance["chosen"]["seconds"] += data.seconds
        space.provenance["posteriors"] = {
            **describe_kernels(data.kernels, network),
            "pseudo_labels": data.pseudo_labeled,
            "mismatched": dict(data.mismatched),
            **describe_zero_shot(network),
        }
        return space

    def choose_defaults(
        self, space: CommonSpace, embeddings: Mapping[str, NDArray[np.float32]], data: TrainingData
    ) -> None:
        """Choose instance weight and text weight; only for several labels fit a calibration."""
        assert isinstance(data, _PosteriorData)
        if data.multi_label:
            calibrate_scores(space, embeddings, data.validation)
        else:
            space.calibration = Calibration((0.0, 1.0), (0.0, 1.0))
        if space.has_instance_block:
            weight = choose_instance_weight(space, embeddings, data.validation)
            space.provenance["chosen"]["instance_weight"] = weight
        set_text_weight(space, embeddings, data.validation)


class _OnTrainedFeatures(PosteriorMatching):
    """Posterior matching on features of encoders that were trained on the same samples.

    Such an encoder has memorized its samples, so that what is left out of them says nothing about
    new ones: kernel machines on its features are calibrated on validation. Where features of a
    frozen encoder stand before those of the trained one, the kernel machine reads the frozen ones
    alone, and the mixture of kernel machine and network is one of frozen and trained posteriors.
    """

    trained: tuple[str, ...] = ()
    kernel_features: Mapping[str, int] = field(default_factory=dict)

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the network, its kernel machines on trained features calibrated on validation."""
        network = super().build_network(data)
        assert isinstance(network, PosteriorNetwork)
        for name in set(self.trained) - set(self.kernel_features):
            calibrate_kernel(network, name, data.validation_samples)
        return network

    def _kernel_split(self, train: Dataset) -> Dataset:
        columns = dict(train.columns)
        for name, count in self.kernel_features.items():
            column = columns[name]
            assert isinstance(column, Features)
            columns[name] = Features(column.values[:, :count], column.present)
        return replace(train, columns=columns)

    def _kernel_features(self) -> Mapping[str, int]:
        return self.kernel_features


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
    mismatched: Mapping[str, int]
    """Modality -> number of samples that it does not belong to, left out; {}: none are."""
    pseudo_labeled: bool
    """Whether pseudo-labels of unlabeled samples are among the targets."""
    known: dict[str, Tensor] = field(default_factory=dict)
    """Kernel posteriors of the validation split, once they are known: training keeps them."""


def _check_features(train: Dataset, encoded: set[str]) -> None:
    for modality, column in train.columns.items():
        if not isinstance(column, Features) and modality not in encoded:
            raise DataError(
                f"posterior needs features, and {modality!r} is raw",
                expected=f"{modality!r} as features, or with a frozen encoder",
                found=column.kind,
                advice="extract them first with commonspace extract, or name an encoder",
            )


def _has_pairs(train: Dataset) -> bool:
    """Return whether each modality has two samples that have another modality too."""
    present = np.stack([column.present for column in train.columns.values()])
    return bool(((present.sum(axis=0) >= 2) & present).sum(axis=1).min() >= 2)
