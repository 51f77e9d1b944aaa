"""Tip-Adapter: class posteriors from a cache of labeled features, training-free or trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import ClosedFormMethod
from commonspace.methods.base.views import features_at, labeled_rows
from commonspace.networks.feature_cache import FeatureCacheConfig, FeatureCacheNetwork
from commonspace.settings import setting

__all__ = ["TipAdapter"]

SHARPNESS = (1.0, 2.0, 5.5, 10.0, 20.0, 40.0)
SCALES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""In units of the number of classes."""
CHOICE_SAMPLES = 2000
"""Largest number of samples that choose scale and sharpness."""
TRAINED_SHOTS = 16
BATCH = 256


class TipAdapter(ClosedFormMethod):
    """Class posteriors by the similarity to cached samples, compared across modalities.

        p(class | x) = softmax(log prior + a mean_j(exp(-b (1 - cos(x - m, k_j))) y_j))

    for each modality separately, with the features of labeled samples as keys k and their labels as
    values y; the score of two items is p'q, the probability of a shared class. ``trained=False`` is
    Tip-Adapter, which trains nothing; ``trained=True`` is Tip-Adapter-F, which trains the keys, a
    and b by cross-entropy.

    Source: Zhang, Zhang, Fang, Gao, Li, Dai, Qiao, Li: Tip-Adapter: Training-free Adaption of CLIP
    for Few-shot Classification, ECCV 2022; its form F trains the keys alone, on the cached samples,
    and then searches a and b. Differences, so that it works for any encoders: the form F trains a
    and b as well, on all labeled samples, with keys of unit length, the shares of the classes
    replace the zero-shot classifier of CLIP, features are centered, a and b of each modality
    maximize the leave-one-out likelihood of the training labels, and a sample in training does not
    see its own key.

    Needs labels and any number of modalities; no pairs and no equal sizes. A sample of several
    classes counts for each in equal shares. The cached samples are part of the model.
    """

    name: ClassVar[str] = "tip-adapter"

    trained: bool = setting(False, help="Train the keys: False is Tip-Adapter, True Tip-Adapter-F.")
    shots: int | None = setting(
        None, help="Cached samples of each class; None: all, or 16 if they are trained.", low=1
    )
    epochs: int = setting(20, help="Epochs of the training of the keys.", low=1)
    learning_rate: float = setting(1e-3, help="Learning rate of the keys.", above=0)
    seed: int = setting(
        0, help="Random seed of the choice of cached samples and of batches.", low=0
    )

    @property
    def full_name(self) -> str:
        """Name "tip-adapter", or "tip-adapter-f" if it is trained."""
        return "tip-adapter-f" if self.trained else "tip-adapter"

    def prepare(self, train: Dataset) -> dict[str, "_Labeled"]:
        """Return the labeled samples of each modality, and which of them are cached."""
        shots = TRAINED_SHOTS if self.trained and self.shots is None else self.shots
        parts = {}
        for name in train.modalities:
            rows = labeled_rows(train, name)
            marks = train.labels[rows].astype(np.float64)
            shares = marks / marks.sum(axis=1, keepdims=True)
            cached = _choose(train.labels[rows], shots, np.random.default_rng(self.seed))
            parts[name] = _Labeled(
                torch.from_numpy(features_at(train, name, rows)).float(),
                torch.from_numpy(shares).float(),
                torch.from_numpy(cached),
            )
        return parts

    def solve(self, problem: Mapping[str, "_Labeled"]) -> FeatureCacheNetwork:
        """Return the network with the cached samples, trained or not."""
        parts = problem
        network = FeatureCacheNetwork(
            FeatureCacheConfig(
                {name: part.features.shape[1] for name, part in parts.items()},
                {name: len(part.cached) for name, part in parts.items()},
                next(iter(parts.values())).labels.shape[1],
                self.trained,
            )
        )
        draw = torch.Generator().manual_seed(self.seed)
        for name, part in parts.items():
            network.store(
                name,
                part.features[part.cached],
                part.labels[part.cached],
                part.features.mean(dim=0),
                (part.labels.sum(dim=0) + 1) / (len(part.labels) + part.labels.shape[1]),
            )
            network.set_scale(name, *_choose_scale(network, name, part, draw))
            if self.trained:
                self._train(network, name, part, draw)
        return network.requires_grad_(False)

    def _train(
        self, network: FeatureCacheNetwork, name: str, part: "_Labeled", draw: torch.Generator
    ) -> None:
        """Minimize the cross-entropy of the labels along one cosine of the learning rate."""
        weights = network.weights(name)
        optimizer = torch.optim.AdamW(weights, lr=self.learning_rate, eps=1e-4)
        steps = self.epochs * -(-len(part.labels) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        own = part.own()
        for _ in range(self.epochs):
            for rows in torch.split(torch.randperm(len(part.labels), generator=draw), BATCH):
                log_p = network.log_posteriors(name, part.features[rows], own[rows])
                loss = -(part.labels[rows] * log_p).sum(dim=1).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()


@dataclass(frozen=True)
class _Labeled:
    """The labeled samples of one modality."""

    features: Tensor
    """(n, size) float32."""
    labels: Tensor
    """(n, c) float32; rows sum to 1."""
    cached: Tensor
    """(k,) int64, the rows in the cache."""

    def own(self) -> Tensor:
        """Return (n,), the place of each sample in the cache; -1: none."""
        places = torch.full((len(self.features),), -1)
        places[self.cached] = torch.arange(len(self.cached))
        return places


def _choose(
    labels: NDArray[np.bool_], shots: int | None, draw: np.random.Generator
) -> NDArray[np.intp]:
    """Return the rows to cache: all, or a number of each class, drawn at random."""
    if shots is None:
        return np.arange(len(labels))
    chosen = [draw.permutation(np.flatnonzero(marks))[:shots] for marks in labels.T]
    return np.unique(np.concatenate(chosen))


@torch.inference_mode()
def _choose_scale(
    network: FeatureCacheNetwork, name: str, part: _Labeled, draw: torch.Generator
) -> tuple[float, float]:
    """Return the scale and the sharpness of the highest leave-one-out likelihood."""
    some = torch.randperm(len(part.labels), generator=draw)[:CHOICE_SAMPLES]
    own, labels = part.own()[some], part.labels[some]
    mean = part.features.mean(dim=0)
    keys = normalize(part.features[part.cached] - mean)
    distances = 1 - normalize(part.features[some] - mean) @ keys.T
    inside = (own >= 0).nonzero()[:, 0]
    log_prior = network.log_prior(name)
    losses: dict[tuple[float, float], float] = {}
    for sharpness in SHARPNESS:
        affinity = torch.exp(-sharpness * distances)
        affinity[inside, own[inside]] = 0
        by_class = affinity @ part.labels[part.cached] / len(keys)
        for scale in (one * labels.shape[1] for one in SCALES):
            log_p = (log_prior + scale * by_class).log_softmax(dim=1)
            losses[scale, sharpness] = -float((labels * log_p).sum(dim=1).mean())
    return min(losses, key=losses.__getitem__)
