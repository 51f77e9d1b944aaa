"""The table of `make bench` in its smallest size, and its statistics."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bench import __main__ as bench
from benchmarks.bench.measure import (
    Bar,
    Measured,
    Rival,
    Work,
    measure,
    processor_seconds,
    table,
)


def nothing() -> None:
    pass


def test_every_work_runs_in_its_smallest_size_and_gives_what_its_peer_gives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "figures.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n", "utf-8")
    monkeypatch.setattr(bench, "PAGE", page)
    bench.main(["--smallest", "--write"])
    printed = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in printed if line.startswith("| ")][2:]
    names = [work.name for works in bench.SUITES.values() for work in works("smallest")]
    assert [row[0].removeprefix("| ") for row in rows] == names
    written = page.read_text("utf-8").splitlines()
    assert written[:2] == ["before", bench.BEGIN]
    assert written[-2:] == [bench.END, "after"]
    assert written[2:-2] == printed


def test_a_name_that_no_work_has_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SUITES", {"evaluation": bench.SUITES["evaluation"]})
    with pytest.raises(SystemExit, match="no work has a name with 'juggling'"):
        bench.main(["--smallest", "--only", "juggling"])


def test_sides_are_timed_in_turning_order_after_one_warm_up() -> None:
    calls: list[str] = []
    ticks: Iterator[int] = iter(range(100))
    work = Work(
        "work",
        lambda: calls.append("ours"),
        Rival("other", lambda: calls.append("peer")),
        Rival("least", lambda: calls.append("limit")),
        rounds=3,
    )
    measured = measure(work, clock=lambda: float(next(ticks)))
    warm, *rounds = [calls[at : at + 3] for at in range(0, 12, 3)]
    assert warm == ["ours", "peer", "limit"]
    assert rounds == [
        ["ours", "peer", "limit"],
        ["peer", "limit", "ours"],
        ["limit", "ours", "peer"],
    ]
    assert measured.seconds == {"ours": [1.0] * 3, "peer": [1.0] * 3, "limit": [1.0] * 3}


def test_seconds_of_the_processor_include_those_of_processes_that_ended() -> None:
    before, own = processor_seconds(), time.process_time()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    own = time.process_time() - own
    assert processor_seconds() - before > own + 0.05  # the sum takes at least so long


def test_ratios_are_taken_round_by_round() -> None:
    bars = Bar("peer", 0.5), Bar("limit", 1.5), Bar("seconds", 3.0)
    work = Work("sums", nothing, Rival("other", nothing), Rival("least", nothing), bars)
    seconds = {"ours": [1.0, 2.0, 9.0], "peer": [2.0, 4.0, 10.0], "limit": [1.0, 1.0, 3.0]}
    *_, row = table([Measured(work, seconds)]).splitlines()
    assert row == (
        "| sums | 2 s | other: 4 s | least: 1 s | 0.50 (0.50-0.90) | 2.00 (1.00-3.00)"
        " | ours/peer <= 0.5: met; ours/limit <= 1.5: open; ours <= 3 s: met |"
    )
