"""Plain oracle for metrics with ties: every order of the tied items, one by one."""

from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

__all__ = [
    "SEEDS",
    "Task",
    "draw",
    "expected_average_precision",
    "expected_values",
    "labeled_queries",
    "mean_over_orders",
    "orders",
    "scores_of",
    "tasks",
]

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]
SEEDS = st.integers(0, 2**32 - 1)
Task = tuple[Array, Array, Marks, Marks]


def scores_of(query: Array, gallery: Array) -> list[list[float]]:
    return [
        [sum(float(a) * float(b) for a, b in zip(q, g, strict=True)) for g in gallery]
        for q in query
    ]


def orders(scores: list[float]) -> Iterator[list[int]]:
    """Yield every order of the items by descending score."""
    groups = [
        [j for j, score in enumerate(scores) if score == level]
        for level in sorted(set(scores), reverse=True)
    ]
    for choice in product(*map(permutations, groups)):
        yield [j for group in choice for j in group]


def mean_over_orders(scores: list[float], figure: Callable[[list[int]], float]) -> float:
    return float(np.mean([figure(order) for order in orders(scores)]))


def expected_average_precision(
    scores: list[float], relevant: list[bool], k: int | None = None, denominator: str = "found"
) -> float:
    """Walk down the ranks with every possible number of hits and its probability.

    For rankings whose orders are too many to list: within a tie group the next item is relevant
    with probability (relevant items left) / (items left).
    """
    depth = k or len(scores)
    states = {0: (1.0, 0.0)}  # hits -> probability, and sum of precisions times probability
    rank = 0
    for level in sorted(set(scores), reverse=True):
        members = [hit for score, hit in zip(scores, relevant, strict=True) if score == level]
        size, total = len(members), sum(members)
        # per number of hits before the group and inside it
        walk = {(hits, 0): state for hits, state in states.items()}
        for place in range(size):
            if rank == depth:
                break
            rank += 1
            following: dict[tuple[int, int], tuple[float, float]] = {}
            for (hits, inside), (probability, weighted) in walk.items():
                chance = (total - inside) / (size - place)
                for new, share, gain in (
                    (inside + 1, chance, (hits + inside + 1) / rank),
                    (inside, 1 - chance, 0.0),
                ):
                    if share > 0:
                        p, w = following.get((hits, new), (0.0, 0.0))
                        following[hits, new] = (
                            p + probability * share,
                            w + share * (weighted + probability * gain),
                        )
            walk = following
        states = {}
        for (hits, inside), (probability, weighted) in walk.items():
            p, w = states.get(hits + inside, (0.0, 0.0))
            states[hits + inside] = (p + probability, w + weighted)
    count = sum(relevant)
    return sum(
        weighted / (hits if denominator == "found" else count)
        for hits, (_, weighted) in states.items()
        if hits
    )


def draw(seed: int, n: int = 7, m: int = 19, *, ties: bool = False) -> Task:
    """Samples with several labels; small whole numbers tie often, and every sum is exact."""
    rng = np.random.default_rng(seed)
    if ties:
        query, gallery = (rng.integers(-1, 2, (rows, 2)).astype(float) for rows in (n, m))
    else:
        query, gallery = (rng.standard_normal((rows, 3)) for rows in (n, m))
    left, right = rng.random((n, 5)) < 0.4, rng.random((m, 5)) < 0.3
    left[0, 0] = True  # at least one query has a label
    return query, gallery, left, right


def tasks(seed: int) -> list[Task]:
    """One task without ties, and one whose orders can all be listed."""
    return [draw(seed), draw(seed, 4, 6, ties=True)]


def labeled_queries(task: Task) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield each labeled query with its grades at each rank, for every order of tied items."""
    query, gallery, left, right = task
    for i, scores in enumerate(scores_of(query, gallery)):
        if left[i].any():
            shared = [int((left[i] & right[j]).sum()) for j in range(len(gallery))]
            yield i, [[shared[j] for j in order] for order in orders(scores)]


def expected_values(task: Task, figure: Callable[[list[int]], float]) -> Array:
    """Return the mean of a figure over all orders of tied items, for every query."""
    values = np.full(len(task[0]), np.nan)
    for i, rankings in labeled_queries(task):
        values[i] = np.mean([figure(grades) for grades in rankings])
    return values
