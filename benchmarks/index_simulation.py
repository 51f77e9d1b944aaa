"""Simulation of an index of 10^9 vectors: shards, replicas, and the tail of the latency.

    python -m benchmarks.index_simulation                    measures shards, then simulates
    python -m benchmarks.index_simulation --times times.npz  writes the measurement, or reads it
    python -m benchmarks.index_simulation --times times.npz --items 1e8 --rates 10 --target-ms 50
    python -m benchmarks.index_simulation --times times.npz --nodes 16 --stalls 1e-4 --hedge 0.95

Each row is the deployment with the fewest nodes that answers 99 % of the queries in time
(``shard_queues``). Measured: the processor time of a query on shards of several sizes, on one
thread of this machine (``FaissBackend``, ivf, 64 bytes, 100 candidates that are ranked again by
float32). Assumed: queries arrive at random times (Poisson); the cores of a node do not slow each
other down; shards are independent, which is never faster than equal ones; network and merging take
a fixed time; nodes do not fail; all vectors are in memory; prices. No cluster was measured.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.scale import clustered
from benchmarks.shard_queues import Answers, Deployment, Times, simulate, smallest, with_stalls

SIZES = (250_000, 1_000_000, 4_000_000)
DIMENSION = 64
BYTES = 72 + 4 * DIMENSION
"""Of a vector: its code in inverted lists, and float32 for the second ranking."""
QUERIES, REPEATS = 200, 5


def measure(count: int, queries: int = QUERIES, repeats: int = REPEATS) -> tuple[Times, Times]:
    """Return processor and clock seconds of queries on a shard of this machine.

    The queries take turns, so that the lists of one have left the cache when it is repeated.
    """
    from commonspace.data.row_blocks import rows_on_disk
    from commonspace.retrieval.backends.faiss import FaissBackend
    from commonspace.retrieval.backends.faiss_parts import faiss_module
    from commonspace.retrieval.segments import MIN_RERANKED

    faiss_module().omp_set_num_threads(1)
    rows, asked = rows_on_disk(count, DIMENSION), clustered(queries, DIMENSION, 2)[0]
    for start in range(0, count, 250_000):
        part = slice(start, min(start + 250_000, count))
        rows[part] = clustered(len(rows[part]), DIMENSION, 3 + start)[0]
    batches = (rows[start : start + 10_000] for start in range(0, count, 10_000))
    built = FaissBackend.build(batches, DIMENSION, "ivf", DIMENSION)
    processor, clock = np.empty((queries, repeats)), np.empty((queries, repeats))
    for turn in range(-1, repeats):  # the first one, which reads the pages, is overwritten
        for at in range(queries):
            began, used = time.perf_counter(), time.thread_time()
            _, found = built.search(asked[at : at + 1], MIN_RERANKED)
            places = found[0][found[0] >= 0]
            places[np.argsort(-(rows[places] @ asked[at]))[:10]]
            processor[at, turn] = time.thread_time() - used
            clock[at, turn] = time.perf_counter() - began
    return processor, clock


def main() -> None:
    """Measure the shards and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=Path, help="file of the measurement (.npz)")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=SIZES,
        help="vectors of a shard; the largest is simulated",
    )
    parser.add_argument("--items", type=float, default=1e9)
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--nodes", type=int, help="of a copy, in place of the smallest number")
    parser.add_argument("--target-ms", type=float, default=100, help="of the 99th percentile")
    parser.add_argument("--network-ms", type=float, default=2, help="assumed")
    parser.add_argument("--cores", type=int, default=16, help="of a node")
    parser.add_argument("--memory", type=float, default=128, help="of a node, GiB; 80 %% is used")
    parser.add_argument(
        "--price", type=float, default=0.60, help="assumed euros of a node and hour"
    )
    parser.add_argument(
        "--stalls", type=float, default=0, help="assumed part of searches that stall"
    )
    parser.add_argument("--stall-ms", type=float, default=100)
    parser.add_argument("--hedge", type=float, help="such as 0.95: rows with second requests, too")
    parser.add_argument("--queries", type=int, default=10_000, help="simulated for each row")
    options = parser.parse_args()
    times = measured(options.times, options.sizes)
    print_table(["vectors", "mean ms", "p50", "p99", "p99 by the clock"], shard_rows(times))
    held = options.items * BYTES / (0.8 * options.memory * 2**30)
    rows, network, size = [], options.network_ms / 1000, max(options.sizes)
    for rate in options.rates:
        shards = max(1, round(options.items / size))
        drawn = times[size][0]
        if options.stalls:
            drawn = with_stalls(drawn, options.stalls, options.stall_ms / 1000)
        for replicas, hedge in [(1, None), (2, None)] + [(2, options.hedge)] * bool(options.hedge):
            start = Deployment(shards, max(1, int(np.ceil(held))), replicas, options.cores)
            if options.nodes:
                start = replace(start, nodes=options.nodes)
                answers = simulate(start, rate, drawn, options.queries, hedge, network)
                rows.append(deployment_row(start, answers, rate, size, options))
                continue
            target = options.target_ms / 1000
            try:
                found = smallest(start, rate, drawn, target, options.queries, hedge, network)
            except ValueError as exc:
                print(exc)
                continue
            rows.append(deployment_row(*found, rate, size, options))
    print_table(HEAD, rows)


HEAD = [
    "queries/s", "vectors of a shard", "shards", "copies", "nodes", "cores", "GiB of a node",
    "p50 ms", "p95", "p99", "cores busy", "sent again", "euros a month",
]  # fmt: skip


def deployment_row(
    found: Deployment, answers: Answers, rate: float, size: int, options: argparse.Namespace
) -> list[str]:
    """Return the cells of a row."""
    memory = options.items * BYTES / found.nodes / 2**30
    quantiles = [f"{1000 * answers.quantile(p):.0f}" for p in (0.5, 0.95, 0.99)]
    return [
        f"{rate:g}", f"{size:,}", f"{found.shards:,}", f"{found.replicas}", f"{found.total:,}",
        f"{found.total * found.cores:,}", f"{memory:.0f}", *quantiles, f"{answers.utilization:.0%}",
        f"{answers.hedged:.1%}", f"{found.total * options.price * 730:,.0f}",
    ]  # fmt: skip


def measured(path: Path | None, sizes: list[int]) -> dict[int, tuple[Times, Times]]:
    """Return the times of shards of each size, from a file if it exists."""
    if path and path.exists():
        with np.load(path) as file:
            return {size: (file[f"{size}"][0], file[f"{size}"][1]) for size in sizes}
    found = {size: measure(size) for size in sizes}
    if path:
        np.savez(path, **{f"{size}": np.stack(both) for size, both in found.items()})  # type: ignore[arg-type]
    return found


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table of Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        print("|", " | ".join(cells), "|", flush=True)


def shard_rows(times: dict[int, tuple[Times, Times]]) -> list[list[str]]:
    """Return a row of the measurement for each size."""
    return [
        [f"{size:,}", *(f"{1000 * x:.2f}" for x in (
            processor.mean(), *np.quantile(processor, (0.5, 0.99)), np.quantile(clock, 0.99)))]
        for size, (processor, clock) in times.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
