"""The map: every vector of an index on a plane, kept beside it, and served."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import Dataset
from commonspace.errors import DataError
from commonspace.serve.projection import interpolate, make_map, read_map

Serve = Callable[..., AbstractContextManager[TestClient]]


def test_a_point_between_three_is_their_weighed_mean() -> None:
    draw = np.random.default_rng(0)
    known = draw.normal(size=(50, 4)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    asked = draw.normal(size=(30, 4)).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    laid = draw.normal(size=(50, 2))
    placed = interpolate(asked, known, laid)
    for vector, place in zip(asked, placed, strict=True):  # one by one, by distance
        distances = [float(np.linalg.norm(vector - other)) for other in known]
        nearest = sorted(range(50), key=distances.__getitem__)[:3]
        weights = [1 / distances[one] for one in nearest]
        mean = sum(w * laid[one] for w, one in zip(weights, nearest, strict=True)) / sum(weights)
        np.testing.assert_allclose(place, mean, atol=1e-3)


def test_the_map_holds_every_vector_and_is_served(
    index: Path, shop: Dataset, serve: Serve, tmp_path: Path
) -> None:
    place = tmp_path / "copy"
    copytree(index, place)
    with serve(place) as client:
        missing = client.get("/map")
        assert missing.status_code == 404
        assert "commonspace map" in missing.json()["error"]["advice"]
        with cs.Index.open(place) as opened:
            assert make_map(opened, max_points=40) == 2 * len(shop)
        said = client.get("/map").json()
        assert said["ids"] == [*shop.ids, *shop.ids]
        assert said["modality"] == [0] * len(shop) + [1] * len(shop)
        assert said["modalities"] == ["image", "text"]
        names = [shop.class_names[row] for row in np.argmax(shop.labels, axis=1)]
        assert [said["classes"][one] for one in said["class"]] == names * 2
        points = np.array([said["x"], said["y"]])
        assert np.isfinite(points).all()
        assert np.abs(points).max() == pytest.approx(1)
        assert said["current"] is True
        with cs.Index.open(place) as opened:
            opened.remove(["a/b"])
        assert client.get("/map").json()["current"] is False


def test_a_map_is_the_same_for_the_same_seed_and_of_five_points_at_least(
    index: Path, shop: Dataset, shop_space: cs.CommonSpace, tmp_path: Path
) -> None:
    place = tmp_path / "copy"
    copytree(index, place)
    with cs.Index.open(place) as opened:
        make_map(opened, max_points=30, seed=3)
        first = read_map(place)
        make_map(opened, max_points=30, seed=3)
        assert read_map(place) == first
    (place / "map.json").write_text("{")
    assert read_map(place) is None
    with (
        cs.Index.create(tmp_path / "few", shop_space, shop.take(np.arange(2))) as few,
        pytest.raises(DataError, match="cannot place these vectors"),
    ):
        make_map(few)
