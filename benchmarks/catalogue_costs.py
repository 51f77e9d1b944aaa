"""Costs of a catalogue: arithmetic from measured throughputs and assumed prices.

    python -m benchmarks.catalogue_costs
    python -m benchmarks.catalogue_costs --photos 30 --cores 64 --price 2.40
    python -m benchmarks.catalogue_costs --gpu-photos 2000 --gpu-price 3    your GPU: measure it

Work is taken to be proportional to the number of items and to divide evenly over cores. Defaults
are the measurements in docs/scale.md; prices are assumptions, and no default exists for a GPU.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

ITEMS = (10**6, 10**8, 10**9)
GIB = 2**30


@dataclass(frozen=True)
class Rates:
    """Measured on one core, and sizes.

    Args:
        epoch: seconds of an epoch of posterior matching over a million samples.
        epochs: of a fit.
        samples: largest number of samples that a space is trained on.
        index: seconds to build an inverted-list index of a million vectors.
        query: seconds to rank a million items exactly, in evaluation.
        queries: that are evaluated.
        feature_bytes: of the features of an item.
        disk_bytes: of an item in an index folder.
        memory_bytes: of a vector in memory, while it is searched.
    """

    epoch: float = 140
    epochs: int = 20
    samples: float = 4e6
    index: float = 22.5
    query: float = 0.024
    queries: int = 10_000
    feature_bytes: int = 4 * (1280 + 384)
    disk_bytes: int = 964
    memory_bytes: int = 72 + 4 * 64

    def core_hours(self, items: float) -> dict[str, float]:
        """Return the hours of one core of each stage but extraction."""
        millions, trained = items / 1e6, min(items, self.samples) / 1e6
        seconds = {
            f"training, {self.epochs} epochs": trained * (self.epoch * self.epochs + 40),
            "search structure": millions * self.index,
            f"evaluation, {self.queries:,} queries": millions * self.query * self.queries,
        }
        return {stage: value / 3600 for stage, value in seconds.items()}

    def gib(self, items: float) -> dict[str, float]:
        """Return the GiB of each kind of file, and of memory."""
        sizes = {
            "features on disk": self.feature_bytes,
            "index on disk": self.disk_bytes,
            "vectors in memory": self.memory_bytes,
        }
        return {kind: items * size / GIB for kind, size in sizes.items()}


def table(rates: Rates, price: float) -> list[list[str]]:
    """Return a row of core hours and euros for each stage, then one of GiB for each size.

    Args:
        rates: of one core.
        price: euros of a core and hour.
    """
    hours = [rates.core_hours(items) for items in ITEMS]
    rows = [[stage, *(_cell(one[stage], price) for one in hours)] for stage in hours[0]]
    sizes = [rates.gib(items) for items in ITEMS]
    return rows + [[kind, *(f"{_number(one[kind])} GiB" for one in sizes)] for kind in sizes[0]]


def extraction(photos: float, price: float, unit: str) -> list[str]:
    """Return the row of extraction.

    Args:
        photos: encoded in a second by one unit.
        price: euros of a unit and hour.
        unit: core or GPU.
    """
    hours = [items / photos / 3600 for items in ITEMS]
    return [f"extraction, {photos:g} photos a second and {unit}", *(_cell(h, price) for h in hours)]


def _cell(hours: float, price: float) -> str:
    return f"{_number(hours)} h, {_number(hours * price)} €"


def _number(value: float) -> str:
    """Return a number with two or more significant digits."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--photos", type=float, nargs="+", default=[41.7, 16], help="a second and core"
    )
    parser.add_argument("--cores", type=int, default=16, help="of a node")
    parser.add_argument("--price", type=float, default=0.60, help="euros of a node and hour")
    parser.add_argument("--gpu-photos", type=float, help="a second and GPU, as measured by you")
    parser.add_argument("--gpu-price", type=float, default=3.0, help="euros of a GPU and hour")
    options = parser.parse_args(arguments)
    core = options.price / options.cores
    rows = [extraction(photos, core, "core") for photos in options.photos]
    if options.gpu_photos:
        rows.append(extraction(options.gpu_photos, options.gpu_price, "GPU"))
    rows += table(Rates(), core)
    head = ["stage", *(f"10^{len(str(items)) - 1}" for items in ITEMS)]
    for cells in (head, ["---"] * len(head), *rows):
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
