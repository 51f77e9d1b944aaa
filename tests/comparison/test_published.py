"""Published figures equal the reference, and are shown beside the right methods."""

import re
from pathlib import Path

import pytest

from commonspace.comparison import MethodSummary
from commonspace.comparison.experiments import EXPERIMENTS
from commonspace.comparison.published import (
    ABLATIONS,
    BENCHMARKS,
    COMPARISONS,
    DEEP,
    SHALLOW_WIKIPEDIA,
    has_published_features,
    published_for,
    table_with_published,
)
from commonspace.evaluation import Interval

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"


def summary(name: str, mean: float) -> MethodSummary:
    return MethodSummary(
        name=name, seeds=5, trials=0, directions={}, average=Interval(mean, mean - 0.1, mean + 0.1),
        standard_deviation=0.0, validation_map=None, difference=None, cpu_seconds=1.0, seconds=1.0,
        bytes=4, settings={},
        best_on_test=mean + 0.02, failed="", class_map={},
    )  # fmt: skip


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_directions_and_average_agree(benchmark: str) -> None:
    """The published average is the mean of the two directions, to what three digits allow."""
    for row in COMPARISONS[benchmark]:
        assert row.directions is not None
        assert row.average == pytest.approx(sum(row.directions) / 2, abs=0.0011)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_the_pages_of_the_benchmarks_say_the_same(benchmark: str) -> None:
    page = (DOCS / f"{benchmark}.md").read_text("utf-8")
    shown = re.findall(
        r"^\| ([A-Z][\w-]+) \| (0\.\d+) / (0\.\d+) / (0\.\d+) \|", page, re.MULTILINE
    )
    assert shown
    tables = [*COMPARISONS[benchmark], *(SHALLOW_WIKIPEDIA if benchmark == "wikipedia" else ())]
    known = {(row.method, row.directions, row.average) for row in tables}
    for method, *figures in shown:
        first, second, average = (float(one) for one in figures)
        assert (method, (first, second), average) in known


def test_every_published_method_is_a_row_or_none_that_we_have() -> None:
    rows = [*SHALLOW_WIKIPEDIA, *(one for table in COMPARISONS.values() for one in table)]
    rows += [one for table in ABLATIONS.values() for one in table]
    assert {one.experiment for one in rows} - {None} <= set(EXPERIMENTS)
    assert {one.method for one in rows if one.experiment is None} == {
        "JGRHML", "JFSSL",
    }  # fmt: skip


def test_what_was_measured_stands_beside_what_was_published() -> None:
    published = published_for("pascal", DEEP)
    head, rows = table_with_published(
        [summary("dscmr", 0.7), summary("dscmr-no-j1", 0.6), summary("mine", 0.5)], published
    )
    shown = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert shown["DSCMR"]["ours"] == "0.700"
    assert shown["DSCMR"]["published"] == "0.716"
    assert shown["DSCMR"]["ours - published"] == "-0.016"
    assert shown["DSCMR"]["best on test"] == "0.720"
    assert shown["DSCMR without J1"]["ours - published"] == "-0.007"
    assert shown["CMDN"] == {
        "method": "CMDN", "ours": "-", "95% interval": "-", "best on test": "-",
        "published": "0.535", "ours - published": "-", "vs dscmr": "", "p": "",
    }  # fmt: skip
    assert shown["mine"]["published"] == "-"
    assert shown["mine"]["ours"] == "0.500"


def test_shallow_features_are_held_against_figures_on_such() -> None:
    shallow = {"image": 128, "text": 10}
    assert published_for("wikipedia", shallow) is SHALLOW_WIKIPEDIA
    assert has_published_features(shallow, SHALLOW_WIKIPEDIA)
    deep = published_for("wikipedia", DEEP)
    assert {row.method for row in deep} >= {"DSCMR", "CCL"}
    assert has_published_features(DEEP, deep)
    assert not has_published_features({"image": 1280, "text": 384}, deep)
