"""Durability: damage, full disks, two writers, readers during writes, interrupted creation."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.errors import OutputError, StoreError
from commonspace.retrieval import Index, folder, lock, search, segments, vector_index
from commonspace.retrieval.database import row_checksum
from commonspace.retrieval.lock import write_lock
from commonspace.retrieval.store import Store

Make = Callable[..., Dataset]

QUERY = np.arange(1, 7, dtype=np.float32)


@pytest.fixture
def index(tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Return an index of 40 articles, large enough here to have files of FAISS."""
    monkeypatch.setattr(vector_index, "MIN_CHANGES", 10)
    return Index.create(tmp_path / "shop", space, make(range(40)))


def ids(index: Index, **options: Any) -> list[str]:  # noqa: ANN401
    return [one.id for one in index.search(vector=QUERY, **options)]


def derived(index: Index, ending: str) -> list[Path]:
    return sorted((index.path / vector_index.FOLDER).glob(f"*{ending}"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("ending", [".faiss", ".npy"])
@pytest.mark.parametrize("harm", [cut, flip, Path.unlink])
def test_damaged_segments_are_rebuilt(
    index: Index, space: CommonSpace, ending: str, harm: Callable[[Path], None]
) -> None:
    before = ids(index)
    index.close()
    harm(derived(index, ending)[0])
    with Index.open(index.path, space=space) as again:
        assert ids(again) == before
        (note,) = again.notes
        assert note.endswith("rebuilt from the store")
    with Index.open(index.path, space=space) as again:
        assert again.notes == ()
        assert ids(again) == before
    assert len(derived(index, ".faiss")) == len(derived(index, ".npy")) == 2  # nothing left over


def test_a_reader_beside_a_writer_rebuilds_in_memory_only(index: Index, space: CommonSpace) -> None:
    before = ids(index)
    flip(derived(index, ".faiss")[0])
    with (
        write_lock(index.path / folder.LOCK, "the index"),
        Index.open(index.path, space=space) as reader,
    ):
        assert ids(reader) == before
        assert "in memory only" in reader.notes[0]
    found = index.verify()
    assert found.problems == ()
    assert len(found.repaired) == 1
    assert index.verify().repaired == ()
    with Index.open(index.path, space=space) as again:
        assert again.verify().repaired == ()


def test_a_file_of_another_time_is_not_taken(index: Index, space: CommonSpace, make: Make) -> None:
    """A derived file that fits itself but not the store, as a partial restore leaves it."""
    old = {path.name: path.read_bytes() for path in derived(index, "")}
    index.update(make(range(40), version=1))
    after = ids(index)
    index.close()
    for path, content in zip(derived(index, ""), old.values(), strict=True):
        path.write_bytes(content)
    with Index.open(index.path, space=space) as again:
        assert ids(again) == after
        assert len(again.notes) == 2


def test_two_writers_wait_for_each_other_or_raise_an_error(
    index: Index, space: CommonSpace, make: Make
) -> None:
    with Index.open(index.path, space=space, wait=0.1) as other:
        with index._lock.hold():
            with pytest.raises(StoreError) as caught:
                other.add(make([50]))
            assert f"process {os.getpid()}" in str(caught.value)
            assert ids(other) == ids(index)  # readers do not wait
        assert other.add(make([50])).added == 1


def test_a_writer_waits_for_another_thread(index: Index, make: Make) -> None:
    changes: list[int] = []
    threads = [
        threading.Thread(target=lambda at=at: changes.append(index.add(make([at])).added))
        for at in range(100, 108)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert changes == [1] * 8
    assert len(index) == 48


def test_readers_see_whole_changes_while_a_writer_writes(
    index: Index, space: CommonSpace, make: Make
) -> None:
    """Each update changes every price at once: no search may see two prices."""
    versions: list[set[int]] = []
    done = threading.Event()

    def read() -> None:
        with Index.open(index.path, space=space) as reader:
            while not done.is_set():
                for one in (reader, index):  # a connection of its own, and the writer's
                    found = one.search(vector=QUERY, k=100, where="price >= 0")
                    versions.append({int(item.fields["price"]) % 10 for item in found})
                    assert len(found) == 40

    reading = threading.Thread(target=read)
    reading.start()
    for version in range(1, 8):
        index.update(make(range(40), version=version))
    done.set()
    reading.join()
    assert len(versions) > 1
    assert all(len(seen) == 1 for seen in versions)


def test_a_full_disk_leaves_what_was_acknowledged(
    index: Index, space: CommonSpace, make: Make
) -> None:
    """In a process of its own that may write no file beyond a few hundred kilobytes."""
    before = ids(index)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limit = (index.path / folder.STORE).stat().st_size + 200_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            with Index.open(index.path, space=space) as full:
                with pytest.raises(OutputError, match="with update where"):
                    full.add(make(range(100, 6000)))
                code = 0 if len(full) == 40 and ids(full) == before else 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ids(index) == before
    assert index.verify().problems == ()
    assert index.add(make(range(100, 120))).added == 20


def test_derived_files_that_cannot_be_written_are_done_without(
    index: Index, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("commonspace.retrieval.backends.faiss.FaissBackend.write", full)
    assert index.add(make(range(100, 160))).added == 60
    assert "No space left on device" in index.notes[0]
    monkeypatch.undo()
    assert len(ids(index, k=1000)) == 100
    assert index.verify().problems == ()


def test_a_damaged_database_is_refused(index: Index) -> None:
    index.close()
    path = index.path / folder.STORE
    content = bytearray(path.read_bytes())
    content[20_000:60_000] = os.urandom(40_000)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        _looked_over(index.path)


def _looked_over(path: Path) -> None:
    with Index.open(path) as broken:
        for problem in broken.verify().problems:
            raise StoreError(problem)


def test_verify_finds_what_is_wrong_with_the_store(index: Index, space: CommonSpace) -> None:
    index.close()
    with sqlite3.connect(index.path / folder.STORE) as connection:
        connection.execute("DELETE FROM vectors_1_1 WHERE entry = 2")
        (vector,) = connection.execute("SELECT vector FROM vectors_1_0 WHERE entry = 1").fetchone()
        sql = "UPDATE vectors_1_0 SET item = ?, vector = ?, checksum = ? WHERE entry = ?"
        connection.execute(sql, (3, vector, row_checksum(1, 3, vector), 1))
        connection.execute("DELETE FROM sources WHERE entry = 5")
        nan = np.full(6, np.nan, dtype="<f4").tobytes()
        (item,) = connection.execute("SELECT item FROM vectors_1_0 WHERE entry = 3").fetchone()
        connection.execute(sql, (item, nan, row_checksum(3, item, nan), 3))
    connection.close()
    with Index.open(index.path, space=space) as opened:
        problems = "; ".join(opened.verify().problems)
    for said in (
        "1 entries of 'text' have no vector",
        "1 vectors of 'image' belong to no entry",
        "1 entries have no source",
        "1 vectors of 'image' are not finite",
    ):
        assert said in problems


def test_vectors_of_missing_items_are_reported(index: Index, space: CommonSpace) -> None:
    index.close()
    with sqlite3.connect(index.path / folder.STORE) as connection:
        connection.execute("DELETE FROM items")  # foreign keys are off by default
    connection.close()
    with (
        Index.open(index.path, space=space) as opened,
        pytest.raises(StoreError, match="vectors without their items"),
    ):
        ids(opened)


def test_a_search_that_is_always_overtaken_gives_what_is_still_there(
    index: Index, make: Make, space: CommonSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time something was found, another writer takes the best item away."""
    best = iter(ids(index, k=40))
    found = segments.merge
    with Index.open(index.path, space=space) as other:

        def overtaken(*given: Any) -> Any:  # noqa: ANN401
            hits = found(*given)
            other.remove([next(best)])
            return hits

        monkeypatch.setattr("commonspace.retrieval.search.merge", overtaken)
        monkeypatch.setattr(search, "_TRIES", 3)
        before = len(index)
        left = ids(index, k=40)
    assert len(index) == before - 3
    assert len(left) == before - 3  # each try saw what the one before had left
    assert next(best) == left[0]


def test_what_kills_left_of_a_creation_is_swept(
    space: CommonSpace, tmp_path: Path, make: Make
) -> None:
    left, busy = tmp_path / ".shop.abc.new", tmp_path / ".shop.def.new"
    for place in (left, busy):
        place.mkdir()
        (place / "store.sqlite").write_bytes(b"half")
    with write_lock(busy / folder.LOCK, "another creation"):
        Index.create(tmp_path / "shop", space, make(range(3))).close()
        assert sorted(path.name for path in tmp_path.iterdir()) == [busy.name, "shop"]


def test_a_creation_that_fails_leaves_nothing(
    space: CommonSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(Store, "create", full)
    with pytest.raises(OutputError):
        Index.create(tmp_path / "shop", space)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_given_back_by_a_killed_process(index: Index, make: Make) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from commonspace.retrieval.lock import write_lock\n"
        "with write_lock(Path(sys.argv[1]), 'the index'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(index.path / folder.LOCK)], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="another writer"), index._lock.hold(wait=0):
            pass
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    assert index.add(make([50])).added == 1
    assert lock.WAIT > 1


def test_facts_are_fit_for_json(index: Index) -> None:
    facts = json.loads(json.dumps(index.info()))
    assert facts["items"] == 40
    assert facts["vectors"] == {"image": 40, "text": 32}
    assert facts["fields"] == ["price", "brand"]
    assert facts["bytes"]["segments"] > 40 * 6 * 4
