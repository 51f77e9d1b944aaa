"""Checksums of pages follow every write, and never report a page that SQLite itself has written."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.retrieval import Index, database
from commonspace.retrieval.log_file import read_log

Make = Callable[..., Dataset]

KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA page_size = 4096")
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA wal_autocheckpoint = 0")
connection.execute("CREATE TABLE t (x BLOB)")
for number in range(9):
    connection.execute("INSERT INTO t VALUES (randomblob(9000))")
connection.execute("PRAGMA cache_size = 2")
connection.execute("BEGIN")
connection.execute("UPDATE t SET x = randomblob(9000)")  # written to the log before it is committed
os.kill(os.getpid(), signal.SIGKILL)
"""


def changed(index: Index) -> list[int]:
    return index._store.changed_pages()


def test_the_log_is_read_as_sqlite_reads_it(tmp_path: Path) -> None:
    """The naive oracle is SQLite: the database after it has taken over the log."""
    path = tmp_path / "a.sqlite"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    log = read_log(path)
    assert log.damage == ""
    assert log.commits == 10
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (9,)
    connection.close()  # the last one to close copies the pages
    data = path.read_bytes()
    assert len(data) == 4096 * log.size
    for page, value in log.pages.items():
        assert crc32(data[4096 * (page - 1) : 4096 * page]) == value


def test_every_kind_of_write_keeps_the_checksums(
    make: Make, space: CommonSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOG_BYTES", 200_000)  # so that the log is emptied often
    with Index.create(tmp_path / "shop", space, make(range(60))) as index:
        for number in range(60, 120, 10):
            index.add(make(range(number, number + 10)))
            index.update(make(range(5, 9), version=number))
            index.remove([f"article {number}"])
            with Index.open(index.path, space=space) as reader:
                assert reader.notes == ()
            assert index.verify().repaired == ()
    with Index.open(tmp_path / "shop", space=space) as index:
        assert not (tmp_path / "shop" / "store.sqlite-wal").exists() or changed(index) == []
        report = index.verify()
    assert (report.problems, report.repaired) == ((), ())


def test_a_killed_writer_leaves_right_checksums(
    make: Make, space: CommonSpace, tmp_path: Path
) -> None:
    path = tmp_path / "shop"
    Index.create(path, space, make(range(40))).close()
    for number in range(40, 48):
        child = os.fork()
        if not child:
            index = Index.open(path, space=space)
            index.add(make([number]))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        with Index.open(path, space=space) as index:
            assert index.notes == ()
            assert len(index) == number + 1
            if number % 2:
                report = index.verify()
                assert (report.problems, report.repaired) == ((), ())


def test_an_index_of_an_older_version_and_one_that_sqlite_has_written_are_no_damage(
    make: Make, space: CommonSpace, tmp_path: Path
) -> None:
    path = tmp_path / "shop"
    Index.create(path, space, make(range(40))).close()
    (path / "store.pages").unlink()
    with Index.open(path, space=space) as index:
        assert index.notes == ()
        assert index.verify().repaired == ()
    assert (path / "store.pages").exists()
    with Index.open(path, space=space) as index:
        index.add(make([50]))
        copy = Path(shutil.copytree(path, tmp_path / "copy"))
    sqlite3.connect(copy / "store.sqlite").execute("SELECT count(*) FROM items").connection.close()
    with Index.open(copy, space=space) as index:  # another program has emptied the log
        assert index.notes == ()
        assert len(index) == 41
        assert index.verify().repaired == ()


def test_a_damaged_list_of_checksums_is_written_again(
    make: Make, space: CommonSpace, tmp_path: Path
) -> None:
    path = tmp_path / "shop"
    Index.create(path, space, make(range(40))).close()
    content = (path / "store.pages").read_bytes()
    draw = np.random.default_rng(0)
    for place in [0, 9, 20, len(content) - 1, *draw.integers(24, len(content), 4).tolist()]:
        flipped = bytearray(content)
        flipped[place] ^= 32
        (path / "store.pages").write_bytes(flipped)
        with Index.open(path, space=space) as index:
            report = index.verify()
            assert report.problems == ()
            assert any("store.pages is damaged" in one for one in report.repaired)
            assert index.verify().repaired == ()
