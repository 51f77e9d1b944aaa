"""Joint representation learning: classes, pairs, neighbours and sparsity in one least squares."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import Fitting, to_try
from commonspace.methods.base.settings import check_setting
from commonspace.methods.base.views import Standardised, labelled_rows, standardised
from commonspace.networks.linear import LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["JRL", "NormalEquations", "neighbour_graph", "normal_equations", "solve_sparse"]

SPARSITY = (0.003, 0.01, 0.03, 0.1)
GRAPH = (0.1, 1.0, 10.0)

SMOOTHING = 1e-6
"""The norm of a row p is taken as sqrt(||p||^2 + this^2), so that a row may vanish."""


@dataclass(frozen=True)
class JRL:
    """Joint representation learning with sparse and semi-supervised regularisation.

        min (1/n) [ sum_m ||X_m P_m - Y_m||^2                labelled samples
                  + sigma  sum_m tr(P_m'X_m'L_m X_m P_m)     all samples, labelled or not
                  + lambda sum_(l<m) ||X_l P_l - X_m P_m||^2 samples that have both ]
            + gamma sum_m ||P_m||_2,1

    L_m is the normalised Laplacian of the graph that joins each sample to its k nearest; the sum of
    the norms of rows switches features off. Solved by reweighting: the norm of a row p is replaced
    by p^2 / 2||p||, which leaves linear equations, and again until it stands still. The problem is
    convex, so that this is its optimum. Projections P_m'x, as many as classes, are compared by the
    cosine.

    Source: Zhai, Peng, Xiao: Learning Cross-Media Joint Representation With Sparse and
    Semisupervised Regularization, IEEE Transactions on Circuits and Systems for Video Technology
    24, 2014. The published code differs: it alternates between modalities from a random start and
    stops after five rounds, joins test samples to the graph (never done here), takes gamma and
    sigma 1000 and lambda 1 without the 1/n, and ranks by a vote of nearest neighbours in the space.
    Features are standardised as there.

    Needs: labels, on some samples at least; any number of modalities; no equal sizes. Pairs are
    used where there are any. A sample may have several labels.

    Published mAP, image->text / text->image: Wikipedia .449 / .418, Pascal .527 / .534,
    NUS-WIDE-10k .586 / .598, XMediaNet .586 / .578 (Zhen et al., CVPR 2019).

    Args:
        sparsity: gamma; None: chosen on validation from ``SPARSITY``.
        graph: sigma; None: chosen on validation from ``GRAPH``.
        correlation: lambda.
        neighbours: k of the graph.

    Raises:
        SettingError: a value that cannot work.
    """

    sparsity: float | None = None
    graph: float | None = None
    correlation: float = 1.0
    neighbours: int = 100

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        s, g, c = self.sparsity, self.graph, self.correlation
        check_setting("jrl", "sparsity", s, s is None or 0 < s < np.inf, "above 0")
        check_setting("jrl", "graph", g, 0 <= (g or 0) < np.inf, "0 or more")
        check_setting("jrl", "correlation", c, 0 <= c < np.inf, "0 or more")
        check_setting("jrl", "neighbours", self.neighbours, self.neighbours >= 1, "at least 1")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn the projections; what is None is chosen on validation.

        Args:
            train: samples with two or more columns of features, some of them labelled.
            validation: labelled samples of the same columns.
            run: who is told of the trials.

        Raises:
            DataError: the columns are raw, or a modality has fewer than two labelled samples.
        """
        fitting = Fitting("jrl", train, validation)
        columns = {
            name: standardised(train, name, np.flatnonzero(column.present))
            for name, column in train.columns.items()
        }
        equations = normal_equations(train, columns, self.correlation, self.neighbours)
        ends = np.cumsum([len(one.mean) for one in columns.values()])[:-1]

        def build(candidate: "JRL") -> LinearNetwork:
            assert candidate.sparsity is not None
            assert candidate.graph is not None
            P = solve_sparse(
                equations.fit + candidate.graph * equations.graph,
                equations.right,
                candidate.sparsity,
            )
            parts = zip(columns.items(), np.split(P, ends), strict=True)
            return LinearNetwork.from_maps({name: one.mapped(part) for (name, one), part in parts})

        candidates = [
            replace(self, sparsity=s, graph=g)
            for s, g in product(to_try(self.sparsity, SPARSITY), to_try(self.graph, GRAPH))
        ]
        return fitting.choose(self, candidates, build, run)


@dataclass(frozen=True)
class NormalEquations:
    """The quadratic part of the objective, tr(P'(fit + sigma graph)P) - 2 tr(P'right), over n.

    Args:
        fit: (D, D) float64, of classes and pairs; D is the sum of the sizes.
        graph: (D, D) float64, block by block X'LX.
        right: (D, c) float64, X'Y.
    """

    fit: NDArray[np.float64]
    graph: NDArray[np.float64]
    right: NDArray[np.float64]


def normal_equations(
    train: Dataset, columns: Mapping[str, Standardised], correlation: float, neighbours: int
) -> NormalEquations:
    """Return what of the equations does not depend on the weights of graph and sparsity.

    Args:
        train: the training part, of n samples.
        columns: modality name -> the standardised features of the samples that have it.
        correlation: lambda.
        neighbours: k of the graph.

    Raises:
        DataError: a modality has fewer than two labelled samples.
    """
    X, fits, graphs, rights = {}, [], [], []
    for name, one in columns.items():
        X[name] = np.zeros((len(train), len(one.mean)))
        X[name][train.columns[name].present] = one.values
        known = X[name][labelled_rows(train, name)]
        fits.append(known.T @ known)
        rights.append(known.T @ train.labels[labelled_rows(train, name)])
        W = neighbour_graph(one.values, neighbours)
        scaled = one.values / np.sqrt(W.sum(axis=1))[:, None]
        graphs.append(one.values.T @ one.values - scaled.T @ (W @ scaled))
    fit = scipy.linalg.block_diag(*fits)
    ends = np.cumsum([0, *(len(one.mean) for one in columns.values())])
    place = {name: slice(*ends[i : i + 2]) for i, name in enumerate(columns)}
    for left, right in combinations(columns, 2):
        both = train.columns[left].present & train.columns[right].present
        a, b = X[left][both], X[right][both]
        fit[place[left], place[left]] += correlation * a.T @ a
        fit[place[right], place[right]] += correlation * b.T @ b
        fit[place[left], place[right]] -= correlation * a.T @ b
        fit[place[right], place[left]] -= correlation * b.T @ a
    n = len(train)
    return NormalEquations(fit / n, scipy.linalg.block_diag(*graphs) / n, np.vstack(rights) / n)


def neighbour_graph(X: NDArray[np.float64], k: int) -> scipy.sparse.csr_array:
    """Return the graph that joins two samples when either is among the k nearest of the other.

    Args:
        X: (n, d) float64, n at least 2.
        k: how many; all others, where there are fewer.

    Returns:
        (n, n) sparse float64 of zeros and ones, symmetric, without loops.

    Example:
        >>> neighbour_graph(np.array([[0.0], [1.0], [5.0]]), 1).toarray()
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
        distances = squares - 2 * X[rows] @ X.T  # up to a number that is the same for the row
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
    """Minimise tr(P'AP) - 2 tr(P'B) + gamma sum of the norms of the rows of P.

    Args:
        A: (D, D) float64, positive semi-definite.
        B: (D, c) float64.
        sparsity: gamma, above 0.
        tolerance: stop when a round lowers the objective by less than this share.
        rounds: at most.

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
