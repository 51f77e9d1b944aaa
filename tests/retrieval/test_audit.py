"""Errors planted in a clean catalog are found, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset, Features
from commonspace.errors import SettingError
from commonspace.methods import RawFeatures
from commonspace.retrieval import AuditSettings, Finding, Index

CLASSES = ("hats", "shoes", "socks")
COUNT = 90


@pytest.fixture(scope="module")
def clean() -> Dataset:
    """Return three clusters far from each other."""
    draw = np.random.default_rng(0)
    classes = np.arange(COUNT) % 3
    centres = np.eye(8)[classes]
    return Dataset(
        name="clean",
        ids=tuple(f"item {number}" for number in range(COUNT)),
        columns={
            name: Features(centres + 0.15 * draw.normal(size=(COUNT, 8)))
            for name in ("image", "text")
        },
        labels=np.eye(3, dtype=bool)[classes],
        class_names=CLASSES,
        splits=np.array(["train", "validation"] * (COUNT // 2)),
    )


@pytest.fixture(scope="module")
def space(clean: Dataset) -> CommonSpace:
    return RawFeatures().fit(clean.split("train"), clean.split("validation"))


def planted(clean: Dataset) -> Dataset:
    """Return the same data with an error of each kind."""
    image, text = (clean.columns[name].values.copy() for name in ("image", "text"))  # type: ignore[attr-defined]
    labels = clean.labels.copy()
    image[3] = image[0]  # the same picture twice
    text[7] = 2 * text[4]  # nearly the same text
    text[7, 0] += 0.01
    image[10], text[10] = image[20], text[13]  # a sock's picture with a shoe's text
    image[10] += 0.05
    text[10] -= 0.05
    labels[30] = np.eye(3, dtype=bool)[2]  # a hat among the socks
    image[44] = -np.ones(8)  # far from everything, from its own text, too
    return replace(clean, columns={"image": Features(image), "text": Features(text)}, labels=labels)


def found(
    space: CommonSpace, data: Dataset, folder: Path, settings: AuditSettings
) -> dict[str, list[Finding]]:
    with Index.create(folder, space, data) as index:
        findings = index.audit(settings)
    kinds = ("duplicate", "mismatch", "label", "unfindable")
    assert [one.kind for one in findings] == sorted((one.kind for one in findings), key=kinds.index)
    return {kind: [one for one in findings if one.kind == kind] for kind in kinds}


def test_planted_errors_are_found(space: CommonSpace, clean: Dataset, tmp_path: Path) -> None:
    settings = AuditSettings(duplicate=0.9999, cross_modal_mismatch=0.1, hubness=30)
    before = found(space, clean, tmp_path / "clean", settings)
    assert before["duplicate"] == before["label"] == before["mismatch"] == []
    after = found(space, planted(clean), tmp_path / "planted", settings)
    first, second = after["duplicate"]
    assert first == Finding("duplicate", "item 0", "item 3", "image", 1.0)
    assert (second.id, second.other, second.modality) == ("item 4", "item 7", "text")
    assert 0.9999 <= second.figure < 1
    assert {one.id for one in after["mismatch"]} == {"item 10", "item 44"}
    assert {(one.id, one.other) for one in after["label"]} >= {("item 30", "hats")}
    assert {one.id for one in after["label"]} <= {"item 30", "item 10", "item 44"}
    assert before["unfindable"] == []
    assert after["unfindable"] == [Finding("unfindable", "item 44", "", "image", 0.0)]


def test_an_index_without_labels_or_neighbours_has_no_findings_of_theirs(
    space: CommonSpace, clean: Dataset, tmp_path: Path
) -> None:
    bare = replace(clean.take(np.arange(2)), labels=np.zeros((2, 0), dtype=bool), class_names=())
    kinds = found(
        space, bare, tmp_path / "index", AuditSettings(duplicate=1.0, cross_modal_mismatch=0)
    )
    assert kinds["label"] == kinds["unfindable"] == []
    with Index.create(tmp_path / "empty", space) as index:
        assert index.audit() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"duplicate": 0.0},
        {"cross_modal_mismatch": 2.0},
        {"neighbors": 0},
        {"label_disagreement": 0.5},
        {"hubness": 0},
    ],
)
def test_invalid_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=f"`{next(iter(wrong))}` must be "):
        AuditSettings(**wrong)  # type: ignore[arg-type]
