"""Source files and functions of the package that a call enters, and how deep it nests.

    python benchmarks/trace_files.py [--list]

Each call runs once before it is traced, so that imports do not count. A file counts when a function
of it is called, in whatever thread; depth is the largest number of package frames on the stack of a
thread. The HTTP search is a request to the application of the service in this process.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np
from starlette.testclient import TestClient

import commonspace as cs
from commonspace.methods import DSCMR, InfoNCE, PosteriorMatching
from commonspace.serve import ServiceSettings, build_app

PACKAGE = str(Path(cs.__file__).parent)


@dataclass
class Trace:
    """Files, functions and depth of one traced call.

    Args:
        files: paths relative to the package.
        functions: number of different functions.
        depth: largest number of package frames on the stack.
    """

    files: set[str] = field(default_factory=set)
    functions: set[tuple[str, str]] = field(default_factory=set)
    depth: int = 0


class Tracer:
    """Profile function of all threads that start after ``install``; records during ``trace``."""

    def __init__(self) -> None:
        self._result: Trace | None = None
        self._depths: dict[int, int] = {}

    def install(self) -> None:
        """Profile this thread, and those that start from now on."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def trace(self, call: Callable[[], object]) -> Trace:
        """Run a call and return what of the package it entered."""
        result = self._result = Trace()
        self._depths = {}
        try:
            call()
        finally:
            self._result = None
        return result

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        result, path = self._result, frame.f_code.co_filename
        if result is None or not path.startswith(PACKAGE):
            return
        thread = threading.get_ident()
        depth = self._depths.get(thread, 0)
        if event == "call":
            self._depths[thread] = depth + 1
            result.depth = max(result.depth, depth + 1)
            name = path.removeprefix(PACKAGE + "/")
            result.files.add(name)
            result.functions.add((name, frame.f_code.co_qualname))
        elif event == "return":
            self._depths[thread] = depth - 1


def main() -> None:
    """Trace fit, evaluate, Index.create, search and a request to the service."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="Also print the files of each call.")
    arguments = parser.parse_args()
    data = _points()
    train, validation = data.split("train"), data.split("validation")
    methods = {
        "fit of InfoNCE": InfoNCE(epochs=2),
        "fit of DSCMR": DSCMR(epochs=2),
        "fit of PosteriorMatching": PosteriorMatching(epochs=2),
    }
    space = InfoNCE(epochs=2).fit(train, validation)
    tracer = Tracer()
    tracer.install()
    with tempfile.TemporaryDirectory() as parent, ExitStack() as stack:
        places = iter(Path(parent) / str(number) for number in range(9))
        folder = next(places)
        index = cs.Index.create(folder, space, data)
        app = build_app(folder, ServiceSettings(allowed_hosts=()))
        client = stack.enter_context(TestClient(app))
        query = np.asarray(space.embed("image", data.columns["image"]))[0]
        calls: dict[str, Callable[[], object]] = {
            **{name: partial(method.fit, train, validation) for name, method in methods.items()},
            "evaluate": lambda: cs.evaluate(space, data.split("test")),
            "Index.create": lambda: cs.Index.create(next(places), space, data),
            "search": lambda: index.search(vector=query, modality="text", k=3),
            "HTTP search by id": lambda: _post(client, {"id": data.ids[0], "k": 3}),
        }
        print(f"{'call':<26} files  functions  depth")
        for name, call in calls.items():
            call()
            found = tracer.trace(call)
            print(f"{name:<26} {len(found.files):5}  {len(found.functions):9}  {found.depth:5}")
            if arguments.list:
                print("  " + "\n  ".join(sorted(found.files)))


def _post(client: TestClient, query: dict[str, object]) -> None:
    client.post("/search", json=query).raise_for_status()


def _points() -> cs.Dataset:
    draw = np.random.default_rng(0)
    classes = np.arange(90) % 3
    centers = draw.normal(size=(2, 3, 8))
    return cs.Dataset(
        name="points",
        ids=tuple(map(str, range(90))),
        columns={
            name: cs.Features(center[classes] + draw.normal(size=(90, 8)))
            for name, center in zip(("image", "text"), centers, strict=True)
        },
        labels=np.eye(3, dtype=bool)[classes],
        class_names=("a", "b", "c"),
        splits=np.repeat(["train", "validation", "test"], 30),
    )


if __name__ == "__main__":
    main()
