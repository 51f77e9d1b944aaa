"""Snapshots: an index as a file, restored as it was, while it is open."""

import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.errors import FileFormatError, OutputError, StoreError
from commonspace.retrieval import Index
from commonspace.retrieval.lock import write_lock
from commonspace.retrieval.snapshot import restore_snapshot, write_snapshot

Make = Callable[..., Dataset]
QUERY = np.arange(6) - 2.5


def ranking(folder: Path) -> list[tuple[str, float]]:
    with Index.open(folder) as index:
        assert not index.verify().problems
        return [(one.id, one.score) for one in index.search(vector=QUERY, k=50)]


def test_a_restored_index_is_the_one_of_the_snapshot(
    tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    folder, file = tmp_path / "shop", tmp_path / "shop.tar"
    Index.create(folder, space, make(range(20))).close()
    before = ranking(folder)
    with Index.open(folder) as opened:
        write_snapshot(folder, file)
        opened.update(make(range(10, 40), version=1))
        assert len(opened) == 40
        assert restore_snapshot(file, folder) == 20
    assert ranking(folder) == before
    assert restore_snapshot(file, tmp_path / "other" / "copy") == 20
    assert ranking(tmp_path / "other" / "copy") == before
    assert {one.name for one in tmp_path.iterdir()} == {"shop", "shop.tar", "other"}


def test_a_flipped_bit_of_the_store_in_a_snapshot_is_refused(
    tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    """Also in the free space of its pages."""
    file = tmp_path / "shop.tar"
    Index.create(tmp_path / "shop", space, make(range(8))).close()
    write_snapshot(tmp_path / "shop", file)
    whole = file.read_bytes()
    with tarfile.open(file) as archive:
        member = archive.getmember("store.sqlite")
    draw = np.random.default_rng(0)
    for number, place in enumerate(draw.integers(0, member.size, 25).tolist()):
        content = bytearray(whole)
        content[member.offset_data + place] ^= 1 << number % 8
        file.write_bytes(content)
        with pytest.raises(FileFormatError, match="is not a snapshot"):
            restore_snapshot(file, tmp_path / "copy")
    file.write_bytes(whole)
    assert restore_snapshot(file, tmp_path / "copy") == 8
    assert (tmp_path / "copy" / "store.pages").exists()
    with Index.open(tmp_path / "copy") as index:
        assert index.notes == ()
        assert index.verify().repaired == ()


def test_an_index_that_was_replaced_leaves_the_checksums_of_the_new_one(
    tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    file = tmp_path / "shop.tar"
    Index.create(tmp_path / "shop", space, make(range(8))).close()
    write_snapshot(tmp_path / "shop", file)
    with Index.open(tmp_path / "shop") as former:
        for number in range(5):
            former.remove([f"article {number}"])
        restore_snapshot(file, tmp_path / "shop")
        with Index.open(tmp_path / "shop") as restored:
            restored.remove(["article 7"])
            former.close()
            for number in range(6):
                restored.remove([f"article {number}"])
                assert restored.verify().repaired == ()
    with Index.open(tmp_path / "shop") as index:
        assert index.notes == ()
        assert index.verify().repaired == ()


def test_a_link_to_the_index_stays(tmp_path: Path, space: CommonSpace, make: Make) -> None:
    Index.create(tmp_path / "place", space, make(range(5))).close()
    (tmp_path / "shop").symlink_to("place")
    write_snapshot(tmp_path / "shop", tmp_path / "shop.tar")
    restore_snapshot(tmp_path / "shop.tar", tmp_path / "shop")
    assert (tmp_path / "shop").is_symlink()
    assert len(ranking(tmp_path / "shop")) == 5


def test_what_is_no_snapshot_changes_nothing(
    tmp_path: Path, space: CommonSpace, make: Make
) -> None:
    folder, file = tmp_path / "shop", tmp_path / "shop.tar"
    Index.create(folder, space, make(range(8))).close()
    before = ranking(folder)
    write_snapshot(folder, file)
    whole = file.read_bytes()
    outside = BytesIO()
    with tarfile.open(fileobj=outside, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../stolen"), BytesIO())
    place = whole.index(b"SQLite format 3")
    flipped = whole[:place] + bytes(50_000) + whole[place + 50_000 :]
    for content in (b"", b"no tar", whole[: len(whole) // 3], flipped, outside.getvalue()):
        file.write_bytes(content)
        with pytest.raises(FileFormatError, match="is not a snapshot"):
            restore_snapshot(file, folder)
    assert ranking(folder) == before
    assert {one.name for one in tmp_path.iterdir()} == {"shop", "shop.tar"}


def test_no_snapshot_while_another_writer_is_at_work(
    tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonspace.retrieval.snapshot.WAIT", 0)
    folder, file = tmp_path / "shop", tmp_path / "shop.tar"
    Index.create(folder, space, make(range(8))).close()
    with write_lock(folder / "lock", "the index"), pytest.raises(StoreError, match="writer"):
        write_snapshot(folder, file)
    assert not file.exists()
    write_snapshot(folder, file)
    with write_lock(folder / "lock", "the index"), pytest.raises(StoreError, match="writer"):
        restore_snapshot(file, folder)
    with pytest.raises(OutputError):
        write_snapshot(folder, file)
    with pytest.raises(StoreError):
        write_snapshot(tmp_path / "none", tmp_path / "none.tar")
