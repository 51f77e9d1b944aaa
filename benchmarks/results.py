"""Every method on four real data sets, ten seeds each: the tables of docs/results.md.

    python benchmarks/results.py ../shared

It is ``commonspace compare`` four times, with what is common set once. Cells are kept under runs/,
so that it can be stopped and started again; --as-is writes the tables of what there is so far.
Each table goes into docs/results.md between the comments that name its data set, and as CSV
beside it. What the page says about the tables is written by hand; ``--as-is --against posterior``
prints the tables with the differences from that row, and leaves the page as it is.
"""

import argparse
import os
import re
from pathlib import Path

import commonspace as cs
from commonspace.cli.comparison_bar import ComparisonBar
from commonspace.cli.rows import rows_named
from commonspace.comparison import Budget, Grid, read_grid, run_grid, summarise, write_tables
from commonspace.comparison.write import columns, laid_out

__all__ = ["main"]

DATA = {
    "wikipedia": "wikipedia/wikipedia.npz",
    "flipkart": "flipkart/features.npz",
    "fashion": "fashion/features.npz",
    "uci-digits": "uci-digits/uci-digits.npz",
}
BUDGET = Budget(trials=8, epochs=100, patience=20)
AGAINST = "dscmr"

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Do what is still to be done, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="the folder that holds data/")
    parser.add_argument("--only", choices=DATA, nargs="+", default=[*DATA])
    parser.add_argument("--methods", nargs="+", default=["all"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, default=Path("runs/results"))
    parser.add_argument("--against", default=AGAINST, help="the row to compare with")
    parser.add_argument("--as-is", action="store_true", help="run nothing")
    options = parser.parse_args()
    for name in options.only:
        grid = Grid(
            data=cs.load_dataset(options.shared / "data" / DATA[name]),
            rows=rows_named(options.methods),
            folder=options.keep / name,
            seeds=options.seeds,
            budget=BUDGET,
            jobs=options.jobs,
        )
        outcome = read_grid(grid) if options.as_is else run_grid(grid, ComparisonBar())
        against = options.against
        lines = summarise(outcome, against if outcome.cells.get(against) else None)
        write_tables(grid.folder, lines, against, name)
        table = laid_out(*columns([line for line in lines if line.seeds], against), "pipe")
        if against != AGAINST:
            print(table)
        elif options.methods == ["all"]:
            _put(name, table)
            (DOCS / "results").mkdir(exist_ok=True)
            csv = (grid.folder / "table.csv").read_text("utf-8")
            (DOCS / "results" / f"{name}.csv").write_text(csv, "utf-8")
        done = sum(map(len, outcome.cells.values()))
        print(f"{name}: {done} cells of {len(grid.rows)} methods, in {grid.folder}")


def _put(name: str, table: str) -> None:
    """Put a table between its comments."""
    page = DOCS / "results.md"
    text, found = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)",
        lambda match: f"{match[1]}\n{table}\n\n{match[2]}",
        page.read_text("utf-8"),
        flags=re.DOTALL,
    )
    assert found == 1, f"{page} has no place for {name}"
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
