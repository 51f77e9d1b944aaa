"""Gradient-boosted posteriors, a baseline: an ensemble of trees for each modality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.extras import optional
from commonspace.methods.base.closed_form import ClosedFormMethod, values_to_try
from commonspace.methods.base.views import features_at, labeled_rows
from commonspace.networks.boosted import BoostedConfig, BoostedNetwork, Trees
from commonspace.settings import setting

__all__ = ["BoostedTrees"]

ROUNDS = (5, 10, 20, 40, 100)
PENALTY = 1.0
"""Of squared leaf values. Without it the trees of small classes diverge: on the texts of fashion
(55 classes, the smallest of 16 samples) accuracy falls from 0.67 after 5 rounds to 0.10 after 20,
and with it rises from 0.76 to 0.89."""
LEAVES = (4, 15)


class BoostedTrees(ClosedFormMethod):
    """Class posteriors by gradient-boosted trees, compared by the probability of a shared class.

        p(class | x) = softmax(b + v sum over rounds t of f_t(x)),   one tree a class and round

    for each modality separately; the score of two items is p'q. The trees are those of
    scikit-learn's ``HistGradientBoostingClassifier`` (learning rate v = 0.1, at least 20 samples a
    leaf, squared leaf values penalized by 1, no early stopping), kept as tables of nodes, so that a
    saved space needs no scikit-learn.
    Source: Friedman: Greedy Function Approximation: A Gradient Boosting Machine, Annals of
    Statistics 29, 2001, with histograms as in Ke et al.: LightGBM, NeurIPS 2017.

    Needs labels and any number of modalities; no pairs and no equal sizes. A sample of several
    classes counts for each in equal shares. With fewer than 40 samples of a modality no split has
    20 samples on both sides, and the posterior is the share of each class. Nothing is random.
    There are no published results on the benchmarks of this field.

    Raises:
        MissingExtraError: in ``fit``, if scikit-learn is not installed.
    """

    name: ClassVar[str] = "boosted"

    rounds: int | None = setting(
        None, help="Number of trees for each class; None: chosen on validation.", low=1
    )
    leaves: int | None = setting(
        None, help="Largest number of leaves of a tree; None: chosen on validation.", low=2
    )

    def prepare(self, train: Dataset) -> "_Problem":
        """Return features, classes and weights of the labeled samples of each modality."""
        samples = {}
        for name in train.modalities:
            rows = labeled_rows(train, name)
            sample, label = np.nonzero(train.labels[rows])
            weights = 1 / train.labels[rows].sum(axis=1)[sample]
            samples[name] = _Samples(features_at(train, name, rows)[sample], label, weights)
        return _Problem(samples, len(train.class_names))

    def candidates(self, problem: "_Problem") -> Sequence["BoostedTrees"]:
        """Return every number of leaves with every number of rounds."""
        leaves, rounds = values_to_try(self.leaves, LEAVES), values_to_try(self.rounds, ROUNDS)
        return [replace(self, leaves=k, rounds=t) for k, t in product(leaves, rounds)]

    def solve(self, problem: "_Problem") -> BoostedNetwork:
        """Return the first rounds of the trees with this number of leaves."""
        assert self.rounds is not None
        assert self.leaves is not None
        longest = self.rounds if self.rounds not in ROUNDS else max(ROUNDS)
        trees = {
            name: _tables(problem.fitted(name, self.leaves, longest), self.rounds, problem.classes)
            for name in problem.samples
        }
        config = BoostedConfig(
            sizes={name: part.features.shape[1] for name, part in problem.samples.items()},
            nodes={name: len(part.feature) for name, (part, _) in trees.items()},
            trees={name: len(part.roots) for name, (part, _) in trees.items()},
            depths={name: depth for name, (_, depth) in trees.items()},
            classes=problem.classes,
        )
        network = BoostedNetwork(config)
        for name, (part, _) in trees.items():
            network.store(name, part)
        return network


@dataclass(frozen=True)
class _Samples:
    """A row for each class of each labeled sample: float64 features, class, weight."""

    features: NDArray[np.float64]
    label: NDArray[np.intp]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class _Boosted:
    """The trees of one modality, and the logits before the first round."""

    rounds: Sequence[Sequence[Any]]
    """The trees of each round."""
    targets: NDArray[np.intp]
    """The class that each tree of a round adds to."""
    present: NDArray[np.intp]
    """The classes that have samples."""
    base: NDArray[np.float64]
    """Their logits."""


@dataclass(frozen=True)
class _Problem:
    """Samples of each modality, and the trees that were fitted so far."""

    samples: Mapping[str, _Samples]
    classes: int
    done: dict[tuple[str, int, int], _Boosted] = field(default_factory=dict)

    def fitted(self, modality: str, leaves: int, rounds: int) -> _Boosted:
        """Return the trees of a modality; their first rounds do not depend on their number."""
        key = modality, leaves, rounds
        if key not in self.done:
            self.done[key] = _fit(self.samples[modality], leaves, rounds)
        return self.done[key]


def _fit(samples: _Samples, leaves: int, rounds: int) -> _Boosted:
    present = np.unique(samples.label)
    if len(present) == 1:
        return _Boosted([], present, present, np.zeros(1))
    ensemble = optional("sklearn.ensemble", "boosted", "encoders")
    model = ensemble.HistGradientBoostingClassifier(
        max_iter=rounds,
        max_leaf_nodes=leaves,
        l2_regularization=PENALTY,
        early_stopping=False,
        random_state=0,
    )
    equal = (samples.weights == 1).all()  # weights make the histograms ten times as slow
    model.fit(samples.features, samples.label, None if equal else samples.weights)
    # The trees have no public name; a test compares their posteriors with predict_proba.
    base = np.ravel(model._baseline_prediction)
    if len(present) == 2:  # one tree a round, for the logit of the second class
        return _Boosted(model._predictors, present[1:], present, np.array([0.0, *base]))
    return _Boosted(model._predictors, present, present, base)


def _tables(boosted: _Boosted, rounds: int, classes: int) -> tuple[Trees, int]:
    """Return the trees of the first rounds as tables, and their depth."""
    trees = [
        (tree.nodes, target)
        for one in boosted.rounds[:rounds]
        for tree, target in zip(one, boosted.targets, strict=True)
    ]
    sizes = [len(nodes) for nodes, _ in trees]
    starts = np.cumsum([0, *sizes])[:-1].astype(np.int64)
    columns = {
        name: np.concatenate([nodes[name] for nodes, _ in trees] or [np.zeros(0)])
        for name in ("feature_idx", "num_threshold", "left", "right", "value", "is_leaf", "depth")
    }
    leaf = columns["is_leaf"].astype(bool)
    itself, offset = np.arange(len(leaf)), np.repeat(starts, sizes)
    left, right = (
        torch.from_numpy(np.where(leaf, itself, columns[side].astype(np.int64) + offset))
        for side in ("left", "right")
    )
    base = np.full(classes, -np.inf)
    base[boosted.present] = boosted.base
    result = Trees(
        feature=torch.from_numpy(np.where(leaf, 0, columns["feature_idx"]).astype(np.int64)),
        threshold=torch.from_numpy(_round_down(np.where(leaf, 0, columns["num_threshold"]))),
        left=left,
        right=right,
        value=torch.from_numpy(np.where(leaf, columns["value"], 0).astype(np.float32)),
        roots=torch.from_numpy(starts),
        target=torch.tensor([int(target) for _, target in trees], dtype=torch.int64),
        base=torch.from_numpy(base).float(),
    )
    return result, int(columns["depth"].max(initial=0))


def _round_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above: x <= value is the same for float32 x."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
