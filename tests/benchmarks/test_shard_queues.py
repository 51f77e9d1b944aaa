"""Queues of a sharded index, compared with queueing theory and order statistics."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.shard_queues import Deployment, Times, simulate, smallest, with_stalls

NEVER = 1e-6
"""Queries a second so rare that none waits for another."""


def exponential(count: int = 20_000) -> Times:
    """Return (1, count) quantiles of the exponential distribution with mean 1."""
    found: Times = stats.expon.ppf((np.arange(count) + 0.5) / count)[None]
    return found


CONSTANT = np.ones((1, 1))


@pytest.mark.parametrize("hedge", [None, 0.95])
def test_constant_times_without_load_are_the_answer(hedge: float | None) -> None:
    answers = simulate(Deployment(6, 3, 2), NEVER, CONSTANT, 100, hedge, network=0.5)
    np.testing.assert_allclose(answers.seconds, 1.5, rtol=1e-6)
    assert answers.hedged == 0


@pytest.mark.parametrize("cores", [1, 2, 3, 16])
def test_a_node_searches_as_many_shards_at_a_time_as_it_has_cores(cores: int) -> None:
    answers = simulate(Deployment(14, 2, cores=cores), NEVER, CONSTANT, 50)
    np.testing.assert_allclose(answers.seconds, math.ceil(7 / cores), rtol=1e-6)


@pytest.mark.parametrize(("shards", "nodes"), [(1, 1), (10, 10), (60, 4), (40, 40)])
def test_an_answer_is_the_maximum_over_independent_shards(shards: int, nodes: int) -> None:
    answers = simulate(Deployment(shards, nodes), NEVER, exponential(), 3_000)
    for p in (0.5, 0.9, 0.99):
        share = float(np.mean(answers.seconds <= stats.expon.ppf(p ** (1 / shards))))
        assert share == pytest.approx(p, abs=3.5 * math.sqrt(p * (1 - p) / len(answers.seconds)))


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_the_wait_is_that_of_queues_with_one_core(load: float) -> None:
    one = Deployment(1, 1, cores=1)
    wait = load / (1 - load)  # M/M/1; M/D/1 has half of it (Pollaczek and Khinchine)
    random = simulate(one, load, exponential(), 50_000).seconds.mean() - 1
    constant = simulate(one, load, CONSTANT, 50_000).seconds.mean() - 1
    assert random == pytest.approx(wait, rel=0.06)
    assert constant == pytest.approx(wait / 2, rel=0.06)


def test_the_wait_is_that_of_a_queue_with_many_cores() -> None:
    cores, offered = 4, 3.0
    terms = [offered**k / math.factorial(k) for k in range(cores + 1)]
    last = terms[-1] * cores / (cores - offered)
    wait = last / (sum(terms[:-1]) + last) / (cores - offered)  # Erlang C
    found = simulate(Deployment(1, 1, cores=cores), offered, exponential(), 50_000)
    assert found.seconds.mean() - 1 == pytest.approx(wait, rel=0.08)
    assert found.utilization == pytest.approx(offered / cores, rel=0.03)


def test_replicas_that_get_any_query_are_queues_of_their_share() -> None:
    shared = Deployment(1, 1, 3, cores=1, least_loaded=False)
    found = simulate(shared, 1.5, exponential(), 50_000)
    assert found.seconds.mean() - 1 == pytest.approx(0.5 / (1 - 0.5), rel=0.06)


@pytest.mark.parametrize("least_loaded", [True, False])
def test_more_replicas_never_hurt(least_loaded: bool) -> None:
    start = Deployment(12, 3, cores=4, least_loaded=least_loaded)
    found = [simulate(replace(start, replicas=n), 0.8, exponential(), 5_000) for n in (1, 2, 3, 4)]
    for p in (0.5, 0.95, 0.99):
        values = [answers.quantile(p) for answers in found]
        assert values == sorted(values, reverse=True)
    np.testing.assert_allclose(
        [answers.utilization * n for n, answers in enumerate(found, 1)], found[0].utilization
    )


def test_the_replica_with_the_least_work_is_faster_than_any() -> None:
    one = Deployment(8, 2, 3, cores=2)
    best = simulate(one, 1.0, exponential(), 5_000)
    other = simulate(replace(one, least_loaded=False), 1.0, exponential(), 5_000)
    assert best.seconds.mean() < other.seconds.mean()
    assert best.quantile(0.99) < other.quantile(0.99)


def test_hedging_cuts_the_tail_and_sends_few_requests_again() -> None:
    stalls = np.where(np.arange(1000) < 980, 1.0, 20.0)[None]
    one = Deployment(10, 10, 2)
    plain, hedged = (simulate(one, NEVER, stalls, 3_000, hedge) for hedge in (None, 0.95))
    assert np.all(hedged.seconds <= plain.seconds + 1e-9)
    # A node of 1 second, or 20 with probability 0.02; again after 1 second: 2, or 20 with 0.0004.
    assert plain.quantile(0.99) == pytest.approx(20)
    assert hedged.quantile(0.99) == pytest.approx(2)
    assert hedged.hedged == pytest.approx(0.02, abs=0.004)


def test_hedging_does_not_help_where_the_query_itself_is_slow() -> None:
    slow = np.where(np.arange(1000) < 980, 1.0, 20.0)[:, None]  # the same on each replica
    one = Deployment(10, 10, 2)
    plain, hedged = (simulate(one, NEVER, slow, 500, hedge) for hedge in (None, 0.95))
    np.testing.assert_allclose(hedged.seconds, plain.seconds)


def test_stalls_reach_the_share_of_queries_that_meet_one() -> None:
    times = with_stalls(np.ones((5, 3)), 0.001, 9.0)
    assert times.shape == (5, 1000)
    assert times.mean() == pytest.approx(1.009)
    answers = simulate(Deployment(100, 10), NEVER, times, 3_000)
    share = 1 - 0.999**100
    assert float(np.mean(answers.seconds > 5)) == pytest.approx(share, abs=0.02)


def test_second_requests_are_limited_where_all_nodes_are_busy() -> None:
    busy = Deployment(32, 2, 2, cores=8)
    answers = simulate(busy, 0.4, exponential(), 4_000, hedge=0.95)
    assert 0 < answers.hedged <= 0.05
    assert answers.utilization < 0.9


def test_the_smallest_deployment_is_found() -> None:
    start = Deployment(12, 1, cores=1)
    found, answers = smallest(start, NEVER, CONSTANT, 3.0001, queries=200)
    assert found.nodes == 4  # of three shards each
    np.testing.assert_allclose(answers.seconds, 3, rtol=1e-6)
    busy, _ = smallest(Deployment(16, 1, cores=1), 0.25, CONSTANT, 1000, queries=200)
    assert busy.nodes == 5  # four would never be idle
    with pytest.raises(ValueError, match="12 nodes"):
        smallest(start, NEVER, CONSTANT, 0.9, queries=200)
