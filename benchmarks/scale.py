"""Time and memory of evaluation, index building and posterior fits over the number of items.

    python -m benchmarks.scale evaluation           1,000 queries, 1,000,000 items of 64 numbers
    python -m benchmarks.scale evaluation --queries 10000
    python -m benchmarks.scale index                1,000,000 vectors of 64 numbers
    python -m benchmarks.scale index --count 10000000 --processes 0
    python -m benchmarks.scale posterior            fits of 250,000 to 1,000,000 x (512 + 384)
    python -m benchmarks.scale posterior --samples 4000000 --epochs 1 --index

Each row runs in a process of its own. "memory" is the largest resident memory of it and of each of
its processes, added; what processes share is counted once for each of them. "posterior" writes
float16 features into a folder of .npy files, trains, and with --index stores all items in an index
(ivf, 64 bytes); "own" is the part of the resident memory that is no page of a file.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
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
    lists: int = 0,
) -> dict[str, Any]:
    """Measure the search structure of an index, re-ranked by the exact vectors, against FAISS."""
    from commonspace.data.row_blocks import release_rows, rows_on_disk
    from commonspace.engines import LocalProcesses
    from commonspace.retrieval.backends import faiss
    from commonspace.retrieval.backends.faiss import FaissBackend
    from commonspace.retrieval.segments import MIN_RERANKED

    rows, asked = rows_on_disk(gallery, size), clustered(queries, size, 2)[0]
    for start in range(0, gallery, 500_000):
        part = slice(start, min(start + 500_000, gallery))
        rows[part] = clustered(len(rows[part]), size, 3 + start)[0]
    best = nearest(rows, asked)
    release_rows()
    batches = (rows[start : start + 10_000] for start in range(0, gallery, 10_000))
    own, before, began = OwnMemory(), used()["cpu_s"], time.perf_counter()
    engine = LocalProcesses(processes) if processes else None
    if lists:
        vars(faiss)["list_count"] = lambda _: lists
    built = FaissBackend.build(batches, size, kind, compress or None, engine)
    seconds, after = time.perf_counter() - began, used()
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        built.write(Path(file.name))
        bytes_each = Path(file.name).stat().st_size / gallery
    times, shared, used_before = [], 0, time.process_time()
    for at in range(queries):
        began = time.perf_counter()
        _, found = built.search(asked[at : at + 1], MIN_RERANKED)
        places = found[0][found[0] >= 0]
        top = places[np.argsort(-(rows[places] @ asked[at]))[:10]]
        times.append(time.perf_counter() - began)
        shared += len({*top.tolist()} & {*best[at].tolist()})
    query_cpu = time.process_time() - used_before
    return {
        "way": f"{kind} {lists or ''} {compress}, "
        + (f"{processes} processes" if processes else "threads"),
        "seconds": seconds,
        "cpu_s": after["cpu_s"] - before,
        "memory_gib": resident()[0] + processes * after["child_gib"],
        "own_gib": own.largest,
        "bytes": bytes_each,
        "recall@10": shared / (10 * queries),
        "p50_ms": 1e3 * float(np.median(times)),
        "cpu_ms": 1e3 * query_cpu / queries,
    }


def nearest(rows: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return (q, 10), the rows with the largest inner products, compared block by block."""
    from commonspace.retrieval.backends.faiss import knn

    scores: NDArray[Any] = np.empty((len(asked), 0))
    places: NDArray[Any] = np.empty((len(asked), 0), dtype=np.intp)
    for start in range(0, len(rows), 100_000):
        more, at = knn(asked, rows[start : start + 100_000], 10)
        scores = np.concatenate([scores, more], axis=1)
        places = np.concatenate([places, at + start], axis=1)
        order = np.argsort(-scores, axis=1)[:, :10]
        scores, places = (np.take_along_axis(one, order, axis=1) for one in (scores, places))
    return places


def write_features(folder: Path, samples: int) -> None:
    """Write float16 features of two modalities, in blocks: 90 % train, 5 % validation and test."""
    from numpy.lib.format import open_memmap

    tables = {
        name: open_memmap(folder / f"{name}.npy", "w+", np.float16, (samples, size))
        for name, size in (("image", 512), ("text", 384))
    }
    labels = np.empty(samples, dtype=np.int64)
    for start in range(0, samples, 50_000):
        part = slice(start, min(start + 50_000, samples))
        tables["image"][part], classes = clustered(len(labels[part]), 512, start + 1)
        draw = np.random.default_rng(start)
        text = draw.standard_normal(tables["text"][part].shape, dtype=np.float32)
        text[:, :CLASSES] += 2 * np.eye(CLASSES, dtype=np.float32)[classes]
        tables["text"][part], labels[part] = text, classes
    rows, _ = np.divmod(np.arange(samples) * 20, samples)
    np.save(folder / "label.npy", labels)
    np.save(
        folder / "split.npy", np.array(["train", "validation", "test"])[np.maximum(rows - 17, 0)]
    )


def resident() -> tuple[float, float]:
    """Return the largest resident memory of this process so far, and its own part now, in GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines if line.endswith("kB"))
    return tuple(int(sizes[name].split()[0]) / 2**20 for name in ("VmHWM", "RssAnon"))  # type: ignore[return-value]


class OwnMemory(threading.Thread):
    """Samples the own memory of this process every 50 ms; ``largest`` is the result, in GiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = 0.0
        self.start()

    def run(self) -> None:
        """Look again and again."""
        while True:
            self.largest = max(self.largest, resident()[1])
            time.sleep(0.05)


def posterior(samples: int, epochs: int, folder: str) -> dict[str, Any]:
    """Measure reading, and a fit of posterior matching."""
    import commonspace as cs

    class Stages(cs.Callback):
        """Keeps the seconds of each task."""

        def __init__(self) -> None:
            self.seconds: dict[str, float] = {}

        def on_start(self, task: str, *_: object) -> None:
            self.task, self.start = task, time.perf_counter()

        def on_end(self) -> None:
            self.seconds[f"{self.task}_s"] = time.perf_counter() - self.start

    own, before, start = OwnMemory(), used(), time.perf_counter()
    data = cs.load_dataset(folder)
    read, stages = time.perf_counter(), Stages()
    space = cs.PosteriorMatching(epochs=epochs).fit(data, run=cs.RunConfig(callbacks=(stages,)))
    end = time.perf_counter()
    space.save(f"{folder}/space")
    return {
        "samples": samples,
        "epochs": epochs,
        "read_s": read - start,
        "fit_s": end - read,
        **stages.seconds,
        "cpu_s": used()["cpu_s"] - before["cpu_s"],
        "memory_gib": resident()[0],
        "own_gib": own.largest,
        "validation": space.provenance["chosen"]["validation_score"],
    }


def store(samples: int, folder: str) -> dict[str, Any]:
    """Measure an index of all samples."""
    import commonspace as cs

    own, start = OwnMemory(), time.perf_counter()
    data = cs.load_dataset(folder)
    space, path = cs.load(f"{folder}/space"), Path(folder) / "index"
    with cs.Index.create(path, space, data, kind="ivf", compress=64) as made:
        written = time.perf_counter()
        column = data.columns["text"].take(np.arange(1))
        made.search(vector=space.embed("text", column)[0], k=10)
        end = time.perf_counter()
    return {
        "samples": samples,
        "store_s": written - start,
        "structure_s": end - written,
        "memory_gib": resident()[0],
        "own_gib": own.largest,
        "disk_gib": sum(file.stat().st_size for file in path.rglob("*")) / 2**30,
    }


MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "evaluation": evaluation,
    "index": index,
    "posterior": posterior,
    "store": store,
}


def main() -> None:
    """Run the rows of one table, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["evaluation", "index", "posterior"])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--kind", default="ivf", help="index: exact, hnsw or ivf")
    parser.add_argument("--compress", type=int, default=64, help="index: bytes; 0 for float32")
    parser.add_argument("--lists", type=int, default=0, help="index: ivf; 0 for the default")
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--samples", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--index", action="store_true", help="posterior: store all items too")
    parser.add_argument("--measurement", help=argparse.SUPPRESS)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(MEASUREMENTS[options.measurement](**json.loads(options.row))))
        return
    if options.what == "posterior":
        for samples in options.samples:
            with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
                write_features(Path(folder), samples)
                row = {"samples": samples, "folder": folder}
                print(run(options.what, {**row, "epochs": options.epochs}), flush=True)
                if options.index:
                    print(run("store", row), flush=True)
        return
    for processes in options.processes:
        row = {
            "queries": options.queries,
            "gallery": options.count,
            "size": options.size,
            "processes": processes,
        }
        if options.what == "index":
            row |= {"kind": options.kind, "compress": options.compress, "lists": options.lists}
        print(run(options.what, row), flush=True)


def run(what: str, row: dict[str, Any]) -> str:
    """Return the figures of one row as text."""
    command = [sys.executable, "-m", "benchmarks.scale", "--measurement", what]
    command += ["--row", json.dumps(row)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return "  ".join(
        f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )


if __name__ == "__main__":
    main()
