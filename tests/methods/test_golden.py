"""Golden figures: the mAP of every method on a small fixed data set.

The tolerances hold on every CPU: figures differ in the last digits between instruction sets and
numbers of threads, and a rank or an epoch may follow. A change beyond them is a change of the
method, to be explained in the changelog.
"""

from typing import Any

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import GradientMethod
from commonspace.registry import METHODS, make_method

SMALL: dict[str, Any] = {"hidden_dim": 32, "embedding_dim": 16, "epochs": 15, "device": "cpu"}
RATES = {"posterior": 2e-3, "dscmr": 2e-3}

FIGURES = {
    "dscmr": 0.4793,
    "posterior": 0.5992,
    "infonce": 0.4952,
    "supcon": 0.5321,
    "acmr": 0.5048,
    "dcca": 0.4714,
    "dccae": 0.4714,
    "cmdn": 0.5226,
    "ccl": 0.5004,
    "sdml": 0.5430,
    "mrl": 0.5350,
    "rono": 0.5446,
    "algcn": 0.5405,
    "prototype": 0.5311,
    "fume": 0.5502,
    "dcmh": 0.3275,
    "ensemble-probe": 0.5370,
    "raw": 0.2555,
    "linear-probe": 0.4970,
    "knn": 0.5759,
    "tip-adapter": 0.5469,
    "tip-adapter-f": 0.5273,
    "boosted": 0.5468,
    "cca": 0.4770,
    "rcca": 0.4764,
    "kcca": 0.4907,
    "mcca": 0.4764,
    "gma": 0.4998,
    "mvda": 0.4968,
    "mvda-vc": 0.5026,
    "sm": 0.5660,
    "sm-probability": 0.5864,
    "scm": 0.5568,
    "jrl": 0.5018,
}
"""Method -> mAP on the test split, the mean over both directions."""

TOLERANCES = {"closed form": 0.002, "gradient": 0.01}


@pytest.fixture(scope="module")
def clusters() -> Dataset:
    """Five classes in two modalities of 16 features: a tanh of noisy class vectors."""
    draw = np.random.default_rng(11)
    n, classes, size = 500, 5, 16
    labels = np.eye(classes)[np.arange(n) % classes]
    latent = labels + 0.5 * draw.normal(size=(n, classes))
    columns = {
        name: Features(
            np.tanh(latent @ draw.normal(size=(classes, size))) + 0.4 * draw.normal(size=(n, size))
        )
        for name in ("image", "text")
    }
    return Dataset(
        name="clusters",
        ids=tuple(map(str, range(n))),
        columns=columns,
        labels=labels.astype(bool),
        class_names=tuple("abcde"),
        splits=np.repeat(["train", "validation", "test"], [300, 100, 100]),
    )


@pytest.mark.parametrize("name", METHODS)
def test_the_figure_of_each_method(name: str, clusters: Dataset) -> None:
    method = make_method(name)
    kind = "gradient" if name == "tip-adapter-f" else "closed form"  # its keys are trained
    if isinstance(method, GradientMethod):
        kind = "gradient"
        method = make_method(name, **SMALL, learning_rate=RATES.get(name, 5e-3))
    space = method.fit(clusters, run=cs.RunConfig())
    figure = cs.evaluate(space, clusters.split("test"))["average"]["map"]
    assert figure == pytest.approx(FIGURES[name], abs=TOLERANCES[kind])


def test_every_method_has_a_figure() -> None:
    assert list(FIGURES) == list(METHODS)
