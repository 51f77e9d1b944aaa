"""What is likely wrong in a catalogue, told by its own vectors: a list to work through.

    duplicate    two items of equal content in a modality, or of nearly equal features
    conflict     an item whose modalities hardly fit each other
    label        an item whose neighbours nearly all carry another class
    unfindable   an item that no item finds, not even itself by another modality

Every finding is a suspicion with a figure; nothing is changed. Each item asks with each of its
modalities, so that the work grows with the square of the number of items where search is exact.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from commonspace.errors import check_settings
from commonspace.retrieval.ann import nearest_among
from commonspace.retrieval.catalogue import labels_of
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.records import FLOAT32, Vectors
from commonspace.retrieval.shelf import Shelf
from commonspace.retrieval.store import Store

__all__ = ["AuditSettings", "Finding", "audit"]

BLOCK = 1000


@dataclass(frozen=True)
class AuditSettings:
    """From where on something is a finding.

    Args:
        duplicate: the least cosine of two items' features.
        conflict: the highest probability that two modalities of an item share a class; where the
            space is not calibrated, the share of items that fit worst.
        neighbours: how many of the nearest items of another modality vote on the class.
        agreement: the least share of them that must carry another class than the item's own.
        reach: within how many of the nearest an item must be of some item to be findable.

    Raises:
        SettingError: a value that cannot work.
    """

    duplicate: float = 0.995
    conflict: float = 0.05
    neighbours: int = 20
    agreement: float = 0.8
    reach: int = 100

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        checks = (
            ("duplicate", 0 < self.duplicate <= 1, "above 0, up to 1"),
            ("conflict", 0 <= self.conflict <= 1, "from 0 to 1"),
            ("neighbours", self.neighbours >= 1, "a whole number from 1"),
            ("reach", self.reach >= 1, "a whole number from 1"),
            ("agreement", 0.5 < self.agreement <= 1, "above 0.5, up to 1"),
        )
        check_settings(self, checks)


@dataclass(frozen=True)
class Finding:
    """One suspicion."""

    kind: str
    """"duplicate", "conflict", "label" or "unfindable"."""
    id: str
    """The item."""
    other: str
    """Of a duplicate the other item, of a label the class that the neighbours carry; else ""."""
    modality: str
    """Where it was seen: a modality, or two of them."""
    figure: float
    """What ``kind`` was told by: cosine, probability or score, share of neighbours, 0."""


def audit(opened: Opened, settings: AuditSettings | None = None) -> list[Finding]:
    """Return what is likely wrong in an index, kind by kind, the most suspicious first.

    Args:
        opened: the index.
        settings: from where on something is a finding; None takes the defaults.
    """
    chosen, store = settings or AuditSettings(), opened.store
    state = opened.shelves.fresh()
    every = {name: store.vectors(state.space, number) for name, number in state.modalities.items()}
    ids: dict[int, str] = dict(store.rows("SELECT item, id FROM items"))
    marks = labels_of(store)
    found: list[Finding] = []
    for name, number in state.modalities.items():
        pairs = {**_near(store, number, chosen.duplicate), **_equal(store, number)}
        found += [
            Finding("duplicate", ids[a], ids[b], name, cosine) for (a, b), cosine in pairs.items()
        ]
    for one, other in pairwise(state.modalities):
        found += _conflicts(opened, one, other, every, ids, chosen)
    for name, number in state.modalities.items():
        asking = [one for one in state.modalities if one != name] or [name]
        found += _neighbourly(state.shelves[number], name, asking, every, ids, marks, chosen)
    order = ("duplicate", "conflict", "label", "unfindable")
    ascending = {"duplicate": -1.0, "conflict": 1.0, "label": -1.0, "unfindable": 1.0}
    return sorted(found, key=lambda f: (order.index(f.kind), ascending[f.kind] * f.figure, f.id))


def _equal(store: Store, modality: int) -> dict[tuple[int, int], float]:
    """Return pairs of items of the same content, each with its next."""
    sql = (
        "SELECT digest, item FROM entries WHERE modality = ? AND digest IN (SELECT digest FROM"
        " entries WHERE modality = ? GROUP BY digest HAVING count(*) > 1) ORDER BY digest, item"
    )
    rows = store.rows(sql, (modality, modality))
    return {(a, b): 1.0 for (one, a), (other, b) in pairwise(rows) if one == other}


def _near(store: Store, modality: int, least: float) -> dict[tuple[int, int], float]:
    """Return pairs of items of nearly equal features, where features were kept."""
    sql = (
        "SELECT item, features FROM entries JOIN sources USING (entry)"
        " WHERE modality = ? AND features IS NOT NULL ORDER BY entry"
    )
    rows = store.rows(sql, (modality,))
    if len(rows) < 2 or len({len(blob) for _, blob in rows}) > 1:
        return {}
    values = np.stack([np.frombuffer(blob, FLOAT32) for _, blob in rows])
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.ascontiguousarray(values / np.maximum(lengths, 1e-30), dtype=np.float32)
    items = [item for item, _ in rows]
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, len(values), BLOCK):
        cosines, places = nearest_among(values[start : start + BLOCK], values, min(6, len(values)))
        for row, near in zip(*np.nonzero(cosines >= least), strict=True):
            a, b = items[start + int(row)], items[int(places[row, near])]
            if a != b:
                pairs[min(a, b), max(a, b)] = min(1.0, float(cosines[row, near]))
    return pairs


def _conflicts(
    opened: Opened,
    one: str,
    other: str,
    every: dict[str, Vectors],
    ids: dict[int, str],
    settings: AuditSettings,
) -> Iterator[Finding]:
    """Yield the items of which two modalities hardly fit each other."""
    left, right = every[one], every[other]
    items, at, beside = np.intersect1d(left.items, right.items, return_indices=True)
    if not len(items):
        return
    space = opened.embedder().space
    asking = space.as_queries(left.values[at], 0.0 if space.has_instance_block else None)
    figures = np.einsum("nd,nd->n", asking, right.values[beside]).astype(np.float64)
    if space.calibrated:
        figures = space.relevance(figures)
        suspects = np.flatnonzero(figures <= settings.conflict)
    else:
        suspects = np.argsort(figures, kind="stable")[: int(settings.conflict * len(items))]
    for row in suspects.tolist():
        yield Finding(
            "conflict", ids[int(items[row])], "", f"{one} and {other}", float(figures[row])
        )


def _neighbourly(
    shelf: Shelf,
    name: str,
    asking: list[str],
    every: dict[str, Vectors],
    ids: dict[int, str],
    marks: dict[int, frozenset[str]],
    settings: AuditSettings,
) -> Iterator[Finding]:
    """Yield what the items of one modality that others find tell: wrong labels, and never found."""
    seen: set[int] = set()
    for asker in asking:
        queries = every[asker]
        for start in range(0, len(queries.items), BLOCK):
            rows = queries.values[start : start + BLOCK]
            hits = shelf.search(rows, 1 + max(settings.neighbours, settings.reach)).items
            own = asker == name  # by the same modality each item finds itself first
            seen.update(hits[:, own : own + settings.reach].ravel().tolist())
            for item, near in zip(queries.items[start : start + BLOCK].tolist(), hits, strict=True):
                others = [one for one in near.tolist() if one not in (item, -1)]
                others = others[: settings.neighbours]
                suspicion = _outvoted(item, others, marks, settings.agreement)
                if suspicion:
                    yield Finding(
                        "label", ids[item], suspicion[0], f"{asker} and {name}", suspicion[1]
                    )
    for item in every[name].items.tolist():
        if item not in seen and len(every[name].items) > settings.reach + 1:
            yield Finding("unfindable", ids[item], "", name, 0.0)


def _outvoted(
    item: int, others: list[int], marks: dict[int, frozenset[str]], least: float
) -> tuple[str, float] | None:
    """Return the class that nearly all neighbours carry and the item does not, with their share."""
    labelled = [marks[one] for one in others if one in marks]
    if item not in marks or not labelled:
        return None
    (name, count), *_ = Counter(label for one in labelled for label in one).most_common(1)
    share = count / len(labelled)
    return (name, share) if share >= least and name not in marks[item] else None
