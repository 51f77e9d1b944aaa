"""Files are the old one or the new one, whatever happens in between."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from commonspace.atomic import new_folder, replacing
from commonspace.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_block_that_ends_well_moves_its_file_there(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    with replacing(target) as draft:
        assert draft.parent == tmp_path
        assert draft.suffix == ".txt"
        assert not target.exists()
        draft.write_text("new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["note.txt"]


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="already there"), replacing(target):
        pytest.fail("the block must not begin")
    assert target.read_text() == "old"
    with replacing(target, overwrite=True) as draft:
        draft.write_text("new")
        assert target.read_text() == "old", "until the block has ended"
    assert target.read_text() == "new"


def write_and_fail(target: Path, error: BaseException) -> None:
    with replacing(target, overwrite=True) as draft:
        draft.write_text("half of the n")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug"), SystemExit()])
def test_what_goes_wrong_in_the_block_passes_and_leaves_the_old_file(
    error: BaseException, tmp_path: Path
) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(type(error)):
        write_and_fail(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace", "mkstemp", "write"])
def test_a_full_disk_at_any_moment_leaves_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    place = {
        "fsync": "os.fsync",
        "replace": "pathlib.Path.replace",
        "mkstemp": "tempfile.mkstemp",
        "write": "pathlib.Path.write_text",
    }
    with monkeypatch.context() as patch:
        patch.setattr(place[call], full)
        with (
            pytest.raises(OutputError, match="could not be written") as caught,
            replacing(target, overwrite=True) as draft,
        ):
            draft.write_text("new")
    assert caught.value.found == os.strerror(errno.ENOSPC)
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"), replacing(tmp_path / "no" / "x"):
        pytest.fail("the block must not begin")


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_file_has_the_rights_of_an_ordinary_one(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "a"):
            pass
        (tmp_path / "b").touch()
        assert os.umask(mask) == mask, "the mask itself stays"
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_the_content_is_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the file, then its name, then the folder: the order that survives a power cut."""
    happened: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(handle: int) -> None:
        happened.append(f"flush {Path(f'/proc/self/fd/{handle}').readlink().name[:6]}")
        fsync(handle)

    def moved(self: Path, to: Path) -> Path:
        happened.append("move")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", moved)
    with replacing(tmp_path / "note.txt") as draft:
        draft.write_text("new")
    assert happened == ["flush .note.", "move", f"flush {tmp_path.name[:6]}"]


def test_a_new_folder_is_new_or_empty(tmp_path: Path) -> None:
    for _ in range(2):
        assert new_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
        assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_or_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for taken, found in ((tmp_path, "folder"), (tmp_path / "file", "a file")):
        with pytest.raises(OutputError, match="already there") as caught:
            new_folder(taken)
        assert found in caught.value.found
        assert "nothing was changed" in caught.value.advice
    with pytest.raises(OutputError, match="could not be written"):
        new_folder(tmp_path / "file" / "below")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"
