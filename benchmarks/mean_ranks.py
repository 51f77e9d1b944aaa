"""Mean ranks of the methods over the four data sets of docs/results.md.

    python -m benchmarks.mean_ranks

Reads the tables in docs/results/: one file for each data set, and added.csv with the rows that were
measured later. Prints the ranks with Friedman's test and Nemenyi's critical difference, and draws
docs/pictures/mean-ranks.png. The ablations of DSCMR are left out, and so are methods without a
figure on one of the data sets.
"""

import csv
from pathlib import Path

from commonspace.comparison import mean_ranks
from commonspace.plots import draw_critical_difference
from commonspace.plots.style import save

__all__ = ["main", "read_tables"]

DOCS = Path(__file__).parents[1] / "docs"
ABLATIONS = {"dscmr-no-j1", "dscmr-no-j2", "dscmr-no-j3", "dscmr-j1-alone"}


def main() -> None:
    """Print the table and draw the diagram."""
    tables = read_tables(DOCS / "results")
    found = mean_ranks(list(tables.values()))
    print(found)
    everywhere = set.union(*(set(one) for one in tables.values()))
    print("without a figure on each:", ", ".join(sorted(everywhere - set(found.ranks))))
    picture = DOCS / "pictures" / "mean-ranks"
    picture.with_suffix(".png").unlink(missing_ok=True)
    save(draw_critical_difference(found.ranks, found.critical_difference), picture, ["png"])


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
