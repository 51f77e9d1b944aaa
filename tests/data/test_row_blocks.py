"""Tables in blocks and on disk: values, and what memory holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from commonspace.data import Features, row_blocks
from commonspace.data.row_blocks import random_rows, release_rows, rows_on_disk, taken, to_rows
from commonspace.training.random_rows import random_tensor_rows


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large: from one byte on disk, in blocks of a few rows."""
    monkeypatch.setattr(row_blocks, "ON_DISK", 1)
    monkeypatch.setattr(row_blocks, "BLOCK", 100)


def is_on_disk(values: NDArray[Any]) -> bool:
    base: Any = values
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base is not None


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.bool_])
def test_a_table_of_another_type_is_copied_to_disk(dtype: Any) -> None:  # noqa: ANN401
    given = np.arange(60).reshape(20, 3).astype(dtype)
    found = to_rows(given)
    assert found.dtype == np.float32
    assert is_on_disk(found)
    np.testing.assert_array_equal(found, given.astype(np.float32))
    assert to_rows(given, np.float64).dtype == np.float64


def test_a_small_table_stays_in_memory() -> None:
    given = np.ones((3, 2))
    assert not is_on_disk(to_rows(given))
    assert not is_on_disk(taken(given.astype(np.float32), np.array([0, 2])))


@pytest.mark.usefixtures("small")
def test_rows_are_taken_as_by_numpy() -> None:
    table = to_rows(np.arange(60).reshape(20, 3))
    for rows in (
        np.array([7, 3, 3, 19]),
        np.array([4, 5, 6]),
        np.arange(20) % 3 == 0,
        np.array([-1, 2]),
        np.array([], dtype=np.intp),
    ):
        found = taken(table, rows)
        np.testing.assert_array_equal(found, np.asarray(table)[rows])
        assert found.dtype == np.float32
    assert np.shares_memory(taken(table, np.array([4, 5])), table)


@pytest.mark.usefixtures("small")
def test_released_rows_keep_what_was_written() -> None:
    table = rows_on_disk(2000, 10)
    table[:] = np.arange(20_000).reshape(2000, 10)
    release_rows()
    np.testing.assert_array_equal(table.ravel(), np.arange(20_000))
    table[5] = -1
    release_rows()
    assert (table[5] == -1).all()


def held() -> int:
    """Return the KiB of mapped files that this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))


@pytest.mark.usefixtures("small")
def test_random_rows_are_those_of_numpy() -> None:
    table = to_rows(np.arange(600).reshape(200, 3))
    rows = np.random.default_rng(0).integers(0, 200, 150)
    found = random_rows(table, rows)
    np.testing.assert_array_equal(found, np.asarray(table)[rows])
    assert not is_on_disk(found)
    assert random_rows(table, rows[:0]).shape == (0, 3)
    assert random_rows(table[:, 0], rows).shape == (150,)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone")
def test_random_rows_leave_few_pages_in_memory() -> None:
    table = rows_on_disk(2**17, 512)  # 256 MiB
    table[:] = np.arange(2**17)[:, None]
    release_rows()
    before = held()
    rows = torch.from_numpy(np.random.default_rng(0).permutation(2**17)[:4096])
    found = random_tensor_rows(torch.from_numpy(table), rows)
    assert held() - before < 2**16
    assert torch.equal(found[:, 7].long(), rows)
    assert random_tensor_rows(torch.arange(5), torch.tensor([3, 0])).tolist() == [3, 0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone")
def test_released_rows_leave_the_memory_of_the_process() -> None:
    table = rows_on_disk(2**15, 512)  # 64 MiB
    table[:] = 1
    before = held()
    release_rows()
    assert before - held() > 2**15
    assert float(table.sum()) == 2**24


@pytest.mark.usefixtures("small")
def test_float16_features_are_float32_on_disk() -> None:
    given = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float16)
    column = Features(given)
    assert is_on_disk(column.values)
    np.testing.assert_array_equal(column.values, given.astype(np.float32))
    part = column.take(np.array([3, 1, 40]))
    assert is_on_disk(part.values)
    np.testing.assert_array_equal(part.values, given[[3, 1, 40]].astype(np.float32))
