"""Pairs that probably do not belong together, found without labels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import CommonspaceError, DataError
from commonspace.methods.base.mismatch_share import fit_mismatch_share
from commonspace.methods.base.mismatched_pairs import LISTED
from commonspace.methods.base.pair_scores import score_columns

__all__ = ["PairCheck", "SuspiciousPair", "check_pairs"]


@dataclass(frozen=True)
class SuspiciousPair:
    """A sample two of whose modalities probably do not belong together.

    Args:
        row: Row of the data set.
        id: Id of the sample.
        split: Its split.
        by_modality: The two modalities -> share of the other items of this modality that fit the
            other one better; 0.5 for an item drawn at random.
        p: Probability that the two do not belong together; None if it was not estimated.
    """

    row: int
    id: str
    split: str
    by_modality: Mapping[str, float]
    p: float | None


@dataclass(frozen=True, eq=False)
class PairCheck:
    """What the pairs of a data set say about each other.

    Args:
        pair_noise: Estimated share of pairs that do not belong together, 0 to 1; None if the pairs
            are too few, or too much like different pairs.
        suspicious_pairs: The most suspicious first.
        scores: Two modalities -> (n,) float64, how well they fit in each sample, in standard
            deviations above different pairs; NaN where a sample lacks one.
    """

    pair_noise: float | None
    suspicious_pairs: tuple[SuspiciousPair, ...]
    scores: Mapping[tuple[str, str], NDArray[np.float64]]

    def to_json(self) -> dict[str, Any]:
        """Return share and list as JSON values, without the figures of each sample."""
        listed = [asdict(one) for one in self.suspicious_pairs]
        return {"pair_noise": self.pair_noise, "suspicious_pairs": listed}


def check_pairs(data: Dataset, *, most: int = 20, seed: int = 0) -> PairCheck:
    """Find pairs that probably do not belong together; labels are not used.

    For each two modalities, canonical correlations of four fifths of the pairs score the others
    (``score_pairs``). Where the share of mismatches can be estimated (``fit_mismatch_share``),
    pairs that are more probably a mismatch than not are listed; else the worst tenth, of those that
    fit worse than half of all different pairs. A text that says nothing about its photo looks like
    a mismatch too.

    Args:
        data: Columns are features. Leave test samples out: pairs that are corrected after a model
            would favor that model. Rows with one value of the field "sample" are captions of one
            sample.
        most: Maximum number of pairs to list.
        seed: Random seed of the folds.

    Raises:
        DataError: If a column is raw, no two modalities have 20 different pairs, or what they have
            in common hardly tells pairs from different pairs.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 8))
        >>> y = -x[:, ::-1]
        >>> y[[3, 5]] = y[[5, 3]]
        >>> check = check_pairs(Dataset.from_arrays(image=x, text=y))
        >>> sorted(one.row for one in check.suspicious_pairs)
        [3, 5]
    """
    raw = [name for name, one in data.columns.items() if not isinstance(one, Features)]
    if raw or len(data.columns) < 2:
        raise DataError(
            f"check_pairs needs features, and {raw[0]!r} is raw"
            if raw
            else "there is one modality",
            expected="at least two modalities, as features",
            found=", ".join(f"{name!r}: {one.kind}" for name, one in data.columns.items()),
            advice="extract features first with commonspace extract",
        )
    by_id = np.argsort(np.array(data.ids, dtype=str), kind="stable")  # the order has no influence
    names = np.array([str(one) for one in data.fields.get("sample", data.ids)])
    samples = np.unique(names, return_inverse=True)[1]
    scores: dict[tuple[str, str], NDArray[np.float64]] = {}
    shares: list[float] = []
    found: list[tuple[float, float, SuspiciousPair]] = []
    problem: CommonspaceError | None = None
    for one, other in combinations(data.modalities, 2):
        columns = data.columns[one], data.columns[other]
        rows = by_id[(columns[0].present & columns[1].present)[by_id]]
        try:
            scored = score_columns(columns, rows, samples, seed)
        except DataError as error:
            problem = problem or error
            continue
        share, p = fit_mismatch_share(scored)
        scores[one, other] = np.full(len(data), np.nan)
        scores[one, other][rows] = scored.own
        if share is None:
            worst = np.flatnonzero(scored.own < np.median(scored.others))
            worst = worst[np.argsort(scored.own[worst], kind="stable")][: -(-len(rows) // 10)]
        else:
            shares.append(share)
            worst = np.flatnonzero(p > LISTED)
        for place in worst.tolist():
            row = int(rows[place])
            better = float(scored.better_first[place]), float(scored.better_second[place])
            listed = SuspiciousPair(
                row,
                data.ids[row],
                str(data.splits[row]),
                {one: better[0], other: better[1]},
                None if share is None else float(p[place]),
            )
            found.append((-(listed.p or 0.0), float(scored.own[place]), listed))
    if not scores:
        assert problem is not None
        raise problem
    ranked = [each[2] for each in sorted(found, key=lambda each: each[:2])]
    return PairCheck(float(np.mean(shares)) if shares else None, _once(ranked, most), scores)


def _once(ranked: list[SuspiciousPair], most: int) -> tuple[SuspiciousPair, ...]:
    """Return the first entry of each sample."""
    first: dict[int, SuspiciousPair] = {}
    for one in ranked:
        first.setdefault(one.row, one)
    return tuple(list(first.values())[:most])
