"""Train, validation and test splits: stratified by class, grouped, drawn from a seed.

The algorithm is iterative stratification (Sechidis, Tsoumakas, Vlahavas: "On the Stratification of
Multi-Label Data", ECML PKDD 2011) with three changes: whole groups are assigned, the order of the
classes is fixed at the start (fewest groups first), and a class that is large enough is in every
split. Where classes are so small that this would distort the sizes of the splits, the sizes take
precedence: every class is in train, and which classes reach the other splits is drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.vocabulary import SPLITS, is_missing, spell
from commonspace.errors import SettingError

__all__ = ["carve_validation", "draw_splits", "group_numbers"]

_TRAIN, _VALIDATION, _TEST = range(3)
_FEW = 20  # fewer units than this: classes in every split matter more than sizes


def draw_splits(
    labels: NDArray[np.bool_],
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
) -> NDArray[np.str_]:
    """Draw train, validation and test.

    Args:
        labels: (n, c) bool; the samples without label are treated as a class of their own.
        groups: n values; samples of equal value stay together, None stands alone. Without it every
            sample stands alone.
        seed: the same seed gives the same splits.
        fractions: of the samples, for train, validation and test; they add up to 1. A split of
            fraction 0 gets nothing.

    Returns:
        (n,) str. Every class is in train. A class of ten groups or more is in every split; with
        fewer, it may be missing from validation or test, so that the fractions hold.

    Raises:
        SettingError: the fractions are negative or do not add up to 1.

    Example:
        >>> split = draw_splits(np.repeat(np.eye(2, dtype=bool), 10, axis=0), seed=0)
        >>> [(split[:10] == name).sum().item() for name in SPLITS]
        [7, 1, 2]
    """
    share = np.array(fractions, dtype=float)
    if share.shape != (3,) or (share < 0).any() or abs(share.sum() - 1) > 1e-9 or share[0] == 0:
        raise SettingError(
            "`fractions` must add up to 1",
            expected="three numbers from 0 to 1 that add up to 1, the first above 0",
            found=str(fractions),
            advice="give for example (0.7, 0.1, 0.2)",
        )
    unit_of_row = group_numbers(groups, len(labels))
    marks = np.column_stack([labels, ~labels.any(axis=1)])
    count = int(unit_of_row.max(initial=-1)) + 1
    sizes = np.bincount(unit_of_row, minlength=count)
    has = np.zeros((count, marks.shape[1]))
    rows, classes = np.nonzero(marks)
    np.add.at(has, (unit_of_row[rows], classes), 1)
    chosen = _deal(has, sizes, share, np.random.default_rng(seed))
    if count >= _FEW and _deviates(chosen, sizes, share):
        chosen = _deal_to_size(has, sizes, share, np.random.default_rng(seed))
    result: NDArray[np.str_] = np.array(SPLITS)[chosen[unit_of_row]]
    return result


def carve_validation(
    labels: NDArray[np.bool_],
    groups: Sequence[Any] | NDArray[Any] | None,
    split: NDArray[np.str_],
    *,
    seed: int = 0,
    fraction: float = 0.1,
) -> NDArray[np.str_]:
    """Move a fraction of train into validation; no other row changes.

    Args:
        labels: (n, c) bool.
        groups: n values or None, as in :func:`draw_splits`.
        split: (n,) str.
        seed: the same seed gives the same rows.
        fraction: of the rows of train, from 0 to below 1.

    Returns:
        (n,) str, a new array. No class leaves train; one of ten or more groups is in both.

    Example:
        >>> split = np.array(["train"] * 20 + ["test"] * 10)
        >>> carved = carve_validation(np.ones((30, 1), bool), None, split)
        >>> [(carved == name).sum().item() for name in SPLITS]
        [18, 2, 10]
    """
    rows = np.flatnonzero(split == "train")
    part = None if groups is None else [groups[int(row)] for row in rows]
    drawn = draw_splits(labels[rows], part, seed=seed, fractions=(1 - fraction, fraction, 0.0))
    carved = split.astype(f"<U{max(map(len, SPLITS))}")
    carved[rows] = drawn
    return carved


def group_numbers(groups: Sequence[Any] | NDArray[Any] | None, count: int) -> NDArray[np.intp]:
    """Number the groups 0, 1, … in order of appearance; a missing value stands alone.

    Args:
        groups: n values, of which 7, 7.0 and "7" are one; or None for n groups of one sample.
        count: n.

    Returns:
        (n,) intp.

    Example:
        >>> group_numbers(["a", None, "a", None], 4).tolist()
        [0, 1, 0, 2]
    """
    if groups is None:
        return np.arange(count)
    numbers: dict[Any, int] = {}
    values = groups.tolist() if isinstance(groups, np.ndarray) else groups
    keys = (row if is_missing(value) else _spell_group(value) for row, value in enumerate(values))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def _spell_group(value: object) -> str:
    """Return a group as a string; lists and objects of JSON as Python shows them."""
    plain = isinstance(value, str | bytes | int | float | np.generic)
    return spell(value).strip() if plain else repr(value)


def _deal(
    has: NDArray[np.float64],
    sizes: NDArray[np.intp],
    share: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.intp]:
    """Deal u units into three splits; (u, c) samples of each class in each unit -> (u,) intp."""
    chosen = np.full(len(has), -1, dtype=np.intp)
    order = generator.permutation(len(has))
    order = order[np.argsort(-sizes[order], kind="stable")]
    wanted = has.sum(axis=0)[:, None] * share  # (c, 3) samples that each split still wants
    room = sizes.sum() * share  # (3,) the same over all classes
    placed = np.zeros_like(wanted, dtype=bool)
    carriers = (has > 0).sum(axis=0)
    plain = (sizes == 1) & ((has > 0).sum(axis=1) == 1)
    carried = _carried(has, order)
    for k in np.argsort(carriers, kind="stable"):
        units = carried[k][chosen[carried[k]] < 0]
        needed = share > 0
        if carriers[k] < 3:  # too few to be everywhere: train, then test
            needed[_VALIDATION] = False
        single = units[plain[units]]
        for place, unit in enumerate(units[~plain[units]]):
            empty = needed & ~placed[k]
            choice = empty if 0 < len(units) - place <= empty.sum() else share > 0
            best = _most_wanting(wanted[k], room, choice)
            chosen[unit] = best
            wanted[:, best] -= has[unit]
            room[best] -= sizes[unit]
            placed[has[unit] > 0, best] = True
        counts = _quotas(len(single), wanted[k], share, needed & ~placed[k])
        chosen[single] = np.repeat(np.arange(3), counts)
        wanted[k] -= counts
        room -= counts
        placed[k] |= counts > 0
    _complete_train(has, chosen)
    return chosen


def _deviates(
    chosen: NDArray[np.intp], sizes: NDArray[np.intp], share: NDArray[np.float64]
) -> bool:
    """Return whether a split misses its size by more than a twentieth, and by two samples."""
    counts = np.bincount(chosen, weights=sizes, minlength=3)
    off = np.abs(counts - sizes.sum() * share)
    return bool((off > np.maximum(0.05 * sizes.sum(), 2)).any())


def _deal_to_size(
    has: NDArray[np.float64],
    sizes: NDArray[np.intp],
    share: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.intp]:
    """Deal units so that the sizes of the splits hold; arguments and result as of ``_deal``.

    Each class gives every split the whole part of its share, at least one unit to train. The units
    that remain go, in an order that is drawn, to the split with the most room left.
    """
    chosen = np.full(len(has), -1, dtype=np.intp)
    order = generator.permutation(len(has))
    order = order[np.argsort(-sizes[order], kind="stable")]
    wanted = has.sum(axis=0)[:, None] * share
    room = sizes.sum() * share
    carriers = (has > 0).sum(axis=0)
    carried = _carried(has, order)

    def assign(unit: int, split: int) -> None:
        chosen[unit] = split
        wanted[:, split] -= has[unit]
        room[split] -= sizes[unit]

    for k in np.argsort(carriers, kind="stable"):
        if len(carried[k]) and not (has[chosen == _TRAIN, k] > 0).any():
            free = carried[k][chosen[carried[k]] < 0]
            if len(free):
                assign(int(free[-1]), _TRAIN)  # the smallest: the larger ones are dealt below
        for unit in carried[k][chosen[carried[k]] < 0].tolist():
            whole = np.flatnonzero((wanted[k] >= has[unit, k]) & (share > 0))
            if len(whole):
                assign(unit, int(whole[np.argmax(wanted[k][whole])]))
    left = np.flatnonzero(chosen < 0)
    for unit in generator.permutation(left).tolist():
        candidates = np.flatnonzero(share > 0)
        lacking = candidates[(wanted[has[unit] > 0][:, candidates] > 0).any(axis=0)]
        candidates = lacking if len(lacking) else candidates
        assign(unit, int(candidates[np.argmax(room[candidates])]))
    _complete_train(has, chosen)
    return chosen


def _carried(has: NDArray[np.float64], order: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return for each class the units that carry it, in the given order."""
    place, classes = np.nonzero(has[order])
    by_class = np.argsort(classes, kind="stable")
    ends = np.cumsum(np.bincount(classes, minlength=has.shape[1]))
    return np.split(order[place[by_class]], ends[:-1])


def _most_wanting(
    wanted: NDArray[np.float64], room: NDArray[np.float64], choice: NDArray[np.bool_]
) -> int:
    """Return the split that wants this class most; between equals, the one with most room."""
    candidates = np.flatnonzero(choice)
    return int(candidates[np.lexsort((-room[candidates], -wanted[candidates]))[0]])


def _quotas(
    count: int,
    wanted: NDArray[np.float64],
    share: NDArray[np.float64],
    empty: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Divide ``count`` equal units by largest remainders, then give each empty split one."""
    weight = np.clip(wanted, 0, None) * (share > 0)
    weight = weight if weight.sum() > 0 else share
    exact = count * weight / weight.sum()
    counts: NDArray[np.intp] = np.floor(exact + 1e-9).astype(np.intp)
    left = count - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    for split in (_TRAIN, _TEST, _VALIDATION):
        if empty[split] and counts[split] == 0:
            giver = int(np.argmax(counts - empty))
            keeps = int(empty[giver] and split != _TRAIN)
            if counts[giver] > keeps:
                counts[giver] -= 1
                counts[split] += 1
    return counts


def _complete_train(has: NDArray[np.float64], chosen: NDArray[np.intp]) -> None:
    """Move one unit of each class that train lacks into train."""
    for k in np.flatnonzero(~(has[chosen == _TRAIN] > 0).any(axis=0) & (has > 0).any(axis=0)):
        if not (has[chosen == _TRAIN, k] > 0).any():
            chosen[np.flatnonzero(has[:, k] > 0)[0]] = _TRAIN
