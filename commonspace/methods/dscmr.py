"""DSCMR: Deep Supervised Cross-modal Retrieval, as in the paper and as in its official code.

Zhen, Hu, Wang, Peng: Deep Supervised Cross-modal Retrieval, CVPR 2019, pages 10394-10403.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import combinations, combinations_with_replacement
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from commonspace.errors import SettingError
from commonspace.losses import (
    ResidualNorm,
    common_space_loss,
    label_space_loss,
    modality_invariance_loss,
)
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.backbones.base import PretrainedBackbone
from commonspace.networks.dscmr import (
    Classifier,
    DSCMRConfig,
    DSCMRNetwork,
    Outputs,
    closed_form_classifier,
)
from commonspace.settings import declared, setting
from commonspace.training.batch import Batch
from commonspace.training.settings import TrainingSettings

__all__ = ["DSCMR", "INPUT_DEFAULTS", "PRESETS", "dscmr_loss"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The paper gives neither lambda nor eta; these two are those of the official code.
    "paper": {
        "norm": "frobenius",
        "relu_after_shared": True,
        "classifier": "linear",
        "lam": 1e-3,
        "eta": 1e-1,
        "betas": (0.9, 0.999),
        "shuffle": True,
    },
    "official": {
        "norm": "rows",
        "relu_after_shared": False,
        "classifier": "affine",
        "lam": 1e-3,
        "eta": 1e-1,
        "betas": (0.5, 0.999),
        "shuffle": False,
    },
}
"""Settings in which the paper and its official code differ."""

INPUT_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "features": {  # as in the paper
        "epochs": 500,
        "batch_size": 100,
        "learning_rate": 1e-4,
        "hidden_dim": 2048,
        "embedding_dim": 1024,
    },
    "encoders": {
        "epochs": 60,
        "batch_size": 100,
        "learning_rate": 1e-4,
        "hidden_dim": 2048,
        "embedding_dim": 1024,
    },
    # Chosen on the validation splits of scenes and of real photos with descriptions: at the size of
    # the paper, a strong J3 makes untrained backbones collapse to one point.
    "scratch": {
        "epochs": 60,
        "batch_size": 50,
        "learning_rate": 5e-4,
        "hidden_dim": 512,
        "embedding_dim": 256,
        "eta": 1e-2,
    },
}
"""Settings by input: precomputed features, fine-tuned encoders, backbones trained from scratch."""


class DSCMR(GradientMethod):
    """Deep Supervised Cross-modal Retrieval.

        J = alpha J1 + lambda J2 + eta J3

    J1 is the discrimination loss in the label space (eq. 1), J2 that in the common space (eq. 2),
    J3 the modality-invariance loss (eq. 4). With more than two modalities J1 is summed over all, J2
    over all pairs including each with itself, and J3 over all pairs of two. A sample takes part in
    the terms that it has the modalities and the labels for.

    Settings that are None take the value of ``preset``, or that for the input, see
    ``INPUT_DEFAULTS``: precomputed features are trained on as in the paper; fine-tuned encoders for
    fewer epochs; backbones from scratch in smaller batches with a higher learning rate. The
    "closed_form" classifier is the one that the paper describes, see ``closed_form_classifier``.
    """

    name: ClassVar[str] = "dscmr"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "lam": Between(1e-4, 1e-1),
        "eta": Between(1e-3, 1.0),
    }

    preset: Literal["paper", "official"] = setting(
        "paper", help="Version of DSCMR: its paper or its official code.", choices=tuple(PRESETS)
    )
    alpha: float = setting(1.0, help="Factor of J1; 0 leaves it out.", low=0)
    lam: float | None = setting(None, help="Factor of J2; 0 leaves it out.", low=0)
    eta: float | None = setting(None, help="Factor of J3; 0 leaves it out.", low=0)
    classifier: Classifier | None = setting(
        None,
        help="Label predictor: without a bias, with one, or in closed form.",
        choices=(*get_args(Classifier), None),
    )
    norm: ResidualNorm | None = setting(
        None,
        help="Norm of the residuals in J1 and J3: Frobenius norm over n, or mean over the rows.",
        choices=(*get_args(ResidualNorm), None),
    )
    relu_after_shared: bool | None = setting(None, help="Put a ReLU after the shared layer.")
    betas: tuple[float, float] | None = declared(TrainingSettings, "betas", None)
    shuffle: bool | None = declared(TrainingSettings, "shuffle", None)
    epochs: int | None = None  # type: ignore[assignment]
    patience: int | None = 100
    batch_size: int | None = None  # type: ignore[assignment]
    learning_rate: float | None = None  # type: ignore[assignment]
    hidden_dim: int | None = None  # type: ignore[assignment]
    embedding_dim: int | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        resolved = self if self._is_resolved else self.resolve("features")
        if resolved.alpha == resolved.lam == resolved.eta == 0:
            raise SettingError(
                "`alpha`, `lam` and `eta` must not all be 0: nothing would be trained",
                advice="give at least one of them a value above 0",
            )

    def resolve(self, kind: str) -> "DSCMR":
        """Return the method with a value for each setting that is None.

        Args:
            kind: Key of ``INPUT_DEFAULTS``.
        """
        defaults = {**PRESETS[self.preset], **INPUT_DEFAULTS[kind]}
        return replace(
            self,
            **{name: value for name, value in defaults.items() if getattr(self, name) is None},
        )

    @property
    def _is_resolved(self) -> bool:
        return all(
            getattr(self, one.name) is not None
            for one in fields(self)
            if one.name not in ("patience", "minutes")
        )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return branches with a shared layer and a classifier."""
        settings = self.resolve(_input_kind(data))
        assert settings.classifier is not None
        assert settings.relu_after_shared is not None
        assert settings.hidden_dim is not None
        assert settings.embedding_dim is not None
        return DSCMRNetwork(
            DSCMRConfig(
                backbones=data.backbones,
                classes=len(data.train.class_names),
                hidden_dim=settings.hidden_dim,
                embedding_dim=settings.embedding_dim,
                relu_after_shared=settings.relu_after_shared,
                classifier=settings.classifier,
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return J, and J1, J2 and J3 before weighting."""
        assert isinstance(network, DSCMRNetwork)
        settings = self.resolve(_input_kind(data))
        assert settings.norm is not None
        assert settings.lam is not None
        assert settings.eta is not None
        return dscmr_loss(
            network,
            batch,
            norm=settings.norm,
            alpha=settings.alpha,
            lam=settings.lam,
            eta=settings.eta,
        )

    def training_settings(self, data: TrainingData) -> TrainingSettings:
        """Return the settings of the training loop, none of them None."""
        return super(DSCMR, self.resolve(_input_kind(data))).training_settings(data)


def dscmr_loss(
    network: DSCMRNetwork,
    batch: Batch,
    *,
    norm: ResidualNorm,
    alpha: float,
    lam: float,
    eta: float,
) -> dict[str, Tensor]:
    """Return J = alpha J1 + lambda J2 + eta J3 of a batch; alpha is 1 in the paper.

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 5.

    Args:
        network: Of DSCMR.
        batch: Some samples.
        norm: Norm of the residuals in J1 and J3.
        alpha: Factor of J1.
        lam: Factor of J2.
        eta: Factor of J3.

    Returns:
        "loss", which is J, and "J1", "J2", "J3" before weighting, all scalars.
    """
    outputs: Mapping[str, Outputs] = batch.outputs(network)
    representations = {name: output.representation for name, output in outputs.items()}
    with torch.autocast(batch.labels.device.type, enabled=False):
        labeled = [_labeled(output, batch, name) for name, output in outputs.items()]
        if network.config.classifier == "closed_form":
            labeled = _predict_in_closed_form(network, labeled)
        zero = batch.labels.new_zeros(())
        j1 = sum(
            (label_space_loss(part.prediction, part.labels, norm) for part in labeled), start=zero
        )
        j2 = sum(
            (
                common_space_loss(
                    one.representation, other.representation, one.labels, other.labels
                )
                for one, other in combinations_with_replacement(labeled, 2)
            ),
            start=zero,
        )
        j3 = sum(
            (
                modality_invariance_loss(*batch.pairs(representations, one, other), norm)
                for one, other in combinations(outputs, 2)
            ),
            start=zero,
        )
        loss = alpha * j1 + lam * j2 + eta * j3
    return {"loss": loss, "J1": j1, "J2": j2, "J3": j3}


def _input_kind(data: TrainingData) -> str:
    """Return what the network is trained on, as a key of ``INPUT_DEFAULTS``."""
    raw = [name for name, column in data.train.columns.items() if column.kind != "features"]
    pretrained = [
        name
        for name, encoder in data.encoders.items()
        if any(isinstance(module, PretrainedBackbone) for module in encoder.backbone.modules())
    ]
    if not raw:
        return "features"
    return "encoders" if all(name in pretrained for name in raw) else "scratch"


class _Labeled(NamedTuple):
    """The labeled samples of one modality in a batch."""

    representation: Tensor
    prediction: Tensor
    labels: Tensor


def _labeled(output: Outputs, batch: Batch, modality: str) -> _Labeled:
    if batch.complete:
        return _Labeled(output.representation, output.prediction, batch.labels)
    labels = batch.labels[batch.present[modality]]
    known = labels.any(dim=1)
    return _Labeled(output.representation[known], output.prediction[known], labels[known])


def _predict_in_closed_form(network: DSCMRNetwork, parts: list[_Labeled]) -> list[_Labeled]:
    """Predict with the classifier, which is set to its closed form on a training batch first."""
    if network.training:
        filled = [part for part in parts if len(part.labels)]
        if filled:
            network.set_classifier(
                closed_form_classifier(
                    [part.representation for part in filled], [part.labels for part in filled]
                )
            )
    return [part._replace(prediction=network.classifier(part.representation)) for part in parts]
