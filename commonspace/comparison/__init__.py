"""Many methods on the same data: tuned by one rule, repeated over seeds, told apart or not."""

from commonspace.comparison.grid import Grid, GridWatcher, read_grid, run_grid
from commonspace.comparison.rows import Budget, Row
from commonspace.comparison.summary import Line, summarise
from commonspace.comparison.user_methods import row_from_file
from commonspace.comparison.write import write_tables

__all__ = [
    "Budget",
    "Grid",
    "GridWatcher",
    "Line",
    "Row",
    "read_grid",
    "row_from_file",
    "run_grid",
    "summarise",
    "write_tables",
]
