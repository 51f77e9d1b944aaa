"""Items a second that are written over HTTP, 1,000 in a request.

    python benchmarks/http_writes.py [--items 5000]

A service in a process of its own, with an empty index and a small network for words that is trained
on the built-in scenes; items with a text, a class and two fields. Printed are the rate of new
items, of the same items again (unchanged), and of items one by one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import commonspace as cs
from commonspace.datasets.scenes.scenes import scenes

__all__ = ["main"]

ONE_BY_ONE = 100


def main() -> None:
    """Measure and print the rates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=5000)
    count = parser.parse_args().items
    data = scenes(0, per_class=20)
    method = cs.DSCMR(preset="official", epochs=1, device="cpu")
    space = method.fit(data.split("train"), data.split("validation"), cs.RunConfig())
    texts = [one[0] for one in data.columns["text"].items]  # type: ignore[attr-defined]
    items = [
        {
            "id": str(number),
            "text": [f"{texts[number % len(texts)]} {number}"],
            "labels": [data.class_names[number % len(data.class_names)]],
            "fields": {"price": number % 97, "brand": f"brand {number % 50}"},
        }
        for number in range(count + ONE_BY_ONE)
    ]
    with tempfile.TemporaryDirectory() as folder:
        cs.Index.create(Path(folder) / "shop", space).close()
        command = [sys.executable, "-m", "commonspace", "serve", f"{folder}/shop", "--port", "0"]
        with subprocess.Popen(
            [*command, "--writable", "--rate", "0"], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                address = server.stdout.readline().partition("http://")[2].partition("/")[0]
                for name in ("new", "unchanged"):
                    start = time.perf_counter()
                    for first in range(0, count, 1000):
                        _post(address, "items/batch", {"items": items[first : first + 1000]})
                    _print(name, count, time.perf_counter() - start)
                start = time.perf_counter()
                for item in items[count:]:
                    _post(address, "items", item)
                _print("one by one", ONE_BY_ONE, time.perf_counter() - start)
            finally:
                server.terminate()


def _post(address: str, path: str, body: dict[str, Any]) -> None:
    request = Request(
        f"http://{address}/v1/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request) as answer:
        answer.read()


def _print(name: str, count: int, seconds: float) -> None:
    print(f"{name}: {count / seconds:,.0f} items a second", flush=True)


if __name__ == "__main__":
    main()
