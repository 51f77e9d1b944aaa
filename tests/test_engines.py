"""Engines: the same results wherever the parts run, and errors that name what is wrong."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from commonspace import engines
from commonspace.cli.engines import engine_named
from commonspace.engines import Engine, InProcess, LocalProcesses, RayCluster
from commonspace.errors import DataError, SettingError
from commonspace.evaluation import PairItems, average_precision, evaluate_pairs, evaluate_retrieval

# Workers import their work by name: functions of the standard library and of the package.
divide = partial(divmod, 7)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # beside other programs, 15 starves
        RayCluster()._connect()
    yield ray
    ray.shutdown()


@pytest.mark.parametrize("engine", [InProcess(), LocalProcesses(2)])
def test_results_are_in_the_order_of_the_parts(engine: Engine) -> None:
    assert list(engine.map(divide, range(1, 12))) == [divmod(7, part) for part in range(1, 12)]
    assert list(engine.map(divide, [])) == []


@pytest.mark.parametrize("engine", [InProcess(), LocalProcesses(1)])
def test_errors_of_the_work_keep_their_parts(engine: Engine) -> None:
    work = partial(average_precision, [[1.0]], [[1.0], [2.0]], [0])
    with pytest.raises(DataError, match="gallery embeddings and labels do not match") as caught:
        list(engine.map(work, [[0, 1], [0, 1, 2]]))
    assert "3" in caught.value.found


def test_a_worker_that_is_killed_is_an_error() -> None:
    engine = LocalProcesses(1)
    with pytest.raises(DataError, match="a worker process ended before its part was done"):
        list(engine.map(signal.raise_signal, [signal.SIGKILL]))


def test_work_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(DataError, match="cannot be sent to other processes"):
        list(LocalProcesses(1).map(lambda part: part, [1]))


def test_a_result_that_is_not_fetched_leaves_no_process() -> None:
    results = LocalProcesses(1).map(divide, range(1, 100))
    next(results)
    results.close()  # type: ignore[attr-defined]
    import multiprocessing

    assert not multiprocessing.active_children()


def sides(n: int) -> tuple[dict[str, Any], dict[str, Any]]:
    draw = np.random.default_rng(0)
    labels = draw.integers(-1, 4, n)
    vectors = {  # of whole numbers, whose products are exact in batches of any size
        name: np.round(4 * (draw.normal(size=(n, 6)) + labels[:, None]))
        for name in ("image", "text")
    }
    return vectors, {"image": labels, "text": labels}


def check_evaluation(engine: Engine) -> None:
    """Check figures of shards against those of one process, to the bit."""
    vectors, labels = sides(90)
    whole = evaluate_retrieval(vectors, labels, k=[5])
    shards = evaluate_retrieval(vectors, labels, k=[5], engine=engine)
    assert dict(shards) == dict(whole)
    assert 0 < whole["image->text"]["queries"] < 90
    sampled = evaluate_retrieval(vectors, labels, queries=20, engine=engine)
    assert dict(sampled) == dict(evaluate_retrieval(vectors, labels, queries=20))
    rows = np.arange(90)
    items = {name: PairItems(values, rows, rows) for name, values in vectors.items()}
    assert dict(evaluate_pairs(items, engine=engine)) == dict(evaluate_pairs(items))


def test_figures_of_query_shards_are_those_of_one_process() -> None:
    check_evaluation(LocalProcesses(2))


def test_the_shards_of_one_direction_agree_with_a_naive_oracle() -> None:
    vectors, labels = sides(40)
    report = evaluate_retrieval(vectors, labels, engine=LocalProcesses(1))
    query, gallery = vectors["image"], vectors["text"]
    keep = labels["image"] >= 0
    values = []
    for vector, label in zip(query[keep], labels["image"][keep], strict=True):
        scores = np.round(gallery @ vector, 9)
        relevant = (labels["text"] == label).astype(float)
        orders = []
        for seed in range(40):  # ties in random order
            order = np.lexsort((np.random.default_rng(seed).random(len(scores)), -scores))
            hits = relevant[order]
            orders.append((hits * np.cumsum(hits) / np.arange(1, 41)).sum() / hits.sum())
        values.append(np.mean(orders))
    assert report["image->text"]["map"] == pytest.approx(np.mean(values), abs=2e-3)


def test_options_name_an_engine() -> None:
    assert engine_named("local", None, None) is None
    processes = engine_named("local", 3, None)
    assert isinstance(processes, LocalProcesses)
    assert processes.workers == 3
    assert isinstance(engine_named("processes", None, None), LocalProcesses)
    with pytest.raises(SettingError, match="address of a Ray cluster"):
        engine_named("processes", None, "auto")
    with pytest.raises(SettingError, match="not an option of Ray"):
        engine_named("ray", 2, None)
    with pytest.raises(SettingError, match="processes"):
        LocalProcesses(0)


@pytest.mark.slow
def test_ray_gives_the_same_results(ray: Any) -> None:  # noqa: ANN401
    engine = RayCluster()
    assert list(engine.map(divide, range(1, 12))) == [divmod(7, part) for part in range(1, 12)]
    vectors, labels = sides(40)
    report = evaluate_retrieval(vectors, labels, engine=engine)
    assert dict(report) == dict(evaluate_retrieval(vectors, labels))
    work = partial(average_precision, [[1.0]], [[1.0], [2.0]], [0])
    with pytest.raises(DataError, match="gallery embeddings and labels do not match"):
        list(engine.map(work, [[0, 1, 2]]))
    with pytest.raises(DataError, match="a part did not end on Ray"):
        list(engine.map(divide, [0]))
    assert ray.is_initialized()  # a cluster that was joined before is left as it is


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_ray_that_gives_no_result_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(RayCluster().map(time.sleep, [0])) == [None]  # a worker has started
    assert not caplog.records
    monkeypatch.setattr(engines, "SILENCE", 0.4)
    assert list(RayCluster().map(time.sleep, [1])) == [None]
    assert [one.getMessage()[:27] for one in caplog.records[:2]] == [
        "no result from Ray for 0 s.",
        "no result from Ray for 1 s.",
    ]


def test_a_ray_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"commonspace\[ray\]"):
        RayCluster()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
