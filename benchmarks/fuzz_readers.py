"""Fuzz test of the readers: mutated files must be read or refused, never crash, hang or fill RAM.

    python -m benchmarks.fuzz_readers                     1,000 mutated files for each reader
    python -m benchmarks.fuzz_readers --count 10000 --only hdf5,png --jobs 2

Files are read in forked children with limits of time and memory, many in each. A finding is a file
that ends its child by a signal, takes more than 20 s of processor time, raises anything but an
error of this package, or makes the memory grow by more than 1 GB. Findings are written to --keep,
with the seed in the name.

The package reads each HDF5 file in a process of its own. Here many are read in one, which is
faster; one that ends it, or is a finding otherwise, is read again as the package reads it.
"""

import argparse
import io
import os
import resource
import select
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fuzz_targets import Target, targets
from commonspace.data.formats import hdf5, isolated, mat
from commonspace.errors import CommonspaceError

SECONDS = 20
"""Processor time of a file; ten times that on the clock, for machines with other work."""
SECONDS_TOGETHER = 3
"""Of a file that is read again alone after it."""
MEGABYTES = 1000
BATCH = 100
"""Files of a child, which a finding ends early."""
WORDS = (
    b"\x00" * 4,
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    struct.pack("<I", 1 << 28),
)


def main() -> None:
    """Fuzz the readers and print a table of findings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="files for each reader")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations")
    parser.add_argument("--only", default="", help="names of readers, comma-separated")
    parser.add_argument("--jobs", type=int, default=2, help="files at a time")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop a reader after this time")
    parser.add_argument("--keep", type=Path, default=None, help="folder for the findings")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name]
    failed = 0
    for name, target in targets().items():
        if names and name not in names:
            continue
        start = time.monotonic()
        outcomes = fuzz(
            name, target, given.count, given.seed, given.jobs, given.keep, given.seconds
        )
        seconds = time.monotonic() - start
        shown = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
        print(f"{name:10} {outcomes.total()} files in {seconds:.0f} s: {shown}", flush=True)
        failed += sum(count for what, count in outcomes.items() if what not in ("read", "refused"))
    sys.exit(failed > 0)


def fuzz(
    name: str,
    target: Target,
    count: int,
    seed: int,
    jobs: int = 1,
    keep: Path | None = None,
    seconds: float = 1e9,
) -> Counter[str]:
    """Read mutated files and count the outcomes.

    Args:
        name: of the reader.
        target: the reader and its files.
        count: how many files.
        seed: the same seed makes the same files.
        jobs: how many are read at a time.
        keep: folder for the files that were neither read nor refused.
        seconds: no further file is read after this time.

    Returns:
        "read", "refused", and findings such as "signal 11", "timeout", "KeyError", "memory".
    """
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + seconds
    with TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:

        def outcomes_of(start: int) -> Counter[str]:
            counts: Counter[str] = Counter()
            numbers = list(range(start, min(start + BATCH, count)))
            while numbers and time.monotonic() < end:
                paths = [Path(folder) / f"{number}{target.suffix}" for number in numbers]
                for number, path in zip(numbers, paths, strict=True):
                    path.write_bytes(mutate(target, seed, number))
                found = read_in_child(target.read, paths, together=target.isolated)
                if target.isolated and found[-1] not in ("read", "refused"):
                    found[-1:] = read_in_child(target.read, [paths[len(found) - 1]])
                counts.update(found)
                if found[-1] not in ("read", "refused") and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    path = paths[len(found) - 1]
                    place = f"{name}-{seed}-{path.stem}-{found[-1].replace(' ', '_')}{path.suffix}"
                    (keep / place).write_bytes(path.read_bytes())
                for path in paths:
                    path.unlink()
                numbers = numbers[len(found) :]
            return counts

        for counts in pool.map(outcomes_of, range(0, count, BATCH)):
            outcomes.update(counts)
    return outcomes


def mutate(target: Target, seed: int, number: int) -> bytes:
    """Return file ``number``: a seed file with flipped bits, other words, cuts or copied pieces."""
    draw = np.random.default_rng([seed, number])
    content = bytearray(target.seeds[int(draw.integers(len(target.seeds)))])
    for _ in range(int(draw.integers(1, 9))):
        place = (
            int(draw.integers(len(content)))
            if draw.random() < 0.5
            else int(draw.integers(min(len(content), 512)))
        )
        action = int(draw.integers(6))
        if action == 0:
            content[place] ^= 1 << int(draw.integers(8))
        elif action == 1:
            content[place] = int(draw.integers(256))
        elif action == 2:
            word = WORDS[int(draw.integers(len(WORDS)))]
            content[place : place + 4] = word
        elif action == 3 and draw.random() < 0.2:
            del content[place:]
        elif action == 4:
            size = int(draw.integers(1, 33))
            other = int(draw.integers(len(content)))
            content[place : place + size] = content[other : other + size]
        else:
            del content[place : place + int(draw.integers(1, 9))]
        if not content:
            return b""
    return bytes(content)


def read_in_child(
    read: Callable[[Path], object], paths: list[Path], *, together: bool = False
) -> list[str]:
    """Read files in a forked child and return their outcomes, up to the first finding.

    Args:
        read: reads one file.
        paths: the files.
        together: whether that child also reads what the package reads in further processes.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        if together:
            hdf5.read_in_process = mat.read_in_process = _read_here  # type: ignore[attr-defined]
        _read(read, paths, writing, SECONDS_TOGETHER if together else SECONDS)
    os.close(writing)
    outcomes: list[str] = []
    with os.fdopen(reading, "rb", buffering=0) as pipe:  # unbuffered for select
        while select.select([pipe], [], [], 10 * SECONDS)[0]:
            line = pipe.readline()
            if not line:
                break
            outcomes.append(line.decode().strip())
        else:
            os.kill(child, signal.SIGKILL)
            outcomes.append("timeout")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and outcomes[-1:] != ["timeout"]:
        number = os.WTERMSIG(status)
        outcomes.append("timeout" if number == signal.SIGXCPU else f"signal {number}")
    return outcomes or ["no outcome"]


def _read(read: Callable[[Path], object], paths: list[Path], pipe: int, seconds: int) -> None:
    """Read in the child, write each outcome to the pipe, and end the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # image libraries print what they find
    before = _memory()
    for path in paths:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        outcome = "read"
        try:
            read(path)
        except CommonspaceError:
            outcome = "refused"
        except BaseException as error:
            outcome = type(error).__name__
        other = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        if max(_memory() - before, other) > MEGABYTES:
            outcome = "memory"
        os.write(pipe, f"{outcome}\n".encode())
        if outcome not in ("read", "refused"):
            break
    os._exit(0)


def _read_here(reader: str, path: Path) -> dict[str, NDArray[Any]]:
    """Do what ``isolated.read_in_process`` does, in this process."""
    module, _, function = reader.partition(":")
    sent = io.BytesIO()
    try:
        isolated.send_arrays(getattr(import_module(module), function)(path, lambda _: None), sent)
    except Exception as exc:
        raise ValueError(str(exc)) from exc
    sent.seek(0)
    return dict(isolated._received(sent))


def _memory() -> float:
    """Return the largest resident size of this process in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
