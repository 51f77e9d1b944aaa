"""What all methods in closed form have in common: features in, the best of a few trials out.

A method says which settings to try and how one of them becomes a network; here the data is checked,
the trial is chosen on validation, and the space gets the record of it. Nothing here knows how a
method solves its problem, and nothing draws random numbers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders import Vectors
from commonspace.errors import DataError, SettingError
from commonspace.machine import one_thread
from commonspace.methods.base.calibrate import calibrated
from commonspace.methods.base.parts import check_parts, facts_of
from commonspace.networks.linear import LinearNetwork
from commonspace.space import CommonSpace, versions
from commonspace.training import EpochRecord, Observer, Run, Samples, ValidationScore

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    M = TypeVar("M", bound=DataclassInstance)
else:
    M = TypeVar("M")

__all__ = ["SHRINKAGE", "Fitting", "dimensions", "to_try"]

SHRINKAGE = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99)
"""What is tried for the share of regularisation, r, of the methods that shrink a covariance."""


@dataclass(frozen=True)
class Fitting:
    """One fitting of a method in closed form.

    Args:
        name: of the method, in messages and in the record.
        train: the samples to learn from.
        validation: the samples to choose on.
        supervised: whether the method learns from classes.
        exactly: the number of modalities, where the method is defined for one number only.

    Raises:
        DataError: a column is raw, there are too few or too many modalities, a part has no labels,
            or the two parts do not belong together.
    """

    name: str
    train: Dataset
    validation: Dataset
    supervised: bool = True
    exactly: int | None = None
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Refuse what no method in closed form can take, and what this one cannot."""
        for modality, column in self.train.columns.items():
            if not isinstance(column, Features):
                raise DataError(
                    f"{self.name} learns from feature vectors, and {modality!r} is raw",
                    expected=f"{modality!r} to be features",
                    found=column.kind,
                    advice="extract them first with commonspace extract",
                )
        count = len(self.train.columns)
        if count < 2 or (self.exactly is not None and count != self.exactly):
            raise DataError(
                f"{self.name} cannot join the modalities of {self.train.name!r}",
                expected="at least two" if self.exactly is None else f"exactly {self.exactly}",
                found=f"{count}: {', '.join(map(repr, self.train.modalities))}",
                advice="add a column with another modality"
                if count < 2
                else "drop columns, or take a method for any number of them, such as mcca or sm",
            )
        check_parts(self.train, self.validation, supervised=self.supervised)
        for modality, column in self.train.columns.items():
            if not column.present.any():
                raise DataError(
                    f"no training sample of {self.train.name!r} has the modality {modality!r}",
                    expected="samples to learn it from",
                    found=f"0 of {len(self.train)}",
                    advice="drop the column, or add training samples that have it",
                )

    def choose(
        self,
        method: M,
        candidates: Sequence[M],
        build: Callable[[M], LinearNetwork],
        run: Run | None = None,
    ) -> CommonSpace:
        """Try each candidate and return the space of the best, the first of several.

        Observers hear of each trial as of an epoch without losses. There is no checkpoint: a
        fitting that was killed starts over.

        Args:
            method: as it was set by the caller, for the record.
            candidates: the same with every setting fixed.
            build: fits one candidate.
            run: who is told of the trials.
        """
        assert candidates
        inputs = {
            name: Vectors(column.size)
            for name, column in self.train.columns.items()
            if isinstance(column, Features)
        }
        score = ValidationScore(Samples(self.validation, inputs, torch.device("cpu")))
        tried: list[dict[str, Any]] = []
        best: tuple[float, int, LinearNetwork] | None = None
        observers = (run or Run()).observers
        with _told(observers, len(candidates)), one_thread():
            for number, candidate in enumerate(candidates, 1):
                network = build(candidate).eval()
                figure = score(network)
                tried.append({"settings": asdict(candidate), "validation_map": figure})
                if best is None or figure > best[0]:
                    best = (figure, number, network)
                record = EpochRecord(number, {}, figure, time.monotonic() - self.begun)
                for observer in observers:
                    observer.stepped()
                    observer.epoch_ended(record, network)
        assert best is not None
        figure, number, network = best
        record_of_all = {
            "method": {"name": self.name, "options": asdict(method)},
            "data": facts_of(self.train),
            "validation": facts_of(self.validation),
            "encoders": dict(self.train.provenance.get("encoders", {})),
            "versions": versions(),
            "tried": tried,
            "chosen": {
                "by": "validation mAP, the mean over all directions",
                "settings": tried[number - 1]["settings"],
                "trial": number,
                "trials": len(tried),
                "validation_map": figure,
                "seconds": time.monotonic() - self.begun,
                "device": "cpu",
            },
        }
        space = CommonSpace(network, inputs, self.train.class_names, record_of_all)
        return calibrated(space, self.validation)


T = TypeVar("T")


def to_try(value: T | None, grid: Sequence[T]) -> Sequence[T]:
    """Return what to try for a setting: its value where it has one, else the grid.

    Example:
        >>> to_try(None, (0.1, 1.0)), to_try(0.5, (0.1, 1.0))
        ((0.1, 1.0), (0.5,))
    """
    return grid if value is None else (value,)


def dimensions(value: int | None, limit: int) -> Sequence[int]:
    """Return the dimensions to try: the one that is set, else powers of two and the limit.

    Args:
        value: what is set, or None.
        limit: how many directions the problem has on this data.

    Raises:
        SettingError: there are not as many directions as set.

    Example:
        >>> dimensions(None, 10)
        (2, 4, 8, 10)
    """
    if value is not None and value > limit:
        raise SettingError(
            "the dimension is larger than the number of directions that there are",
            expected=f"at most {limit} on this data",
            found=str(value),
            advice="leave it out to have it chosen on validation",
        )
    powers = (2**power for power in range(1, limit.bit_length()))
    return to_try(value, (*(one for one in powers if one < limit), limit))


@contextmanager
def _told(observers: Sequence[Observer], trials: int) -> Iterator[None]:
    for observer in observers:
        observer.started(trials, 1, ())
    try:
        yield
    finally:
        for observer in observers:
            observer.ended()
