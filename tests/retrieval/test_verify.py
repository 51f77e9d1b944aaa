"""What an approximate index costs is what a count by hand says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset, mean_average_precision
from commonspace.retrieval import Index, Query, vector_index

Make = Callable[..., Dataset]


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf"])
def test_costs(
    kind: str, tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "MIN_CHANGES", 50)
    data = make(range(400))
    vectors = space.embed_dataset(data)
    image, text = vectors["image"], vectors["text"]
    with Index.create(tmp_path / "index", space, data, kind=kind) as index:
        base = index._vectors.state().segments[0].main
        assert base.backend is not None
        base.backend.effort = int(kind != "exact")  # as little as there is, so that some are missed
        found = index.verify()
        assert found.kinds == {"image": kind, "text": kind}
        cost = found.costs["image"]
        asked, few = (
            index.search_many(
                [Query(vector=vector, k=k, modality="image") for vector in text.vectors]
            )
            for k in (100, 10)
        )
    labels = data.labels
    exact = mean_average_precision(
        text.vectors, image.vectors, labels[text.rows], labels[image.rows], k=100
    )
    assert cost.queries == len(text.rows)
    assert cost.map_exact == pytest.approx(exact, abs=1e-9)
    places = {name: row for row, name in enumerate(data.ids)}
    ranked = [[places[one.id] for one in row] for row in asked]
    ten = [{places[one.id] for one in row} for row in few]
    order = np.argsort(-(text.vectors @ image.vectors.T), axis=1)[:, :10]
    recall = np.mean(
        [len(one & {*best}) / 10 for one, best in zip(ten, order.tolist(), strict=True)]
    )
    assert cost.recall == pytest.approx(recall)
    values = []
    for row, found_rows in zip(text.rows, ranked, strict=True):
        hits = [at for at, other in enumerate(found_rows, 1) if other % 3 == row % 3]
        values.append(sum(n / at for n, at in enumerate(hits, 1)) / max(1, len(hits)))
    assert cost.map_index == pytest.approx(np.mean(values))
    assert (cost.recall == 1) == (kind == "exact")
    assert cost.effort == base.backend.effort == (0 if kind == "exact" else 1)
    told = [note for note in found.notes if note.startswith("image: ")]
    assert len(told) == (cost.recall < 0.9)
    assert all(f"{cost.recall:.0%} of the 10 best" in note for note in told)


def test_without_labels_there_is_recall_alone(
    tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    data = make(range(30))
    bare = replace(data, labels=np.zeros((30, 0), dtype=bool), class_names=())
    with Index.create(tmp_path / "index", space, bare) as index:
        cost = index.verify().costs["text"]
        assert (cost.recall, cost.map_exact, cost.map_index) == (1.0, None, None)
    with Index.create(tmp_path / "empty", space) as index:
        assert index.verify().costs == {}
