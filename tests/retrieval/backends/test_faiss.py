"""FAISS indexes built from batches through the disk: those that are built at once."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.engines import InProcess, LocalProcesses
from commonspace.retrieval.backends import faiss as backend
from commonspace.retrieval.backends import faiss_parts
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
    monkeypatch.setattr(faiss_parts, "ADDED", 300)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "compress"),
    [("ivf", None), ("ivf", 16), ("ivf", 5), ("exact", 16), ("exact", 32), ("exact", 5)],
)
def test_parts_that_processes_build_are_the_index_of_one(
    kind: Kind, compress: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(4).normal(size=(1001, 16)).astype(np.float32)
    whole = FaissBackend.build(batches(values, 77), 16, kind, compress)
    monkeypatch.setattr(backend, "IN_PARTS", 1001)
    for engine in (LocalProcesses(2), InProcess()):
        parts = FaissBackend.build(batches(values, 77), 16, kind, compress, engine)
        assert almost_equal(whole, parts)
        assert (parts.effort, parts.padding) == (whole.effort, whole.padding)
        monkeypatch.setattr(InProcess, "workers", 3)
        queries = values[:20]
        ours, places = parts.search(queries, 10)
        scores, positions = whole.search(queries, 10)
        np.testing.assert_allclose(ours, scores, rtol=1e-5, atol=1e-5)
        assert (places == positions).mean() > 0.98
    monkeypatch.setattr(backend, "IN_PARTS", 1002)
    small = FaissBackend.build(batches(values, 77), 16, kind, compress, NoEngine())
    assert almost_equal(small, whole)


@pytest.mark.parametrize(("kind", "compress"), [("ivf", None), ("ivf", 5), ("exact", 16)])
def test_codes_larger_than_a_part_are_joined_on_the_disk(
    kind: Kind, compress: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an engine: one part after the other, of 1 KiB each."""
    values = np.random.default_rng(4).normal(size=(1001, 16)).astype(np.float32)
    whole = FaissBackend.build(batches(values, 77), 16, kind, compress)
    monkeypatch.setattr(faiss_parts, "PART_BYTES", 2**10)
    monkeypatch.setattr(backend, "IN_PARTS", 1)
    parts = FaissBackend.build(batches(values, 77), 16, kind, compress)
    assert len(parts) == 1001
    assert almost_equal(whole, parts)
    with NamedTemporaryFile() as file:  # as an index that is stored
        parts.write(Path(file.name))
        stored = FaissBackend.read(
            Path(file.name), kind, parts.effort, lossy=parts.lossy, padding=parts.padding
        )
        allowed = np.arange(1001) % 3 == 0
        scores, positions = stored.search(values[:20], 10, allowed)
        assert allowed[positions[positions >= 0]].all()
        np.testing.assert_allclose(
            scores, whole.search(values[:20], 10, allowed)[0], rtol=1e-5, atol=1e-5
        )


def almost_equal(one: FaissBackend, other: FaissBackend) -> bool:
    """Return whether two indexes are equal but for codes between which rounding decides."""
    bytes_ = []
    for index in (one, other):
        with NamedTemporaryFile() as file:
            index.write(Path(file.name))
            bytes_.append(np.fromfile(file.name, np.uint8))
    return len(bytes_[0]) == len(bytes_[1]) and bool((bytes_[0] == bytes_[1]).mean() > 0.999)


class NoEngine(InProcess):
    """An engine that must not be called."""

    def map(self, work: object, parts: object) -> Any:  # noqa: ANN401
        raise AssertionError
