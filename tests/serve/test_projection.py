"""The map of an index: its points, its file, and the response of the service."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import Dataset
from commonspace.errors import DataError
from commonspace.methods import RawFeatures
from commonspace.serve import projection
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.projection import MapFile, make_map, read_map

Serve = Callable[..., AbstractContextManager[TestClient]]


def test_items_outside_the_sample_are_placed_in_their_class(
    tmp_path: Path,
) -> None:
    """Three separate clusters, of which a tenth is in the sample."""
    draw = np.random.default_rng(0)
    classes = np.arange(120) % 3
    vectors = np.eye(3)[classes] + draw.normal(0, 0.05, (120, 3))
    data = Dataset(
        name="clusters",
        ids=tuple(f"item {row}" for row in range(120)),
        columns={"image": cs.Features(vectors), "text": cs.Features(vectors)},
        labels=np.eye(3, dtype=bool)[classes],
        class_names=("a", "b", "c"),
        splits=np.array(["train"] * 120),
    )
    space = RawFeatures().fit(data, data)
    with cs.Index.create(tmp_path / "index", space, data) as index:
        assert make_map(index, max_points=40) == 240
    found = read_map(tmp_path / "index")
    assert found is not None
    places = np.array([found["x"], found["y"]]).T
    middles = [np.median(places[np.array(found["class"]) == one], axis=0) for one in range(3)]
    nearest = np.argmin([np.linalg.norm(places - middle, axis=1) for middle in middles], axis=0)
    assert np.mean(nearest == found["class"]) > 0.98


def test_the_map_has_every_vector_and_is_served(
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


def test_a_map_depends_on_its_seed_only_and_needs_five_points(
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


def test_a_flipped_bit_in_a_map_is_reported_and_not_shown(index: Path, tmp_path: Path) -> None:
    place = Path(copytree(index, tmp_path / "shop"))
    with cs.Index.open(place) as opened:
        make_map(opened)
        assert opened.verify().problems == ()
    content = (place / "map.json").read_bytes()
    for at in range(0, len(content), len(content) // 40):
        for bit in (0, 3):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            (place / "map.json").write_bytes(changed)
            assert read_map(place) is None
    with cs.Index.open(place) as opened:
        (problem,) = opened.verify().problems
    assert "map.json is damaged" in problem


def test_the_computation_ends_with_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that is in compiled code when Python ends aborts the process."""
    manager = cast(IndexManager, SimpleNamespace(path=tmp_path, lease=lambda: nullcontext()))
    computing = threading.Event()

    def compute(index: object, *, progress: Callable[[float], None]) -> int:
        while True:
            computing.set()
            progress(0.5)
            time.sleep(0.01)

    monkeypatch.setattr(projection, "make_map", compute)
    map_file = MapFile(manager)
    map_file.start()
    assert computing.wait(30)
    map_file.stop()
    assert map_file._thread is not None
    assert not map_file._thread.is_alive()
