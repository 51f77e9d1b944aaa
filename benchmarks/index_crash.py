"""Durability of an index whose writing processes are killed at random moments.

    python benchmarks/index_crash.py                200 kills, about three minutes
    python benchmarks/index_crash.py --kills 20

Every acknowledged write must survive. Each round starts a process that creates, extends, updates,
shrinks or migrates an index, and reports through a pipe what was acknowledged: each batch that its
progress counted, and the end of each call. After a random fraction of the usual time it is killed
with SIGKILL. The index must then verify without a problem, contain every acknowledged item in its
acknowledged version, contain none whose removal was acknowledged, and contain each item of the
interrupted call completely or not at all. Transactions are made small, so that there are many
moments to hit.
"""

import argparse
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from commonspace import CommonSpace, Dataset, Features
from commonspace.callbacks import Callback
from commonspace.methods import CCA, RawFeatures
from commonspace.retrieval import Index, migrate, vector_index, writing

SIZE = 16
ITEMS = 400
BATCH = 40
"""Items in one transaction, instead of 10,000."""
MIN_CHANGES = 60
"""Changes after which FAISS files are written, instead of 2,000."""

Tell = Callable[[str], None]


def articles(numbers: Sequence[int], version: int) -> Dataset:
    """Return articles whose content depends only on their number and version."""
    draws = [np.random.default_rng((number, version)) for number in numbers]
    values = np.stack([draw.normal(size=(2, SIZE)) for draw in draws])
    return Dataset(
        name="articles",
        ids=tuple(f"article {number}" for number in numbers),
        columns={"image": Features(values[:, 0]), "text": Features(values[:, 1])},
        labels=np.eye(4, dtype=bool)[[number % 4 for number in numbers]],
        class_names=("a", "b", "c", "d"),
        splits=np.array(["train", "validation"])[[number % 2 for number in numbers]],
        fields={"version": [version] * len(numbers)},
    )


def spaces() -> tuple[CommonSpace, CommonSpace]:
    """Return two spaces that embed the same features differently."""
    data = articles(range(64), 0)
    one = RawFeatures().fit(data.split("train"), data.split("validation"))
    return one, CCA(dimension=SIZE // 2).fit(data.split("train"), data.split("validation"))


class _Tell(Callback):
    """Reports the number of acknowledged items."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._done = 0

    def on_advance(self, steps: int = 1) -> None:
        """Report the number."""
        self._done += steps
        self._tell(str(self._done))


@dataclass
class Harness:
    """An index, and what it must contain after each kill.

    Args:
        path: where the index lies.
        seed: of everything that is drawn.
    """

    path: Path
    seed: int = 0
    model: dict[int, int] = field(default_factory=dict)
    """Number -> version of each acknowledged item."""
    counts: Counter[str] = field(default_factory=Counter)
    """Number of kills during each kind of work."""
    unhurt: int = 0
    """Number of processes that ended before the kill."""

    def __post_init__(self) -> None:
        """Fit the spaces, and measure how long each kind of work takes uninterrupted."""
        self.draw = np.random.default_rng(self.seed)
        self.spaces = spaces()
        self.seconds: dict[str, float] = {}

    def round(self) -> None:
        """Start work, kill it, and check the index."""
        work = self._next()
        numbers = self._numbers(work)
        version = int(self.draw.integers(1, 1000))
        limit = float(self.draw.random() * 1.1 * self.seconds.get(work, 0.5))
        start = time.monotonic()
        told, ended = self._killed(lambda tell: self._work(work, numbers, version, tell), limit)
        if ended:
            self.unhurt += 1
            taken = time.monotonic() - start
            self.seconds[work] = max(self.seconds.get(work, 0.0) * 0.8, taken)
        else:
            self.counts[work] += 1
            self.seconds[work] = max(self.seconds.get(work, 0.0), 1.1 * limit)
        self._check(work, numbers, version, told)

    def _next(self) -> str:
        """Return the next kind of work; without an index, creating one.

        Now and then the index is thrown away, so that its making can be killed, too.
        """
        changes = ("add", "update", "remove", "migrate")
        rarest = min(self.counts[work] for work in changes)
        if self.path.exists() and self.counts["index"] <= rarest:
            shutil.rmtree(self.path)
            self.model.clear()
        if not self.path.exists():
            return "index"
        if not self.model:  # nothing to change yet
            return "add"
        return str(self.draw.choice([one for one in changes if self.counts[one] == rarest]))

    def _numbers(self, work: str) -> list[int]:
        there = sorted(self.model)
        if work == "index":
            return list(range(ITEMS))
        if work == "add":
            first = max(there, default=-1) + 1
            return list(range(first, first + int(self.draw.integers(1, ITEMS))))
        if work == "migrate" or not there:
            return []
        count = int(self.draw.integers(1, max(2, len(there) // 2)))
        return sorted(self.draw.choice(there, count, replace=False).tolist())

    def _work(self, work: str, numbers: list[int], version: int, tell: Tell) -> None:
        """Do the work, in the process to be killed."""
        callbacks = [_Tell(tell)]
        if work == "index":
            Index.create(self.path, self.spaces[0], articles(numbers, version), callbacks=callbacks)
            return
        with Index.open(self.path) as index:
            if work == "migrate":
                other = next(s for s in self.spaces if s.fingerprint != index.fingerprint)
                index.migrate(other)
            elif work == "remove" and numbers:
                index.remove([f"article {number}" for number in numbers])
            elif numbers:
                data = articles(numbers, version)
                change = index.add if work == "add" else index.update
                change(data, callbacks=callbacks)
        tell("end")

    def _killed(self, work: Callable[[Tell], None], limit: float) -> tuple[list[str], bool]:
        """Run work in another process, kill it in time, and return its reports."""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(read_end)
                writing.MAX_BATCH = migrate.BATCH = BATCH
                vector_index.MIN_CHANGES = MIN_CHANGES
                with os.fdopen(write_end, "w") as pipe:
                    work(lambda word: print(word, file=pipe, flush=True))
                code = 0
            finally:
                os._exit(code)
        os.close(write_end)
        until = time.monotonic() + limit
        ended = 0
        while not ended and time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.0005)
        if not ended:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        with os.fdopen(read_end) as reports:
            told = reports.read().split()
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, -signal.SIGKILL), f"the work failed with code {code}"
        return told, code == 0

    def _check(self, work: str, numbers: list[int], version: int, told: list[str]) -> None:
        """Compare the index with what was acknowledged."""
        acknowledged = max((int(word) for word in told if word != "end"), default=0)
        if not self.path.exists():
            assert work == "index"
            assert not told, "an index was acknowledged and is not there"
            return
        with Index.open(self.path) as index:
            found = index.verify()
            assert not found.problems, found.problems
            there = {
                int(one.id.removeprefix("article ")): int(one.fields["version"])
                for one in index.search(vector=np.ones(index.space.dimension), k=10**6)
            }
            assert len(there) == len(index) == found.items
        done, open_ = set(numbers[:acknowledged]), set(numbers[acknowledged:])
        if work == "remove":
            gone = set(numbers) - set(there)
            assert gone in (set(), set(numbers)), "a part of the items was removed"
            assert gone == set(numbers) or "end" not in told, "an acknowledged removal was lost"
            self.model = {number: old for number, old in self.model.items() if number not in gone}
        elif work != "migrate":
            for number in open_:
                assert there.get(number) in (version, self.model.get(number)), number
            self.model |= dict.fromkeys(done, version)
            self.model |= {number: there[number] for number in open_ if number in there}
        assert there == self.model, "an acknowledged item is not there as it was acknowledged"
        with Index.open(self.path) as index:  # each item is complete, as in the data
            for one in sorted(set(self.model.values())):
                some = sorted(number for number, kept in self.model.items() if kept == one)
                assert index.update(articles(some, one)).unchanged == len(some)


def run(kills: int, folder: Path, seed: int = 0) -> Harness:
    """Kill work a number of times, and check after each.

    Args:
        kills: how often work shall be killed before its end.
        folder: where the index is made.
        seed: of everything that is drawn.

    Raises:
        AssertionError: something was lost.
    """
    harness = Harness(folder / "index", seed)
    while sum(harness.counts.values()) < kills:
        harness.round()
    return harness


def main() -> None:
    """Run and print a summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        harness = run(options.kills, Path(folder), options.seed)
        kinds = ", ".join(f"{count} in {work}" for work, count in sorted(harness.counts.items()))
        print(
            f"{sum(harness.counts.values())} kills ({kinds}), {harness.unhurt} calls that ended"
            f" before theirs, {time.monotonic() - start:.0f} s: nothing was lost"
        )


if __name__ == "__main__":
    main()
