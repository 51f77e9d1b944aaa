"""Start of the package and of its commands, each in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import commonspace as cs
from benchmarks.bench.measure import ROUNDS, Bar, Rival, Size, Work
from commonspace.datasets.scenes.scenes import scenes

__all__ = ["works"]

QUERY = "a red kite"


def works(size: Size) -> Iterator[Work]:
    """Yield the works of a size."""
    small = size == "smallest"
    torch = None if small else Rival("import torch", _python("-c", "import torch"))
    empty = Rival("empty process", _python("-c", ""))
    with TemporaryDirectory() as name:
        shop = Path(name) / "shop"
        _build(shop, per_class=6 if small else 40)
        for text, ours, limit, bars in (
            ("commonspace --help", _command("--help"), empty, (Bar("seconds", 0.25),)),
            ("import commonspace", _python("-c", "import commonspace"), empty, ()),
            (
                "commonspace search, from words to items",
                _command("search", str(shop), QUERY),
                None,
                () if small else (Bar("peer", 1.5),),
            ),
        ):
            yield Work(text, ours, torch, limit, bars, rounds=1 if small else ROUNDS)


def _build(shop: Path, per_class: int) -> None:
    """Create an index of scenes, with a space of raw pictures and words."""
    few = scenes(0, per_class=20)
    method = cs.DSCMR(preset="official", epochs=1, device="cpu")
    space = method.fit(few.split("train"), few.split("validation"), cs.RunConfig())
    cs.Index.create(shop, space, scenes(1, per_class=per_class)).close()


def _command(*arguments: str) -> Callable[[], None]:
    return _python("-m", "commonspace", *arguments)


def _python(*arguments: str) -> Callable[[], None]:
    """Return a call that runs Python to its end, and raises an error if it fails."""

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    return run
