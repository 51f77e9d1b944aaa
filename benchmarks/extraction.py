"""Speed and memory of feature extraction, compared with the network alone on tensors in memory.

    python benchmarks/extraction.py ../shared           images per second, photos of flipkart
    python benchmarks/extraction.py ../shared --memory  memory over the 12,000 photos of fashion

MobileNetV2 has the shared checkpoint, VGG-19 random weights; batches of 32, all threads of torch.
Both measurements alternate, so that other load affects them equally. The memory is measured with a
narrow VGG-19: what could grow is on the way to the network and back, and does not depend on its
size. Freed memory is returned to the system before each reading, as extraction itself does every
ten seconds.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from commonspace.allocator import reuse_memory, trim_memory
from commonspace.callbacks import Callback
from commonspace.data import Dataset, Images
from commonspace.datasets import load_dataset
from commonspace.encoders import Encoder, Extraction, Photos, extract
from commonspace.encoders.encoder import describe
from commonspace.encoders.huggingface import image_encoder
from commonspace.networks.backbones.vgg19 import VGG19

__all__ = ["main"]

BATCH = 32


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with data/ and weights/")
    parser.add_argument("--memory", action="store_true", help="memory over 12,000 photos")
    parser.add_argument(
        "--turns", type=int, default=5, help="repetitions of each measurement of speed"
    )
    options = parser.parse_args()
    if options.memory:
        _memory(_vgg19(width=4, size=1280), load_dataset(options.shared / "data" / "fashion"))
        return
    mobilenet = image_encoder(str(options.shared / "weights" / "mobilenet_v2_1.0_224"))
    data = load_dataset(options.shared / "data" / "flipkart")
    print(f"{torch.get_num_threads()} threads, {len(os.sched_getaffinity(0))} cores, batch {BATCH}")
    print(
        "images per second, medians; reused: the bare network, keeping freed memory as extract does"
    )
    head = ("bare", "reused", "extract")
    print(f"{'network':>12}", *(f"{one:>8}" for one in head), f"{'/ bare':>10} {'/ reused':>10}")
    for name, encoder, images in (
        ("MobileNetV2", mobilenet, 8 * BATCH),
        ("VGG-19", _vgg19(), 2 * BATCH),
    ):
        _speed(name, encoder, _photos(data, images), options.turns)


def _vgg19(width: int = 64, size: int = 4096) -> Encoder:
    torch.manual_seed(0)
    return describe(
        Photos(),
        VGG19(width=width, size=size),
        {"kind": "vgg19", "width": width, "size": size},
        spec="vgg19",
        name="VGG-19, random weights",
        preprocessing="256, 224",
        fitted_on="nothing",
    )


def _photos(data: Dataset, count: int) -> Dataset:
    """Return distinct photos; equal ones are encoded only once."""
    column = data.columns["image"]
    assert isinstance(column, Images)
    seen = {
        item.read_bytes(): row for row, item in enumerate(column.items) if isinstance(item, Path)
    }
    part = data.take(np.array(sorted(seen.values())[:count]))
    return Dataset(
        name=part.name,
        ids=part.ids,
        columns={"image": part.columns["image"]},
        labels=part.labels,
        class_names=part.class_names,
        splits=part.splits,
    )


def _speed(name: str, encoder: Encoder, data: Dataset, turns: int) -> None:
    column = data.columns["image"]
    ready = encoder.input(column).split(BATCH)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        encoder.backbone(ready[0])  # the first call selects kernels
    rates: list[tuple[float, float, float]] = []
    for _ in range(turns):
        plain = _bare(encoder, ready)
        with reuse_memory():
            reused = _bare(encoder, ready)
        start = time.perf_counter()
        extract(data, {"image": encoder}, Extraction(batch_size=BATCH))
        rates.append(tuple(len(data) / one for one in (plain, reused, time.perf_counter() - start)))  # type: ignore[arg-type]
    plain, reused, whole = (statistics.median(column) for column in zip(*rates, strict=True))
    ratios = [statistics.median(one[2] / one[place] for one in rates) for place in (0, 1)]
    print(
        f"{name:>12} {plain:8.2f} {reused:8.2f} {whole:8.2f} {ratios[0]:10.2f} {ratios[1]:10.2f}",
        flush=True,
    )


def _bare(encoder: Encoder, ready: Sequence[torch.Tensor]) -> float:
    """Return the seconds of the network alone."""
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in ready:
            encoder.backbone(batch)
    return time.perf_counter() - start


class _Memory(Callback):
    """Records the resident memory during an extraction."""

    def __init__(self) -> None:
        self.done = 0
        self.notes: list[tuple[int, float]] = []

    def on_advance(self, steps: int = 1) -> None:
        """Record the memory about every thousand items."""
        self.done += steps
        if not self.notes or self.done - self.notes[-1][0] >= 1000:
            trim_memory()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.notes.append((self.done, pages * resource.getpagesize() / 2**20))


def _memory(encoder: Encoder, data: Dataset) -> None:
    memory = _Memory()
    with TemporaryDirectory() as cache:
        settings = Extraction(batch_size=BATCH, cache=Path(cache))
        found = extract(data, {"image": encoder}, settings, memory)
    result = len(found) * encoder.size * 4 / 2**20
    print(f"features of {len(found)} photos: {result:.0f} MiB, allocated gradually")
    print("photos done: resident MiB, without the features so far")
    for done, resident in memory.notes:
        print(f"{done:8}: {resident - result * done / len(found):8.0f}")


if __name__ == "__main__":
    main()
