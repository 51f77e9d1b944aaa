"""Joint representation learning: classes, pairs, neighbors and sparsity in one least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import ClosedFormMethod, values_to_try
from commonspace.methods.base.views import Standardized, labeled_rows, standardize_features
from commonspace.networks.linear import LinearNetwork
from commonspace.settings import setting

__all__ = ["JRL", "NormalEquations", "neighbor_graph", "normal_equations", "solve_sparse"]

SPARSITY = (0.003, 0.01, 0.03, 0.1)
GRAPH = (0.1, 1.0, 10.0)

SMOOTHING = 1e-6
"""The norm of a row p is computed as sqrt(||p||^2 + this^2), so that a row may vanish."""


class JRL(ClosedFormMethod):
    """Joint representation learning with sparse and semi-supervised regularization.

        min (1/n) [ sum_m ||X_m P_m - Y_m||^2                labeled samples
                  + sigma  sum_m tr(P_m'X_m'L_m X_m P_m)     all samples, labeled or not
                  + lambda sum_(l<m) ||X_l P_l - X_m P_m||^2 samples that have both ]
            + gamma sum_m ||P_m||_2,1

    L_m is the normalized Laplacian of the graph that joins each sample to its k nearest neighbors;
    the sum of the norms of rows switches features off. Solved by reweighting: the norm of a row p
    is replaced by p^2 / 2||p||, which leaves linear equations, repeated until convergence. The
    problem is convex, so this is its optimum. Projections P_m'x, one dimension a class, are
    compared by the cosine.

    Source: Zhai, Peng, Xiao: Learning Cross-Media Joint Representation With Sparse and
    Semisupervised Regularization, IEEE Transactions on Circuits and Systems for Video Technology
    24, 2014. The official code differs: it alternates between modalities from a random start and
    stops after five rounds, joins test samples to the graph (never done here), takes gamma and
    sigma 1000 and lambda 1 without the 1/n, and ranks by a vote of nearest neighbors in the space.
    Features are standardized as there.

    Needs labels on some samples and any number of modalities; no equal sizes. Pairs are used where
    there are any. A sample may have several labels.

    Published mAP, image->text / text->image: Wikipedia 0.449 / 0.418, Pascal 0.527 / 0.534,
    NUS-WIDE-10k 0.586 / 0.598, XMediaNet 0.586 / 0.578 (Zhen et al., CVPR 2019).
    """

    name: ClassVar[str] = "jrl"

    sparsity: float | None = setting(
        None, help="Weight gamma of sparsity; None: chosen on validation.", above=0
    )
    graph: float | None = setting(
        None, help="Weight sigma of the graph; None: chosen on validation.", low=0
    )
    correlation: float = setting(1.0, help="Weight lambda of pairs.", low=0)
    neighbors: int = setting(100, help="Number k of neighbors in the graph.", low=1)

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the standardized features and the normal equations."""
        columns = {
            name: standardize_features(train, name, np.flatnonzero(column.present))
            for name, column in train.columns.items()
        }
        return columns, normal_equations(train, columns, self.correlation, self.neighbors)

    def candidates(self, problem: "_Problem") -> Sequence["JRL"]:
        """Return every sparsity with every weight of the graph."""
        return [
            replace(self, sparsity=s, graph=g)
            for s, g in product(
                values_to_try(self.sparsity, SPARSITY), values_to_try(self.graph, GRAPH)
            )
        ]

    def solve(self, problem: "_Problem") -> LinearNetwork:
        """Return the projections."""
        assert self.sparsity is not None
        assert self.graph is not None
        columns, equations = problem
        P = solve_sparse(
            equations.fit + self.graph * equations.graph, equations.right, self.sparsity
        )
        ends = np.cumsum([len(column.mean) for column in columns.values()])[:-1]
        parts = zip(columns.items(), np.split(P, ends), strict=True)
        return LinearNetwork.from_maps(
            {name: column.affine_map(part) for (name, column), part in parts}
        )


@dataclass(frozen=True)
class NormalEquations:
    """Quadratic part of the objective, tr(P'(fit + sigma graph)P) - 2 tr(P'right), over n.

    Args:
        fit: (D, D) float64, of classes and pairs; D is the sum of the feature sizes.
        graph: (D, D) float64, a block X'LX for each modality.
        right: (D, c) float64, X'Y.
    """

    fit: NDArray[np.float64]
    graph: NDArray[np.float64]
    right: NDArray[np.float64]


_Problem = tuple[dict[str, Standardized], NormalEquations]


def normal_equations(
    train: Dataset, columns: Mapping[str, Standardized], correlation: float, neighbors: int
) -> NormalEquations:
    """Return the part of the equations that does not depend on sparsity and graph weights.

    Args:
        train: The training split, of n samples.
        columns: Modality -> standardized features of the samples that have it.
        correlation: lambda.
        neighbors: k of the graph.

    Raises:
        DataError: If a modality has fewer than two labeled samples.
    """
    X, fits, graphs, rights = {}, [], [], []
    for name, one in columns.items():
        X[name] = np.zeros((len(train), len(one.mean)))
        X[name][train.columns[name].present] = one.values
        known = X[name][labeled_rows(train, name)]
        fits.append(known.T @ known)
        rights.append(known.T @ train.labels[labeled_rows(train, name)])
        W = neighbor_graph(one.values, neighbors)
        scaled = one.values / np.sqrt(W.sum(axis=1))[:, None]
        graphs.append(one.values.T @ one.values - scaled.T @ (W @ scaled))
    fit = scipy.linalg.block_diag(*fits)
    ends = np.cumsum([0, *(len(one.mean) for one in columns.values())])
    block = {name: slice(*ends[i : i + 2]) for i, name in enumerate(columns)}
    for left, right in combinations(columns, 2):
        both = train.columns[left].present & train.columns[right].present
        a, b = X[left][both], X[right][both]
        fit[block[left], block[left]] += correlation * a.T @ a
        fit[block[right], block[right]] += correlation * b.T @ b
        fit[block[left], block[right]] -= correlation * a.T @ b
        fit[block[right], block[left]] -= correlation * b.T @ a
    n = len(train)
    return NormalEquations(fit / n, scipy.linalg.block_diag(*graphs) / n, np.vstack(rights) / n)


def neighbor_graph(X: NDArray[np.float64], k: int) -> scipy.sparse.csr_array:
    """Return the graph that joins two samples if either is among the k nearest of the other.

    Args:
        X: (n, d) float64, n >= 2.
        k: Number of neighbors; at most all others.

    Returns:
        (n, n) sparse float64 of zeros and ones, symmetric, without loops.

    Example:
        >>> neighbor_graph(np.array([[0.0], [1.0], [5.0]]), 1).toarray()
        array([[0., 1., 0.],
               [1., 0., 1.],
               [0., 1., 0.]])
    """
    n = len(X)
    k = min(k, n - 1)
    squares = np.square(X).sum(axis=1)
    nearest = np.empty((n, k), dtype=np.intp)
    for begin in range(0, n, 1024):
        rows = np.arange(begin, min(begin + 1024, n))
        distances = squares - 2 * X[rows] @ X.T  # up to a constant in each row
        distances[rows - begin, rows] = np.inf
        nearest[rows] = np.argpartition(distances, k - 1, axis=1)[:, :k]
    ones = scipy.sparse.csr_array(
        (np.ones(n * k), (np.repeat(np.arange(n), k), nearest.ravel())), shape=(n, n)
    )
    return ones.maximum(ones.T).tocsr()


def solve_sparse(
    A: NDArray[np.float64],
    B: NDArray[np.float64],
    sparsity: float,
    *,
    tolerance: float = 1e-4,
    rounds: int = 50,
) -> NDArray[np.float64]:
    """Minimize tr(P'AP) - 2 tr(P'B) + gamma sum of the norms of the rows of P.

    Args:
        A: (D, D) float64, positive semi-definite.
        B: (D, c) float64.
        sparsity: gamma > 0.
        tolerance: Relative decrease of the objective below which to stop.
        rounds: Maximum number of rounds.

    Returns:
        (D, c) float64, P.
    """
    weights = np.ones(len(A))
    last = np.inf
    P = np.zeros_like(B)
    for _ in range(rounds):
        P = scipy.linalg.cho_solve(scipy.linalg.cho_factor(A + np.diag(sparsity * weights)), B)
        norms = np.sqrt(np.square(P).sum(axis=1) + SMOOTHING**2)
        value = float(np.vdot(P, A @ P) - 2 * np.vdot(P, B) + sparsity * norms.sum())
        if last - value <= tolerance * abs(value):
            break
        last, weights = value, 1 / (2 * norms)
    return P
