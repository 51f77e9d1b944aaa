"""The objective of DSCMR over one batch: its three terms, over whatever the batch holds."""

from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import NamedTuple

import torch
from torch import Tensor, nn

from commonspace.losses import (
    ResidualNorm,
    common_space_loss,
    label_space_loss,
    modality_invariance_loss,
)
from commonspace.methods.base.batches import paired
from commonspace.networks.dscmr import DSCMRNetwork, Outputs, closed_form_classifier
from commonspace.training import Batch

__all__ = ["DSCMRObjective"]


@dataclass(frozen=True)
class DSCMRObjective:
    """J = w J1 + lambda J2 + eta J3, where w is 1 in the paper.

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 5.

    Args:
        reduction: how J1 and J3 measure a residual.
        label_weight: w.
        lambda_: the factor of J2.
        eta: the factor of J3.
    """

    reduction: ResidualNorm
    label_weight: float
    lambda_: float
    eta: float

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return J as "loss", and "J1", "J2" and "J3" before weighting, all scalars."""
        assert isinstance(network, DSCMRNetwork)
        outputs = network(batch.inputs)
        representations = {name: output.representation for name, output in outputs.items()}
        with torch.autocast(batch.labels.device.type, enabled=False):
            labelled = [_labelled(output, batch, name) for name, output in outputs.items()]
            if network.config.classifier == "closed_form":
                labelled = _with_closed_form(network, labelled)
            j1 = sum(
                (label_space_loss(one.prediction, one.labels, self.reduction) for one in labelled),
                start=batch.labels.new_zeros(()),
            )
            j2 = sum(
                (
                    common_space_loss(
                        one.representation, other.representation, one.labels, other.labels
                    )
                    for one, other in combinations_with_replacement(labelled, 2)
                ),
                start=batch.labels.new_zeros(()),
            )
            j3 = sum(
                (
                    modality_invariance_loss(
                        *paired(representations, batch, one, other), self.reduction
                    )
                    for one, other in combinations(outputs, 2)
                ),
                start=batch.labels.new_zeros(()),
            )
            loss = self.label_weight * j1 + self.lambda_ * j2 + self.eta * j3
        return {"loss": loss, "J1": j1, "J2": j2, "J3": j3}


class _Labelled(NamedTuple):
    """The labelled samples of one modality in a batch."""

    representation: Tensor
    prediction: Tensor
    labels: Tensor


def _labelled(output: Outputs, batch: Batch, modality: str) -> _Labelled:
    labels = batch.labels[batch.present[modality]]
    known = labels.any(dim=1)
    return _Labelled(output.representation[known], output.prediction[known], labels[known])


def _with_closed_form(network: DSCMRNetwork, parts: list[_Labelled]) -> list[_Labelled]:
    """Set the classifier to its closed form on this batch, when training, and predict with it."""
    if network.training:
        filled = [part for part in parts if len(part.labels)]
        if filled:
            network.set_classifier(
                closed_form_classifier(
                    [part.representation for part in filled], [part.labels for part in filled]
                )
            )
    return [part._replace(prediction=network.classifier(part.representation)) for part in parts]
