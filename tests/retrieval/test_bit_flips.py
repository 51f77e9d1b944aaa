"""A flipped bit anywhere in an index is refused, or reported by verify, and never served."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.errors import CommonspaceError
from commonspace.retrieval import Index, vector_index

Make = Callable[..., Dataset]

FLIPS = 200
QUERIES = np.random.default_rng(5).normal(size=(3, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def intact(
    tmp_path_factory: pytest.TempPathFactory, space: CommonSpace, make: Make
) -> tuple[Path, Any]:
    """Return an index with main segments, newer and removed entries, and its content."""
    path = tmp_path_factory.mktemp("intact") / "shop"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_index, "MIN_CHANGES", 30)
        with Index.create(path, space, make(range(60))) as index:
            index.add(make(range(60, 75)))
            index.remove(["article 3", "article 61"])
    return path, content(path)


def content(path: Path) -> Any:  # noqa: ANN401
    """Return everything that an index returns."""
    with Index.open(path) as index:
        where = "price < 300 and brand = 'Acme'"
        results = [
            [*index.search(vector=query, k=100, modality=modality, where=condition)]
            for query in QUERIES
            for modality, condition in ((None, None), ("text", None), (None, where))
        ]
        results.append([*index.search(id="article 5", k=100)])
        items = [index.item(f"article {number}") for number in range(75)]
        vectors = [
            {name: vector.tolist() for name, vector in index.vectors(f"article {number}").items()}
            for number in range(75)
        ]
        return results, items, vectors, index.info()["fields"]


def flip(path: Path, draw: np.random.Generator) -> str:
    """Flip a random bit of a random byte of the folder; return where."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    sizes = np.array([file.stat().st_size for file in files])
    file = files[draw.choice(len(files), p=sizes / sizes.sum())]
    data = bytearray(file.read_bytes())
    at, bit = int(draw.integers(len(data))), int(draw.integers(8))
    data[at] ^= 1 << bit
    file.write_bytes(data)
    return f"bit {bit} of byte {at} of {file.relative_to(path)}"


def test_flipped_bits_are_refused_or_reported_and_never_served(
    intact: tuple[Path, Any], tmp_path: Path
) -> None:
    path, expected = intact
    draw = np.random.default_rng(0)
    outcomes = {"refused": 0, "reported": 0, "harmless": 0}
    for _ in range(FLIPS):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        where = flip(copy, draw)
        try:
            with Index.open(copy) as index:
                repaired = index.notes
            served = content(copy)
            assert served == expected, f"{where} was served"
        except CommonspaceError:
            outcomes["refused"] += 1
            continue
        try:
            with Index.open(copy) as index:
                report = index.verify()
        except CommonspaceError:
            outcomes["refused"] += 1
            continue
        if report.problems or report.repaired or repaired:
            outcomes["reported"] += 1
        else:  # a byte that is not used, such as the free space of a page
            outcomes["harmless"] += 1
            assert _rows(copy) == _rows(path), where
    assert min(outcomes["refused"], outcomes["reported"]) > 0, outcomes
    assert outcomes["refused"] + outcomes["reported"] >= 15, outcomes


def _rows(path: Path) -> list[tuple[Any, ...]]:
    """Return every row of every table."""
    connection = sqlite3.connect(path / "store.sqlite")
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    rows = [row for name in sorted(names) for row in connection.execute(f"SELECT * FROM {name}")]
    connection.close()
    return rows


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET labels = '[\"hats\", \"socks\"]' WHERE id = 'article 5'",
        "UPDATE items SET id = 'article 900' WHERE id = 'article 5'",
        "UPDATE fields SET name = 'prize' WHERE name = 'price'",
        "UPDATE modalities SET name = 'photo' WHERE name = 'image'",
        "UPDATE meta SET value = 'ivf' WHERE key = 'kind'",
        "UPDATE spaces SET dimension = 5",
        "UPDATE segments SET last_entry = last_entry - 1",
        "UPDATE sources SET features = zeroblob(24) WHERE entry = 5",
        "UPDATE entries SET digest = zeroblob(32) WHERE entry = 5",
        "DELETE FROM removed",
    ],
)
def test_rows_changed_by_other_programs_are_refused_or_reported(
    intact: tuple[Path, Any], tmp_path: Path, statement: str
) -> None:
    path, expected = intact
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    connection = sqlite3.connect(copy / "store.sqlite")
    with connection:
        assert connection.execute(statement).rowcount != 0
    connection.close()
    try:
        assert content(copy) == expected
    except CommonspaceError:
        return
    with cs.Index.open(copy) as index:
        assert index.verify().problems
