"""Contract of a method: checks that a user-defined method behaves as ``compare`` relies on."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from commonspace.callbacks import Callback, EpochRecord
from commonspace.comparison.experiments import Experiment, TuningBudget, make_experiments
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import CommonspaceError
from commonspace.evaluation import evaluate
from commonspace.methods import Method
from commonspace.space import CommonSpace, load
from commonspace.tables import Table
from commonspace.training import RunConfig

__all__ = ["CheckResult", "MethodReport", "check_method"]

Status = Literal["passed", "failed", "skipped"]

CLASSES, SAMPLES, SIZE = 4, 200, 8

Embeddings = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class CheckResult:
    """The result of one check."""

    name: str
    """What was checked."""
    status: Status
    """"passed", "failed", or "skipped" where it does not apply."""
    detail: str = ""
    """What was expected and found, or why it was skipped."""


@dataclass(frozen=True, repr=False)
class MethodReport:
    """The checks of one method; it prints as a table."""

    method: str
    """Name of the method."""
    results: tuple[CheckResult, ...]
    """The checks, in the order that they were done."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(one for one in self.results if one.status == "failed")

    def to_table(self) -> Table:
        """Return the checks as a table."""
        rows = [[one.name, one.status, one.detail] for one in self.results]
        return Table(f"contract of {self.method}", ["check", "result", "detail"], rows, [])

    def __repr__(self) -> str:
        """Return the table."""
        return str(self.to_table())

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.to_table().to_html()


def check_method(method: str | Method, *, epochs: int = 3) -> MethodReport:
    """Check that a method behaves as comparisons, commands and the index rely on.

    The data are 200 synthetic samples of two modalities and four classes. Checked are the settings,
    the shapes and types of embeddings, equal results for equal seeds, that the test split has no
    influence, saving and loading, resuming from a checkpoint, samples that lack a modality, and
    that wrong input is refused by an error of this library.

    Args:
        method: an instance, a name, or ``FILE.py:Class``.
        epochs: length of each training, for a method with a setting ``epochs``.

    Returns:
        A report; its ``passed`` is True if no check failed.

    Raises:
        SettingError: there is no such method, its file cannot be loaded, or it is no method at all.

    Example:
        >>> from commonspace.methods import LinearProbe
        >>> check_method(LinearProbe()).passed
        True
    """
    experiments = make_experiments([method])
    experiment = experiments[0]
    with TemporaryDirectory(prefix="commonspace-check-") as folder:
        return MethodReport(experiment.name, tuple(_Checks(experiment, epochs, Path(folder)).run()))


class _CheckError(Exception):
    """A check failed; the message says what was expected and found."""


class _SkipError(Exception):
    """A check does not apply; the message says why."""


class _Stop(Callback):
    """Interrupts a training after an epoch, as Ctrl-C does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Raise KeyboardInterrupt at the end of the epoch."""
        if record.epoch == self.epoch:
            raise KeyboardInterrupt


class _Checks:
    """The checks of one experiment, which share one fitted space."""

    def __init__(self, experiment: Experiment, epochs: int, folder: Path) -> None:
        self._experiment = experiment
        self._budget = TuningBudget(trials=1, epochs=epochs, patience=epochs)
        self._folder = folder
        self._data = _points()
        self._space: CommonSpace | None = None

    def run(self) -> list[CheckResult]:
        """Return the result of every check; those after a failed fit are skipped."""
        checks: Sequence[tuple[str, Callable[[], str | None]]] = (
            ("fit", self._fitted),
            ("shapes", self._shapes),
            ("provenance", self._provenance),
            ("classes", self._classes),
            ("same seed, same result", self._seeds),
            ("test split unused", self._test_split),
            ("save and load", self._save),
            ("resume", self._resume),
            ("missing modality", self._missing),
            ("wrong input", self._wrong_input),
        )
        return [self._result(name, check) for name, check in checks]

    def _result(self, name: str, check: Callable[[], str | None]) -> CheckResult:
        if name != "fit" and self._space is None:
            return CheckResult(name, "skipped", "there is no space, since fit failed")
        try:
            return CheckResult(name, "passed", check() or "")
        except _SkipError as skip:
            return CheckResult(name, "skipped", str(skip))
        except _CheckError as failure:
            return CheckResult(name, "failed", str(failure))
        except CommonspaceError as error:
            return CheckResult(name, "failed", f"{error.problem}; found: {error.found}")
        except Exception as error:  # whatever the method of a user raises
            return CheckResult(name, "failed", f"{type(error).__name__}: {error}")

    def _fit(self, data: Dataset, run: RunConfig | None = None, seed: int = 0) -> CommonSpace:
        method = self._experiment.configure({}, seed, self._budget)
        space: object = method.fit(
            data.split("train"), data.split("validation"), run or RunConfig()
        )
        if not isinstance(space, CommonSpace):
            raise _CheckError(f"fit must return a CommonSpace, got {type(space).__name__}")
        return space

    @property
    def _fitted_space(self) -> CommonSpace:
        assert self._space is not None
        return self._space

    def _fitted(self) -> None:
        self._space = self._fit(self._data)

    def _shapes(self) -> str:
        space, test = self._fitted_space, self._data.split("test")
        if set(space.modalities) != set(self._data.modalities):
            raise _CheckError(
                f"modalities must be {self._data.modalities}, got {tuple(space.modalities)}"
            )
        if space.class_names != self._data.class_names:
            raise _CheckError("class_names must be those of the training split")
        for name, vectors in _embed(space, test).items():
            expected = (len(test), space.dimension)
            if vectors.shape != expected or vectors.dtype != np.float32:
                raise _CheckError(
                    f"embeddings of {name!r} must be {expected} float32,"
                    f" got {vectors.shape} {vectors.dtype}"
                )
            if not np.isfinite(vectors).all():
                raise _CheckError(f"embeddings of {name!r} must be finite")
            one = space.embed(name, test.columns[name].take(np.array([3])))
            if not np.allclose(one[0], vectors[3], atol=1e-4):
                raise _CheckError(f"an item of {name!r} alone must have its embedding of the batch")
        return f"{space.dimension} dimensions"

    def _provenance(self) -> None:
        record = self._fitted_space.provenance
        try:
            json.dumps(record, allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise _CheckError(f"provenance must be JSON values: {exc}") from exc

    def _classes(self) -> str:
        test = self._data.split("test")
        figure = evaluate(self._fitted_space, test).map
        chance = 1 / CLASSES
        if not figure > chance + 0.05:
            raise _CheckError(
                f"mAP on well-separated classes must be above chance, {chance:.2f}: got"
                f" {figure:.2f}; if {self._budget.epochs} epochs are too few, check with more"
            )
        return f"mAP {figure:.2f}, chance {chance:.2f}"

    def _seeds(self) -> str:
        again = self._fit(self._data)
        _check_equal(self._fitted_space, again, self._data, "two fits with the same seed")
        if not self._experiment.seeded:
            return "no field `seed`: it is fitted once in a comparison"
        self._fit(self._data, seed=1)
        return ""

    def _test_split(self) -> None:
        poison = self._data.splits == "test"
        columns = {
            name: Features(np.where(poison[:, None], 50.0, _values(column)))
            for name, column in self._data.columns.items()
        }
        labels = np.where(poison[:, None], np.roll(self._data.labels, 1, axis=1), self._data.labels)
        other = self._fit(replace(self._data, columns=columns, labels=labels))
        _check_equal(
            self._fitted_space, other, self._data, "two fits whose test splits alone differ"
        )

    def _save(self) -> None:
        space = self._fitted_space
        space.save(self._folder / "space")
        network = type(space.network)
        loaded = load(self._folder / "space", networks={network.__name__: network})
        _check_equal(space, loaded, self._data, "a space and its saved copy")

    def _resume(self) -> None:
        folder = self._folder / "checkpoint"
        try:
            self._fit(self._data, RunConfig((_Stop(2),), folder))
        except KeyboardInterrupt:
            pass
        else:
            raise _SkipError("it reports no epochs to its callbacks")
        if not folder.is_dir() or not any(folder.iterdir()):
            raise _SkipError("it keeps no checkpoint: an interrupted fit starts again")
        resumed = self._fit(self._data, RunConfig((), folder, resume=True))
        shutil.rmtree(folder)
        _check_equal(self._fitted_space, resumed, self._data, "an interrupted fit and a whole one")

    def _missing(self) -> str:
        there = np.arange(SAMPLES) % 6 != 0
        there |= self._data.splits != "train"
        name, column = next(iter(self._data.columns.items()))
        values = np.where(there[:, None], _values(column), 1e6)
        gaps = replace(
            self._data, columns={**self._data.columns, name: Features(values, present=there)}
        )
        try:
            space = self._fit(gaps)
        except CommonspaceError as error:
            return f"refused: {error.problem}"
        for modality, vectors in _embed(space, self._data.split("test")).items():
            if not np.isfinite(vectors).all():
                raise _CheckError(f"embeddings of {modality!r} must be finite")
            if np.abs(vectors).max() > 1e4:
                raise _CheckError("values of missing items must not be read: check column.present")
        return ""

    def _wrong_input(self) -> None:
        data = self._data
        texts = Texts(tuple((f"sentence {number}",) for number in range(SAMPLES)))
        other = tuple(f"other {number}" for number in range(CLASSES))
        train, validation = data.split("train"), data.split("validation")
        method = self._experiment.configure({}, 0, self._budget)
        raw = replace(data, columns={**data.columns, "text": texts})
        unlabeled = replace(train, labels=np.zeros_like(train.labels))
        for wrong, one, two in (
            ("a training split without labels", unlabeled, validation),
            (
                "classes of the validation split that differ",
                train,
                replace(validation, class_names=other),
            ),
            ("raw texts in place of features", raw.split("train"), raw.split("validation")),
        ):
            try:
                method.fit(one, two, RunConfig())
            except CommonspaceError:
                continue
            except Exception as error:  # an unexpected error is the finding
                raise _CheckError(
                    f"{wrong} must be supported, or refused by a CommonspaceError such as"
                    f" DataError: got {type(error).__name__}: {error}"
                ) from error


def _points() -> Dataset:
    """Return two modalities in which every class has its own direction."""
    draw = np.random.default_rng(0)
    y = np.arange(SAMPLES) % CLASSES
    columns = {
        name: Features(2 * draw.normal(size=(CLASSES, SIZE))[y] + draw.normal(size=(SAMPLES, SIZE)))
        for name in ("image", "text")
    }
    return Dataset(
        name="synthetic points",
        ids=tuple(map(str, range(SAMPLES))),
        columns=columns,
        labels=np.eye(CLASSES, dtype=bool)[y],
        class_names=tuple(f"class {number}" for number in range(CLASSES)),
        splits=np.repeat(["train", "validation", "test"], [120, 40, 40]),
    )


def _values(column: object) -> NDArray[np.float32]:
    assert isinstance(column, Features)
    return column.values


def _embed(space: CommonSpace, data: Dataset) -> Embeddings:
    return {name: space.embed(name, column) for name, column in data.columns.items()}


def _check_equal(one: CommonSpace, other: CommonSpace, data: Dataset, what: str) -> None:
    """Compare the embeddings of all samples; another order of sums is no difference."""
    train = data.split("train")
    first, second = _embed(one, train), _embed(other, train)
    for name, vectors in first.items():
        if vectors.shape != second[name].shape:
            raise _CheckError(f"{what} must have embeddings of one shape")
        gap = float(np.abs(vectors - second[name]).max())
        if not gap <= 1e-4:
            raise _CheckError(
                f"{what} must have equal embeddings: those of {name!r} differ by {gap:.2g}"
            )
