"""Tip-Adapter: which samples it caches, how it chooses its scale, and what training changes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

import commonspace as cs
from commonspace.data import Dataset
from commonspace.methods import TipAdapter
from commonspace.networks.feature_cache import FeatureCacheNetwork

QUIET = cs.RunConfig()


def network_of(space: cs.CommonSpace) -> FeatureCacheNetwork:
    assert isinstance(space.network, FeatureCacheNetwork)
    return space.network


def test_scale_and_sharpness_maximize_the_leave_one_out_likelihood(
    feature_dataset: Dataset,
) -> None:
    network = network_of(TipAdapter().fit(feature_dataset, run=QUIET))
    train = feature_dataset.split("train")
    classes = train.labels.argmax(axis=1)
    prior = (train.labels.sum(axis=0) + 1) / (len(train) + 4)
    for name, column in train.columns.items():
        x = np.asarray(column.values, dtype=np.float64)  # type: ignore[attr-defined]
        x = x - x.mean(axis=0)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        losses = {}
        for sharpness in (1.0, 2.0, 5.5, 10.0, 20.0, 40.0):
            for scale in 4 * np.array([1, 3, 10, 30, 100, 300, 1000, 3000]):
                total = 0.0
                for row in range(len(x)):
                    logits = np.log(prior)
                    for other in range(len(x)):
                        if other != row:
                            affinity = np.exp(-sharpness * (1 - x[row] @ x[other]))
                            logits[classes[other]] += scale * affinity / len(x)
                    total -= logits[classes[row]] - logsumexp(logits)
                losses[scale, sharpness] = total
        best = min(losses, key=losses.__getitem__)
        found = network.weights(name)[1].exp().tolist()
        assert found == pytest.approx(best, rel=1e-5)


def test_the_trained_form_caches_few_samples_of_each_class(feature_dataset: Dataset) -> None:
    space = TipAdapter(trained=True, shots=3, epochs=1).fit(feature_dataset, run=QUIET)
    values = network_of(space).get_buffer("values_0")
    assert values.sum(dim=0).tolist() == [3, 3, 3, 3]
    assert space.provenance["method"]["name"] == "tip-adapter-f"


def test_training_lowers_the_loss_of_the_keys(feature_dataset: Dataset) -> None:
    """The likelihood of training labels, each without its own key, rises."""
    train = feature_dataset.split("train")
    losses = []
    for trained, epochs in ((False, 1), (True, 60)):
        method = TipAdapter(trained=trained, shots=10, epochs=epochs, learning_rate=1e-2)
        parts = method.prepare(train)
        network = method.solve(parts)
        part = parts["image"]
        log_p = network.log_posteriors("image", part.features, part.own())
        losses.append(-float((part.labels * log_p).sum(dim=1).mean()))
    assert losses[1] < 0.9 * losses[0]


def test_a_sample_of_several_classes_counts_in_equal_shares(feature_dataset: Dataset) -> None:
    labels = feature_dataset.labels.copy()
    labels[0] = [True, True, False, False]
    part = TipAdapter().prepare(replace(feature_dataset, labels=labels))["image"]
    assert part.labels[:2].tolist() == [[0.5, 0.5, 0, 0], [0, 1, 0, 0]]
