"""The service under load from a second process on loopback: requests a second, p50, p99, memory.

    python benchmarks/service.py                    12,000 items, 32 connections, 60 s for each row
    python benchmarks/service.py --seconds 10 --per-class 40

The index holds drawn scenes, embedded by a space of raw pictures and words that was trained for an
epoch: what matters here is time, not quality. The server is the command ``commonspace serve``, once
with batches of 32 and once without; each connection asks a text query as soon as the last one is
answered. ``pass`` is the encoder's forward pass of one text by itself, in this process, and its
share is of the median time of one request when nobody else asks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

WORDS = ("a red kite", "some blue boat at sea", "two green trees", "an old clock in the city")
CONNECTIONS = 32
BODIES = [json.dumps({"text": words, "k": 24}).encode() for words in WORDS]


def build(folder: Path, per_class: int) -> None:
    """Make an index of 24 times so many scenes."""
    import commonspace as cs
    from commonspace.data.scenes import scenes

    few = scenes(0, per_class=20)
    method = cs.DSCMR(variant="released", epochs=1, device="cpu")
    space = method.fit(few.part("train"), few.part("validation"), cs.Run(observers=()))
    cs.Index.create(folder, space, scenes(1, per_class=per_class)).close()


class Server:
    """The command, in a process of its own."""

    def __init__(self, folder: Path, batch: int) -> None:
        """Start it, and wait until it answers."""
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
        """Return its resident memory in MB (Linux)."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)


def ask(server: Server, until: float, most: int, times: list[float], errors: list[str]) -> None:
    """Ask by one connection until a moment, or so many times."""
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
    """Return what so many connections saw."""
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


def forward_pass(folder: Path) -> float:
    """Return the median milliseconds of embedding one text by itself."""
    import commonspace as cs

    with cs.Index.open(folder) as index:
        space, times = index.space, []
        for number in range(220):
            began = time.perf_counter()
            space.embed("text", [WORDS[number % len(WORDS)]])
            times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times[20:]))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each row")
    parser.add_argument("--per-class", type=int, default=500, help="scenes of each of 24 classes")
    parser.add_argument("--index", type=Path, help="an index of scenes that is there already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = given.index or Path(place) / "index"
        if given.index is None:
            build(folder, given.per_class)
        alone = 0.0
        print(f"{'':12}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}{'MB':>14}")
        for name, batch in (("batches", 32), ("one by one", 1)):
            server = Server(folder, batch)
            try:
                single = load(server, 1, 20, most=200)
                before = server.memory()
                row = load(server, CONNECTIONS, given.seconds)
                after = server.memory()
            finally:
                server.stop()
            alone = single["p50_ms"] if batch == 1 else alone
            print(
                f"{name:12}{row['per_second']:11.0f}{row['p50_ms']:9.1f}{row['p99_ms']:9.1f}"
                f"{row['errors']:8d}{before:7.0f}{after:7.0f}   {row['requests']} requests"
            )
        passed = forward_pass(folder)
        print(f"one request at a time: {alone:.1f} ms; pass {passed:.1f} ms, {passed / alone:.0%}")


if __name__ == "__main__":
    main()
