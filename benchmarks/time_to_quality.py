"""Time until posterior matching reaches the final mAP of DSCMR, within one run.

    python benchmarks/time_to_quality.py ../shared/data [--only flipkart]

The official preset of DSCMR is trained for 500 epochs and measured on test. Then posterior matching
is trained with default settings; a copy of the network is stored after each epoch, with the seconds
since the start of ``fit``, kernel machines included, and measured on test afterwards. Nothing is
selected by these figures: the time is that of the first epoch whose mAP is not below DSCMR's.
Seconds are those of the processor, which other load changes less.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import commonspace as cs
from commonspace.callbacks import Callback, EpochRecord
from commonspace.evaluation.protocol import average_precisions
from commonspace.methods import DSCMR, PosteriorMatching

DATA = {
    "wikipedia": "wikipedia/wikipedia.npz",
    "flipkart": "flipkart/features.npz",
    "fashion": "fashion/features.npz",
    "uci-digits": "uci-digits/uci-digits.npz",
}
EPOCHS = 500
"""Epochs of DSCMR in its official code."""


@dataclass
class Times(Callback):
    """Stores the processor time of every epoch."""

    start: float = field(default_factory=time.process_time)
    seconds: list[float] = field(default_factory=list)

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Add the seconds since the start."""
        self.seconds.append(time.process_time() - self.start)


@dataclass
class Copies(Callback):
    """Stores the weights of every epoch."""

    start: float = field(default_factory=time.process_time)
    copies: list[tuple[float, dict[str, Tensor]]] = field(default_factory=list)

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Copy the weights; the time of copying is included."""
        assert isinstance(network, nn.Module)
        copy = {name: value.clone() for name, value in network.state_dict().items()}
        self.copies.append((time.process_time() - self.start, copy))


def quality(space: cs.CommonSpace, data: cs.Dataset) -> float:
    """Return the mAP on test, averaged over all directions."""
    found = average_precisions(space, data.split("test"))
    return float(np.mean([one.mean() for one in found.values()]))


def compare(name: str, data: cs.Dataset, seed: int) -> str:
    """Train both and return a row of the table."""
    train, validation = data.split("train"), data.split("validation")
    times = Times()
    slow = DSCMR(preset="official", epochs=EPOCHS, patience=None, seed=seed)
    released = slow.fit(train, validation, cs.RunConfig(callbacks=(times,)))
    goal, taken = quality(released, data), times.seconds[-1]
    print(f"{name}: DSCMR {goal:.4f} in {taken:.0f} s", flush=True)

    watcher = Copies()
    space = PosteriorMatching(seed=seed).fit(train, validation, cs.RunConfig(callbacks=(watcher,)))
    whole = time.process_time() - watcher.start
    final, reached = quality(space, data), None
    for epoch, (seconds, weights) in enumerate(watcher.copies, 1):
        space.network.load_state_dict(weights)
        if (found := quality(space, data)) >= goal:
            reached = f"{seconds:.1f} | {epoch} | {found:.3f} | 1/{taken / seconds:.0f}"
            break
    row = reached or "never | | | "
    return f"| {name} | {goal:.3f} | {taken:.0f} | {row} | {final:.3f} | {whole:.1f} |"


def main() -> None:
    """Print a table with one row per data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/, ...")
    parser.add_argument("--only", choices=DATA, nargs="+", default=list(DATA))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads", flush=True)
    rows = [
        compare(name, cs.load_dataset(options.data / DATA[name]), options.seed)
        for name in options.only
    ]
    print(
        "| data | DSCMR's mAP | seconds of DSCMR | seconds to reach it | after epoch | mAP then"
        " | share of DSCMR's time | mAP at the end | seconds at the end |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
