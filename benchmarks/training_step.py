"""Time of one training step of DSCMR, compared with a plain PyTorch loop with default Adam.

    python benchmarks/training_step.py

Batches of 100 samples with the dimensions of Pascal Sentence: 4096-d image and 300-d text features,
20 classes. Rounds of both loops alternate, so that other load affects both equally; the figure is
the median of the rounds' ratios. A second table shows how far the losses of both loops, and of ours
in float32, are from float64.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize, relu, softplus

import commonspace as cs
from commonspace.encoders import Vectors
from commonspace.machine import Precision
from commonspace.methods.dscmr import dscmr_loss
from commonspace.networks.dscmr import DSCMRConfig, DSCMRNetwork
from commonspace.training import Batch, RunConfig, Samples, TrainingSettings, train

SAMPLES, BATCH, IMAGE, TEXT, CLASSES = 800, 100, 4096, 300, 20


def pascal_shapes(seed: int) -> cs.Dataset:
    """Return random features with the dimensions of Pascal Sentence and class means."""
    generator = np.random.default_rng(seed)
    classes = np.arange(SAMPLES) % CLASSES
    columns = {
        name: cs.Features(
            np.abs(
                generator.normal(size=(SAMPLES, size))
                + generator.normal(size=(CLASSES, size))[classes]
            )
        )
        for name, size in (("image", IMAGE), ("text", TEXT))
    }
    return cs.Dataset(
        name="pascal shapes",
        ids=tuple(map(str, range(SAMPLES))),
        columns=columns,
        labels=np.eye(CLASSES, dtype=bool)[classes],
        class_names=tuple(map(str, range(CLASSES))),
        splits=np.full(SAMPLES, "train"),
    )


class Plain(nn.Module):
    """DSCMR as in its official code, written plainly."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.image, self.text = nn.Linear(IMAGE, 2048), nn.Linear(TEXT, 2048)
        self.shared, self.classifier = nn.Linear(2048, 1024), nn.Linear(1024, CLASSES)

    def loss(self, images: torch.Tensor, texts: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return J of one batch."""
        u, v = self.shared(relu(self.image(images))), self.shared(relu(self.text(texts)))
        j1 = sum((self.classifier(z) - labels).norm(dim=1).mean() for z in (u, v))
        similar = (labels @ labels.T > 0).to(labels.dtype)
        a, b = normalize(u), normalize(v)
        products = (a @ b.T / 2, a @ a.T / 2, b @ b.T / 2)
        j2 = sum((softplus(g) - similar * g).mean() for g in products)
        total: torch.Tensor = j1 + 1e-3 * j2 + 1e-1 * (u - v).norm(dim=1).mean()
        return total


def fast(data: cs.Dataset, epochs: int, precision: Precision) -> list[float]:
    """Train with the loop of this package; return the loss of each epoch."""
    torch.manual_seed(0)
    sizes = {"image": IMAGE, "text": TEXT}
    backbones = {name: {"kind": "vectors", "size": size} for name, size in sizes.items()}
    network = DSCMRNetwork(
        DSCMRConfig(backbones, CLASSES, relu_after_shared=False, classifier="affine")
    )
    inputs = {name: Vectors(size) for name, size in sizes.items()}
    samples = Samples(data, inputs, torch.device("cpu"))
    settings = TrainingSettings(
        epochs, BATCH, 1e-4, shuffle=False, device="cpu", precision=precision
    )

    def loss(network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        assert isinstance(network, DSCMRNetwork)
        return dscmr_loss(network, batch, norm="rows", alpha=1.0, lam=1e-3, eta=1e-1)

    history = train(network, loss, samples, lambda _: 0.0, settings, RunConfig(), "{}")
    return [record.losses["loss"] for record in history]


def plain(data: cs.Dataset, epochs: int, dtype: torch.dtype = torch.float32) -> list[float]:
    """Train with the plain loop; return the loss of each epoch."""
    torch.manual_seed(0)
    network = Plain().to(dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    columns = [column.values for column in data.columns.values() if isinstance(column, cs.Features)]
    images, texts = (torch.from_numpy(values).to(dtype) for values in columns)
    labels = torch.from_numpy(data.labels).to(dtype)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, SAMPLES, BATCH):
            rows = slice(start, start + BATCH)
            loss = network.loss(images[rows], texts[rows], labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
        losses.append(total / (SAMPLES // BATCH))
    return losses


def seconds_per_step(run: Callable[[], object], epochs: int) -> float:
    """Return the seconds of one step, averaged over some epochs."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / (epochs * SAMPLES / BATCH)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=4, help="epochs per round")
    options = parser.parse_args()
    data, epochs = pascal_shapes(0), options.epochs

    loops: dict[str, Callable[[], object]] = {
        "plain, float32, default Adam": lambda: plain(data, epochs),
        "commonspace, float32": lambda: fast(data, epochs, "float32"),
        "commonspace, bfloat16 products": lambda: fast(data, epochs, "bfloat16"),
    }
    for loop in loops.values():
        loop()
    rounds = [
        [seconds_per_step(loop, epochs) for loop in loops.values()] for _ in range(options.rounds)
    ]
    steps = epochs * SAMPLES // BATCH
    print(f"{torch.get_num_threads()} threads, {options.rounds} rounds of {steps} steps")
    print(f"{'loop':34}{'ms per step':>12}{'of plain':>10}")
    for column, name in enumerate(loops):
        milliseconds = 1000 * median(row[column] for row in rounds)
        ratio = median(row[column] / row[0] for row in rounds)
        print(f"{name:34}{milliseconds:12.1f}{ratio:10.2f}")

    exact = plain(data, 10, torch.float64)
    print("\nloss in each of 10 epochs, largest relative distance from the plain loop in float64")
    for name, losses in (
        ("plain, float32, default Adam", plain(data, 10)),
        ("commonspace, float32", fast(data, 10, "float32")),
        ("commonspace, bfloat16 products", fast(data, 10, "bfloat16")),
    ):
        distance = max(abs(a - b) / b for a, b in zip(losses, exact, strict=True))
        print(f"{name:34}{distance:12.1e}")


if __name__ == "__main__":
    main()
