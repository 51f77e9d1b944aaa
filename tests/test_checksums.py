"""Lists of checksums find every change, and sha256sum reads them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from commonspace.checksums import (
    CHECKSUMS,
    changed_files,
    is_changed,
    read_checked_json,
    renew_checksum,
    write_checked_json,
    write_checksums,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "two words.txt").write_text("two")
    write_checksums(tmp_path, ["a.txt", "sub/two words.txt"])
    return tmp_path


def test_changed_and_missing_files_are_named(folder: Path) -> None:
    assert changed_files(folder) == []
    (folder / "other.txt").write_text("not listed")
    assert changed_files(folder) == []
    (folder / "a.txt").write_text("0ne")
    assert changed_files(folder) == ["a.txt"]
    assert is_changed(folder / "a.txt")
    assert not is_changed(folder / "other.txt")
    (folder / "sub" / "two words.txt").unlink()
    assert changed_files(folder) == ["a.txt", "sub/two words.txt"]
    (folder / "a.txt").write_text("new")
    renew_checksum(folder / "a.txt")
    assert changed_files(folder) == ["sub/two words.txt"]


def test_every_flipped_bit_of_the_list_is_found(folder: Path) -> None:
    content = (folder / CHECKSUMS).read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        (folder / CHECKSUMS).write_bytes(changed)
        assert changed_files(folder), bit
        assert not is_changed(folder / "a.txt") or bit // 8 <= content.index(b"\n")


def test_a_folder_without_a_list_has_no_changed_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    renew_checksum(tmp_path / "a.txt")
    assert changed_files(tmp_path) == []
    assert not is_changed(tmp_path / "a.txt")
    assert not (tmp_path / CHECKSUMS).exists()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_reads_the_list(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=folder, check=False)
    assert done.returncode == 0


def test_checked_json_is_read_only_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    content = {"x": [0.1, -2e-7, None], "naïve \ud7ff": ', "sha256": "'}
    write_checked_json(path, content)
    assert read_checked_json(path) == content
    text = path.read_bytes()
    for bit in range(8 * len(text)):
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"checksum|utf-8"):
            read_checked_json(path)
