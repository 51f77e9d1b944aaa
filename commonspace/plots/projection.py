"""Projection to a plane by t-SNE, and stratified sampling of the points to draw."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.extras import optional

__all__ = ["FEWEST", "ITERATIONS", "TSNEMap", "fit_tsne", "stratified_sample", "tsne"]

ITERATIONS = 750
"""Iterations of the optimization, 250 of them with early exaggeration."""
EXAGGERATED = 250
PERPLEXITY = 30.0
FEWEST = 5
"""Minimum number of points: neighborhoods of fewer points have no meaning."""
EXACT = 5000
"""Number of points up to which nearest neighbors are exact, and not approximate."""
EVERY = 25


class TSNEMap:
    """A fitted t-SNE, which places further vectors among the points.

    Args:
        embedding: of openTSNE.
    """

    def __init__(self, embedding: Any) -> None:  # noqa: ANN401 - of openTSNE
        self._embedding = embedding
        self.points = np.array(embedding, dtype=np.float64)
        """(n, 2) positions of the vectors that it was fitted on."""

    def place(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Return the positions of further vectors; the fitted points stay where they are.

        Each vector starts at the median of its nearest neighbors and is then optimized alone
        (Poličar, Stražar, Zupan: Embedding to reference t-SNE space, Machine Learning 112, 2023).

        Args:
            vectors: (m, d) finite, of the size of the fitted ones.

        Returns:
            (m, 2) float64.

        Raises:
            DataError: the vectors have a wrong form, or are not finite.
        """
        if not len(np.asarray(vectors)):
            return np.empty((0, 2))
        x = _check(vectors, 1)
        self._embedding[:] = self.points
        with _one_thread():
            placed = np.array(self._embedding.transform(x), dtype=np.float64)
        shift = np.array(self._embedding).mean(axis=0) - self.points.mean(axis=0)
        return np.asarray(placed - shift)  # openTSNE moves all points by one vector


def tsne(
    vectors: ArrayLike,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.float64]:
    """Return the positions of vectors on a plane by t-SNE; see `fit_tsne`.

    Args:
        vectors: (n, d) finite, n at least ``FEWEST``.
        seed: random seed.
        progress: called with the share that is done, in [0, 1].

    Returns:
        (n, 2) float64, in any unit; the same for the same vectors and seed.

    Raises:
        DataError: too few vectors, of a wrong form, or not finite.
        MissingExtraError: openTSNE is not installed.
    """
    return fit_tsne(vectors, seed, progress).points


def fit_tsne(
    vectors: ArrayLike,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> TSNEMap:
    """Fit t-SNE to vectors: points that are near had a small Euclidean distance.

    Barnes-Hut t-SNE (van der Maaten, JMLR 15, 2014) of openTSNE (Poličar et al., Journal of
    Statistical Software 109, 2024), initialized with the first two principal components, with
    perplexity 30, or a third of the other points if that is less. It runs in one thread, so that
    sums are in the same order each time. Large distances and the sizes of clusters have little
    meaning (Wattenberg et al., How to Use t-SNE Effectively, 2016).

    Args:
        vectors: (n, d) finite, n at least ``FEWEST``; L2-normalize them for the order by cosine.
        seed: random seed.
        progress: called with the share that is done, in [0, 1].

    Raises:
        DataError: too few vectors, of a wrong form, or not finite.
        MissingExtraError: openTSNE is not installed.
    """
    x = _check(vectors, FEWEST)
    method = optional("openTSNE", "t-SNE", "plots").TSNE(
        perplexity=min(PERPLEXITY, (len(x) - 1) / 3),
        initialization=_initial_points(x, seed),
        early_exaggeration_iter=EXAGGERATED,
        n_iter=ITERATIONS - EXAGGERATED,
        neighbors="exact" if len(x) <= EXACT else "annoy",
        negative_gradient_method="bh",
        n_jobs=1,
        random_state=seed,
        callbacks=_Progress(progress) if progress else None,
        callbacks_every_iters=EVERY,
    )
    with _one_thread():
        embedding = method.fit(x)
    if progress:
        progress(1.0)
    return TSNEMap(embedding)


def stratified_sample(classes: ArrayLike, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a stratified subset of n samples: each class keeps its share.

    Shares are rounded by the largest remainder; a class is left out only if there are more classes
    than ``most``.

    Args:
        classes: (n,) int, the class of each sample; -1 for none counts as a class.
        most: size of the subset, at least 1.
        rng: random generator.

    Returns:
        (min(n, most),) int, rows in ascending order.

    Example:
        >>> rows = stratified_sample([0] * 90 + [1] * 10, 10, np.random.default_rng(0))
        >>> (rows < 90).sum(), (rows >= 90).sum()
        (np.int64(9), np.int64(1))
    """
    labels = np.asarray(classes)
    if len(labels) <= most:
        return np.arange(len(labels))
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    share = counts * most / len(labels)
    places = np.minimum(np.maximum(share.astype(np.intp), 1), counts)
    order = np.argsort(-(share - places), kind="stable")
    while places.sum() != most:  # one by one, by the largest remainder
        step = 1 if places.sum() < most else -1
        owed = (share - places) * step
        owed[(places == counts) if step > 0 else (places == 0)] = -np.inf
        if step < 0 and (places > 1).any():
            owed[places == 1] = -np.inf
        places[order[np.argmax(owed[order])]] += step
    shuffled = rng.permutation(len(labels))
    rows = [shuffled[codes[shuffled] == code][:count] for code, count in enumerate(places)]
    return np.sort(np.concatenate(rows))


def _check(vectors: ArrayLike, fewest: int) -> NDArray[np.float64]:
    x = np.asarray(vectors, dtype=np.float64)
    if x.ndim != 2 or len(x) < fewest or x.shape[1] == 0 or not np.isfinite(x).all():
        raise DataError(
            "t-SNE cannot place these vectors",
            expected=f"at least {fewest} rows of finite numbers",
            found=f"an array of shape {x.shape}",
            advice="leave this figure out",
        )
    return x


def _one_thread() -> Any:  # noqa: ANN401 - a context manager
    return optional("threadpoolctl", "t-SNE", "plots").threadpool_limits(1)


def _initial_points(x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the first two principal components, scaled to 1e-4, with a little noise.

    Without the noise, equal vectors would stay at one point.
    """
    points = np.zeros((len(x), 2))
    if x.shape[1] > 1:
        pca = optional("sklearn.decomposition", "t-SNE", "plots").PCA
        if np.ptp(x, axis=0).any():  # PCA divides by the variance
            points = pca(2, svd_solver="randomized", random_state=seed).fit_transform(x)
    else:
        points[:, 0] = x[:, 0] - x[:, 0].mean()
    largest = points[:, 0].std()
    noise = np.random.default_rng(seed).normal(size=points.shape)
    return np.asarray(points / (largest if largest > 0 else 1) * 1e-4 + noise * 1e-6)


class _Progress:
    """Callback of openTSNE, called every ``EVERY`` iterations of both phases."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress, self._calls = progress, 0

    def __call__(self, iteration: int, error: float, embedding: object) -> None:
        self._calls += 1
        self._progress(min(self._calls * EVERY / ITERATIONS, 1.0))
