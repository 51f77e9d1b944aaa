"""Package files that one call enters: creating an index, searching it, and searching over HTTP.

    python benchmarks/index_paths.py

Counts the files of ``commonspace`` in which a function is called, by ``sys.setprofile`` and
``threading.setprofile``; importing does not count, so every call is made once before.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np

import commonspace as cs
from commonspace.methods import PosteriorMatching
from commonspace.retrieval import Index

PACKAGE = str(Path(cs.__file__).parent)


class Recorder:
    """Records the package files in which functions are called, in every thread started later."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.active = False
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def entered(self, call: Callable[[], object]) -> list[str]:
        """Return the package files in which a call enters a function."""
        self.files.clear()
        self.active = True
        try:
            call()
        finally:
            self.active = False
        return sorted(self.files)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        called = self.active and event == "call" and frame.f_code.co_name != "<module>"
        if called and name.startswith(PACKAGE):
            self.files.add(name.removeprefix(PACKAGE + "/"))


def main() -> None:
    """Print the number of files of each call, and their names."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    from fastapi.testclient import TestClient

    from commonspace.serve.app import build_app
    from commonspace.serve.settings import ServiceSettings

    draw = np.random.default_rng(0)
    classes = np.arange(200) % 4
    centers = draw.normal(size=(4, 16))
    data = cs.Dataset(
        name="clusters",
        ids=tuple(f"item-{number}" for number in range(200)),
        columns={
            name: cs.Features(centers[classes] + 0.3 * draw.normal(size=(200, 16)))
            for name in ("image", "text")
        },
        labels=np.eye(4, dtype=bool)[classes],
        class_names=("a", "b", "c", "d"),
        splits=np.array(["train", "validation"])[np.arange(200) // 4 % 2],
    )
    method = PosteriorMatching(epochs=1)
    space = method.fit(data.split("train"), data.split("validation"))
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop"
        Index.create(Path(folder) / "first", space, data).close()
        report("Index.create", recorder.entered(lambda: Index.create(path, space, data).close()))
        with Index.open(path) as index:
            index.search(id="item-3")
            report("Index.search by id", recorder.entered(lambda: index.search(id="item-3")))
        with TestClient(
            build_app(path, ServiceSettings(rate=0)), base_url="http://127.0.0.1"
        ) as client:
            assert client.post("/search", json={"id": "item-3"}).status_code == 200
            report(
                "HTTP search by id",
                recorder.entered(lambda: client.post("/search", json={"id": "item-3"})),
            )


def report(name: str, files: list[str]) -> None:
    """Print one line for a call."""
    print(f"{name}: {len(files)} files: {', '.join(files)}")


if __name__ == "__main__":
    main()
