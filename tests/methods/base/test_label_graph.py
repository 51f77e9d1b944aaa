"""Labels that spread over a graph, against a plain loop."""

import numpy as np

from commonspace.data import Features
from commonspace.methods.base.label_graph import neighbor_graph, spread_classes


def test_labels_spread_as_in_a_plain_loop() -> None:
    draw, n = np.random.default_rng(3), 60
    columns = [Features(draw.normal(size=(n, size)).astype("f4")) for size in (5, 7)]
    labels = np.eye(4)[draw.integers(0, 4, n)]
    labels[::3] = 0
    W = np.zeros((n, n))
    for column in columns:
        X = column.values.astype(np.float64) - column.values.astype(np.float64).mean(axis=0)
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        A = np.zeros((n, n))
        for row in range(n):
            nearest = sorted(set(range(n)) - {row}, key=lambda one: -float(X[row] @ X[one]))[:10]
            A[row, nearest] = np.maximum(X[nearest] @ X[row], 0)
        W += np.maximum(A, A.T)
    S = W / np.sqrt(np.outer(W.sum(axis=1), W.sum(axis=1)))
    graph = neighbor_graph(columns, np.arange(n))
    np.testing.assert_allclose(graph.toarray(), S, atol=1e-5)
    Y = labels / labels.sum(axis=0)
    F = Y.copy()
    for _ in range(60):
        F = 0.95 * S @ F + 0.05 * Y
    np.testing.assert_allclose(spread_classes(graph, labels), F, atol=1e-5)
