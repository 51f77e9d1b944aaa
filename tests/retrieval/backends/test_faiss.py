"""FAISS indexes built from batches through the disk: those that are built at once."""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.retrieval.backends import faiss as backend
from commonspace.retrieval.backends.faiss import FaissBackend, Kind


def batches(values: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    return (values[start : start + size] for start in range(0, len(values), size))


@pytest.mark.parametrize(
    ("kind", "compress", "description"),
    [
        ("ivf", None, "IVF25,Flat"),
        ("ivf", 4, "IVF25,PQ4np"),
        ("exact", 20, "SQ8"),
        ("exact", 40, "SQfp16"),
    ],
)
def test_an_index_of_batches_is_that_of_all_vectors_at_once(
    kind: Kind,
    compress: int | None,
    description: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = np.random.default_rng(3)
    values = draw.normal(size=(1000, 16)).astype(np.float32)
    queries = draw.normal(size=(20, 16)).astype(np.float32)
    monkeypatch.setattr(backend, "_ADDED", 300)
    found = FaissBackend.build(batches(values, 77), 16, kind, compress)

    wanted: Any = faiss.index_factory(16, description, faiss.METRIC_INNER_PRODUCT)
    backend._quiet(wanted)
    wanted.train(values)
    wanted.add(values)
    if kind == "ivf":
        wanted.nprobe = found.effort
    scores, positions = wanted.search(queries, 10)
    assert len(found) == 1000
    ours, places = found.search(queries, 10)
    np.testing.assert_allclose(ours, scores, rtol=1e-5, atol=1e-5)
    assert (places == positions).mean() > 0.99  # equal scores may change places
