"""Base class of the methods that are solved in closed form, on features."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import nn

from commonspace.callbacks import Callbacks, EpochRecord
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders import Vectors
from commonspace.errors import DataError, SettingError
from commonspace.machine import one_thread, versions
from commonspace.methods.base.method import (
    calibrate_scores,
    check_splits,
    describe_split,
    select_splits,
)
from commonspace.methods.base.search_defaults import set_text_weight
from commonspace.progress import ProgressBar
from commonspace.settings import Settings
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig
from commonspace.training.samples import Samples
from commonspace.training.validation import ValidationScore

__all__ = ["SHRINKAGE", "ClosedFormMethod", "dimensions_to_try", "values_to_try"]

SHRINKAGE = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99)
"""Values to try for the regularization r of the methods that shrink a covariance."""

T = TypeVar("T")


class ClosedFormMethod(Settings):
    """Base of the methods that are solved in closed form, on features.

    ``fit`` runs these steps, which a subclass overrides:

        prepare     what does not depend on settings that are searched
        candidates  the method with every value to try for its settings that are None
        solve       one candidate -> its network

    The candidate with the best validation score is kept, the first of several. Nothing is random
    and there is no checkpoint. Callbacks receive each candidate as an epoch without losses.
    """

    name: ClassVar[str] = ""
    """Name in the provenance of a space and in messages; by default that of the class."""

    @property
    def full_name(self) -> str:
        """The name with the variant that the settings choose, such as "rcca"."""
        return self.name or type(self).__name__

    @property
    def supervised(self) -> bool:
        """Whether the method uses the labels of the training split."""
        return True

    @property
    def exact_modalities(self) -> int | None:
        """The number of modalities, if the method is defined for one number only."""
        return None

    def prepare(self, train: Dataset) -> Any:  # noqa: ANN401 - whatever solve needs
        """Return what all candidates share, such as whitened features.

        Args:
            train: The training split, whose columns are features.
        """
        raise NotImplementedError

    def candidates(self, problem: Any) -> Sequence[Self]:  # noqa: ANN401 - as prepare returned it
        """Return the settings to try, each with a value for every setting; default: its own.

        Args:
            problem: What ``prepare`` returned.
        """
        return [self]

    def solve(self, problem: Any) -> nn.Module:  # noqa: ANN401 - as prepare returned it
        """Return the solution for the settings of this candidate.

        Args:
            problem: What ``prepare`` returned.
        """
        raise NotImplementedError

    def fit(
        self, train: Dataset, validation: Dataset | None = None, run: RunConfig | None = None
    ) -> CommonSpace:
        """Fit a common space; settings that are None are chosen on the validation split.

        Args:
            train: The training split, or a data set with a training and a validation split.
            validation: Samples of the same columns; None: those of ``train``.
            run: Its callbacks receive each candidate; default: a progress bar.

        Raises:
            DataError: If a column is raw, or samples, pairs, labels or modalities are missing.
            SettingError: If a setting does not suit the data.
        """
        run = run or RunConfig(callbacks=(ProgressBar(),))
        return self.search(*select_splits(train, validation), run, self.prepare)

    def search(
        self,
        train: Dataset,
        validation: Dataset,
        run: RunConfig,
        prepare: Callable[[Dataset], Any],
    ) -> CommonSpace:
        """Solve every candidate and keep the one with the best validation score.

        Args:
            train: The training split.
            validation: The validation split.
            run: Its callbacks receive each candidate.
            prepare: Returns what all candidates share, for ``train``.

        Raises:
            DataError, SettingError: As for ``fit``.
        """
        start = time.monotonic()
        self._check_columns(train)
        check_splits(train, validation, supervised=self.supervised)
        inputs = {
            name: Vectors(column.size)
            for name, column in train.columns.items()
            if isinstance(column, Features)
        }
        samples = Samples(validation, inputs, torch.device("cpu"))
        score = ValidationScore(samples)
        with one_thread():
            problem = prepare(train)
            candidates = self.candidates(problem)
            tried: list[dict[str, Any]] = []
            best: tuple[float, int, nn.Module] | None = None
            with Callbacks(run.callbacks).task("fitting", len(candidates)) as task:
                for number, candidate in enumerate(candidates, 1):
                    network = candidate.solve(problem).eval()
                    figure = score(network)
                    tried.append({"settings": asdict(candidate), "validation_score": figure})
                    if best is None or figure > best[0]:
                        best = (figure, number, network)
                    task.on_advance()
                    record = EpochRecord(
                        number, {}, figure, time.monotonic() - start, metric=score.metric
                    )
                    task.on_epoch_end(record, network)
        assert best is not None
        figure, number, network = best
        provenance = {
            "method": {"name": self.full_name, "options": asdict(self)},
            "data": describe_split(train),
            "validation": describe_split(validation),
            "encoders": dict(train.provenance.get("encoders", {})),
            "versions": versions(),
            "tried": tried,
            "chosen": {
                "by": f"validation {score.metric}, the mean over all directions",
                "settings": tried[number - 1]["settings"],
                "trial": number,
                "trials": len(tried),
                "metric": score.metric,
                "validation_score": figure,
                "seconds": time.monotonic() - start,
                "device": "cpu",
            },
        }
        space = CommonSpace(network, inputs, train.class_names, provenance)
        embeddings = samples.embed(network)
        calibrate_scores(space, embeddings, validation)
        set_text_weight(space, embeddings, validation)
        return space

    def _check_columns(self, train: Dataset) -> None:
        for modality, column in train.columns.items():
            if not isinstance(column, Features):
                raise DataError(
                    f"{self.full_name} needs features, and {modality!r} is raw",
                    expected=f"{modality!r} as features",
                    found=column.kind,
                    advice="extract them first with commonspace extract",
                )
        count, exact = len(train.columns), self.exact_modalities
        if count < 2 or (exact is not None and count != exact):
            raise DataError(
                f"{self.full_name} does not support the modalities of {train.name!r}",
                expected="at least two" if exact is None else f"exactly {exact}",
                found=f"{count}: {', '.join(map(repr, train.modalities))}",
                advice="add a column with another modality"
                if count < 2
                else "drop columns, or use a method for any number of them, such as mcca or sm",
            )
        for modality, column in train.columns.items():
            if not column.present.any():
                raise DataError(
                    f"no training sample of {train.name!r} has the modality {modality!r}",
                    expected="at least one",
                    found=f"0 of {len(train)}",
                    advice="drop the column, or add training samples that have it",
                )


def values_to_try(value: T | None, grid: Sequence[T]) -> Sequence[T]:
    """Return the values to try for a setting: its own if it has one, else the grid.

    Example:
        >>> values_to_try(None, (0.1, 1.0)), values_to_try(0.5, (0.1, 1.0))
        ((0.1, 1.0), (0.5,))
    """
    return grid if value is None else (value,)


def dimensions_to_try(value: int | None, limit: int) -> Sequence[int]:
    """Return the dimensions to try: the one that is set, else powers of two and the limit.

    Args:
        value: What is set, or None.
        limit: The number of directions of the problem on this data.

    Raises:
        SettingError: If the value exceeds the limit.

    Example:
        >>> dimensions_to_try(None, 10)
        (2, 4, 8, 10)
    """
    if value is not None and value > limit:
        raise SettingError(
            f"`dimension` must be <= {limit} on this data, got {value}",
            advice="omit it to choose it on validation",
        )
    powers = (2**power for power in range(1, limit.bit_length()))
    return values_to_try(value, (*(power for power in powers if power < limit), limit))
