"""Memory of feature extraction over the 12,000 photos of fashion.

    python -m benchmarks.extraction_memory ../shared

The network is a narrow VGG-19: what could grow is on the way to the network and back, and does not
depend on its size. Freed memory is returned to the system before each reading, as extraction itself
does every ten seconds.
"""

import argparse
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench.encoders import BATCH, vgg19
from commonspace.allocator import trim_memory
from commonspace.callbacks import Callback
from commonspace.datasets import load_dataset
from commonspace.encoders import Extraction, extract

__all__ = ["main"]


def main() -> None:
    """Extract the features, and print the memory about every thousand photos."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with data/")
    options = parser.parse_args()
    data, encoder = load_dataset(options.shared / "data" / "fashion"), vgg19(width=4)
    memory = _Memory()
    with TemporaryDirectory() as cache:
        settings = Extraction(batch_size=BATCH, cache=Path(cache))
        found = extract(data, {"image": encoder}, settings, memory)
    result = len(found) * encoder.size * 4 / 2**20
    print(f"features of {len(found)} photos: {result:.0f} MiB, allocated gradually")
    print("photos done: resident MiB, without the features so far")
    for done, resident in memory.notes:
        print(f"{done:8}: {resident - result * done / len(found):8.0f}")


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


if __name__ == "__main__":
    main()
