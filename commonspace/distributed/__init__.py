"""Training by several processes: the group that torchrun starts, and layers that see whole batches.

One process imports nothing of this.
"""

from commonspace.distributed.processes import Processes, join_processes
from commonspace.distributed.whole_batch import whole_batch_layers

__all__ = ["Processes", "join_processes", "whole_batch_layers"]
