"""Tuning: the defaults first, then what Optuna proposes, the same after a kill."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from commonspace.comparison import Experiment, TuningBudget, make_experiments
from commonspace.comparison.tuning import Tuning
from commonspace.methods import CCA

TOY = Path(__file__).with_name("toy.py")


def toy() -> Experiment:
    return make_experiments([f"{TOY}:Toy"])[0]


def figure(settings: Mapping[str, Any]) -> float:
    """Return what the toy would reach: best at little noise."""
    return 1 / (1 + abs(math.log(settings.get("noise", 3.0) / 0.1)))


def test_the_defaults_are_tried_first() -> None:
    task = Tuning(toy(), TuningBudget(5)).next()
    assert (task.number, dict(task.settings)) == (0, {})
    assert task.method == toy().configure({}, 0, TuningBudget(5))


def test_a_stopped_search_continues_as_if_uninterrupted() -> None:
    whole = Tuning(toy(), TuningBudget(12))
    told = []
    while not whole.finished:
        task = whole.next()
        record = {"validation_map": figure(task.settings)}
        told.append((task, record))
        whole.put(task, record)
    again = Tuning(toy(), TuningBudget(12))
    for task, record in told:
        assert again.next() == task
        again.put(task, record)
    assert again.best == whole.best
    assert len({tuple(task.settings.items()) for task, _ in told}) == 12
    for task, _ in told[1:]:
        assert 0.01 <= task.settings["noise"] <= 10.0
        assert task.settings["power"] in (1, 2)


def test_the_search_learns_from_what_it_was_told() -> None:
    """Later trials lie nearer to the best than the first dozen, which are drawn blindly."""
    search = Tuning(toy(), TuningBudget(40))
    figures = []
    while not search.finished:
        task = search.next()
        figures.append(figure(task.settings))
        search.put(task, {"validation_map": figures[-1]})
    assert sum(figures[-12:]) > 1.5 * sum(figures[1:13])
    assert search.best == max((dict(s) for s, _ in search._done), key=figure)


def test_the_first_dozen_is_drawn_without_regard_to_the_figures() -> None:
    """As the documentation says: with few trials it is a random search."""
    one, other = Tuning(toy(), TuningBudget(14)), Tuning(toy(), TuningBudget(14))
    proposals = []
    while not one.finished:
        first, second = one.next(), other.next()
        proposals.append(first.settings == second.settings)
        one.put(first, {"validation_map": figure(first.settings)})
        other.put(second, {"validation_map": -figure(second.settings)})
    assert all(proposals[:11])
    assert not all(proposals[11:])


def test_trials_that_failed_count_and_are_never_the_best() -> None:
    search = Tuning(toy(), TuningBudget(3))
    for number in range(3):
        task = search.next()
        search.put(task, {"validation_map": 0.2} if number == 1 else {"failed": "diverged"})
        expected = dict(task.settings) if number == 1 else None
        if expected:
            kept = expected
    assert search.finished
    assert search.best == kept


def test_where_every_trial_failed_the_method_stays_as_it_is() -> None:
    search = Tuning(toy(), TuningBudget(2))
    for _ in range(2):
        search.put(search.next(), {"failed": "diverged"})
    assert search.best == {}


def test_a_method_without_a_search_has_no_trials() -> None:
    search = Tuning(Experiment("cca", CCA()), TuningBudget(10))
    assert search.trials == 0
    assert search.finished
    assert search.best == {}
