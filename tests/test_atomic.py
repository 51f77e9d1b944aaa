"""Files and folders hold the old content or the new, whenever the process stops."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from commonspace.atomic import as_path, ensure_folder, make_folder, replace_file, write_folder
from commonspace.errors import OutputError, SettingError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_replace_file_moves_the_file_when_the_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    with replace_file(target) as draft:
        assert draft.parent == tmp_path
        assert draft.suffix == ".txt"
        assert not target.exists()
        draft.write_text("new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["note.txt"]


def test_replace_file_overwrites_only_on_request(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="already exists"), replace_file(target):
        pytest.fail("the block must not start")
    assert target.read_text() == "old"
    with replace_file(target, overwrite=True) as draft:
        draft.write_text("new")
        assert target.read_text() == "old", "until the block has ended"
    assert target.read_text() == "new"


def write_and_fail(target: Path, error: BaseException) -> None:
    with replace_file(target, overwrite=True) as draft:
        draft.write_text("half of the n")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug"), SystemExit()])
def test_replace_file_keeps_the_old_file_when_the_block_fails(
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
def test_replace_file_keeps_the_old_file_when_the_disk_is_full(
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
            replace_file(target, overwrite=True) as draft,
        ):
            draft.write_text("new")
    assert caught.value.found == os.strerror(errno.ENOSPC)
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_replace_file_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"), replace_file(tmp_path / "no" / "x"):
        pytest.fail("the block must not start")


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_replace_file_sets_ordinary_permissions(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with replace_file(tmp_path / "a"):
            pass
        (tmp_path / "b").touch()
        assert os.umask(mask) == mask, "the mask is unchanged"
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_replace_file_syncs_the_content_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the file, then its name, then the folder: the order that survives a power cut."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_sync(handle: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name[:6]}")
        fsync(handle)

    def record_move(self: Path, to: Path) -> Path:
        events.append("move")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_move)
    with replace_file(tmp_path / "note.txt") as draft:
        draft.write_text("new")
    assert events == ["sync .note.", "move", f"sync {tmp_path.name[:6]}"]


def test_make_folder_accepts_an_absent_or_empty_folder(tmp_path: Path) -> None:
    for _ in range(2):
        assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
        assert (tmp_path / "a" / "b").is_dir()


def test_make_folder_leaves_existing_content_unchanged(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for taken, found in ((tmp_path, "folder"), (tmp_path / "file", "a file")):
        with pytest.raises(OutputError, match="already exists") as caught:
            make_folder(taken)
        assert found in caught.value.found
        assert "nothing was changed" in caught.value.advice
    with pytest.raises(OutputError, match="could not be written"):
        make_folder(tmp_path / "file" / "below")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("exists_before", [False, True])
def test_write_folder_is_complete_at_the_end(tmp_path: Path, exists_before: bool) -> None:
    target = tmp_path / "deep" / "report"
    if exists_before:
        target.mkdir(parents=True)
    with write_folder(target) as draft:
        (draft / "a.txt").write_text("a")
        (draft / "below").mkdir()
        assert not target.exists() or not any(target.iterdir())
    assert sorted(path.name for path in target.iterdir()) == ["a.txt", "below"]
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o700 == 0o700


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_write_folder_leaves_nothing_when_the_block_fails(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    def interrupted() -> None:
        with write_folder(tmp_path / "report") as draft:
            (draft / "a.txt").write_text("a")
            raise stop

    with pytest.raises(stop):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_write_folder_leaves_existing_content_unchanged(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(OutputError, match="already exists"), write_folder(tmp_path):
        pytest.fail("the block must not start")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["notes"]
    with (
        pytest.raises(OutputError, match="already exists"),
        write_folder(tmp_path / "notes.txt"),
    ):
        pytest.fail("the block must not start")


def test_write_folder_reports_errors_of_the_system(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="could not be written"),
        write_folder(tmp_path / "report") as draft,
    ):
        raise PermissionError(13, "Permission denied")
    assert not draft.exists()


def test_a_path_under_a_file_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    target = tmp_path / "notes.txt" / "a" / "run"
    with pytest.raises(OutputError, match="could not be written") as folder:
        make_folder(target)
    with pytest.raises(OutputError, match="could not be written") as file, replace_file(target):
        pytest.fail("the block must not start")
    for caught in (folder, file):
        assert caught.value.found == f"{tmp_path / 'notes.txt'} is a file"
        assert "free" not in caught.value.advice
    with pytest.raises(OutputError) as made:
        ensure_folder(target)
    assert made.value.found == f"{tmp_path / 'notes.txt'} is a file"


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    for make in (make_folder, ensure_folder):
        with pytest.raises(OutputError, match="is no name of a file or folder"):
            make(tmp_path / name)


@pytest.mark.parametrize("path", [5, None, b"shop", ["shop"]])
def test_what_is_no_path_is_named(path: object) -> None:
    with pytest.raises(SettingError, match="the path has the wrong type"):
        as_path(path)
