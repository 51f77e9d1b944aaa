"""Gradients of every method for some batches, in float64, by one process or by several.

As a script it is one of several processes: python gradients.py OUT, with the variables of torchrun.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data import Dataset, Features, Images, Texts
from commonspace.distributed import Processes, join_processes, whole_batch_layers
from commonspace.methods import GradientMethod
from commonspace.registry import METHODS, make_method
from commonspace.space import CommonSpace
from commonspace.training import RunConfig
from commonspace.training.shared_batch import shared_batches

TINY: dict[str, Any] = {
    "hidden_dim": 8,
    "embedding_dim": 6,
    "epochs": 2,
    "batch_size": 7,
    "device": "cpu",
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "dscmr without J1": ("dscmr", {"alpha": 0.0}),
    "dscmr without J2": ("dscmr", {"lam": 0.0}),
    "dscmr official": ("dscmr", {"preset": "official"}),
    "dscmr closed form": ("dscmr", {"classifier": "closed_form"}),
    "infonce sigmoid": ("infonce", {"objective": "sigmoid"}),
    "infonce, fixed temperature": ("infonce", {"learn_temperature": False}),
    "raw": ("dscmr", {}),
}
ROWS = ([3], [0, 5, 7], list(range(19)))
"""Batches smaller than the number of processes, and one that it does not divide."""

Arrays = dict[str, NDArray[np.float64]]


def methods() -> Iterator[tuple[str, GradientMethod]]:
    """Yield every gradient method, and settings of which the loss takes another way."""
    for name in METHODS:
        if isinstance(make_method(name), GradientMethod):
            yield name, cast(GradientMethod, make_method(name, **TINY))
    for variant, (name, options) in VARIANTS.items():
        yield variant, cast(GradientMethod, make_method(name, **{**TINY, **options}))


def features(modalities: int, gaps: float) -> Dataset:
    """Return features of 24 + 12 samples, of which some lack a modality and some a label."""
    draw = np.random.default_rng(modalities)
    n = 36
    sizes = dict(zip(("image", "text", "sound"), (6, 5, 4), strict=True))
    present = draw.random((modalities, n)) >= gaps
    present[:, (present.sum(axis=0) == 0) | (np.arange(n) >= 24)] = True
    labels = np.eye(3, dtype=bool)[np.arange(n) % 3]
    labels[draw.random(n) < gaps / 2] = False
    return Dataset(
        name="points",
        ids=tuple(map(str, range(n))),
        columns={
            name: Features(draw.normal(size=(n, size)), mask)
            for (name, size), mask in zip(list(sizes.items())[:modalities], present, strict=True)
        },
        labels=labels,
        class_names=("a", "b", "c"),
        splits=np.repeat(["train", "validation"], [24, 12]),
    )


def raw() -> Dataset:
    """Return small pictures and texts."""
    draw = np.random.default_rng(8)
    n = 36
    return Dataset(
        name="raw",
        ids=tuple(map(str, range(n))),
        columns={
            "image": Images(list(draw.integers(0, 255, (n, 32, 32, 3), dtype=np.uint8))),
            "text": Texts([(f"word{i % 3} word{i % 5}",) for i in range(n)]),
        },
        labels=np.eye(3, dtype=bool)[np.arange(n) % 3],
        class_names=("a", "b", "c"),
        splits=np.repeat(["train", "validation"], [24, 12]),
    )


def data_for(name: str) -> Dataset:
    """Return data that a method supports."""
    if name == "raw":
        return raw()
    return features(2, 0.2) if name in ("dcca", "dccae") else features(3, 0.3)


def gradients(processes: Processes | None) -> Arrays:
    """Return loss and gradients of each method and batch, in float64."""
    results: Arrays = {}
    for name, method in methods():
        dataset = data_for(name)
        parts = dataset.split("train"), dataset.split("validation")
        data = method.prepare(*parts, RunConfig())
        torch.manual_seed(1)
        network = method.build_network(data).double().train()
        samples = data.samples
        samples.labels = samples.labels.double()
        samples.inputs = {
            key: x.double() if x.is_floating_point() else x for key, x in samples.inputs.items()
        }
        data = replace(data, targets=data.targets.double()) if hasattr(data, "targets") else data  # type: ignore[call-arg]
        chunks = [torch.tensor(rows) for rows in ROWS]
        batches = samples.batches(chunks, 0, processes)
        if processes is not None:
            batches = shared_batches(batches, processes)
        for number, batch in enumerate(batches):
            torch.manual_seed(number)
            network.zero_grad()
            if processes is None:
                loss = method.batch_loss(network, batch, data)["loss"]
                loss.backward()  # type: ignore[no-untyped-call]
            else:
                with whole_batch_layers(network, processes):
                    loss = method.batch_loss(network, batch, data)["loss"]
                    with processes.computing_share():
                        loss.backward()  # type: ignore[no-untyped-call]
                processes.average_gradients(network.parameters())
            results[f"{name}/{number}/loss"] = loss.detach().numpy()
            for key, weight in network.named_parameters():
                if weight.grad is not None:
                    results[f"{name}/{number}/{key}"] = weight.grad.numpy().copy()
        for key, buffer in network.named_buffers():
            results[f"{name}/buffers/{key}"] = buffer.double().numpy().copy()
    return results


def spaces(processes: Processes | None) -> Arrays:
    """Return embeddings of validation by spaces that are trained for a few epochs, float32."""
    results: Arrays = {}
    for name in ("dscmr", "posterior", "dcca", "rono", "raw"):
        method = dict(methods())[name]
        dataset = data_for(name)
        space: CommonSpace = method.fit(dataset, run=RunConfig(processes=processes))
        validation = dataset.split("validation")
        for modality, column in validation.columns.items():
            items = column.values if isinstance(column, Features) else column.items  # type: ignore[attr-defined]
            results[f"{name}/{modality}"] = space.embed(modality, items).astype(np.float64)
        for record in (space.provenance["chosen"],):
            results[f"{name}/score"] = np.array(record["validation_score"])
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    with join_processes("cpu") as group:
        assert group is not None
        trained = spaces(group)
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
        found = gradients(group)
        if group.rank == int(os.environ["WORLD_SIZE"]) - 1:  # not the first: all have the result
            arrays: dict[str, Any] = {f"gradient/{key}": value for key, value in found.items()}
            arrays |= {f"space/{key}": value for key, value in trained.items()}
            np.savez(Path(sys.argv[1]), **arrays)
