"""Photos a second of extraction: this process, local processes, Ray on one and on three nodes.

    python -m benchmarks.engines ../shared                  photos of flipkart, MobileNetV2
    python -m benchmarks.engines ../shared --photos 400 --ways local processes

The time includes the start of workers and of Ray, which few photos do not pay back. The three nodes
of Ray are processes of this machine with one core each beside a head without any, so on a machine
of fewer cores they share them. The ways alternate, and every feature is compared with that of this
process.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np

import commonspace as cs
from benchmarks.bench.encoders import BATCH
from commonspace.encoders import Encoder, Extraction, extract
from commonspace.encoders.huggingface import image_encoder
from commonspace.engines import Engine, LocalProcesses, RayCluster

NODES = 3


@contextmanager
def nodes() -> Iterator[None]:
    """Start a head and nodes of one core each on this machine, and join them."""
    import ray
    from ray.cluster_utils import Cluster

    local = {"node_ip_address": "127.0.0.2"}  # Ray replaces 127.0.0.1 by an address of the network
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **local})
    for _ in range(NODES):
        cluster.add_node(num_cpus=1, **local)
    ray.init(address=cluster.address, log_to_driver=False, _node_ip_address="127.0.0.2")
    try:
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


WAYS: dict[str, tuple[Callable[[], Engine | None], Callable[[], AbstractContextManager[None]]]] = {
    "local": (lambda: None, nullcontext),
    "processes": (lambda: LocalProcesses(2), nullcontext),
    "ray": (RayCluster, nullcontext),
    "ray nodes": (RayCluster, nodes),
}
"""Name -> what makes the engine, and what must be there meanwhile."""


def measure(data: cs.Dataset, encoder: Encoder, way: str) -> tuple[float, np.ndarray]:
    """Return photos a second, and the features."""
    make, surroundings = WAYS[way]
    engine = make()  # for Ray, this sets what it reads from the environment
    with surroundings():
        start = time.perf_counter()
        settings = Extraction(batch_size=BATCH, engine=engine)
        column = extract(data, {"image": encoder}, settings).columns["image"]
        end = time.perf_counter()
    assert isinstance(column, cs.Features)
    return len(data) / (end - start), column.values


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with data/ and weights/")
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=[*WAYS])
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    encoder = image_encoder(str(options.shared / "weights" / "mobilenet_v2_1.0_224"))
    data = cs.load_dataset(options.shared / "data" / "flipkart")
    rows = np.flatnonzero(data.columns["image"].present)[: options.photos]
    data = data.take(rows)
    rates: dict[str, list[float]] = {way: [] for way in options.ways}
    expected = measure(data, encoder, "local")[1]
    for _ in range(options.turns):
        for way in options.ways:
            rate, values = measure(data, encoder, way)
            rates[way].append(rate)
            difference = float(np.abs(values - expected).max())
            print(f"{way:>10} {rate:7.1f}  difference {difference:.1e}", flush=True)
    print("\n| way | photos/s |\n|---|---|")
    for way, found in rates.items():
        print(f"| {way} | {statistics.median(found):.0f} |")


if __name__ == "__main__":
    main()
