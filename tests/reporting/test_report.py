"""A report survives what data may be, escapes what names may hold, and is there whole or not."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import commonspace as cs
from commonspace.callbacks import Callback, EpochRecord
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, MissingExtraError, OutputError, SettingError
from commonspace.reporting import PAGE, ReportOptions, Subject, write_report
from commonspace.reporting import report as module
from commonspace.space import CommonSpace

MakeSpace = Callable[[Dataset], CommonSpace]
QUICK = ReportOptions(formats=["svg"], points=12)
HOSTILE = "<script>alert(1)</script>"


class Progress(Callback):
    """Remembers the steps that are done."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.total: int | None = None
        self.over = False

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        self.total = total

    def on_status(self, text: str) -> None:
        assert text

    def on_advance(self, steps: int = 1) -> None:
        self.steps.append(steps)

    def on_end(self) -> None:
        self.over = True


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def written(
    feature_dataset: Dataset, space_of: MakeSpace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Progress, list[str]]:
    """Write one report that several tests look at."""
    folder, progress = tmp_path_factory.mktemp("reports") / "report", Progress()
    subject = Subject("run", space_of(feature_dataset), feature_dataset.split("test"))
    return folder, progress, write_report(subject, folder, QUICK, [progress])


def test_a_report_holds_the_figures_of_the_package(
    feature_dataset: Dataset, space_of: MakeSpace, written: tuple[Path, Progress, list[str]]
) -> None:
    folder, progress, notes = written
    pictures = {"common-space", "curves", "classes", "confusion-image-text", "confusion-text-image",
                "queries-image-text", "queries-text-image"}  # fmt: skip
    assert names(folder) == {f"{one}.svg" for one in pictures} | {PAGE, "report.json"}
    numbers = json.loads((folder / "report.json").read_text("utf-8"))
    expected = cs.evaluate(space_of(feature_dataset), feature_dataset.split("test"))
    page = (folder / PAGE).read_text("utf-8")
    for direction in ("image->text", "text->image"):
        figures = numbers["directions"][direction]
        assert figures["map"] == pytest.approx(expected[direction]["map"], abs=1e-12)
        assert f"<td>{figures['map']:.3f}</td>" in page
        assert set(figures["classes"]) == {"ant", "bee", "cat", "dog"}
    assert "12 of 16 of image" in page
    assert all(f'id="{one}"' in page for one in pictures)
    assert any("history.jsonl" in note for note in notes)
    assert min(progress.steps) > 0
    assert sum(progress.steps) == progress.total
    assert progress.over


def test_the_page_points_only_into_itself(written: tuple[Path, Progress, list[str]]) -> None:
    page = (written[0] / PAGE).read_text("utf-8")
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]*)', page))
    assert used
    assert used <= set(ids)
    assert "http" not in page


def test_the_same_report_has_the_same_bytes(
    feature_dataset: Dataset,
    space_of: MakeSpace,
    written: tuple[Path, Progress, list[str]],
    tmp_path: Path,
) -> None:
    subject = Subject("run", space_of(feature_dataset), feature_dataset.split("test"))
    write_report(subject, tmp_path / "again", QUICK)
    for name in names(written[0]):
        assert (tmp_path / "again" / name).read_bytes() == (written[0] / name).read_bytes(), name


def odd(three_modalities: Dataset) -> Dataset:
    """Return samples with every oddity: hostile names, gaps, no labels, several, absent classes."""
    part = three_modalities.split("test")
    labels = part.labels.copy()
    labels[:, 3] = False  # nobody is a dog; those who were have no label
    labels[0, :2] = True
    columns = dict(part.columns)
    image = columns["image"]
    assert isinstance(image, Features)
    columns["image"] = Features(image.values, np.arange(16) % 5 > 0)
    return replace(
        part,
        name=HOSTILE,
        ids=tuple(f"{HOSTILE}{number}" for number in range(16)),
        columns=columns,
        labels=labels,
        class_names=(HOSTILE, "$x^2$ & 猫", "a" * 300, "\udcff\n"),
    )


def test_odd_samples_are_reported_in_words(
    three_modalities: Dataset, space_of: MakeSpace, tmp_path: Path
) -> None:
    subject = Subject(HOSTILE, space_of(three_modalities), odd(three_modalities))
    notes = write_report(subject, tmp_path / "report", QUICK)
    said = "\n".join(notes)
    assert "Classes without a sample in this split" in said
    assert "4 samples have no label" in said
    assert "1 samples have several classes" in said
    assert "4 samples lack image" in said
    page = (tmp_path / "report" / PAGE).read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert page.count("<svg ") == 3 + 2 * 6  # six directions
    assert "queries-sound-wav-type.svg" in names(tmp_path / "report")


def test_a_direction_without_metrics_names_the_reason(
    feature_dataset: Dataset, space_of: MakeSpace, tmp_path: Path
) -> None:
    part = feature_dataset.split("test")
    text = part.columns["text"]
    assert isinstance(text, Features)
    unlabelled = np.arange(16) < 8
    data = replace(
        part,
        labels=np.where(unlabelled[:, None], False, part.labels),
        columns={**part.columns, "text": Features(text.values, unlabelled)},
    )
    notes = write_report(
        Subject("run", space_of(feature_dataset), data), tmp_path / "report", QUICK
    )
    assert any(note.startswith("text->image has no metrics: no query") for note in notes)
    assert not any(name.startswith("queries-text") for name in names(tmp_path / "report"))


def test_without_any_metric_there_is_no_report(
    feature_dataset: Dataset, space_of: MakeSpace, tmp_path: Path
) -> None:
    part = feature_dataset.split("test")
    image, text = (part.columns[name] for name in ("image", "text"))
    assert isinstance(image, Features)
    assert isinstance(text, Features)
    first = np.arange(len(part)) % 2 == 0
    columns = {"image": Features(image.values, first), "text": Features(text.values, ~first)}
    data = replace(part, columns=columns, labels=np.zeros_like(part.labels))
    with pytest.raises(DataError, match="no pairs to evaluate"):
        write_report(Subject("run", space_of(feature_dataset), data), tmp_path / "report", QUICK)
    assert names(tmp_path) == set()


def test_without_labels_the_report_has_the_figures_of_the_pairs(
    feature_dataset: Dataset, space_of: MakeSpace, tmp_path: Path
) -> None:
    part = feature_dataset.split("test")
    data = replace(part, labels=np.zeros_like(part.labels))
    notes = write_report(
        Subject("run", space_of(feature_dataset), data), tmp_path / "report", QUICK
    )
    assert "The samples have no labels: the figures are those of the pairs." in notes
    pairs = json.loads((tmp_path / "report" / "report.json").read_text())["pairs"]
    assert pairs["image->text"]["queries"] == len(part)
    assert "Pair retrieval" in (tmp_path / "report" / PAGE).read_text()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), DataError("broken")])
def test_what_is_broken_off_leaves_nothing(
    feature_dataset: Dataset,
    space_of: MakeSpace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
) -> None:
    def broken(*arguments: object) -> str:
        assert [path.name[:3] for path in tmp_path.iterdir()] == [".r."]  # the draft
        raise stop

    monkeypatch.setattr(module, "draw_embedding_figure", broken)
    with pytest.raises(type(stop)):
        write_report(
            Subject("run", space_of(feature_dataset), feature_dataset.split("test")),
            tmp_path / "r",
            QUICK,
        )
    assert names(tmp_path) == set()


def test_a_place_that_is_taken_is_refused_before_any_work(
    feature_dataset: Dataset, space_of: MakeSpace, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept")
    progress = Progress()
    with pytest.raises(OutputError, match="already exists"):
        write_report(
            Subject("r", space_of(feature_dataset), feature_dataset), tmp_path, QUICK, [progress]
        )
    assert progress.steps == []
    assert names(tmp_path) == {"kept"}


@pytest.mark.parametrize("wrong", [{"points": 4}, {"seed": -1}, {"formats": ["gif"]}])
def test_invalid_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        ReportOptions(**wrong)  # type: ignore[arg-type]


def test_a_missing_package_is_named_before_any_work(
    feature_dataset: Dataset, space_of: MakeSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    progress = Progress()
    with pytest.raises(MissingExtraError, match="jinja2") as caught:
        write_report(
            Subject("r", space_of(feature_dataset), feature_dataset),
            tmp_path / "r",
            QUICK,
            [progress],
        )
    assert "commonspace[plots]" in caught.value.advice
    assert progress.steps == []
    assert names(tmp_path) == set()
