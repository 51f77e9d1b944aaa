"""The rule by which settings are chosen: a fixed number of trials on validation, by Optuna.

The first trial is the method as it stands. What the next one should be follows from the records of
those before it and from a seed, so that a search which was killed goes on as if it had not been.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from commonspace.comparison.cells import Record, Task
from commonspace.comparison.rows import Budget, Row
from commonspace.extras import optional
from commonspace.methods.base.hyperparameters import Between, OneOf, SearchSpace

__all__ = ["Tuning"]

SEED = 0
"""Of the fits and of the search, for every row."""


class Tuning:
    """The search for the settings of one row.

    Args:
        row: whose.
        budget: how many trials, and how long each may be. There is none where nothing is searched,
            or where the method as it stands would be the only one.
    """

    def __init__(self, row: Row, budget: Budget) -> None:
        """Begin with nothing tried."""
        self._row, self._budget = row, budget
        self._done: list[tuple[Mapping[str, Any], Record]] = []
        self.trials = budget.trials if row.search and budget.trials > 1 else 0

    @property
    def finished(self) -> bool:
        """Whether the settings can be told."""
        return len(self._done) >= self.trials

    @property
    def tried(self) -> int:
        """How many trials are done."""
        return len(self._done)

    def next(self) -> Task:
        """Return the trial to do now; the same one until its record is told."""
        number = len(self._done)
        settings = _propose(self._row.search, self._done, number) if number else {}
        method = self._row.settled(settings, SEED, self._budget)
        return Task(self._row.name, "trial", number, method, settings)

    def tell(self, task: Task, record: Record) -> None:
        """Take the record of the trial that ``next`` named; one that failed has no figure."""
        assert task.number == len(self._done)
        self._done.append((task.settings, record))

    @property
    def best(self) -> Mapping[str, Any]:
        """The settings with the highest mAP on validation, the first of several.

        Where nothing was tried, or every trial failed, the method stays as it is.
        """
        scored = [(record.get("validation_map"), settings) for settings, record in self._done]
        valid = [(figure, settings) for figure, settings in scored if figure is not None]
        return max(valid, key=lambda one: one[0])[1] if valid else {}


def _propose(
    search: SearchSpace, done: Sequence[tuple[Mapping[str, Any], Record]], number: int
) -> dict[str, Any]:
    """Return the settings that the tree-structured Parzen estimator tries next.

    As Optuna has it, the first ten are drawn at random; the method as it stands is not among what
    the later ones are drawn from, since its settings may lie outside the ranges.
    """
    optuna = optional("optuna", "tuning", "compare")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds = {name: _distribution(optuna, space) for name, space in search.items()}
    sampler = optuna.samplers.TPESampler(seed=SEED * 1000 + number)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for settings, record in done:
        figure = record.get("validation_map")
        if settings and figure is not None:
            study.add_trial(
                optuna.trial.create_trial(params=settings, distributions=kinds, value=figure)
            )
    return dict(study.ask(kinds).params)


def _distribution(optuna: Any, space: Between | OneOf) -> Any:  # noqa: ANN401 - of an extra
    if isinstance(space, Between):
        return optuna.distributions.FloatDistribution(space.low, space.high, log=True)
    return optuna.distributions.CategoricalDistribution(space.values)
