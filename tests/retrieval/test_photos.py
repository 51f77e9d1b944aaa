"""Photos of an index: moved, copied, missing, outside of their folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import commonspace as cs
from commonspace import CommonSpace, Dataset, Images
from commonspace.errors import DataError, SettingError, StoreError
from commonspace.retrieval import Change, Index


@pytest.fixture(scope="module")
def raw_space(raw_dataset: Dataset) -> CommonSpace:
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    return method.fit(raw_dataset.split("train"), raw_dataset.split("validation"))


@pytest.fixture
def photos(raw_dataset: Dataset, tmp_path: Path) -> Dataset:
    """Return ten samples with image files in the folder "shots"."""
    return in_folder(raw_dataset.take(np.arange(10)), tmp_path / "shots")


def in_folder(data: Dataset, folder: Path) -> Dataset:
    folder.mkdir()
    column = data.columns["image"]
    assert isinstance(column, Images)
    for id, picture in zip(data.ids, column.items, strict=True):
        assert isinstance(picture, np.ndarray)
        Image.fromarray(picture).save(folder / f"{id}.png")
    return at(data, folder)


def at(data: Dataset, folder: Path) -> Dataset:
    files = Images([folder / f"{id}.png" for id in data.ids])
    return replace(data, columns={**data.columns, "image": files})


def test_moved_photos_are_reported_and_found_again(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "shop", raw_space, photos) as index:
        first = index.search("a red wall", k=1)[0]
        assert first.has_picture
        assert first.photo == str(tmp_path / "shots" / f"{first.id}.png")
        (tmp_path / "shots").rename(tmp_path / "pics")
        assert not index.search("a red wall", k=1)[0].has_picture
        report = index.verify()
        assert report.missing_photos == photos.ids
        assert "10 photos are missing" in report.problems[0]
        assert index.update(at(photos, tmp_path / "pics")) == Change(unchanged=10, moved=10)
        assert index.search("a red wall", k=1)[0].photo == str(
            tmp_path / "pics" / f"{first.id}.png"
        )
        assert index.verify().problems == ()
    (tmp_path / "pics").rename(tmp_path / "other")
    with Index.open(tmp_path / "shop", photos=tmp_path / "other") as index:
        assert index.verify().problems == ()
        assert index.picture(first.id) == tmp_path / "other" / f"{first.id}.png"
    with Index.open(tmp_path / "shop") as index:  # the new folder was stored
        assert index.verify().problems == ()


def test_an_index_moves_together_with_its_photos(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "shots").rename(tmp_path / "here" / "shots")
    data = at(photos, tmp_path / "here" / "shots")
    Index.create(tmp_path / "here" / "shop", raw_space, data).close()
    (tmp_path / "here").rename(tmp_path / "there")
    with Index.open(tmp_path / "there" / "shop") as index:
        assert index.verify().problems == ()
        assert index.search("a red wall", k=1)[0].has_picture


def test_copied_photos_need_no_folder(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "shop", raw_space, photos, copy_photos=True) as index:
        shutil.rmtree(tmp_path / "shots")
        assert index.verify().problems == ()
        picture = index.picture(photos.ids[0])
        assert isinstance(picture, Path)
        assert picture.parent == tmp_path / "shop" / "photos"
    shutil.move(tmp_path / "shop", tmp_path / "moved")
    with Index.open(tmp_path / "moved") as index:
        assert index.search("a red wall", k=1)[0].has_picture


def test_a_damaged_copy_is_refused_reported_and_stored_again(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "shop", raw_space, photos, copy_photos=True) as index:
        copy = index.picture(photos.ids[0])
        assert isinstance(copy, Path)
        content = bytearray(copy.read_bytes())
        content[len(content) // 2] ^= 4
        copy.write_bytes(content)
        with pytest.raises(StoreError, match="is damaged"):
            index.picture(photos.ids[0])
        assert index.picture(photos.ids[1]) is not None
        assert any(str(copy) in problem for problem in index.verify().problems)
        index.update(photos, copy_photos=True)
        assert index.verify().problems == ()
        assert index.picture(photos.ids[0]) == copy


def test_copies_of_removed_and_replaced_photos_are_deleted(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "shop", raw_space, photos, copy_photos=True) as index:
        assert len(list((tmp_path / "shop" / "photos").iterdir())) == 10
        index.remove(photos.ids[:2])
        assert len(list((tmp_path / "shop" / "photos").iterdir())) == 8
        first, second = (tmp_path / "shots" / f"{id}.png" for id in photos.ids[2:4])
        Image.new("RGB", (20, 20), (1, 2, 3)).save(first)
        shutil.copy(first, second)  # two items, one file
        changed = index.update(photos.take(np.arange(2, 10)), copy_photos=True)
        assert (changed.replaced, changed.unchanged) == (2, 6)
        assert len(list((tmp_path / "shop" / "photos").iterdir())) == 7
        index.remove(photos.ids[2:3])
        assert index.verify().problems == ()
        (tmp_path / "shop" / "photos" / ".draft").write_bytes(b"left by a kill")
        assert index.verify().repaired == ("1 copied photos that no item has were deleted",)
        assert index.verify().repaired == ()
        assert index.search(image=second, k=1)[0].id == photos.ids[3]
        picture = index.picture(photos.ids[3])
        assert isinstance(picture, Path)
        assert picture.read_bytes() == second.read_bytes()


def test_photos_outside_of_the_folder_are_refused(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    shutil.copy(tmp_path / "shots" / f"{photos.ids[0]}.png", secret)
    (tmp_path / "shots" / "link.png").symlink_to(secret)
    column = photos.columns["image"]
    assert isinstance(column, Images)
    strange = [secret, tmp_path / "shots" / ".." / "secret.png", tmp_path / "shots" / "link.png"]
    for file in strange:
        data = replace(photos, columns={"image": Images([file, *column.items[1:]])})
        with pytest.raises(DataError, match="outside the folder of the data"):
            Index.create(tmp_path / "shop", raw_space, data, photos=tmp_path / "shots")
        with Index.create(tmp_path / "shop", raw_space, data, photos=tmp_path) as index:
            assert index.item(photos.ids[0])
        shutil.rmtree(tmp_path / "shop")


def test_a_photo_that_became_a_link_is_not_shown(
    raw_space: CommonSpace, raw_dataset: Dataset, photos: Dataset, tmp_path: Path
) -> None:
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=6, device="cpu")
    other_space = method.fit(raw_dataset.split("train"), raw_dataset.split("validation"))
    with Index.create(tmp_path / "shop", raw_space, photos) as index:
        file = tmp_path / "shots" / f"{photos.ids[0]}.png"
        file.unlink()
        file.symlink_to("/etc/passwd")
        with pytest.raises(StoreError, match="outside the photo folder"):
            index.picture(photos.ids[0])
        report = index.verify()
        assert report.outside_photos == photos.ids[:1]
        assert "1 photos are outside of the photo folder" in report.problems[0]
        with pytest.raises(StoreError, match="outside the photo folder"):
            index.migrate(other_space)


def test_new_photos_may_be_in_another_folder(
    raw_space: CommonSpace, photos: Dataset, raw_dataset: Dataset, tmp_path: Path
) -> None:
    more = in_folder(raw_dataset.take(np.arange(10, 13)), tmp_path / "more")
    with Index.create(tmp_path / "shop", raw_space, photos) as index:
        assert index.add(more).added == 3
        assert index.verify().problems == ()
        with pytest.raises(SettingError, match="not clear which photo folder"):
            index.move_photos(tmp_path)
        (tmp_path / "more").rename(tmp_path / "later")
        index.move_photos(tmp_path / "later")
        assert index.verify().problems == ()
