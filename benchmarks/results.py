"""Every method on four real data sets, ten seeds each: the tables of docs/results.md.

    python benchmarks/results.py ../shared

It is ``commonspace compare`` four times with the same options. Runs are kept under runs/, so that
it can be interrupted and continued; --as-is writes the tables of the runs that are finished.
--full-trials does every trial to its end, as in the tables of version 0.1.0. Each table goes into
docs/results.md between the comments that name its data set, and as CSV beside it. ``--as-is
--baseline posterior`` prints the tables with the differences from another baseline, and does not
change the page.
"""

import argparse
import json
import os
import re
from pathlib import Path

import commonspace as cs
from commonspace.comparison import (
    Benchmark,
    TuningBudget,
    make_experiments,
    read_benchmark,
    run_benchmark,
    summarize,
    write_tables,
)
from commonspace.comparison.tables import columns, format_table
from commonspace.progress import ProgressBar

__all__ = ["DOCS", "cpu_hours", "main", "put_table"]

DATA = {
    "wikipedia": "wikipedia/wikipedia.npz",
    "flipkart": "flipkart/features.npz",
    "fashion": "fashion/features.npz",
    "uci-digits": "uci-digits/uci-digits.npz",
}
TRIALS, EPOCHS, PATIENCE = 8, 100, 20
BASELINE = "dscmr"

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Do the remaining runs, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="the folder with data/")
    parser.add_argument("--only", choices=DATA, nargs="+", default=[*DATA])
    parser.add_argument("--methods", nargs="+", default=["all"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, default=Path("runs/results"))
    parser.add_argument("--baseline", default=BASELINE, help="the method to compare with")
    parser.add_argument("--as-is", action="store_true", help="run nothing")
    parser.add_argument("--full-trials", action="store_true", help="do not stop hopeless trials")
    options = parser.parse_args()
    budget = TuningBudget(TRIALS, EPOCHS, PATIENCE, full_trials=options.full_trials)
    for name in options.only:
        benchmark = Benchmark(
            data=cs.load_dataset(options.shared / "data" / DATA[name]),
            experiments=make_experiments(options.methods),
            folder=options.keep / name,
            seeds=options.seeds,
            budget=budget,
            jobs=options.jobs,
        )
        if options.as_is:
            result = read_benchmark(benchmark)
        else:
            result = run_benchmark(benchmark, [ProgressBar()])
        baseline = options.baseline
        summaries = summarize(result, baseline if result.runs.get(baseline) else None)
        write_tables(benchmark.folder, summaries, baseline, name)
        table = format_table(*columns([one for one in summaries if one.seeds], baseline), "pipe")
        if baseline != BASELINE:
            print(table)
        elif options.methods == ["all"]:
            put_table(name, table)
            (DOCS / "results").mkdir(exist_ok=True)
            csv = (benchmark.folder / "table.csv").read_text("utf-8")
            (DOCS / "results" / f"{name}.csv").write_text(csv, "utf-8")
        done, measured = sum(map(len, result.runs.values())), sum(map(bool, result.runs.values()))
        hours = f"{cpu_hours(benchmark.folder):.2f} CPU hours with trials"
        print(f"{name}: {done} runs of {measured} methods, {hours}, in {benchmark.folder}")


def cpu_hours(folder: Path) -> float:
    """Return the CPU hours of all finished fits in the folder of a benchmark, each counted once.

    Fits that were interrupted have no known time, and are left out.
    """
    records = (json.loads(file.read_text("utf-8")) for file in folder.glob("runs/*/*.json"))
    seconds = [float(one.get("cpu_seconds") or 0) for one in records if "fit_of" not in one]
    return sum(seconds) / 3600


def put_table(name: str, table: str) -> None:
    """Replace the table between the comments of this name in docs/results.md."""
    page = DOCS / "results.md"
    text, count = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)",
        lambda match: f"{match[1]}\n{table}\n\n{match[2]}",
        page.read_text("utf-8"),
        flags=re.DOTALL,
    )
    assert count == 1, f"{page} has no comments for {name}"
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
