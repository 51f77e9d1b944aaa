"""Active learning: the samples whose labels would help most, by uncertainty and diversity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.methods.base.noise_model import fit_temperature

__all__ = ["LabelProposal", "propose_labels"]

RIDGES = tuple(10.0**power for power in (-4, -3.5, -3, -2.5, -2, -1.5, -1))
"""Ridges that are tried, in units of the sum of all squares of the features."""
POWER = 4
"""Exponent of the uncertainty; 2 and 6 were both better than random on validation of fashion."""
TINY = 1e-12
SAME = 1e-5
"""Squared distance, in units of the largest squared length, of samples that are copies."""
LARGEST = 4000
"""Largest number of labeled samples that the classifier is fitted to."""
SUGGESTED = 5


@dataclass(frozen=True)
class LabelProposal:
    """A sample to label, or a label to check.

    Args:
        row: Row of the data set.
        id: Id of the sample.
        given: Its classes; () for a sample without label.
        suggestions: The most probable classes and their probabilities, best first; () where no
            classifier can be fitted.
    """

    row: int
    id: str
    given: tuple[str, ...]
    suggestions: tuple[tuple[str, float], ...]


def propose_labels(
    data: Dataset, *, count: int = 20, skip: NDArray[np.bool_] | None = None, seed: int = 0
) -> list[LabelProposal]:
    """Return the samples to label next; where all have labels, the labels to check next.

    A ridge regression from the features of each modality to the classes, calibrated on its
    leave-one-out predictions, gives class posteriors p_m. Samples without label are drawn one
    after the other, by their uncertainty and their distance from those drawn before:

        P(i) ~ u_i^POWER min_j ||x_i - x_j||^2,    u_i = 1 - mean_(a != b) sum_c p_a(c) p_b(c)

    u is the probability that two modalities a and b of the sample differ in class: the error that
    cross-modal retrieval makes. It is large where a modality is uncertain, and where two
    contradict each other; for a sample of one modality it is 1 - sum_c p(c)^2. Distances are those
    of all features side by side, as in the seeding of k-means++ (Arthur, Vassilvitskii 2007), so
    that a batch is diverse. For batches of uncertain and diverse samples see Ash et al.: Deep
    Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds, ICLR 2020, where the
    distances are those of gradients. With fewer than two labeled classes the choice is by
    diversity alone.

    Where every sample has a label, those come first that the leave-one-out predictions contradict
    most. ``check_sample_labels`` does this more thoroughly.

    Args:
        data: Columns are features. Leave test samples out: labels that are given or corrected
            after a model would favor that model.
        count: Number of samples to return at most.
        skip: (n,) samples not to propose, such as those whose label a person has confirmed.
        seed: Random seed of the draw.

    Raises:
        DataError: If a column is not made of features.

    Example:
        >>> values = Features([[0.0], [0.1], [1.0], [1.1], [0.5], [0.0]])
        >>> data = Dataset(
        ...     name="few",
        ...     ids=("a", "b", "c", "d", "e", "f"),
        ...     columns={"image": values, "text": values},
        ...     labels=np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]], dtype=bool),
        ...     class_names=("hat", "sock"),
        ...     splits=np.array(["train"] * 6),
        ... )
        >>> [one.id for one in propose_labels(data, count=1)]
        ['e']
    """
    views = {name: _scaled(data, name) for name in data.columns}
    X = np.concatenate([*views.values()], axis=1)
    open_ = np.ones(len(data), dtype=bool) if skip is None else ~skip
    known = data.labels.any(axis=1)
    draw = np.random.default_rng(seed)
    found = [
        _posteriors(view, data.labels, known & data.columns[name].present, draw)
        for name, view in views.items()
    ]
    usable = [
        (one, data.columns[name].present)
        for name, one in zip(views, found, strict=True)
        if one is not None
    ]
    fitted = _mean(usable) if usable else None
    unlabeled = np.flatnonzero(open_ & ~known)
    if len(unlabeled):
        uncertainty = _disagreement(usable)[unlabeled] if usable else np.ones(len(unlabeled))
        rows = unlabeled[_draw(X[unlabeled], uncertainty**POWER, count, draw)]
    elif fitted is None:
        return []
    else:
        rows = _contradicted(fitted, data.labels, np.flatnonzero(open_), count)
    return [_describe(data, int(row), fitted) for row in rows]


def _scaled(data: Dataset, name: str) -> NDArray[np.float32]:
    """Return (n, d) features with mean 0 and mean squared length 1; a missing one is the mean."""
    column = data.columns[name]
    if not isinstance(column, Features):
        raise DataError(
            f"{name!r} is not made of features",
            expected="feature vectors in every column",
            found=f"{column.kind}",
            advice="extract features first: commonspace extract",
        )
    X = column.values - column.values[column.present].mean(axis=0)
    X[~column.present] = 0
    length = float(np.sqrt(np.square(X).sum(axis=1).mean()))
    scaled: NDArray[np.float32] = X / np.float32(max(length, TINY))
    return scaled


Posteriors = Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]]
"""Of each modality (n, c) posteriors, and (n,) which samples have it."""


def _mean(modalities: Posteriors) -> NDArray[np.float64]:
    """Return (n, c) means over the modalities of each sample; a uniform row where it has none."""
    classes = modalities[0][0].shape[1]
    total = np.sum([p * present[:, None] for p, present in modalities], axis=0)
    count = np.sum([present[:, None] for _, present in modalities], axis=0)
    found: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), 1 / classes)
    return found


def _disagreement(modalities: Posteriors) -> NDArray[np.float64]:
    """Return (n,), the probability that two modalities of a sample differ in class.

    Classes are exclusive here: posteriors of several classes are divided by their sum. For one
    modality both classes are drawn from its posterior; 1 without any.
    """
    shares = [
        p / np.maximum(p.sum(axis=1, keepdims=True), TINY) * present[:, None]
        for p, present in modalities
    ]
    own = np.sum([np.square(p).sum(axis=1) for p in shares], axis=0)
    all_pairs = np.square(np.sum(shares, axis=0)).sum(axis=1)
    count = np.sum([present for _, present in modalities], axis=0)
    pairs = (all_pairs - own) / np.maximum(count * (count - 1), 1)
    same: NDArray[np.float64] = np.where(count > 1, pairs, own)
    return np.clip(1 - same, 0, 1)


def _posteriors(
    X: NDArray[np.float32],
    labels: NDArray[np.bool_],
    known: NDArray[np.bool_],
    draw: np.random.Generator,
) -> NDArray[np.float64] | None:
    """Return (n, c) posteriors; of labeled samples without their label. None: too few labels."""
    rows = np.flatnonzero(known)
    if len(rows) > LARGEST:
        rows = np.sort(draw.permutation(rows)[:LARGEST])
    if int(labels[rows].any(axis=0).sum()) < 2:
        return None
    multi_label = bool((labels[rows].sum(axis=1) > 1).any())
    targets = labels[rows].astype(np.float64)
    if not multi_label:
        targets /= targets.sum(axis=1, keepdims=True)
    mean = targets.mean(axis=0)
    middle = X[rows].mean(axis=0)
    A = (X[rows] - middle).astype(np.float64)
    # Of the two Gram matrices the smaller one: A = U s V', with U or V from its eigenvectors.
    wide = A.shape[0] <= A.shape[1]
    squares, turn = np.linalg.eigh(A @ A.T if wide else A.T @ A)
    squares = np.maximum(squares, 0)
    Z = turn * np.sqrt(squares) if wide else A @ turn  # U s
    turned = Z.T @ (targets - mean)
    best, left_out, solution = np.inf, targets, turned
    for ridge in RIDGES:
        weights = 1 / (squares + max(ridge * float(squares.sum()), TINY))
        leverage = (np.square(Z) @ weights + 1 / len(rows))[:, None]
        fitted = Z @ (weights[:, None] * turned) + mean
        found = (fitted - leverage * targets) / (1 - leverage)
        error = float(np.square(found - targets).mean())
        if error < best:
            best, left_out, solution = error, found, weights[:, None] * turned
    if wide:  # V = A' U / s, and s is part of Z
        roots = np.sqrt(np.maximum(squares, TINY * squares[-1]))
        solution = A.T @ (turn @ (solution / roots[:, None]))
    else:
        solution = turn @ solution
    fit = fit_temperature(left_out, targets, multi_label=multi_label)
    scores = ((X - middle) @ solution.astype(np.float32)).astype(np.float64) + mean
    scores[rows] = left_out
    logits = fit.slope * scores + fit.offsets
    if multi_label:
        posteriors: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
        return posteriors
    logits -= logits.max(axis=1, keepdims=True)
    posteriors = np.exp(logits)
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    return posteriors


def _draw(
    X: NDArray[np.float32], weights: NDArray[np.float64], count: int, draw: np.random.Generator
) -> list[int]:
    """Return the places of rows of large weight that are unlike each other.

    Args:
        X: (n, d) features.
        weights: (n,), the first row is the one of the largest.
        count: of rows at most.
        draw: the random generator.
    """
    chosen = [int(np.argmax(weights))]
    squares = np.square(X).sum(axis=1)
    distances = np.full(len(X), np.inf)
    while len(chosen) < min(count, len(X)):
        last = chosen[-1]
        distances = np.minimum(distances, squares + squares[last] - 2 * (X @ X[last]))
        chances = weights * np.where(distances > SAME * squares.max(), distances, 0)
        chances[chosen] = 0
        if not chances.sum() > 0:  # the rest are copies, or certain
            chances = np.ones(len(X))
            chances[chosen] = 0
        chosen.append(int(draw.choice(len(X), p=chances / chances.sum())))
    return chosen


def _contradicted(
    posteriors: NDArray[np.float64], labels: NDArray[np.bool_], rows: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """Return labeled rows whose least probable class is less probable than another one."""
    given = np.where(labels[rows], posteriors[rows], np.inf).min(axis=1)
    other = np.where(labels[rows], -np.inf, posteriors[rows]).max(axis=1)
    order = np.argsort(given - other, kind="stable")
    found: NDArray[np.intp] = rows[order[(given < other)[order]]][:count]
    return found


def _describe(data: Dataset, row: int, posteriors: NDArray[np.float64] | None) -> LabelProposal:
    names = data.class_names
    given = tuple(names[place] for place in np.flatnonzero(data.labels[row]))
    if posteriors is None:
        return LabelProposal(row, data.ids[row], given, ())
    best = np.argsort(-posteriors[row], kind="stable")[:SUGGESTED].tolist()
    shares = tuple((names[place], float(posteriors[row, place])) for place in best)
    return LabelProposal(row, data.ids[row], given, shares)
