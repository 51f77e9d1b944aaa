"""Callbacks: how training, extraction, comparison, indexing and reporting report their progress."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Callback", "Callbacks", "EpochRecord", "best_epoch"]


@dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch."""

    epoch: int
    """Epoch number, from 1."""
    losses: Mapping[str, float]
    """The total loss ("loss") and its terms, each the mean over the samples of the epoch."""
    validation_score: float
    """Figure of the validation split that chooses the epoch, in [0, 1], see ``metric``."""
    seconds: float
    """Time of training and validation since the first epoch started, without interruptions."""
    keeps_last: bool = False
    """Whether the weights of the last epoch are kept, rather than those of the best."""
    metric: str = "mAP"
    """What the score is, the mean over all directions: "mAP" by class, or "mean recall" of the
    pairs (the mean of R@1, R@5 and R@10) where the split has no labels."""


def best_epoch(history: Sequence[EpochRecord]) -> EpochRecord:
    """Return the record with the highest validation score, the first of several."""
    return max(history, key=lambda record: record.validation_score)


class Callback:
    """Receives the events of long-running work; every method does nothing by default.

    Work is a sequence of tasks: ``on_start``, any number of ``on_advance``, ``on_status``,
    ``on_message`` and ``on_epoch_end``, then ``on_end``. Tasks are not nested.

    Example:
        >>> class Count(Callback):
        ...     steps = 0
        ...     def on_advance(self, steps=1):
        ...         self.steps += steps
        >>> count = Count()
        >>> with Callbacks([count]).task("encode images", total=3) as task:
        ...     task.on_advance(3)
        >>> count.steps
        3
    """

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        """A task starts.

        Args:
            task: what is done, such as "training" or "encoding images".
            total: number of steps, if known.
            done: steps that were finished earlier: cached, or before a resume.
            history: for a training, the epochs that were finished before a resume.
        """

    def on_advance(self, steps: int = 1) -> None:
        """``steps`` more steps of the task are finished."""

    def on_status(self, text: str) -> None:
        """What is being done at the moment, in a few words; it replaces the last status."""

    def on_message(self, text: str) -> None:
        """A line worth keeping in a log: a run has finished, an item was skipped."""

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """An epoch of a training has ended; the network is in evaluation mode."""

    def on_end(self) -> None:
        """The task has ended, whether it succeeded or not."""


class Callbacks(Callback):
    """Passes every event on to several callbacks, in order."""

    def __init__(self, callbacks: Sequence[Callback] = ()) -> None:
        self._callbacks = tuple(callbacks)

    @contextmanager
    def task(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> Iterator["Callbacks"]:
        """Report the start of a task, and its end even if it raises."""
        self.on_start(task, total, done, history)
        try:
            yield self
        finally:
            self.on_end()

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        """A task starts."""
        for callback in self._callbacks:
            callback.on_start(task, total, done, history)

    def on_advance(self, steps: int = 1) -> None:
        """``steps`` more steps are finished."""
        for callback in self._callbacks:
            callback.on_advance(steps)

    def on_status(self, text: str) -> None:
        """What is being done at the moment."""
        for callback in self._callbacks:
            callback.on_status(text)

    def on_message(self, text: str) -> None:
        """A line worth keeping in a log."""
        for callback in self._callbacks:
            callback.on_message(text)

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """An epoch of a training has ended."""
        for callback in self._callbacks:
            callback.on_epoch_end(record, network)

    def on_end(self) -> None:
        """The task has ended."""
        for callback in self._callbacks:
            callback.on_end()
