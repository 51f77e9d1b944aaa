"""Compressed vectors: small files, exact scores, and a recall near that of exact search."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset, Features
from commonspace.errors import SettingError
from commonspace.methods import RawFeatures
from commonspace.retrieval import Index, Query, vector_index
from commonspace.retrieval.segments import Segment

DIMENSION = 96
COUNT = 3000


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Return two modalities of 3000 items in 30 clusters."""
    draw = np.random.default_rng(0)
    classes = np.arange(COUNT) % 30
    centers = draw.normal(size=(30, DIMENSION))[classes]
    return Dataset(
        name="clusters",
        ids=tuple(f"item {number}" for number in range(COUNT)),
        columns={
            name: Features(centers + 0.6 * draw.normal(size=(COUNT, DIMENSION)))
            for name in ("image", "text")
        },
        labels=np.eye(30, dtype=bool)[classes],
        class_names=tuple(f"class {number:02}" for number in range(30)),
        splits=np.array(["train", "validation"])[(np.arange(COUNT) // 30) % 2],
        fields={"price": list(range(COUNT))},
    )


@pytest.fixture(scope="module")
def space(data: Dataset) -> CommonSpace:
    return RawFeatures().fit(data.split("train"), data.split("validation"))


@pytest.fixture(scope="module")
def exact(data: Dataset, space: CommonSpace, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index.create(tmp_path_factory.mktemp("exact") / "index", space, data)


def segment_bytes(index: Index) -> float:
    """Return the bytes of a vector in the search structures, without the numbers of entries."""
    files = list((index.path / vector_index.FOLDER).glob("*.faiss"))
    return sum(file.stat().st_size for file in files) / (2 * COUNT)


def recall(index: Index, exact: Index, queries: list[Query]) -> float:
    found, expected = index.search_many(queries), exact.search_many(queries)
    shared = [
        len({one.id for one in some} & {one.id for one in best})
        for some, best in zip(found, expected, strict=True)
    ]
    return sum(shared) / sum(map(len, expected))


@pytest.mark.parametrize(
    ("kind", "compress", "size", "least"),
    [
        ("exact", 192, 192, 1.0),
        ("exact", 96, 97, 0.999),
        ("exact", 48, 48 + 8, 0.99),
        ("hnsw", 48, 400, 0.97),
        ("ivf", 96, 96 + 8, 0.9),
    ],
)
def test_recall_and_size(
    kind: str,
    compress: int,
    size: float,
    least: float,
    data: Dataset,
    space: CommonSpace,
    exact: Index,
    tmp_path: Path,
) -> None:
    with Index.create(tmp_path / "index", space, data, kind=kind, compress=compress) as index:
        codebooks = 4 * 256 * DIMENSION / COUNT
        assert segment_bytes(index) <= size + codebooks + 4 * 220 * DIMENSION / COUNT
        rows = np.asarray(data.columns["text"].values)[:200]  # type: ignore[attr-defined]
        queries = [Query(vector=row, k=10, modality="image") for row in rows]
        assert recall(index, exact, queries) >= least
        filtered = [replace(query, where="price < 2000") for query in queries]
        assert recall(index, exact, filtered) >= least
        expected = exact.search(vector=rows[0], k=10)
        for result in index.search(vector=rows[0], k=10)[:5]:  # scores are exact
            same = next(one for one in expected if one.id == result.id)
            assert result.score == pytest.approx(same.score, abs=1e-5)
    with Index.open(tmp_path / "index", space=space) as again:
        assert again.info()["compress"] == compress
        assert recall(again, exact, queries) >= least
        again.add(replace(data.take(np.array([7])), ids=("new",)))
        image = data.columns["image"].values[7]  # type: ignore[attr-defined]
        assert {one.id for one in again.search(vector=image, k=2)} == {"new", "item 7"}
        report = again.verify()
        assert (report.problems, report.repaired) == ((), ())
        assert report.costs["image"].recall >= least - 0.02


def test_without_exact_vectors_scores_are_approximate(
    data: Dataset, space: CommonSpace, tmp_path: Path
) -> None:
    """The ranking by the store's vectors matters: without it, the recall is lower."""
    vectors = np.asarray(data.columns["text"].values)[:100]  # type: ignore[attr-defined]
    with Index.create(tmp_path / "index", space, data, compress=24) as index:
        state = index._vectors.state()
        segment: Segment = state.segments[0]
        ranked = segment.search(vectors, 10, store=index._store).items
        approximate = segment.search(vectors, 10).items
        best = np.argsort(-(vectors @ index.all_vectors().values[:COUNT].T), axis=1)[:, :10] + 1
    recalls = [
        np.mean([len({*a} & {*b}) / 10 for a, b in zip(items.tolist(), best.tolist(), strict=True)])
        for items in (ranked, approximate)
    ]
    assert recalls[0] > 0.9
    assert recalls[0] > recalls[1] + 0.1


@pytest.mark.parametrize("compress", [0, 3, 2.5, "64", True])
def test_invalid_sizes(compress: object, space: CommonSpace, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="`compress` must be"):
        Index.create(tmp_path / "index", space, compress=compress)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="not supported by Milvus"):
        Index.create(tmp_path / "index", space, kind="milvus:x.db", compress=64)


def test_a_very_large_automatic_index_is_compressed(
    data: Dataset,
    space: CommonSpace,
    exact: Index,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its best candidates are ranked again by the exact vectors, so that scores are exact."""
    monkeypatch.setattr(vector_index, "AUTO", {"exact": 10, "hnsw": 100})
    index = Index.create(tmp_path / "index", space, data, kind="auto")
    assert segment_bytes(index) < 0.7 * 4 * DIMENSION
    queries = [Query(id=f"item {number}", k=10) for number in range(0, COUNT, 60)]
    assert recall(index, exact, queries) > 0.95
    monkeypatch.setattr(vector_index, "AUTO", {"exact": COUNT})
    small = Index.create(tmp_path / "small", space, data, kind="auto")
    assert segment_bytes(small) > 4 * DIMENSION
