"""Time, disk and memory of an index, compared with plain FAISS on the same vectors in the same run.

    python benchmarks/index_search.py                  100,000 x 1024-d and 1,000,000 x 64-d
    python benchmarks/index_search.py --sizes 20000x64

One process creates the index of random unit vectors, each item with a class and a price. Another
one opens and queries it: single queries of the index and of an ``IndexFlatIP`` of FAISS alternate,
so that other load affects both equally, and so do batches of 1,000. Plain FAISS returns positions
and scores; the index returns items with ids, labels, fields and the probability of relevance.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = ("100000x1024", "1000000x64")
SINGLE, BATCHES, BATCH, NEW, K = 300, 3, 1000, 10_000, 10
CLASSES = 50


def vectors(count: int, size: int, seed: int) -> NDArray[np.float32]:
    """Return random vectors of unit length."""
    rows = np.random.default_rng(seed).standard_normal((count, size), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def items(rows: NDArray[np.float32], first: int, modalities: tuple[str, ...] = ("image",)) -> Any:  # noqa: ANN401
    """Return a data set of these vectors as features."""
    from commonspace import Dataset, Features

    numbers = np.arange(first, first + len(rows))
    return Dataset(
        name="items",
        ids=tuple(f"item {number}" for number in numbers),
        columns={name: Features(rows) for name in modalities},
        labels=np.eye(CLASSES, dtype=bool)[numbers % CLASSES],
        class_names=tuple(f"class {number}" for number in range(CLASSES)),
        splits=np.array(["train", "validation"])[numbers % 2],
        fields={"price": (numbers % 1000).tolist()},
    )


def build(count: int, size: int, folder: Path) -> dict[str, Any]:
    """Create the index; return the time and its size."""
    from commonspace.methods import RawFeatures
    from commonspace.retrieval import Index

    few = items(vectors(400, size, seed=1), 0, ("image", "text"))
    space = RawFeatures().fit(few.split("train"), few.split("validation"))
    data = items(vectors(count, size, seed=0), 0)
    start = time.perf_counter()
    with Index.create(folder, space, data) as index:
        seconds = time.perf_counter() - start
        return {"build_s": seconds, "bytes": sum(index.info()["bytes"].values())}


def ask(count: int, size: int, folder: Path) -> dict[str, Any]:
    """Return the time of opening, searching and adding."""
    import faiss

    from commonspace.retrieval import Index, Query

    before = memory()
    start = time.perf_counter()
    index = Index.open(folder)
    figures: dict[str, Any] = {"open_s": time.perf_counter() - start}
    queries = vectors(BATCH, size, seed=2)
    index.search(vector=queries[0], k=K)
    figures["memory"] = {kind: after - before[kind] for kind, after in memory().items()}
    bare = faiss.IndexFlatIP(size)
    bare.add(vectors(count, size, seed=0))
    singles = alternating(
        lambda at: index.search(vector=queries[at], k=K),
        lambda at: bare.search(queries[at : at + 1], K),
        SINGLE,
    )
    batches = alternating(
        lambda _: index.search_many([Query(vector=query, k=K) for query in queries]),
        lambda _: bare.search(queries, K),
        BATCHES,
    )
    figures["single"] = [[1e3 * np.percentile(times, p) for p in (50, 99)] for times in singles]
    figures["batch_s"] = [float(np.median(times)) for times in batches]
    _, positions = bare.search(queries, K)
    found = index.search_many([Query(vector=query, k=K) for query in queries])
    same = [
        len({f"item {at}" for at in row} & {one.id for one in some}) / K
        for row, some in zip(positions.tolist(), found, strict=True)
    ]
    figures["agreement"] = float(np.mean(same))
    with Index.open(folder) as reader:
        data = items(vectors(NEW, size, seed=3), count)
        start = time.perf_counter()
        index.add(data)
        figures["add_s"] = time.perf_counter() - start
        newest = reader.search(vector=data.columns["image"].values[-1], k=1)[0]
        figures["add_found_s"] = time.perf_counter() - start
        assert newest.id == data.ids[-1]
    index.close()
    return figures


def alternating(
    one: Callable[[int], object], other: Callable[[int], object], count: int
) -> tuple[list[float], list[float]]:
    """Return the seconds of each call of two functions, called alternately."""
    times: tuple[list[float], list[float]] = ([], [])
    for at in range(-1, count):
        for seconds, call in zip(times, (one, other), strict=True):
            start = time.perf_counter()
            call(max(at, 0))
            if at >= 0:  # the first call warms up
                seconds.append(time.perf_counter() - start)
    return times


def memory() -> dict[str, int]:
    """Return the resident bytes of this process: private, and mapped from files."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    kinds = {"RssAnon": "own", "RssFile": "mapped"}
    said = (line.split() for line in lines if line.split(":")[0] in kinds)
    return {kinds[name.rstrip(":")]: 1024 * int(value) for name, value, _ in said}


def main() -> None:
    """Measure each size in separate processes, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, count, size, folder = options.step
        print(json.dumps({"build": build, "ask": ask}[step](int(count), int(size), Path(folder))))
        return
    print("| vectors | | index | plain FAISS | ratio |\n|---|---|---|---|---|")
    for text in options.sizes:
        count, size = text.split("x")
        with tempfile.TemporaryDirectory() as folder:
            figures: dict[str, Any] = {}
            for step in ("build", "ask"):
                words = [sys.executable, __file__, "--step", step, count, size, f"{folder}/index"]
                done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
                figures |= json.loads(done.stdout.splitlines()[-1])
        report(f"{int(count):,} x {size}", figures)


def report(name: str, figures: dict[str, Any]) -> None:
    """Print the rows of one size."""
    (index, bare), (index_batch, bare_batch) = figures["single"], figures["batch_s"]
    mapped, own = (figures["memory"][kind] / 2**20 for kind in ("mapped", "own"))
    rows = [
        ("build, s", f"{figures['build_s']:.1f}", "", ""),
        ("on disk, MiB", f"{figures['bytes'] / 2**20:.0f}", "", ""),
        ("open, s", f"{figures['open_s']:.2f}", "", ""),
        ("memory after a search, MiB", f"{own:.0f} + {mapped:.0f} mapped", "", ""),
        ("one query, p50, ms", f"{index[0]:.2f}", f"{bare[0]:.2f}", f"{index[0] / bare[0]:.2f}"),
        ("one query, p99, ms", f"{index[1]:.2f}", f"{bare[1]:.2f}", f"{index[1] / bare[1]:.2f}"),
        (
            f"{BATCH:,} queries, s",
            f"{index_batch:.2f}",
            f"{bare_batch:.2f}",
            f"{index_batch / bare_batch:.2f}",
        ),
        ("share of the 10 best that agree", f"{figures['agreement']:.4f}", "", ""),
        (f"add {NEW:,}, s", f"{figures['add_s']:.2f}", "", ""),
        ("until another reader finds them, s", f"{figures['add_found_s']:.2f}", "", ""),
    ]
    for row in rows:
        print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
