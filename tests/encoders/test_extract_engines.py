"""Extraction by engines: the features and the cache of one process, also after a lost node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commonspace.callbacks import Callback
from commonspace.data import Dataset, Features, Images
from commonspace.encoders import Encoder, Extraction, Photos, extract
from commonspace.encoders.encoder import describe
from commonspace.engines import Engine, LocalProcesses, RayCluster
from commonspace.errors import DataError
from commonspace.networks.backbones.vgg19 import VGG19


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Return a narrow VGG-19, which workers can import."""
    network = VGG19(width=2, size=16)
    return describe(
        Photos(resize=40, side=32),
        network,
        {"kind": "vgg19"},
        spec="narrow",
        name="narrow",
        preprocessing="small",
        fitted_on="nothing",
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return 60 photos as files; two are equal, one is damaged."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(60):
        pixels = draw.integers(0, 256, (45, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes((folder / "3.png").read_bytes())
    (folder / "9.png").write_bytes(b"no image")
    return Dataset(
        name="photos",
        ids=tuple(map(str, range(60))),
        columns={"image": Images([folder / f"{number}.png" for number in range(60)])},
        labels=np.ones((60, 1), bool),
        class_names=("any",),
        splits=np.array(["train"] * 60),
    )


def run(
    data: Dataset,
    encoder: Encoder,
    callback: Callback | None = None,
    **options: Any,  # noqa: ANN401
) -> Dataset:
    settings = Extraction(batch_size=2, workers=0, on_error="skip", **options)
    return extract(data, {"image": encoder}, settings, callback)


def check(found: Dataset, expected: Dataset) -> None:
    """Check for equal features, ids and warnings."""
    one, other = found.columns["image"], expected.columns["image"]
    assert isinstance(one, Features)
    assert isinstance(other, Features)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-4, atol=1e-6)
    assert np.array_equal(one.present, other.present)
    assert found.ids == expected.ids
    assert found.warnings == expected.warnings


class Count(Callback):
    """Counts the items, and calls a function after some of them."""

    def __init__(self, after: int = -1, call: Any = None) -> None:  # noqa: ANN401
        self.count, self.after, self.call = 0, after, call

    def on_advance(self, steps: int = 1) -> None:
        self.count += steps
        if self.call is not None and self.count >= self.after:
            self.call, call = None, self.call
            call()


def stop() -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_processes_give_the_features_and_the_cache_of_one(
    data: Dataset, encoder: Encoder, tmp_path: Path
) -> None:
    engine: Engine = LocalProcesses(2)
    alone = run(data, encoder)
    assert len(alone) == 59
    with pytest.raises(KeyboardInterrupt):
        run(data, encoder, Count(20, stop), engine=engine, cache=tmp_path)
    rest = Count()
    check(run(data, encoder, rest, engine=engine, cache=tmp_path), alone)
    assert 0 < rest.count <= 59 - 20 + 2
    again = Count()
    check(run(data, encoder, again, cache=tmp_path), alone)  # found by this process too
    assert again.count <= 1  # the damaged one
    with pytest.raises(DataError, match="sample '9', image"):
        extract(data, {"image": encoder}, Extraction(workers=0, engine=engine))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a head and two more nodes of Ray on this machine."""
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    parts = pytest.importorskip("ray.cluster_utils", reason="the extra ray is not installed")
    RayCluster()  # sets what Ray reads from the environment
    # Ray replaces 127.0.0.1 by an address of the network
    local: dict[str, Any] = {"node_ip_address": "127.0.0.2"}
    cluster = parts.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **local})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **local)
    ray.init(address=cluster.address, log_to_driver=False, _node_ip_address="127.0.0.2")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_a_lost_node_loses_no_item_and_repeats_none(
    cluster: Any,  # noqa: ANN401
    data: Dataset,
    encoder: Encoder,
    tmp_path: Path,
) -> None:
    import ray

    own = ray.get_runtime_context().get_node_id()  # the node that this process has joined
    lost = next(node for node in cluster.worker_nodes if node.node_id != own)
    callback = Count(8, lambda: cluster.remove_node(lost, allow_graceful=False))
    found = run(data, encoder, callback, engine=RayCluster(), cache=tmp_path)
    check(found, run(data, encoder))
    assert callback.call is None
    assert callback.count == 59  # distinct items, each counted once
    again = Count()
    run(data, encoder, again, cache=tmp_path)
    assert again.count <= 1
