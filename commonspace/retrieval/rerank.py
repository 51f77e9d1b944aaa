"""Re-ranking of the best results: diversity, and near-duplicates behind the best of them."""

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.items import Query
from commonspace.retrieval.segments import Hits
from commonspace.retrieval.store import Store
from commonspace.retrieval.vector_index import VectorState
from commonspace.space import CommonSpace

__all__ = ["CANDIDATES", "diversify", "group_similar", "rerank_hits"]

CANDIDATES = 200
"""Best results that are ranked again."""


def rerank_hits(
    store: Store,
    space: CommonSpace,
    state: VectorState,
    hits: Hits,
    named: list[list[int]],
    query: Query,
) -> tuple[Hits, list[dict[int, list[int]]]]:
    """Return the best hits in another order; and item -> items that are grouped behind it.

    Args:
        store: contains their vectors.
        space: the space of these.
        state: of the same generation.
        hits: the ranking of q queries.
        named: items of each query that stay first.
        query: its ``diversity`` and ``max_similarity``.
    """
    hits = hits.between(0, CANDIDATES)
    order = np.zeros(hits.items.shape, dtype=np.intp)
    lost, groups = np.zeros(hits.items.shape, dtype=bool), []
    for row, items in enumerate(hits.items.tolist()):
        count = sum(item >= 0 for item in items)  # missing ones are last
        similarity = _similarity(store, space, state, items[:count])
        places = [*range(count)]
        if query.diversity:
            first = min(len(named[row]), count)
            places = diversify(hits.scores[row, :count], similarity, query.diversity, first)
        order[row] = [*places, *range(count, len(items))]
        behind: dict[int, list[int]] = {}
        if query.max_similarity is not None:
            turned = similarity[np.ix_(places, places)]
            for best, *others in group_similar(turned, query.max_similarity):
                lost[row, others] = True
                behind[items[places[best]]] = [items[places[one]] for one in others]
        groups.append(behind)
    return hits.take(order).drop(lost), groups


def diversify(
    scores: NDArray[np.float32], similarity: NDArray[np.float64], diversity: float, fixed: int = 0
) -> list[int]:
    """Return an order of n results by maximal marginal relevance.

        next = argmax_i (1 - g) s_i - g max_(j chosen) similarity_ij

    with the diversity g, and the scores scaled to [0, 1].

    Source: Carbonell and Goldstein: The Use of MMR, Diversity-Based Reranking for Reordering
    Documents and Producing Summaries, SIGIR 1998.

    Args:
        scores: (n,), descending.
        similarity: (n, n).
        diversity: g, from 0 (by score) to 1.
        fixed: number of results that stay first.

    Example:
        >>> same = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1.0]])
        >>> diversify(np.array([3, 2, 1], dtype=np.float32), same, 0.5)
        [0, 2, 1]
    """
    spread = float(scores.max() - scores.min()) if len(scores) else 0.0
    relevance = (scores - scores.min()) / spread if spread else np.zeros(len(scores))
    order = list(range(min(fixed or 1, len(scores))))
    left = list(range(len(order), len(scores)))
    nearest = similarity[:, order].max(axis=1, initial=-1.0)
    while left:
        values = (1 - diversity) * relevance[left] - diversity * nearest[left]
        chosen = left.pop(int(np.argmax(values)))
        order.append(chosen)
        nearest = np.maximum(nearest, similarity[:, chosen])
    return order


def group_similar(similarity: NDArray[np.float64], largest: float) -> list[list[int]]:
    """Return groups of n ranked results: each result joins the first one that it is similar to.

    Args:
        similarity: (n, n), in the order of the ranking.
        largest: similarity from which two results are one group.

    Example:
        >>> group_similar(np.array([[1, 0.2, 0.99], [0.2, 1, 0.2], [0.99, 0.2, 1]]), 0.95)
        [[0, 2], [1]]
    """
    groups: list[list[int]] = []
    for place in range(len(similarity)):
        home = next((one for one in groups if similarity[one[0], place] >= largest), None)
        if home is None:
            groups.append([place])
        else:
            home.append(place)
    return groups


def _similarity(
    store: Store, space: CommonSpace, state: VectorState, items: list[int]
) -> NDArray[np.float64]:
    """Return (n, n) similarities of items as exact items, the mean over shared modalities."""
    total, shared = np.zeros((2, len(items), len(items)))
    entries = store.entries_of(items)
    for modality in state.modalities.values():
        entry_of = {item: entry for item, kind, entry in entries if kind == modality}
        vectors = store.vectors_of(state.space, modality, entry_of.values())
        rows = [row for row, item in enumerate(items) if entry_of.get(item) in vectors]
        if not rows:
            continue
        values = np.stack([vectors[entry_of[items[row]]] for row in rows])
        queries = space.as_queries(values, 1.0 if space.has_instance_block else None)
        scores = (queries @ values.T).astype(np.float64)
        own = np.sqrt(np.maximum(np.diagonal(scores), 1e-12))
        total[np.ix_(rows, rows)] += scores / own[:, None] / own
        shared[np.ix_(rows, rows)] += 1
    mean = total / np.maximum(shared, 1)
    return np.asarray((mean + mean.T) / 2)
