"""Fuzz test of the readers: mutated files must be read or refused, never crash, hang or fill RAM.

    python benchmarks/fuzz_readers.py                     1,000 mutated files for each reader
    python benchmarks/fuzz_readers.py --count 10000 --only hdf5,png --jobs 2

Files are read in forked children with limits of time and memory, many in each. A finding is a file
that ends its child by a signal, takes more than 20 s of processor time, raises anything but an
error of this package, or makes the memory grow by more than 1 GB. Findings are written to --keep,
with the seed in the name.

The package reads each HDF5 file in a process of its own. Here many are read in one, which is
faster; one that ends it, or is a finding otherwise, is read again as the package reads it.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import select
import signal
import struct
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from commonspace.data import Dataset, Features, decode_image, drop_unreadable_images
from commonspace.data.formats import hdf5, isolated, mat
from commonspace.data.write import write_arrays
from commonspace.datasets import load_dataset
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


@dataclass(frozen=True)
class Target:
    """A reader with the files that it is fuzzed with.

    Args:
        suffix: of the mutated files.
        read: reads one file.
        seeds: whole files.
        isolated: whether the package reads each file in a process of its own.
    """

    suffix: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    isolated: bool = False


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


def read_data(path: Path) -> object:
    """Read a data set as ``commonspace data`` does, and as ``train`` does."""
    with contextlib.suppress(CommonspaceError):
        load_dataset(path)
    return read_partly(path)


def read_partly(path: Path) -> object:
    """Read a data set as ``commonspace data`` does."""
    return drop_unreadable_images(load_dataset(path, partial=True))


def targets() -> dict[str, Target]:
    """Return every reader with its files."""
    found: dict[str, Target] = {}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        data = _example()
        for suffix in (".npz", ".mat", ".parquet", ".h5"):
            write_arrays(data, place / f"x{suffix}")
            content = [(place / f"x{suffix}").read_bytes()]
            content += list(_others(suffix, place))
            found[suffix[1:].replace("h5", "hdf5")] = Target(
                suffix, read_data, tuple(content), suffix == ".h5"
            )
        found["mat73"] = Target(".mat", read_data, (_mat73(place),), isolated=True)
        found["jsonl"] = Target(".jsonl", read_data, (_lines(),))
        found["csv"] = Target(".csv", read_data, (_table(","), _table(";")))
        found["tsv"] = Target(".tsv", read_data, (_table("\t"),))
        found["tar"] = Target(".tar", read_data, (_archive(),))
    for suffix, forms in _images().items():
        found[suffix[1:]] = Target(suffix, decode_image, forms)
    return found


def _example() -> Dataset:
    draw = np.random.default_rng(0)
    return Dataset(
        name="example",
        ids=tuple(f"sample {row}" for row in range(30)),
        columns={
            "image": Features(draw.normal(size=(30, 20))),
            "text": Features(draw.normal(size=(30, 7)), draw.random(30) < 0.8),
        },
        labels=np.eye(3, dtype=bool)[np.arange(30) % 3],
        class_names=("kite", "dog", "boat"),
        splits=np.repeat(["train", "validation", "test"], 10),
        fields={"group": [row // 2 for row in range(30)]},
    )


def _others(suffix: str, place: Path) -> Iterator[bytes]:
    """Yield files of the same format as other programs write them."""
    draw = np.random.default_rng(1)
    image, label = draw.normal(size=(30, 6)).astype("f4"), np.arange(30) % 3
    path = place / f"y{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, image=image, text=image[:, :3], label=label)
    elif suffix == ".mat":
        from scipy.io import savemat
        from scipy.sparse import csc_matrix

        words = np.array([["a cat"], ["a dog"]] * 15, dtype=object)
        content = {"image": image, "text": words, "label": label}
        savemat(path, content | {"tags": csc_matrix(image > 1)}, do_compression=True)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            for split in ("train", "test"):
                file.create_dataset(f"{split}/image", data=image, compression="gzip", chunks=(7, 4))
                file[f"{split}/label"] = label
                file[f"{split}/text"] = np.array(["a cat", "ein Hündchen", ""] * 10, dtype=object)
            file.attrs["note"] = "by hand"
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        photo = io.BytesIO()
        Image.new("RGB", (6, 6), (9, 8, 7)).save(photo, "png")
        photos = [{"bytes": photo.getvalue(), "path": None}] * 30
        columns = {"image": photos, "text": ["a cat", None, "a dog"] * 10, "label": label}
        pq.write_table(pa.table(columns), path, compression="zstd")
    yield path.read_bytes()


def _mat73(place: Path) -> bytes:
    path = place / "seven.mat"
    draw = np.random.default_rng(2)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["image"] = draw.normal(size=(6, 30))
        file["label"] = (np.arange(30) % 3)[None] + 1.0
        cells = [
            file.create_dataset(f"#refs#/{word}", data=[[ord(c)] for c in word]).ref
            for word in ("cat", "dog", "kite")
        ]
        for cell in file["#refs#"].values():
            cell.attrs["MATLAB_class"] = np.bytes_("char")
        names = file.create_dataset("class_names", data=np.array([cells], dtype=h5py.ref_dtype))
        names.attrs["MATLAB_class"] = np.bytes_("cell")
        group = file.create_group("tags")
        group.attrs["MATLAB_sparse"] = 30
        group["data"], group["ir"] = np.ones(4), np.array([0, 3, 4, 29])
        group["jc"] = np.array([0, 1, 3, 4])
    return path.read_bytes()


def _rows() -> list[dict[str, object]]:
    return [
        {"text": f"a {kind} number {row}", "label": kind, "price": row / 2, "id": f"p{row}"}
        for row, kind in enumerate(["kite", "dog", "fête"] * 8)
    ]


def _lines() -> bytes:
    return "".join(
        json.dumps(row, ensure_ascii=row["id"] == "p2") + "\n" for row in _rows()
    ).encode()


def _table(delimiter: str) -> bytes:
    head = delimiter.join(("text", "label", "price", "id"))
    rows = (delimiter.join(f'"{value}"' for value in row.values()) for row in _rows())
    return "\r\n".join([head, *rows]).encode()


def _archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for row in range(10):
            photo = io.BytesIO()
            Image.new("RGB", (6, 6), (row, 8, 7)).save(photo, "png")
            for suffix, content in (
                ("png", photo.getvalue()),
                ("txt", b"a cat"),
                ("json", json.dumps({"label": "ab"[row % 2]}).encode()),
            ):
                info = tarfile.TarInfo(f"{row:03}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def _images() -> dict[str, tuple[bytes, ...]]:
    draw = np.random.default_rng(3)
    rgb = Image.fromarray(draw.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    alpha = Image.fromarray(draw.integers(0, 256, (40, 50, 4), dtype=np.uint8), "RGBA")
    deep = Image.fromarray(draw.integers(0, 65536, (40, 50), dtype=np.uint16))

    def encode(image: Image.Image, form: str, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, form, **options)
        return stream.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    return {
        ".jpg": (
            encode(rgb, "jpeg", exif=exif),
            encode(rgb, "jpeg", progressive=True, subsampling=0),
            encode(rgb.convert("CMYK"), "jpeg"),
        ),
        ".png": (
            encode(rgb, "png"),
            encode(alpha, "png"),
            encode(deep, "png"),
            encode(rgb.quantize(16), "png", transparency=0),
            encode(rgb, "png", **frames),
        ),
        ".tiff": (
            encode(rgb, "tiff"),
            encode(rgb, "tiff", compression="tiff_lzw"),
            encode(deep, "tiff", compression="tiff_deflate"),
            encode(rgb.convert("1"), "tiff", compression="group4"),
            encode(rgb.convert("YCbCr"), "tiff", compression="jpeg"),
        ),
        ".webp": (
            encode(rgb, "webp"),
            encode(alpha, "webp", lossless=True),
            encode(rgb, "webp", **frames),
        ),
        ".gif": (encode(rgb, "gif"), encode(rgb, "gif", **frames), encode(alpha, "gif")),
        ".bmp": (encode(rgb, "bmp"), encode(rgb.quantize(16), "bmp")),
    }


if __name__ == "__main__":
    main()
