"""Harder settings: what each protocol changes, by value, and that a seed determines it."""

from dataclasses import replace

import numpy as np
import pytest

import commonspace as cs
from commonspace.comparison import DATA_PROTOCOLS, DataProtocol
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import DataError, SettingError


@pytest.fixture(scope="module")
def five() -> Dataset:
    """Return six classes in five modalities: 360 samples of features."""
    draw = np.random.default_rng(2)
    y = np.arange(360) % 6
    columns = {
        name: Features(2 * draw.normal(size=(6, size))[y] + draw.normal(size=(360, size)))
        for name, size in zip(
            ("image", "text", "sound", "video", "shape"), range(5, 10), strict=True
        )
    }
    return Dataset(
        name="five",
        ids=tuple(map(str, range(360))),
        columns=columns,
        labels=np.eye(6, dtype=bool)[y],
        class_names=tuple("abcdef"),
        splits=np.repeat(["train", "validation", "test"], [240, 60, 60]),
    )


def counts(data: Dataset, split: str) -> list[int]:
    return [int(n) for n in data.labels[data.splits == split].sum(axis=0)]


@pytest.mark.parametrize("name", DATA_PROTOCOLS)
def test_a_seed_determines_the_data(five: Dataset, name: str) -> None:
    one, same, other = (DataProtocol(name, seed=seed).apply(five) for seed in (0, 0, 1))
    assert one.fingerprint == same.fingerprint
    if name != "unpaired":  # all samples are divided by default
        assert one.fingerprint != other.fingerprint
    assert one.provenance["protocol"]["name"] == name
    assert one.name.startswith(f"five, {name}")


@pytest.mark.parametrize("name", [one for one in DATA_PROTOCOLS if one != "unseen-classes"])
def test_the_test_split_stays(five: Dataset, name: str) -> None:
    changed = DataProtocol(name).apply(five)
    assert (
        changed.split("test").fingerprint
        == replace(five.split("test"), provenance=changed.provenance, name=changed.name).fingerprint
    )


def test_unseen_classes_are_in_test_only(five: Dataset) -> None:
    data = DataProtocol("unseen-classes", 1 / 3).apply(five)
    train, validation, test = (counts(data, name) for name in ("train", "validation", "test"))
    assert sorted(train) == [0, 0, 40, 40, 40, 40]
    assert sorted(test) == [0, 0, 0, 0, 10, 10]
    for one, other, third in zip(train, validation, test, strict=True):
        assert (one > 0) == (other > 0) != (third > 0)
    mixed = five.labels.copy()
    mixed[:, 0] |= np.arange(360) % 12 == 1  # some samples of b are of a too
    data = DataProtocol("unseen-classes", 0.5).apply(replace(five, labels=mixed))
    seen = data.labels[data.splits != "test"].any(axis=0)
    assert not data.labels[data.splits == "test"][:, seen].any()


def test_noise_replaces_the_class_of_an_exact_share(five: Dataset) -> None:
    data = DataProtocol("noise", 0.25).apply(five)
    wrong = (data.labels != five.labels).any(axis=1)
    assert [int(wrong[data.splits == name].sum()) for name in ("train", "validation", "test")] == [
        60,
        15,
        0,
    ]
    assert (data.labels.sum(axis=1) == 1).all()


def test_noise_is_spread_over_all_other_classes(five: Dataset) -> None:
    data = DataProtocol("noise", 1.0).apply(five)
    train = data.splits == "train"
    table = five.labels[train].T.astype(int) @ data.labels[train].astype(int)
    assert (np.diag(table) == 0).all()
    assert table[~np.eye(6, dtype=bool)].min() >= 1


def test_imbalance_falls_geometrically(five: Dataset) -> None:
    data = DataProtocol("imbalance", 0.1).apply(five)
    expected = [round(40 * 0.1 ** (k / 5)) for k in range(6)]
    assert sorted(counts(data, "train"), reverse=True) == expected
    assert expected[-1] == 4
    assert counts(data, "validation") == counts(five, "validation")


def test_unpaired_samples_keep_every_item(five: Dataset) -> None:
    data = DataProtocol("unpaired", 0.5).apply(five)
    train = data.split("train")
    present = np.column_stack([column.present for column in train.columns.values()])
    assert len(train) == 120 + 5 * 120
    assert sorted(np.bincount(present.sum(axis=1)).tolist()) == [0, 0, 0, 0, 120, 600]
    assert (present.sum(axis=0) == 240).all()
    for name, column in train.columns.items():
        before = {row.tobytes() for row in five.split("train").columns[name].values}  # type: ignore[attr-defined]
        after = {row.tobytes() for row in column.values[column.present]}  # type: ignore[attr-defined]
        assert before == after
    one = next(number for number, key in enumerate(train.ids) if key.endswith("/sound"))
    source = five.ids.index(train.ids[one].removesuffix("/sound"))
    assert (train.labels[one] == five.labels[source]).all()


def test_a_share_of_the_samples_lacks_one_modality(five: Dataset) -> None:
    data = DataProtocol("missing-modality", 0.5).apply(five)
    present = np.column_stack([column.present for column in data.columns.values()])
    lacking = (~present).sum(axis=1)
    assert [
        np.bincount(lacking[data.splits == name]).tolist() for name in ("train", "validation")
    ] == [
        [120, 120],
        [30, 30],
    ]
    assert not lacking[data.splits == "test"].any()
    assert ((~present).sum(axis=0) > 10).all()


def test_raw_items_can_be_missing(raw_dataset: Dataset) -> None:
    data = DataProtocol("missing-modality", 1.0).apply(raw_dataset)
    text = data.columns["text"]
    assert isinstance(text, Texts)
    present = np.column_stack([column.present for column in data.columns.values()])
    rows = data.splits != "test"
    assert (present[rows].sum(axis=1) == 1).all()


def test_methods_are_compared_on_five_modalities(five: Dataset) -> None:
    data = DataProtocol("missing-modality", 0.3).apply(five)
    result = cs.compare(data, ["linear-probe", "sm-probability", "mvda"], seeds=1)
    for summary in result.methods:
        assert summary.average is not None, summary.failed
        assert len(summary.directions) == 20
        assert summary.average.mean > 0.5
    assert "missing-modality 0.3" in result.title


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(SettingError, match="`share` of the protocol noise must be > 0 and <= 1"):
        DataProtocol("noise", share)


def test_what_cannot_be_done_is_refused(five: Dataset) -> None:
    with pytest.raises(SettingError, match="unknown protocol 'other'"):
        DataProtocol("other")
    one = replace(five, labels=np.ones((360, 1), dtype=bool), class_names=("a",))
    for name in ("unseen-classes", "noise", "imbalance"):
        with pytest.raises(DataError, match="too few classes"):
            DataProtocol(name).apply(one)
    alone = DataProtocol("unpaired").apply(five)
    with pytest.raises(DataError, match="too few pairs"):
        DataProtocol("unpaired").apply(alone)
