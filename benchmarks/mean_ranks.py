"""Mean ranks of the methods over the four data sets of docs/results.md.

    python -m benchmarks.mean_ranks

Reads the tables in docs/results/: one file for each data set, and added.csv with the rows that were
measured later. Prints Friedman's test and Nemenyi's critical difference, writes the table of all
methods into docs/results.md, and draws docs/pictures/mean-ranks.png. The ablations of DSCMR are
left out; methods without a figure on one of the data sets have no rank.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from benchmarks.results import DOCS, put_table
from commonspace.comparison import MeanRanks, mean_ranks
from commonspace.plots import draw_critical_difference
from commonspace.plots.style import save

__all__ = ["main", "overview", "read_tables"]

DATA = {
    "wikipedia": "Wikipedia",
    "flipkart": "Flipkart",
    "fashion": "fashion",
    "uci-digits": "UCI digits",
}
"""Name of a table -> name on the page."""
ABLATIONS = {"dscmr-no-j1", "dscmr-no-j2", "dscmr-no-j3", "dscmr-j1-alone"}


def main() -> None:
    """Write the table and draw the diagram."""
    tables = read_tables(DOCS / "results")
    found = mean_ranks([tables[name] for name in DATA])
    print(found)
    put_table("all", overview(tables, found))
    picture = DOCS / "pictures" / "mean-ranks"
    picture.with_suffix(".png").unlink(missing_ok=True)
    save(draw_critical_difference(found.ranks, found.critical_difference), picture, ["png"])


def overview(tables: Mapping[str, Mapping[str, float]], found: MeanRanks) -> str:
    """Return all methods as a Markdown table, those with a mean rank first."""
    others = {name for table in tables.values() for name in table} - set(found.ranks)
    lines = [
        f"| method | {' | '.join(DATA.values())} | mean rank |",
        f"|:--|{'--:|' * (len(DATA) + 1)}",
    ]
    for name in [*found.ranks, *sorted(others)]:
        figures = [f"{tables[data][name]:.3f}" if name in tables[data] else "" for data in DATA]
        rank = f"{found.ranks[name]:.2f}" if name in found.ranks else ""
        lines.append(f"| {name} | {' | '.join(figures)} | {rank} |")
    return "\n".join(lines)


def read_tables(folder: Path) -> dict[str, dict[str, float]]:
    """Return data set -> method -> average mAP."""
    tables: dict[str, dict[str, float]] = {}
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                if row["method"] in ABLATIONS or not row["map average"]:
                    continue
                table = tables.setdefault(row.get("data") or file.stem, {})
                table[row["method"]] = float(row["map average"])
    return tables


if __name__ == "__main__":
    main()
