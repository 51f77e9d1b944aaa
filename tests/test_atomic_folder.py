"""A folder of results is there as a whole or not at all."""

from pathlib import Path

import pytest

from commonspace.atomic import new_folder_whole
from commonspace.errors import OutputError


@pytest.mark.parametrize("empty_before", [False, True])
def test_all_of_it_is_there_at_the_end(tmp_path: Path, empty_before: bool) -> None:
    target = tmp_path / "deep" / "report"
    if empty_before:
        target.mkdir(parents=True)
    with new_folder_whole(target) as draft:
        (draft / "a.txt").write_text("a")
        (draft / "below").mkdir()
        assert not target.exists() or not any(target.iterdir())
    assert sorted(path.name for path in target.iterdir()) == ["a.txt", "below"]
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o700 == 0o700


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_of_what_was_broken_off(tmp_path: Path, stop: type[BaseException]) -> None:
    def broken_off() -> None:
        with new_folder_whole(tmp_path / "report") as draft:
            (draft / "a.txt").write_text("a")
            raise stop

    with pytest.raises(stop):
        broken_off()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(OutputError, match="already there"), new_folder_whole(tmp_path):
        pytest.fail("the block must not begin")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
    with (
        pytest.raises(OutputError, match="already there"),
        new_folder_whole(tmp_path / "kept.txt"),
    ):
        pytest.fail("the block must not begin")


def test_a_refusal_of_the_system_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="could not be written"),
        new_folder_whole(tmp_path / "report") as draft,
    ):
        raise PermissionError(13, "Permission denied")
    assert not draft.exists()
