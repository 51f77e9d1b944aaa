"""Hyperparameter tuning: a fixed number of trials on validation, proposed by Optuna.

The first trial uses the defaults. Each proposal follows from the earlier records and a seed, so
that an interrupted search continues as if it had not been interrupted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from commonspace.comparison.experiments import Experiment, TuningBudget, describe
from commonspace.comparison.runs import Record, Task
from commonspace.extras import optional
from commonspace.methods import Method
from commonspace.methods.base.hyperparameters import Between, OneOf, SearchSpace

__all__ = ["Tuning"]

SEED = 0
"""Seed of the search and of its fits, for every experiment."""


class Tuning:
    """The search for the settings of one experiment.

    Args:
        experiment: the experiment.
        budget: number of trials, and length of each. There is no trial where the search space is
            empty, or where the defaults would be the only trial.
    """

    def __init__(self, experiment: Experiment, budget: TuningBudget) -> None:
        self._experiment, self._budget = experiment, budget
        self._done: list[tuple[Mapping[str, Any], Record]] = []
        self.trials = budget.trials if experiment.search_space and budget.trials > 1 else 0

    @property
    def finished(self) -> bool:
        """Whether all trials are done."""
        return len(self._done) >= self.trials

    @property
    def finished_trials(self) -> int:
        """Number of trials that are done."""
        return len(self._done)

    def next(self) -> Task:
        """Return the next trial; the same one until its record is put."""
        number = len(self._done)
        space = self._experiment.search_space
        settings = _propose(space, self._done, number) if number else {}
        method = self._experiment.configure(settings, SEED, self._budget)
        records = [record for _, record in self._done]
        curves = [tuple(record["curve"]) for record in records if "curve" in record]
        figures = [record.get("validation_map", -1.0) for record in records]
        return Task(
            self._experiment.name,
            "trial",
            number,
            method,
            settings,
            rivals=() if self._budget.full_trials else tuple(curves),
            keep_above=max(figures, default=-1.0),
        )

    def put(self, task: Task, record: Record) -> None:
        """Store the record of the trial that ``next`` returned; a failed one has no figure."""
        assert task.number == len(self._done)
        self._done.append((task.settings, record))

    @property
    def best(self) -> Mapping[str, Any]:
        """The settings with the highest validation mAP, the first of several.

        Empty, for the defaults, where no trial was done or every trial failed.
        """
        best = self._best
        return {} if best is None else self._done[best][0]

    def repeated(self, method: Method) -> int | None:
        """Return the number of the best trial if a fit of the method would repeat it, else None."""
        if self._best is None:
            return None
        record = self._done[self._best][1]
        same = record["method"] == describe(method) and "stopped" not in record
        return self._best if same else None

    @property
    def _best(self) -> int | None:
        figures = [record.get("validation_map", -1.0) for _, record in self._done]
        best = max(range(len(figures)), key=figures.__getitem__, default=None)
        return None if best is None or figures[best] < 0 else best


def _propose(
    space: SearchSpace, done: Sequence[tuple[Mapping[str, Any], Record]], number: int
) -> dict[str, Any]:
    """Return the settings that the tree-structured Parzen estimator tries next.

    As is Optuna's default, the first ten are drawn at random. The trial of the defaults is not
    among the observations, since its settings may lie outside the ranges.
    """
    optuna = optional("optuna", "tuning", "compare")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(optuna, values) for name, values in space.items()}
    sampler = optuna.samplers.TPESampler(seed=SEED * 1000 + number)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for settings, record in done:
        figure = record.get("validation_map")
        if settings and figure is not None:
            study.add_trial(
                optuna.trial.create_trial(
                    params=settings, distributions=distributions, value=figure
                )
            )
    return dict(study.ask(distributions).params)


def _distribution(optuna: Any, values: Between | OneOf) -> Any:  # noqa: ANN401 - of an extra
    if isinstance(values, Between):
        return optuna.distributions.FloatDistribution(values.low, values.high, log=True)
    return optuna.distributions.CategoricalDistribution(values.values)
