"""The released code of DSCMR, written from its formulas: loss, network, training step and metric.

    U = W h(x) + b,  h(x) = ReLU(W_m x + b_m)      no ReLU after the shared layer
    J = J1 + lambda J2 + eta J3, J1 and J3 as means of the norms of rows
    Adam with betas (0.5, 0.999) and learning rate 1e-4; batches of 100 in the order of the file

It is what the rows of the benchmark are compared with, and what their results are checked against.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn.functional import normalize, relu, softplus

__all__ = ["ReleasedNetwork", "released_epochs", "released_map"]


class ReleasedNetwork(nn.Module):
    """Two branches, a shared layer and a linear classifier."""

    def __init__(self, image: int, text: int, classes: int, hidden: int, size: int) -> None:
        """Build the layers."""
        super().__init__()
        self.image, self.text = nn.Linear(image, hidden), nn.Linear(text, hidden)
        self.shared, self.classifier = nn.Linear(hidden, size), nn.Linear(size, classes)

    def loss(self, images: Tensor, texts: Tensor, labels: Tensor) -> Tensor:
        """Return J of one batch; labels are (n, c), one-hot."""
        u, v = self.shared(relu(self.image(images))), self.shared(relu(self.text(texts)))
        j1 = sum((self.classifier(z) - labels).norm(dim=1).mean() for z in (u, v))
        similar = (labels @ labels.T > 0).to(labels.dtype)
        a, b = normalize(u), normalize(v)
        products = (a @ b.T / 2, a @ a.T / 2, b @ b.T / 2)
        j2 = sum((softplus(g) - similar * g).mean() for g in products)
        total: Tensor = j1 + 1e-3 * j2 + 1e-1 * (u - v).norm(dim=1).mean()
        return total


def released_epochs(
    network: ReleasedNetwork, images: Tensor, texts: Tensor, labels: Tensor, epochs: int, batch: int
) -> list[float]:
    """Train in place with the default Adam of PyTorch; return the mean loss of each epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.999))
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(labels), batch):
            rows = slice(start, start + batch)
            loss = network.loss(images[rows], texts[rows], labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(labels[rows])
        losses.append(total / len(labels))
    return losses


def released_map(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: NDArray[np.intp],
    gallery_labels: NDArray[np.intp],
) -> float:
    """Return the mAP over the whole ranking: cosine distances in float64, a loop over ranks."""
    order = np.argsort(cdist(query, gallery, "cosine"))
    values = []
    for label, row in zip(query_labels, order, strict=True):
        precision, hits = 0.0, 0
        for rank, item in enumerate(row, 1):
            if gallery_labels[item] == label:
                hits += 1
                precision += hits / rank
        values.append(precision / hits if hits else 0.0)
    return float(np.mean(values))
