"""Time and memory of evaluation, index building and posterior fits over the number of items.

    python -m benchmarks.scale evaluation           1,000 queries, 1,000,000 items of 64 numbers
    python -m benchmarks.scale evaluation --queries 10000
    python -m benchmarks.scale index                1,000,000 vectors of 64 numbers
    python -m benchmarks.scale posterior            fits of 25,000, 50,000, 100,000 x (512 + 384)

Each row runs in a process of its own. "memory" is the largest resident memory of it and of each of
its processes, added; what processes share is counted once for each of them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

CLASSES = 100


def clustered(count: int, size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return vectors of unit length around the centers of their classes, and the classes."""
    draw = np.random.default_rng(seed)
    centers = np.random.default_rng(0).standard_normal((CLASSES, size), dtype=np.float32)
    classes = draw.integers(0, CLASSES, count)
    rows = draw.standard_normal((count, size), dtype=np.float32)
    rows += centers[classes]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, classes


def used() -> dict[str, float]:
    """Return processor seconds of this process and its children, and their memory in GiB."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, children = (resource.getrusage(kind) for kind in kinds)
    return {
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in (own, children)),
        "own_gib": own.ru_maxrss / 2**20,
        "child_gib": children.ru_maxrss / 2**20,
    }


def evaluation(queries: int, gallery: int, size: int, processes: int) -> dict[str, Any]:
    """Measure the exact mAP of one direction, by threads or by processes."""
    from dataclasses import replace

    from commonspace.engines import LocalProcesses
    from commonspace.evaluation.ranking import Ranking
    from commonspace.evaluation.report import _evaluate_direction

    (rows, classes), (asked, asked_classes) = (
        clustered(gallery, size, 1),
        clustered(queries, size, 2),
    )
    before, start = used()["cpu_s"], time.perf_counter()
    ranking = Ranking.by_class(asked, rows, asked_classes, classes)
    if processes:
        ranking = replace(ranking, engine=LocalProcesses(processes))
    figures = _evaluate_direction(ranking, [], "found")
    after = used()
    return {
        "way": f"{processes} processes" if processes else "threads",
        "mAP": figures["map"],
        "seconds": time.perf_counter() - start,
        "cpu_s": after["cpu_s"] - before,
        "memory_gib": after["own_gib"] + processes * after["child_gib"],
    }


def index(
    queries: int,
    gallery: int,
    size: int,
    processes: int,
    kind: Literal["exact", "ivf"] = "ivf",
    compress: int = 64,
) -> dict[str, Any]:
    """Measure the search structure of an index, re-ranked by the exact vectors, against FAISS."""
    import faiss

    from commonspace.engines import LocalProcesses
    from commonspace.retrieval.backends.faiss import FaissBackend
    from commonspace.retrieval.segments import MIN_RERANKED

    rows, asked = clustered(gallery, size, 1)[0], clustered(queries, size, 2)[0]
    batches = (rows[start : start + 10_000] for start in range(0, gallery, 10_000))
    before, start = used()["cpu_s"], time.perf_counter()
    engine = LocalProcesses(processes) if processes else None
    built = FaissBackend.build(batches, size, kind, compress or None, engine)
    seconds, after = time.perf_counter() - start, used()
    with tempfile.NamedTemporaryFile() as file:
        built.write(Path(file.name))
        bytes_each = Path(file.name).stat().st_size / gallery
    bare = faiss.IndexFlatIP(size)
    bare.add(rows)
    _, best = bare.search(asked, 10)
    times, shared = [], 0
    for at in range(queries):
        start = time.perf_counter()
        _, found = built.search(asked[at : at + 1], MIN_RERANKED)
        places = found[0][found[0] >= 0]
        top = places[np.argsort(-(rows[places] @ asked[at]))[:10]]
        times.append(time.perf_counter() - start)
        shared += len({*top.tolist()} & {*best[at].tolist()})
    return {
        "way": f"{kind} {compress}, " + (f"{processes} processes" if processes else "threads"),
        "seconds": seconds,
        "cpu_s": after["cpu_s"] - before,
        "memory_gib": after["own_gib"] + processes * after["child_gib"],
        "bytes": bytes_each,
        "recall@10": shared / (10 * queries),
        "p50_ms": 1e3 * float(np.median(times)),
    }


def posterior(samples: int) -> dict[str, Any]:
    """Measure a fit of posterior matching on random features with classes."""
    from commonspace import Dataset, PosteriorMatching

    image, classes = clustered(samples, 512, 1)
    draw = np.random.default_rng(2)
    text = draw.standard_normal((samples, 384), dtype=np.float32)
    text[:, :CLASSES] += 2 * np.eye(CLASSES, dtype=np.float32)[classes]
    data = Dataset.from_arrays(
        image=image, text=text, labels=[f"class {one}" for one in classes.tolist()]
    )
    features = (image.nbytes + text.nbytes) / 2**30
    before, start = used(), time.perf_counter()
    PosteriorMatching().fit(data.split("train"), data.split("validation"))
    after = used()
    return {
        "samples": samples,
        "seconds": time.perf_counter() - start,
        "cpu_s": after["cpu_s"] - before["cpu_s"],
        "features_gib": features,
        "memory_before_gib": before["own_gib"],
        "memory_gib": after["own_gib"],
    }


MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "evaluation": evaluation,
    "index": index,
    "posterior": posterior,
}


def main() -> None:
    """Run the rows of one table, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--samples", type=int, nargs="+", default=[25_000, 50_000, 100_000])
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(MEASUREMENTS[options.what](**json.loads(options.row))))
        return
    if options.what == "posterior":
        for samples in options.samples:
            print(run(options.what, {"samples": samples}), flush=True)
        return
    for processes in options.processes:
        row = {
            "queries": options.queries,
            "gallery": options.count,
            "size": options.size,
            "processes": processes,
        }
        print(run(options.what, row), flush=True)


def run(what: str, row: dict[str, Any]) -> str:
    """Return the figures of one row as text."""
    command = [sys.executable, "-m", "benchmarks.scale", what, "--row", json.dumps(row)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return "  ".join(
        f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )


if __name__ == "__main__":
    main()
