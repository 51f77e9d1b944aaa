"""Queues of the nodes of a sharded index: from arrivals and service times to complete answers.

A copy of the index is divided over nodes, each of which holds several shards. A query is sent to
all nodes of a copy, and searches each shard as a task of one core; a node runs its tasks first
come, first served, on all of its cores. With replicas, each node exists several times, and a query
goes to the one with the least work. The answer is complete when the last node has answered.

Hedging sends what a node has not answered after some time to another replica, without taking back
the first request, and never more than a part of all requests: without this limit, a busy index
sends more and more of them. Source: Dean and Barroso: The Tail at Scale, CACM 56 (2), 2013.
"""

from collections import deque
from dataclasses import dataclass, replace
from heapq import heapreplace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "Deployment", "Times", "simulate", "smallest", "with_stalls"]

Times = NDArray[np.float64]
"""(n, r), seconds of n queries, each measured r times."""


@dataclass(frozen=True)
class Deployment:
    """The nodes of an index.

    Args:
        shards: of a copy.
        nodes: of a copy; each holds ``shards / nodes`` of them, rounded up or down.
        replicas: copies.
        cores: of a node.
        least_loaded: whether a query goes to the replica with the least work; otherwise to any.
    """

    shards: int
    nodes: int
    replicas: int = 1
    cores: int = 16
    least_loaded: bool = True

    @property
    def total(self) -> int:
        """Number of nodes of all copies."""
        return self.nodes * self.replicas


@dataclass(frozen=True)
class Answers:
    """The outcome of a simulation.

    Args:
        seconds: (q,), from the arrival of a query to its complete answer.
        utilization: part of the time in which the cores work.
        hedged: part of the requests to nodes that was sent a second time.
    """

    seconds: NDArray[np.float64]
    utilization: float
    hedged: float = 0.0

    def quantile(self, p: float) -> float:
        """Return a quantile of the seconds."""
        return float(np.quantile(self.seconds, p))


def simulate(
    deployment: Deployment,
    rate: float,
    times: Times,
    queries: int = 10_000,
    hedge: float | None = None,
    network: float = 0.0,
    seed: int = 0,
) -> Answers:
    """Simulate queries; the first tenth, during which the queues fill, is not counted.

    Args:
        deployment: the nodes.
        rate: queries a second.
        times: of a query on one shard. Each task draws a query of them; each replica that runs it
            draws one of its repeats.
        queries: number of them.
        hedge: quantile p of the time of a node after which a request is sent again, at most the
            part 1 - p of all; None: never.
        network: seconds of the network and of merging, added to each answer.
        seed: of arrivals and service times.
    """
    arrivals = np.random.default_rng(seed).exponential(1 / rate, queries).cumsum()
    counted = slice(queries // 10, None)
    patience, budget = np.inf, 0.0
    if hedge is not None and deployment.replicas > 1:
        plain = _all_nodes(deployment, arrivals, times, patience, budget, seed)[0]
        patience, budget = float(np.quantile(plain[:, counted], hedge)), 1 - hedge
    waits, work, again = _all_nodes(deployment, arrivals, times, patience, budget, seed)
    capacity = float(arrivals[-1]) * deployment.total * deployment.cores
    return Answers(
        waits.max(axis=0)[counted] + network,
        work / capacity,
        again / (queries * deployment.nodes),
    )


def _all_nodes(
    deployment: Deployment,
    arrivals: Times,
    times: Times,
    patience: float,
    budget: float,
    seed: int,
) -> tuple[Times, float, int]:
    """Return (nodes of a copy, q) seconds until they answer, all work, and second requests."""
    waits, work, again = np.empty((deployment.nodes, len(arrivals))), 0.0, 0
    for place in range(deployment.nodes):
        draw = np.random.default_rng((seed, place))
        tasks = len(range(place, deployment.shards, deployment.nodes))
        chosen = draw.integers(len(times), size=(len(arrivals), 1, tasks))
        repeat = draw.integers(times.shape[1], size=(len(arrivals), 2, tasks))
        picks = draw.integers(deployment.replicas, size=len(arrivals))
        found = _one_place(deployment, arrivals, times[chosen, repeat], picks, patience, budget)
        waits[place], work, again = found[0], work + found[1], again + found[2]
    return waits, work, again


def _one_place(
    deployment: Deployment,
    arrivals: Times,
    service: Times,
    picks: NDArray[np.int64],
    limit: float,
    budget: float,
) -> tuple[Times, float, int]:
    """Simulate the replicas of one node: (q,) arrivals, (q, 2, tasks) service times.

    A queue that is served in order determines the end of a request when it arrives (Kiefer and
    Wolfowitz, 1955), so that the time at which each core is free is all that has to be kept.
    """
    free = [[0.0] * deployment.cores for _ in range(deployment.replicas)]
    copies = range(deployment.replicas)

    def run(copy: int, now: float, tasks: list[float]) -> float:
        heap, end = free[copy], now
        for seconds in tasks:
            start = heap[0]
            done = (start if start > now else now) + seconds
            heapreplace(heap, done)
            if done > end:
                end = done
        return end

    def least(now: float, without: int | None = None) -> int:
        if len(copies) == 1:
            return 0
        return min(
            (copy for copy in copies if copy != without),
            key=lambda copy: sum(at - now for at in free[copy] if at > now),
        )

    ends, waiting, again, work = np.empty(len(arrivals)), deque[tuple[int, int]](), 0, 0.0
    starts, planned = arrivals.tolist(), service.tolist()
    for query, now in enumerate([*starts, np.inf]):
        while waiting and starts[waiting[0][0]] + limit <= now:
            late, copy = waiting.popleft()
            if again >= budget * (late + 1):
                continue
            other, tasks, at = least(now, copy), planned[late][1], starts[late] + limit
            ends[late] = min(ends[late], run(other, at, tasks))
            again, work = again + 1, work + sum(tasks)
        if query < len(starts):
            tasks = planned[query][0]
            copy = least(now) if deployment.least_loaded else int(picks[query])
            ends[query] = run(copy, now, tasks)
            work += sum(tasks)
            if ends[query] > now + limit:
                waiting.append((query, copy))
    return ends - arrivals, work, again


def with_stalls(times: Times, part: float, seconds: float) -> Times:
    """Return times of which a part is longer, as when a process or a page of memory has to wait.

    Args:
        times: (n, r).
        part: of the searches, such as 0.001, rounded to one in a whole number.
        seconds: added to them.
    """
    each = round(1 / part)
    longer = times[:, np.arange(each) % times.shape[1]]
    longer[:, -1] += seconds
    return longer


def smallest(
    start: Deployment,
    rate: float,
    times: Times,
    target: float,
    queries: int = 10_000,
    hedge: float | None = None,
    network: float = 0.0,
) -> tuple[Deployment, Answers]:
    """Return the deployment with the fewest nodes whose 99th percentile is at most the target.

    A quarter of the queries narrows the number of nodes down, all of them decide.

    Args:
        start: with the smallest number of nodes that hold the shards.
        rate: queries a second.
        times: see ``simulate``.
        target: seconds.
        queries: see ``simulate``.
        hedge: see ``simulate``.
        network: see ``simulate``.

    Raises:
        ValueError: one node for each shard is too slow.
    """

    def fits(nodes: int, count: int) -> Answers | None:
        one = replace(start, nodes=nodes)
        if rate * start.shards * times.mean() >= 0.98 * one.total * one.cores:
            return None  # the queues grow without limit
        answers = simulate(one, rate, times, count, hedge, network)
        return answers if answers.quantile(0.99) <= target else None

    low, high = start.nodes - 1, start.nodes
    while not fits(high, queries // 4):
        if high >= start.shards:
            raise ValueError(f"{start.shards} nodes do not answer within {target} s")
        low, high = high, min(2 * high, start.shards)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle, queries // 4) else (middle, high)
    best = fits(high, queries)
    while not best:
        if high >= start.shards:
            raise ValueError(f"{start.shards} nodes do not answer within {target} s")
        high += 1
        best = fits(high, queries)
    while high > start.nodes and (fewer := fits(high - 1, queries)):
        high, best = high - 1, fewer
    return replace(start, nodes=high), best
