"""Migration: the result is that of a new index, and searches use the former space meanwhile."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import commonspace as cs
from commonspace import CommonSpace, Dataset, Features
from commonspace.callbacks import Callback, EpochRecord
from commonspace.errors import SettingError, StoreError
from commonspace.methods import CCA, LinearProbe
from commonspace.retrieval import Index, migrate, vector_index

Make = Callable[..., Dataset]

QUERY = np.arange(1, 7, dtype=np.float32)


@pytest.fixture(scope="module")
def other(make: Make) -> CommonSpace:
    """Return another space of the same features, of another dimension."""
    data = make(range(200, 260))
    data = replace(data, splits=np.array(["train", "validation"] * 30))
    return CCA(dimension=3).fit(data.split("train"), data.split("validation"))


@pytest.fixture
def index(tmp_path: Path, space: CommonSpace, make: Make, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setattr(vector_index, "MIN_CHANGES", 10)
    monkeypatch.setattr(migrate, "BATCH", 7)
    return Index.create(tmp_path / "shop", space, make(range(40)))


class Progress(Callback):
    """Counts the steps, and interrupts the work at one of them."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop
        self.done = 0
        self.total: int | None = None

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        self.total, self.done = total, done

    def on_advance(self, steps: int = 1) -> None:
        self.done += steps
        if self.stop is not None and self.done >= self.stop:
            raise KeyboardInterrupt


def answers(index: Index, size: int) -> list[tuple[str, str, object]]:
    found = index.search(vector=np.arange(1, size + 1), k=100)
    return [(one.id, one.modality, pytest.approx(one.score, abs=1e-5)) for one in found]


def test_the_result_is_that_of_a_new_index(
    index: Index, space: CommonSpace, other: CommonSpace, make: Make, tmp_path: Path
) -> None:
    before = answers(index, 6)
    progress = Progress()
    with Index.open(index.path, space=space) as reader:
        assert answers(reader, 6) == before
        assert index.migrate(other, callbacks=[progress]) == 72
        with Index.create(tmp_path / "new", other, make(range(40))) as new:
            expected = answers(new, 3)
        for handle in (index, reader):  # the open reader follows, space and all
            assert answers(handle, 3) == expected
            assert handle.fingerprint == other.fingerprint
    assert (progress.done, progress.total) == (72, 72)
    found = index.verify()
    assert (found.problems, found.repaired, found.notes) == ((), (), ())
    assert [place.name for place in (index.path / "spaces").iterdir()] == ["2"]
    assert index.migrate(other) == 0
    assert index.migrate(space) == 72  # and back
    assert answers(index, 6) == before


def test_an_interrupted_migration_continues(
    index: Index, other: CommonSpace, make: Make, space: CommonSpace, tmp_path: Path
) -> None:
    before = answers(index, 6)
    with pytest.raises(KeyboardInterrupt):
        index.migrate(other, callbacks=[Progress(stop=28)])
    assert answers(index, 6) == before
    assert "unfinished" in index.verify().notes[0]
    index.update(make(range(35, 45), version=3))  # meanwhile some change, some are new
    index.remove(["article 0"])
    index.close()
    with Index.open(index.path) as again:
        assert again.migrate(other) < 72
        whole = {number: 3 if number >= 35 else 0 for number in range(1, 45)}
        with Index.create(tmp_path / "new", other) as new:
            for version in (0, 3):
                new.add(make([n for n, one in whole.items() if one == version], version=version))
            assert len(new) == len(again) == 44
            assert answers(again, 3) == answers(new, 3)
        assert again.verify().notes == ()


def test_an_interrupted_migration_can_be_replaced(
    index: Index, other: CommonSpace, make: Make, space: CommonSpace
) -> None:
    with pytest.raises(KeyboardInterrupt):
        index.migrate(other, callbacks=[Progress(stop=1)])
    data = make(range(300, 360))
    data = replace(data, splits=np.array(["train", "validation"] * 30))
    third = LinearProbe().fit(data.split("train"), data.split("validation"))
    assert index.migrate(third) == 72
    assert index.verify().notes == ()
    assert [place.name for place in (index.path / "spaces").iterdir()] == ["3"]


def test_an_interrupted_migration_can_be_given_up(
    index: Index, space: CommonSpace, other: CommonSpace
) -> None:
    before = answers(index, 6)
    with pytest.raises(KeyboardInterrupt):
        index.migrate(other, callbacks=[Progress(stop=1)])
    assert index.migrate(space) == 0
    assert index.verify().notes == ()
    assert answers(index, 6) == before


def test_a_space_without_a_modality_of_the_items_is_refused(
    index: Index, three_modalities: Dataset
) -> None:
    lacking = LinearProbe().fit(
        three_modalities.split("train"), three_modalities.split("validation")
    )
    with pytest.raises(SettingError, match="has no modality 'text'"):
        index.migrate(lacking)
    assert answers(index, 6)


def test_readers_search_during_a_migration(raw_dataset: Dataset, tmp_path: Path) -> None:
    """Between spaces of different sizes, no search may meet vectors of the other one."""
    spaces = [
        cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=size, device="cpu").fit(
            raw_dataset.split("train"), raw_dataset.split("validation"), cs.RunConfig()
        )
        for size in (8, 5)
    ]
    wanted: list[list[str]] = []
    for number, space in enumerate(spaces):
        with Index.create(tmp_path / f"{number}", space, raw_dataset) as alone:
            wanted.append([one.id for one in alone.search(text="a red wall")])
    found: list[list[str]] = []
    done = threading.Event()

    def read() -> None:
        with Index.open(tmp_path / "0") as reader:
            while not done.is_set() or len(found) < 2:
                found.append([one.id for one in reader.search(text="a red wall")])

    with Index.open(tmp_path / "0") as index:
        reading = threading.Thread(target=read)
        reading.start()
        for turn in range(1, 6):
            index.migrate(spaces[turn % 2])
        done.set()
        reading.join()
    assert len(found) >= 2
    assert all(one in wanted for one in found)


def test_raw_items_are_embedded_again(
    raw_dataset: Dataset, tmp_path: Path, space: CommonSpace
) -> None:
    one, other = (
        cs.DSCMR(
            preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu", seed=seed
        ).fit(raw_dataset.split("train"), raw_dataset.split("validation"), cs.RunConfig())
        for seed in (0, 1)
    )
    with (
        Index.create(tmp_path / "one", one, raw_dataset) as index,
        Index.create(tmp_path / "other", other, raw_dataset) as expected,
    ):
        assert index.migrate(other) == 2 * len(raw_dataset)
        found, wanted = (each.search(text="a red wall", k=99) for each in (index, expected))
        assert [item.id for item in found] == [item.id for item in wanted]
        strange = replace(
            raw_dataset,
            columns={name: Features(np.eye(len(raw_dataset))) for name in raw_dataset.columns},
        )
        features = LinearProbe().fit(strange.split("train"), strange.split("validation"))
        with pytest.raises(SettingError, match="encoder of 'image' is not known"):
            index.migrate(features)
        with Index.create(tmp_path / "features", features, strange) as bare:
            with pytest.raises(StoreError, match="does not store what this space reads"):
                bare.migrate(other)
            assert bare.verify().notes == ()  # it failed at once: there is nothing to continue
            assert [place.name for place in (bare.path / "spaces").iterdir()] == ["1"]
