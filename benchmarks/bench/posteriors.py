"""Whole fits of posterior matching; the limit is its bare products, and what it trains."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import commonspace as cs
from benchmarks.bench.measure import Bar, Rival, Size, Work
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors

__all__ = ["works"]


def works(size: Size) -> Iterator[Work]:
    """Yield the works of a size."""
    match size:
        case "smallest":
            yield _kernels(200, (16, 12), classes=4, bar=None)
        case "usual":
            yield _kernels(8000, (1280, 384), classes=50, bar=None)
        case "full":
            yield _kernels(100_000, (512, 384), classes=100, bar=None)
            yield _whole(100_000, (512, 384), classes=100, seconds=60)


def drawn(samples: int, sizes: tuple[int, int], classes: int) -> cs.Dataset:
    """Return two modalities of random features around weak class centers."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, classes, samples)
    columns = {}
    for name, size in zip(("image", "text"), sizes, strict=True):
        centers = 0.25 * rng.standard_normal((classes, size), dtype=np.float32)
        values = rng.standard_normal((samples, size), dtype=np.float32)
        values += centers[numbers]
        columns[name] = cs.Features(values)
    return cs.Dataset(
        name="drawn",
        ids=tuple(map(str, range(samples))),
        columns=columns,
        labels=np.eye(classes, dtype=bool)[numbers],
        class_names=tuple(map(str, range(classes))),
        splits=np.where(np.arange(samples) % 10 == 0, "validation", "train"),
    )


def _kernels(samples: int, sizes: tuple[int, int], classes: int, bar: Bar | None) -> Work:
    data = drawn(samples, sizes, classes)
    numbers = data.labels.argmax(axis=1)
    tables: list[NDArray[np.float32]] = [
        column.values for column in data.columns.values() if isinstance(column, cs.Features)
    ]

    def ours() -> None:
        fit_kernel_posteriors(data, multi_label=False, seed=0)

    def logistic() -> None:
        for X in tables:
            LogisticRegression(max_iter=200).fit(StandardScaler().fit_transform(X), numbers)

    return Work(
        f"kernel posteriors, {samples:,} x {' + '.join(map(str, sizes))}, {classes} classes",
        ours,
        Rival("logistic regression of scikit-learn", logistic),
        bars=(bar,) if bar else (),
        rounds=3,
    )


def _whole(samples: int, sizes: tuple[int, int], classes: int, seconds: float) -> Work:
    data = drawn(samples, sizes, classes)

    def ours() -> None:
        cs.PosteriorMatching().fit(data, run=cs.RunConfig())

    return Work(
        f"posterior matching, {samples:,} x {' + '.join(map(str, sizes))}, {classes} classes",
        ours,
        bars=(Bar("seconds", seconds),),
        rounds=1,
    )
