"""Audit of a catalog: probable errors, found by comparing the vectors of its items.

    duplicate    two items of equal content in a modality, or of nearly equal features
    mismatch     an item whose modalities are not relevant to each other (cross-modal mismatch)
    label        an item whose neighbors nearly all have another class (label disagreement)
    unfindable   an item in no other item's nearest neighbors (an anti-hub; see hubness)

Every finding is a suspicion with a figure; nothing is changed. Each item is a query with each of
its modalities, so exact search takes time that is quadratic in the number of items.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from commonspace.errors import check_settings
from commonspace.retrieval.backends.faiss import knn
from commonspace.retrieval.browse import item_labels
from commonspace.retrieval.schema import FLOAT32
from commonspace.retrieval.segments import Segment
from commonspace.retrieval.store import Store, Vectors
from commonspace.retrieval.vector_index import VectorState
from commonspace.space import CommonSpace

__all__ = ["AuditSettings", "Finding", "audit"]

BLOCK = 1000


@dataclass(frozen=True)
class AuditSettings:
    """Thresholds of findings.

    Args:
        duplicate: minimum cosine similarity of the features of two items.
        cross_modal_mismatch: maximum probability that two modalities of an item share a class; if
            the space is not calibrated, the fraction of items with the lowest scores.
        neighbors: number of nearest items of another modality that are compared.
        label_disagreement: minimum fraction of them with a class that the item does not have.
        hubness: an item is unfindable if it is in no item's nearest neighbors of this number.

    Raises:
        SettingError: If a value is out of range.
    """

    duplicate: float = 0.995
    cross_modal_mismatch: float = 0.05
    neighbors: int = 20
    label_disagreement: float = 0.8
    hubness: int = 100

    def __post_init__(self) -> None:
        """Check the values."""
        mismatch, disagreement = self.cross_modal_mismatch, self.label_disagreement
        checks = (
            ("duplicate", 0 < self.duplicate <= 1, "above 0, up to 1"),
            ("cross_modal_mismatch", 0 <= mismatch <= 1, "from 0 to 1"),
            ("neighbors", self.neighbors >= 1, "a whole number from 1"),
            ("hubness", self.hubness >= 1, "a whole number from 1"),
            ("label_disagreement", 0.5 < disagreement <= 1, "above 0.5, up to 1"),
        )
        check_settings(self, checks)


@dataclass(frozen=True)
class Finding:
    """A probable error."""

    kind: str
    """"duplicate", "mismatch", "label" or "unfindable"."""
    id: str
    """The item."""
    other: str
    """Duplicate: the other item; label: the class of the neighbors; else ""."""
    modality: str
    """The modality, or two of them."""
    figure: float
    """Cosine similarity, probability or score, fraction of neighbors, or 0."""


def audit(
    store: Store, state: VectorState, space: CommonSpace, settings: AuditSettings | None = None
) -> list[Finding]:
    """Return probable errors in an index, by kind, the most suspicious first.

    Args:
        store: the store.
        state: its segments.
        space: its space.
        settings: thresholds; None uses the defaults.
    """
    chosen = settings or AuditSettings()
    every = {name: store.vectors(state.space, number) for name, number in state.modalities.items()}
    ids: dict[int, str] = dict(store.scan("SELECT item, id FROM items"))
    labels = item_labels(store)
    findings: list[Finding] = []
    for name, number in state.modalities.items():
        pairs = {**_near(store, number, chosen.duplicate), **_equal(store, number)}
        findings += [
            Finding("duplicate", ids[a], ids[b], name, cosine) for (a, b), cosine in pairs.items()
        ]
    for first, second in pairwise(state.modalities):
        findings += _mismatches(space, first, second, every, ids, chosen)
    for name, number in state.modalities.items():
        sources = [one for one in state.modalities if one != name] or [name]
        findings += _compare_neighbors(
            state.segments[number], name, sources, every, ids, labels, chosen
        )
    order = ("duplicate", "mismatch", "label", "unfindable")
    ascending = {"duplicate": -1.0, "mismatch": 1.0, "label": -1.0, "unfindable": 1.0}
    return sorted(findings, key=lambda f: (order.index(f.kind), ascending[f.kind] * f.figure, f.id))


def _equal(store: Store, modality: int) -> dict[tuple[int, int], float]:
    """Return pairs of items of the same content, in a chain."""
    sql = (
        "SELECT digest, item FROM entries WHERE modality = ? AND digest IN (SELECT digest FROM"
        " entries WHERE modality = ? GROUP BY digest HAVING count(*) > 1) ORDER BY digest, item"
    )
    rows = store.scan(sql, (modality, modality))
    return {(a, b): 1.0 for (one, a), (other, b) in pairwise(rows) if one == other}


def _near(store: Store, modality: int, least: float) -> dict[tuple[int, int], float]:
    """Return pairs of items of nearly equal features, if features are stored."""
    sql = (
        "SELECT item, features FROM entries JOIN sources USING (entry)"
        " WHERE modality = ? AND features IS NOT NULL ORDER BY entry"
    )
    rows = store.scan(sql, (modality,))
    if len(rows) < 2 or len({len(blob) for _, blob in rows}) > 1:
        return {}
    values = np.stack([np.frombuffer(blob, FLOAT32) for _, blob in rows])
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.ascontiguousarray(values / np.maximum(lengths, 1e-30), dtype=np.float32)
    items = [item for item, _ in rows]
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, len(values), BLOCK):
        cosines, places = knn(values[start : start + BLOCK], values, min(6, len(values)))
        for row, near in zip(*np.nonzero(cosines >= least), strict=True):
            a, b = items[start + int(row)], items[int(places[row, near])]
            if a != b:
                pairs[min(a, b), max(a, b)] = min(1.0, float(cosines[row, near]))
    return pairs


def _mismatches(
    space: CommonSpace,
    first: str,
    second: str,
    every: dict[str, Vectors],
    ids: dict[int, str],
    settings: AuditSettings,
) -> Iterator[Finding]:
    """Yield the items of which two modalities are not relevant to each other."""
    left, right = every[first], every[second]
    items, at, beside = np.intersect1d(left.items, right.items, return_indices=True)
    if not len(items):
        return
    queries = space.as_queries(left.values[at], 0.0 if space.has_instance_block else None)
    figures = np.einsum("nd,nd->n", queries, right.values[beside]).astype(np.float64)
    if space.calibrated:
        figures = space.relevance(figures)
        suspects = np.flatnonzero(figures <= settings.cross_modal_mismatch)
    else:
        suspects = np.argsort(figures, kind="stable")[
            : int(settings.cross_modal_mismatch * len(items))
        ]
    for row in suspects.tolist():
        yield Finding(
            "mismatch", ids[int(items[row])], "", f"{first} and {second}", float(figures[row])
        )


def _compare_neighbors(
    segment: Segment,
    name: str,
    sources: list[str],
    every: dict[str, Vectors],
    ids: dict[int, str],
    labels: dict[int, frozenset[str]],
    settings: AuditSettings,
) -> Iterator[Finding]:
    """Yield items of one modality with other labels than their neighbors, and unfindable ones."""
    seen: set[int] = set()
    for source in sources:
        queries = every[source]
        for start in range(0, len(queries.items), BLOCK):
            rows = queries.values[start : start + BLOCK]
            hits = segment.search(rows, 1 + max(settings.neighbors, settings.hubness)).items
            own = source == name  # in the same modality each item is its own nearest neighbor
            seen.update(hits[:, own : own + settings.hubness].ravel().tolist())
            for item, near in zip(queries.items[start : start + BLOCK].tolist(), hits, strict=True):
                others = [one for one in near.tolist() if one not in (item, -1)]
                others = others[: settings.neighbors]
                suspicion = _find_disagreement(item, others, labels, settings.label_disagreement)
                if suspicion:
                    yield Finding(
                        "label", ids[item], suspicion[0], f"{source} and {name}", suspicion[1]
                    )
    for item in every[name].items.tolist():
        if item not in seen and len(every[name].items) > settings.hubness + 1:
            yield Finding("unfindable", ids[item], "", name, 0.0)


def _find_disagreement(
    item: int, others: list[int], labels: dict[int, frozenset[str]], least: float
) -> tuple[str, float] | None:
    """Return the class of nearly all neighbors that the item does not have, and their fraction."""
    labeled = [labels[one] for one in others if one in labels]
    if item not in labels or not labeled:
        return None
    counts = Counter(label for names in labeled for label in names)
    (name, count), *_ = counts.most_common(1)
    fraction = count / len(labeled)
    return (name, fraction) if fraction >= least and name not in labels[item] else None
