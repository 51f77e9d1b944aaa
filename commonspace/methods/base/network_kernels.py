"""Kernel machines in the network of posterior matching: their copy, and their description."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.methods.base.kernel_posteriors import KernelPosteriors
from commonspace.networks.kernel import set_buffers
from commonspace.networks.posterior import PosteriorNetwork

__all__ = ["describe_kernels", "set_kernels"]


def set_kernels(network: PosteriorNetwork, kernels: KernelPosteriors, train: Dataset) -> None:
    """Copy fitted kernel machines into a network, with the scaling of all features.

    Args:
        network: With machines of these sizes; it is changed in place.
        kernels: They read all features of a modality, or its leading ones. Features behind those
            get the power of the machine, mean 0 and variance 1.
        train: The training split; columns are features.
    """
    for name, machine in kernels.machines.items():
        column = train.columns[name]
        assert isinstance(column, Features)
        count = len(machine.shift)
        rest = column.values[column.present, count:].astype(np.float64)
        shift, weight = _scaling(rest, machine.scaling.power)
        set_buffers(
            network.scale(name),
            power=machine.scaling.power,
            shift=np.concatenate([machine.shift, shift]),
            weight=np.concatenate([machine.weight, weight]),
        )
        set_buffers(
            network.kernel(name),
            landmarks=machine.landmarks,
            width=machine.width,
            coefficients=machine.coefficients,
            bias=machine.bias,
        )


def _scaling(
    features: NDArray[np.float64], power: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shift and weight that give each feature, after the power, mean 0 and variance 1."""
    raised = np.sign(features) * np.abs(features) ** power
    spread = raised.std(axis=0)
    weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return raised.mean(axis=0), weight


def describe_kernels(kernels: KernelPosteriors, network: PosteriorNetwork) -> dict[str, Any]:
    """Return the fitted posteriors for the provenance of the space, as JSON.

    Args:
        kernels: The fitted machines.
        network: With temperatures and shares of the mixture.
    """
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
