"""Fixtures of the index tests: a shop of features, a space for it, a naive search."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace import CommonSpace, Dataset, Features
from commonspace.methods import RawFeatures
from commonspace.retrieval import Index

SIZE = 6
CLASSES = ("hats", "shoes", "socks")

Make = Callable[..., Dataset]


def shop_of(numbers: Sequence[int], *, seed: int = 0, version: int = 0) -> Dataset:
    """Return articles by number: what one holds depends on its number and version alone."""
    rows = [np.random.default_rng((seed, number, version)) for number in numbers]
    values = np.stack([draw.normal(size=(2, SIZE)) for draw in rows]).astype(np.float32)
    lacks_text = np.array([number % 5 == 4 for number in numbers])
    return Dataset(
        name="shop",
        ids=tuple(f"article {number}" for number in numbers),
        columns={
            "image": Features(values[:, 0]),
            "text": Features(values[:, 1], present=~lacks_text),
        },
        labels=np.eye(len(CLASSES), dtype=bool)[[number % len(CLASSES) for number in numbers]],
        class_names=CLASSES,
        splits=np.array([("train", "validation", "test")[number % 3] for number in numbers]),
        fields={
            "price": [number * 10 + version for number in numbers],
            "brand": ["Acme" if number % 2 else None for number in numbers],
        },
    )


@pytest.fixture(scope="session")
def make() -> Make:
    """Make shops."""
    return shop_of


@pytest.fixture(scope="session")
def space(make: Make) -> CommonSpace:
    """Return a space that gives each vector its unit length."""
    data = make(range(1000, 1040))
    whole = replace(data, splits=np.array(["train", "validation"] * 20))
    return RawFeatures().fit(whole.split("train"), whole.split("validation"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, space: CommonSpace, make: Make) -> Path:
    """Return the folder of an index of 40 articles, to be copied."""
    folder = tmp_path_factory.mktemp("template") / "shop"
    Index.create(folder, space, make(range(40))).close()
    return folder


@pytest.fixture
def index(tmp_path: Path, template: Path, space: CommonSpace) -> Iterator[Index]:
    """Return an open index of 40 articles."""
    shutil.copytree(template, tmp_path / "shop")
    with Index.open(tmp_path / "shop", space=space) as opened:
        yield opened


@pytest.fixture(scope="session")
def naive() -> Callable[..., list[tuple[str, str, float]]]:
    """Naive search: every inner product, sorted, each item once."""

    def search(
        space: CommonSpace,
        data: Dataset,
        query: NDArray[np.float32],
        *,
        k: int = 10,
        modality: str | None = None,
        holds: Callable[[int], bool] = lambda row: True,
    ) -> list[tuple[str, str, float]]:
        best: dict[str, tuple[str, float]] = {}
        for name, part in space.embed_dataset(data).items():
            if modality not in (None, name):
                continue
            for row, vector in zip(part.rows.tolist(), part.vectors, strict=True):
                score = float(vector @ query)
                if holds(row) and score > best.get(data.ids[row], ("", -np.inf))[1]:
                    best[data.ids[row]] = (name, score)
        ranked = sorted(best.items(), key=lambda pair: -pair[1][1])
        return [(name, *rest) for name, rest in ranked[:k]]

    return search


@pytest.fixture(scope="session")
def ranked() -> Callable[..., list[tuple[str, str, float]]]:
    """Search an index; return the results in the form of the naive search."""

    def search(index: Index, query: NDArray[np.float32], **options: Any) -> list[Any]:  # noqa: ANN401
        found = index.search(vector=query, **options)
        return [(one.id, one.modality, pytest.approx(one.score, abs=1e-5)) for one in found]

    return search
