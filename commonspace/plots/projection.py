"""Vectors to points on a plane by t-SNE, and which samples are drawn where they are too many.

It knows nothing of modalities or classes beyond their numbers, and draws nothing.
"""

import re
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from io import TextIOBase

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.extras import optional

__all__ = ["FEWEST", "ITERATIONS", "stratified_sample", "tsne"]

ITERATIONS = 1000
PERPLEXITY = 30.0
FEWEST = 5
"""Points below which neighbourhoods mean nothing."""


def tsne(
    vectors: ArrayLike,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.float64]:
    """Return t-SNE of vectors: close points were close by Euclidean distance.

    Barnes-Hut t-SNE (van der Maaten, JMLR 15, 2014) of scikit-learn, from the first two principal
    components, with perplexity 30, or a third of the other points where that is less. It runs in
    one thread: sums in another order would give another picture. Distances between far points and
    the sizes of clusters say little (Wattenberg et al., How to Use t-SNE Effectively, 2016).

    Args:
        vectors: (n, d) finite, n at least ``FEWEST``. Unit vectors make it the cosine's order.
        seed: of the numbers that it draws.
        progress: hears the share that is done, from 0 to 1.

    Returns:
        (n, 2) float64, in any unit; the same for the same vectors and seed.

    Raises:
        DataError: too few vectors, of a wrong form, or not finite.
        MissingExtraError: scikit-learn is not installed.
    """
    x = np.asarray(vectors, dtype=np.float64)
    if x.ndim != 2 or len(x) < FEWEST or x.shape[1] == 0 or not np.isfinite(x).all():
        raise DataError(
            "these vectors cannot be laid out on a plane",
            expected=f"at least {FEWEST} rows of finite numbers",
            found=f"an array of shape {x.shape}",
            advice="leave this picture out",
        )
    manifold = optional("sklearn.manifold", "t-SNE", "plots")
    threads = optional("threadpoolctl", "t-SNE", "plots")
    hears = redirect_stdout(_Iterations(progress)) if progress else nullcontext()
    method = manifold.TSNE(
        perplexity=min(PERPLEXITY, (len(x) - 1) / 3),
        init=_beginning(x, seed),
        max_iter=ITERATIONS,
        random_state=seed,
        verbose=2 if progress else 0,
    )
    with threads.threadpool_limits(1), hears:
        placed = method.fit_transform(x.astype(np.float32))
    if progress:
        progress(1.0)
    return np.asarray(placed, dtype=np.float64)


def stratified_sample(classes: ArrayLike, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which of n samples to show: all, or about the same share of each class.

    Shares are rounded by the largest remainder; a class is left out only where there are more
    classes than places.

    Args:
        classes: (n,) int, the class of each sample; -1 for none counts as a class.
        most: how many samples, at least 1.
        rng: the source of randomness.

    Returns:
        (min(n, most),) rows, ascending.

    Example:
        >>> rows = stratified_sample([0] * 90 + [1] * 10, 10, np.random.default_rng(0))
        >>> (rows < 90).sum(), (rows >= 90).sum()
        (np.int64(9), np.int64(1))
    """
    given = np.asarray(classes)
    if len(given) <= most:
        return np.arange(len(given))
    _, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
    share = counts * most / len(given)
    places = np.minimum(np.maximum(share.astype(np.intp), 1), counts)
    order = np.argsort(-(share - places), kind="stable")
    while places.sum() != most:  # one by one, to whom the most is owed, or from whom had too much
        step = 1 if places.sum() < most else -1
        owed = (share - places) * step
        owed[(places == counts) if step > 0 else (places == 0)] = -np.inf
        if step < 0 and (places > 1).any():
            owed[places == 1] = -np.inf
        places[order[np.argmax(owed[order])]] += step
    shuffled = rng.permutation(len(given))
    kept = [shuffled[codes[shuffled] == code][:count] for code, count in enumerate(places)]
    return np.sort(np.concatenate(kept))


def _beginning(x: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """Return the first two principal components, 1e-4 wide, with a breath of noise.

    The noise parts vectors that are equal, which would otherwise stay on one point for ever.
    """
    place = np.zeros((len(x), 2))
    if x.shape[1] > 1:
        pca = optional("sklearn.decomposition", "t-SNE", "plots").PCA
        varies = np.ptp(x, axis=0).any()  # else there is nothing to divide the variance by
        if varies:
            place = pca(2, svd_solver="randomized", random_state=seed).fit_transform(x)
    else:
        place[:, 0] = x[:, 0] - x[:, 0].mean()
    largest = place[:, 0].std()
    noise = np.random.default_rng(seed).normal(size=place.shape)
    return np.asarray(place / (largest if largest > 0 else 1) * 1e-4 + noise * 1e-6, np.float32)


class _Iterations(TextIOBase):
    """Hears what t-SNE prints, and passes on how far it is.

    scikit-learn has no other way to say so; should its words change, only the bar stands still.
    """

    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress

    def write(self, text: str) -> int:
        """Look for the number of the iteration."""
        found = re.search(r"Iteration (\d+)", text)
        if found:
            self._progress(min(int(found[1]) / ITERATIONS, 1.0))
        return len(text)
