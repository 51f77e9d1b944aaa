"""Wrong labels that were planted are found; a clean data set has none; several labels work."""

from dataclasses import replace

import numpy as np

from commonspace.assessment import check_sample_labels
from commonspace.data import Dataset, Features


def clusters(n: int = 240, classes: int = 4) -> Dataset:
    draw = np.random.default_rng(2)
    numbers = np.arange(n) % classes
    columns = {
        name: Features(5 * draw.normal(size=(classes, 5))[numbers] + draw.normal(size=(n, 5)))
        for name in ("image", "text")
    }
    return Dataset(
        name="clusters",
        ids=tuple(map(str, range(n))),
        columns=columns,
        labels=np.eye(classes, dtype=bool)[numbers],
        class_names=tuple("abcd"[:classes]),
        splits=np.repeat(["train", "validation"], [n - 40, 40]),
    )


def test_planted_labels_are_listed_first_with_their_true_class() -> None:
    data = clusters()
    planted = np.array([3, 50, 77, 120, 201, 239])
    labels = data.labels.copy()
    labels[planted] = np.roll(labels[planted], 1, axis=1)
    check = check_sample_labels(replace(data, labels=labels), most=10)
    assert check is not None
    assert {one.row for one in check.suspicious[:6]} == set(planted.tolist())
    for one in check.suspicious[:6]:
        assert one.likely == "abcd"[one.row % 4]
        assert one.given == ("abcd"[(one.row + 1) % 4],)
        assert one.p_given < 0.45 < 0.5 < one.p_likely
        assert one.split == ("train" if one.row < 200 else "validation")
        assert {best for best, _ in one.by_modality.values()} == {one.likely}
    assert 0.01 < check.noise < 0.06
    assert np.argsort(check.p_given)[:6].tolist() == [one.row for one in check.suspicious[:6]]


def test_clean_labels_give_no_list() -> None:
    check = check_sample_labels(clusters())
    assert check is not None
    assert check.suspicious == ()
    assert check.noise < 0.01


def test_one_modality_can_contradict_the_label_that_the_other_confirms() -> None:
    data = clusters()
    column = data.columns["text"]
    assert isinstance(column, Features)
    values = column.values.copy()
    values[8] = values[9]  # the text of another class
    columns = {**data.columns, "text": Features(values)}
    check = check_sample_labels(replace(data, columns=columns))
    assert check is not None
    best = {name: "abcd"[int(p[8].argmax())] for name, p in check.by_modality.items()}
    assert best == {"image": "a", "text": "b"}


def test_exchanged_texts_are_seen_though_they_hide_the_classes_of_all_texts() -> None:
    """With 40 % of the texts exchanged, no text is sure of its class unless wrong ones count."""
    data = clusters()
    draw = np.random.default_rng(5)
    moved = np.sort(draw.permutation(len(data))[:96])
    rows = np.arange(len(data))
    rows[moved] = draw.permutation(moved)
    columns = {**data.columns, "text": data.columns["text"].take(rows)}
    check = check_sample_labels(replace(data, columns=columns), most=100)
    assert check is not None
    other = rows % 4 != np.arange(len(data)) % 4
    assert check.modality_noise["image"] < 0.02
    assert 0.3 < check.modality_noise["text"] < 0.5
    assert check.pair_noise is not None
    assert 0.3 < check.pair_noise < 0.5
    listed = np.array([one.row for one in check.mismatched])
    assert other[listed].mean() > 0.95
    assert len(listed) > 0.9 * other.sum()
    assert check.to_json()["modality_noise"] == check.modality_noise


def test_samples_without_a_label_are_not_judged() -> None:
    data = clusters()
    labels = data.labels.copy()
    labels[::3] = False
    check = check_sample_labels(replace(data, labels=labels))
    assert check is not None
    assert np.isnan(check.p_given[::3]).all()
    assert np.isfinite(np.delete(check.p_given, np.s_[::3])).all()


def test_several_labels_are_judged_by_the_least_probable() -> None:
    data = clusters()
    labels = data.labels.copy()
    labels[5, 3] = True  # classes b and d; the features are those of b
    labels[9] = labels[9] | labels[8]
    check = check_sample_labels(replace(data, labels=labels))
    assert check is not None
    assert check.p_given[5] < 0.2
    assert check.p_given[13] > 0.5


def test_too_few_labels_are_not_judged() -> None:
    data = clusters()
    labels = data.labels.copy()
    labels[7:] = False
    assert check_sample_labels(replace(data, labels=labels)) is None
    one = replace(data, labels=np.ones((len(data), 1), dtype=bool), class_names=("a",))
    assert check_sample_labels(one) is None


def test_few_labels_a_class_say_nothing_about_one_modality() -> None:
    draw = np.random.default_rng(0)
    data = clusters(60, 4).take(np.sort(draw.permutation(60)[:28]))
    check = check_sample_labels(data)
    assert check is not None
    assert check.modality_noise == {}
    assert (check.pair_noise, check.mismatched) == (None, ())
