"""Posterior matching: rank by the probability of a shared class, and let the query say how finely.

What this module does not know: how kernel machines are fitted (``kernel_posteriors.py``) and what
is learnt by descent (``posterior_objective.py``).
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.calibration import Calibration
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder, Vectors
from commonspace.machine import choose_device
from commonspace.methods.base.closed_form import Fitting
from commonspace.methods.base.encoder_config import learn_through
from commonspace.methods.base.gradient import Recipe, fit_by_gradient
from commonspace.methods.base.kernel_posteriors import KernelPosteriors, fit_kernel_posteriors
from commonspace.methods.base.settings import check_setting
from commonspace.methods.descent import Descent
from commonspace.methods.posterior_objective import PosteriorObjective, Weighing, same_things
from commonspace.networks.posterior import PosteriorConfig, PosteriorNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run, Samples, TrainingSettings

__all__ = ["PosteriorMatching"]

BATCHES = 10
"""An epoch has at least as many, so that little data is not seen in one step."""


@dataclass(frozen=True)
class PosteriorMatching(Descent):
    """The probability of a shared class as the score, with a block for the very thing beside it.

        P(q and d share a class) = sum_c p(c | q) p(c | d)

    which is an inner product of posteriors, and by the probability ranking principle the order of
    the greatest expected precision, see docs/method.md. The posteriors p of a modality are a
    mixture of two: a kernel machine in closed form, its kernel, penalty and calibration chosen by
    the likelihood of labels with each sample left out, and a network learnt by cross-entropy; the
    mixture is weighed by likelihood on validation. Before that the labels themselves are weighed:
    where the modalities of samples that are left out agree against a share of the labels, beliefs
    take their place, so that wrong labels do little harm. With several labels a sample, each
    class has a probability of its own, and the inner product is the first-order term of
    P(share a class) = 1 - prod_c (1 - p_c q_c).

    A second block of the same vectors tells items of one class apart. It is learnt by contrast
    over pairs, in layers of its own. ``space.as_queries(vectors, instance_weight)`` weighs the two.

    Source: semantic matching is Rasiwasia et al.: A New Approach to Cross-Modal Multimedia
    Retrieval, ACM Multimedia 2010; the contrast, Radford et al.: Learning Transferable Visual
    Models From Natural Language Supervision, ICML 2021. The rest is ours.

    Needs: labels; no pairs, without which there is no second block; two or more modalities of any
    size, features or raw through encoders that are kept as they are.

    Args:
        mixture: the weight of the second block where no instance_weight is asked for.

    The other settings are those of ``Descent``; ``hidden_dim`` is the size of the network, and half
    that of the second block's, ``embedding_dim`` the size of the second block, and ``batch_size`` the
    largest: small data has smaller batches.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str] = "posterior"

    epochs: int = 20
    patience: int | None = None
    batch_size: int = 256
    learning_rate: float = 2e-3
    hidden_dim: int = 512
    embedding_dim: int = 64
    mixture: float = 0.03

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        super().__post_init__()
        share, tuning = self.mixture, self.encoders.fine_tune
        check_setting(self.name, "mixture", share, 0 < share < 1, "above 0 and below 1")
        check_setting(self.name, "fine_tune", tuning, tuning == "none", "'none'")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Fit the posteriors and the second block; what is best is chosen on validation.

        Args:
            train: labelled samples of two or more modalities; those without a label serve the
                second block.
            validation: labelled samples of the same columns.
            run: how to report progress and where to keep a checkpoint.

        Raises:
            DataError: a column is raw and has no encoder, a modality has too few labelled samples,
                or the parts do not belong together.
            TrainingError: the loss is no longer finite.
            MissingExtraError: an encoder needs an optional package.
        """
        return learn_through(
            self.encoders,
            self._learn,
            train,
            validation,
            run or Run(),
            seed=self.seed,
            device=self.device,
        )

    def _learn(
        self, train: Dataset, validation: Dataset, run: Run, _: Mapping[str, Encoder]
    ) -> CommonSpace:
        """Learn from features."""
        begun = time.monotonic()
        Fitting(self.name, train, validation)  # which refuses what is not to be learnt from
        several = bool((train.labels.sum(axis=1) > 1).any())
        kernels = fit_kernel_posteriors(
            train, several=several, seed=self.seed, watcher=run.preparation
        )
        config = self._config(train, kernels, several)
        inputs = {
            name: Vectors(column.size)
            for name, column in train.columns.items()
            if isinstance(column, Features)
        }
        device = choose_device(self.device)
        beliefs = torch.from_numpy(kernels.beliefs).float().to(device)
        recipe = Recipe(
            name=self.name,
            options=asdict(self),
            network=lambda: _with_kernels(PosteriorNetwork(config), kernels),
            objective=PosteriorObjective(beliefs, same_things(Samples(train, inputs, device))),
            inputs=inputs,
            settings=self._settings(len(train)),
            settle=Weighing(Samples(validation, inputs, device)),
        )
        before = time.monotonic() - begun
        space = fit_by_gradient(recipe, train, validation, run)
        network = space.network
        assert isinstance(network, PosteriorNetwork)
        if not several:  # the score is the probability; else it is its first-order term
            space.calibration = Calibration((0.0, 1.0), (0.0, 1.0))
        space.provenance["chosen"]["seconds"] += before
        space.provenance["posteriors"] = _record(kernels, network)
        return space

    def _config(self, train: Dataset, kernels: KernelPosteriors, several: bool) -> PosteriorConfig:
        present = np.stack([column.present for column in train.columns.values()])
        pairs = bool(((present.sum(axis=0) >= 2) & present).sum(axis=1).min() >= 2)
        return PosteriorConfig(
            backbones={
                name: {"kind": "vectors", "size": len(machine.shift)}
                for name, machine in kernels.machines.items()
            },
            classes=len(train.class_names),
            landmarks={name: len(one.landmarks) for name, one in kernels.machines.items()},
            hidden_dim=self.hidden_dim,
            instance_dim=self.embedding_dim if pairs else 0,
            multi_label=several,
            mixture=self.mixture,
        )

    def _settings(self, samples: int) -> TrainingSettings:
        size = max(1, min(self.batch_size, samples // BATCHES))
        return replace(self.training(size), schedule="one cycle")


def _with_kernels(network: PosteriorNetwork, kernels: KernelPosteriors) -> PosteriorNetwork:
    """Put what was found in closed form into a fresh network."""
    for name, found in kernels.machines.items():
        scale, kernel = network.scale(name), network.kernel(name)
        values: tuple[tuple[Tensor, NDArray[np.float64] | float], ...] = (
            (scale.power, found.scaling.power),
            (scale.shift, found.shift),
            (scale.weight, found.weight),
            (kernel.landmarks, found.landmarks),
            (kernel.width, found.width),
            (kernel.coefficients, found.coefficients),
            (kernel.bias, found.bias),
        )
        for buffer, value in values:
            buffer.copy_(torch.as_tensor(value))
    return network


def _record(kernels: KernelPosteriors, network: PosteriorNetwork) -> dict[str, Any]:
    """Return what is known of the posteriors, fit for JSON."""
    machines = {
        name: {
            **one.scaling._asdict(),
            "width": one.width,
            "ridge": one.ridge,
            "landmarks": len(one.landmarks),
            "left_out_loss": one.loss,
            "temperature": float(temperature),
            "share_of_network": float(share),
        }
        for (name, one), temperature, share in zip(
            kernels.machines.items(), network.temperatures, network.shares, strict=True
        )
    }
    return {"label_noise": kernels.noise, "modalities": machines}
