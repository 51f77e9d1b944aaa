"""Training steps of DSCMR against the released step, and against products and one pass of Adam."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

import commonspace as cs
from benchmarks.bench.measure import Bar, Rival, Size, Work
from benchmarks.bench.released import ReleasedNetwork, released_epochs
from commonspace.encoders import Vectors
from commonspace.machine import Precision, choose_precision
from commonspace.methods.dscmr import dscmr_loss
from commonspace.networks.dscmr import DSCMRConfig, DSCMRNetwork
from commonspace.training import Batch, RunConfig, Samples, TrainingSettings, train

__all__ = ["Shapes", "least", "networks", "official_loss", "step_work", "works"]


class Shapes:
    """Sizes and random data of a training; the default are those of Pascal Sentence."""

    def __init__(
        self,
        *,
        samples: int = 800,
        image: int = 4096,
        text: int = 300,
        classes: int = 20,
        hidden: int = 2048,
        size: int = 1024,
        batch: int = 100,
        device: str = "cpu",
    ) -> None:
        self.samples, self.classes, self.batch = samples, classes, batch
        self.image, self.text, self.hidden, self.size = image, text, hidden, size
        self.device = torch.device(device)
        rng = np.random.default_rng(0)
        numbers = np.arange(samples) % classes
        self.columns = {
            name: cs.Features(
                np.abs(
                    rng.normal(size=(samples, width)) + rng.normal(size=(classes, width))[numbers]
                )
            )
            for name, width in (("image", image), ("text", text))
        }
        self.labels = np.eye(classes, dtype=bool)[numbers]

    def dataset(self) -> cs.Dataset:
        """Return the data as a training split."""
        return cs.Dataset(
            name="random features",
            ids=tuple(map(str, range(self.samples))),
            columns=self.columns,
            labels=self.labels,
            class_names=tuple(map(str, range(self.classes))),
            splits=np.full(self.samples, "train"),
        )


def works(size: Size) -> Iterator[Work]:
    """Yield the works of a size."""
    shapes = (
        Shapes(samples=40, image=32, text=16, classes=4, hidden=32, size=16, batch=10)
        if size == "smallest"
        else Shapes()
    )
    epochs = 1 if size == "smallest" else 2
    yield step_work(shapes, epochs, "float32", Bar("limit", 1.25))
    if choose_precision("auto", torch.device("cpu")) is torch.bfloat16:
        yield step_work(shapes, epochs, "bfloat16", Bar("peer", 0.4))


def official_loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Return J of the released code, and its terms."""
    assert isinstance(network, DSCMRNetwork)
    return dscmr_loss(network, batch, norm="rows", alpha=1.0, lam=1e-3, eta=1e-1)


def step_work(shapes: Shapes, epochs: int, precision: Precision, bar: Bar) -> Work:
    """Return a work of some epochs from fresh weights, without validation."""
    steps = epochs * -(-shapes.samples // shapes.batch)
    samples = Samples(
        shapes.dataset(),
        {name: Vectors(column.size) for name, column in shapes.columns.items()},
        shapes.device,
    )
    settings = TrainingSettings(
        epochs,
        shapes.batch,
        1e-4,
        betas=(0.5, 0.999),
        shuffle=False,
        device=str(shapes.device),
        precision=precision,
    )
    network, released = networks(shapes)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    tensors = [torch.from_numpy(column.values) for column in shapes.columns.values()]
    images, texts = (one.to(shapes.device) for one in tensors)
    labels = torch.from_numpy(shapes.labels).float().to(shapes.device)

    def ours() -> list[float]:
        history = train(network, official_loss, samples, lambda _: 0.0, settings, RunConfig(), "{}")
        return [record.losses["loss"] for record in history]

    def peer() -> list[float]:
        return released_epochs(released, images, texts, labels, epochs, shapes.batch)

    limit = least(shapes, steps)

    def check() -> None:
        found, expected = ours(), peer()
        limit()
        network.load_state_dict(start)
        tolerance = 1e-4 if precision == "float32" else 2e-2
        np.testing.assert_allclose(found, expected, rtol=tolerance)

    return Work(
        f"DSCMR, {steps} steps of {shapes.batch} x ({shapes.image:,} + {shapes.text}), {precision}",
        ours,
        Rival("released code", peer),
        Rival("its products and one pass of Adam", limit),
        (bar,),
        check,
    )


def least(shapes: Shapes, steps: int) -> Callable[[], None]:
    """Return what a step cannot do without: the products of both ways, one fused pass of Adam."""
    n, device = shapes.batch, shapes.device
    layers = [
        # rows, inputs, outputs, and whether the gradient goes further back
        (n, shapes.image, shapes.hidden, False),
        (n, shapes.text, shapes.hidden, False),
        (2 * n, shapes.hidden, shapes.size, True),
        (2 * n, shapes.size, shapes.classes, True),
    ]
    tensors = [
        (torch.rand(rows, a, device=device), torch.rand(b, a, device=device),
         torch.rand(rows, b, device=device), back)
        for rows, a, b, back in layers
    ]  # fmt: skip
    weights = torch.cat([weight.flatten() for _, weight, _, _ in tensors])
    weights.grad = torch.rand_like(weights)
    optimizer = torch.optim.Adam([weights], lr=1e-4, fused=True)

    def run() -> None:
        for _ in range(steps):
            for x, weight, gradient, back in tensors:
                x @ weight.T
                gradient.T @ x
                if back:
                    gradient @ weight
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def networks(shapes: Shapes) -> tuple[DSCMRNetwork, ReleasedNetwork]:
    """Return both networks with equal weights."""
    backbones = {
        name: {"kind": "vectors", "size": column.size} for name, column in shapes.columns.items()
    }
    config = DSCMRConfig(
        backbones,
        shapes.classes,
        hidden_dim=shapes.hidden,
        embedding_dim=shapes.size,
        relu_after_shared=False,
        classifier="affine",
    )
    torch.manual_seed(0)
    network = DSCMRNetwork(config)
    released = ReleasedNetwork(
        shapes.image, shapes.text, shapes.classes, shapes.hidden, shapes.size
    )
    pairs = (
        (released.image, network.hidden[0]),
        (released.text, network.hidden[1]),
        (released.shared, network.shared),
        (released.classifier, network.classifier),
    )
    for one, other in pairs:
        one.load_state_dict(other.state_dict())
    return network.to(shapes.device), released.to(shapes.device)
