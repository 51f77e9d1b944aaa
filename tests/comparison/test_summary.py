"""Summaries of methods, and the files of the table."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from commonspace.comparison import BenchmarkResult, MethodSummary, summarize, write_tables
from commonspace.comparison.tables import columns, format_table
from commonspace.errors import SettingError
from commonspace.evaluation import holm, paired_randomization

DIRECTIONS = ("image->text", "text->image")


def cell(precisions: NDArray[np.float64], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "average_precision": dict(zip(DIRECTIONS, precisions.tolist(), strict=True)),
        "map": {name: float(row.mean()) for name, row in zip(DIRECTIONS, precisions, strict=True)},
        "validation_map": 0.5,
        "cpu_seconds": 2.0,
        "seconds": 3.0,
        "bytes": 64,
        **more,
    }


def outcome(**rows: list[dict[str, Any]]) -> BenchmarkResult:
    return BenchmarkResult(
        runs={name: dict(enumerate(cells)) for name, cells in rows.items()},
        settings={name: {"rate": 0.00123456} if name == "better" else {} for name in rows},
        trials=dict.fromkeys(rows, 4),
        failed={name: "ZeroDivisionError: oh" for name in rows
                if not rows[name]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    draw = np.random.default_rng(0)
    base = draw.uniform(0.2, 0.6, (2, 50))
    return {
        "chosen": [cell(base + draw.normal(0, 0.01, (2, 1))) for _ in range(5)],
        "better": [cell(base + 0.1 + draw.normal(0, 0.01, (2, 50))) for _ in range(5)],
        "alike": [cell(base + draw.normal(0, 0.05, (2, 50))) for _ in range(5)],
        "fixed": [cell(base - 0.05)],
        "none": [],
    }


@pytest.fixture(scope="module")
def lines(rows: dict[str, list[dict[str, Any]]]) -> dict[str, MethodSummary]:
    return {line.name: line for line in summarize(outcome(**rows), "chosen")}


def averages(cells: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Return (s, n): the mean of the two directions for each seed and sample."""
    return np.array([np.mean(list(one["average_precision"].values()), axis=0) for one in cells])


def test_means_are_over_seeds_directions_and_samples(
    rows: dict[str, list[dict[str, Any]]], lines: dict[str, MethodSummary]
) -> None:
    for name, line in lines.items():
        if name == "none":
            continue
        table = averages(rows[name])
        assert line.average is not None
        assert line.average.mean == pytest.approx(table.mean(), abs=1e-12)
        assert line.average.low < table.mean() < line.average.high
        assert np.mean(list(line.directions.values())) == pytest.approx(table.mean(), abs=1e-12)
        assert line.seeds == len(table)
        expected = table.mean(axis=1).std(ddof=1) if len(table) > 1 else None
        assert line.standard_deviation == pytest.approx(expected)


def test_a_difference_has_all_tests_and_the_correction(
    rows: dict[str, list[dict[str, Any]]], lines: dict[str, MethodSummary]
) -> None:
    chosen = averages(rows["chosen"])
    worst = []
    for name in ("better", "alike", "fixed"):
        table, found = averages(rows[name]), lines[name].difference
        assert found is not None
        assert found.average == pytest.approx(table.mean() - chosen.mean(), abs=1e-12)
        queries = paired_randomization(
            table.mean(axis=0), chosen.mean(axis=0), np.random.default_rng(0)
        )
        seeds = (
            stats.ttest_1samp(chosen.mean(axis=1), table.mean())
            if name == "fixed"
            else stats.ttest_ind(table.mean(axis=1), chosen.mean(axis=1), equal_var=False)
        ).pvalue
        assert found.p_queries == pytest.approx(queries)
        assert found.p_seeds == pytest.approx(seeds)
        worst.append(max(queries, seeds, found.p_both))
    for name, p in zip(("better", "alike", "fixed"), holm(worst), strict=True):
        difference = lines[name].difference
        assert difference is not None
        assert difference.p == pytest.approx(p)
    better, alike = lines["better"].difference, lines["alike"].difference
    assert better is not None
    assert alike is not None
    assert better.p < 0.01 < 0.05 < alike.p
    assert lines["chosen"].difference is None
    assert lines["none"].difference is None


def test_a_sample_that_is_not_judged_in_one_direction_counts_in_the_other() -> None:
    precisions = np.array([[1.0, 0.0, 0.5], [0.2, np.nan, 0.4]])
    one = cell(precisions)
    one["average_precision"]["text->image"][1] = None
    one["map"]["text->image"] = 0.3
    (line,) = summarize(outcome(a=[one]))
    assert line.average is not None
    assert line.average.mean == pytest.approx((0.5 + 0.3) / 2)


def test_two_methods_without_seeds_are_compared_by_queries_only() -> None:
    draw = np.random.default_rng(1)
    base = draw.uniform(0.2, 0.6, (2, 50))
    found = summarize(
        outcome(a=[cell(base)], b=[cell(base + draw.normal(0.1, 0.05, (2, 50)))]), "a"
    )
    difference = found[1].difference
    assert difference is not None
    assert difference.p_seeds is None
    assert difference.p == max(difference.p_queries, difference.p_both) < 0.01


def test_time_that_is_not_known_is_left_out_and_the_best_on_test_is_not_made_up() -> None:
    draw = np.random.default_rng(2)
    one, two = (cell(draw.uniform(0.2, 0.6, (2, 9)), best_on_test=None) for _ in "ab")
    (line,) = summarize(outcome(a=[{**one, "seconds": None, "cpu_seconds": None}, two]))
    assert (line.seconds, line.cpu_seconds) == (3.0, 2.0)
    assert line.best_on_test is None
    (line,) = summarize(outcome(a=[{**one, "seconds": None, "cpu_seconds": None}]))
    assert line.cpu_seconds is None
    head, (shown,) = columns([line], None)
    assert shown[head.index("CPU s")] == "-"


def test_a_row_that_is_not_there_cannot_be_compared_with(
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    with pytest.raises(SettingError, match="not among the methods"):
        summarize(outcome(**rows), "other")


def test_the_files_hold_the_figures(lines: dict[str, MethodSummary], tmp_path: Path) -> None:
    write_tables(tmp_path, list(lines.values()), "chosen", "Points & 50 % more")
    with (tmp_path / "table.csv").open(newline="") as file:
        read = {row["method"]: row for row in csv.DictReader(file)}
    stored = json.loads((tmp_path / "table.json").read_text())
    assert list(read) == [row["name"] for row in stored["methods"]] == list(lines)
    for name, line in lines.items():
        kept = stored["methods"][list(lines).index(name)]
        if line.average is None:
            assert read[name]["map average"] == ""
            assert kept["average"] is None
        else:
            assert float(read[name]["map average"]) == line.average.mean
            assert kept["average"]["low"] == line.average.low
            assert json.loads(read[name]["settings"]) == line.settings
    page = (tmp_path / "table.md").read_text()
    assert page.startswith("# Points & 50 % more\n")
    assert "- better: rate 0.00123" in page
    assert "- none: ZeroDivisionError: oh" in page
    table = [row for row in page.splitlines() if row.startswith("|")]
    assert len({row.count("|") for row in table}) == 1
    assert len(table) == 2 + len(lines)
    latex = (tmp_path / "table.tex").read_text()
    assert latex.count(r"\\") == 1 + len(lines)
    assert "\\caption{Points \\& 50 \\% more.}\n" in latex
    below = latex[latex.index(r"\end{tabular}") :]
    assert r"\parbox{\linewidth}{\scriptsize mAP over the whole ranking" in below
    assert latex.count("{") == latex.count("}")
    average = lines["better"].average
    assert average is not None
    (row,) = (one for one in latex.splitlines() if one.strip().startswith("better"))
    assert f"& {average.mean:>9.3f} &" in row


def test_significance_is_marked_and_the_best_on_test_is_named_as_such(
    rows: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    noted = {name: [{**one, "best_on_test": 0.9} for one in cells] for name, cells in rows.items()}
    lines = summarize(outcome(**noted), "chosen")
    head, cells = columns(lines, "chosen")
    shown = {row[0]: dict(zip(head, row, strict=True)) for row in cells}
    assert shown["better"]["vs chosen"].endswith("*")
    assert not shown["alike"]["vs chosen"].endswith("*")
    assert shown["better"]["p"] == "< 0.001"
    assert shown["chosen"]["best on test"] == "0.900"
    average = lines[0].average
    assert average is not None
    assert shown["chosen"]["excess"] == f"{0.9 - average.mean:+.3f}"
    assert set(shown["none"].values()) == {"none", "-", "0", "4"}
    write_tables(tmp_path, lines, "chosen", "Noted")
    assert "It is not a result" in (tmp_path / "table.md").read_text()
    write_tables(tmp_path, summarize(outcome(**rows)), None, "Again")
    assert "It is not a result" not in (tmp_path / "table.md").read_text()


def test_signs_of_the_markup_in_names_are_not_markup() -> None:
    head, rows = ["method", "a|b->文本"], [["my_way", "0.5"], ["x & y", "0.4"]]
    page = format_table(head, rows, "pipe").splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in page} == {3}
    assert "文本" in page[0]
    latex = format_table(head, rows, "latex_booktabs")
    assert "my\\_way" in latex
    assert "x \\& y" in latex
