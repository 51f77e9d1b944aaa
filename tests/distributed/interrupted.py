"""One of several processes of a training in which the last process dies in the second epoch.

python interrupted.py FOLDER, with the variables of torchrun.
"""

import os
import sys
from pathlib import Path

import torch

from commonspace.callbacks import Callback
from commonspace.distributed import join_processes
from commonspace.errors import TrainingError
from commonspace.methods import DSCMR
from commonspace.training import EpochRecord, RunConfig
from tests.distributed.gradients import TINY, features


class Dies(Callback):
    """Ends the process like a kill, at the first step after an epoch."""

    epochs = 0

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        self.epochs += 1

    def on_advance(self, steps: int = 1) -> None:
        if self.epochs:
            os._exit(9)


if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        with join_processes("cpu") as processes:
            assert processes is not None
            callbacks = (Dies(),) if processes.rank == processes.count - 1 else ()
            data = features(2, 0.0)
            run = RunConfig(callbacks, Path(sys.argv[1]), processes=processes)
            DSCMR(**{**TINY, "epochs": 4}).fit(data, run=run)
    except TrainingError as exc:
        sys.exit(str(exc))
