"""Five modalities of the digits are their own pixels; ranks need a figure on each data set."""

from pathlib import Path

import numpy as np

import commonspace as cs
from benchmarks.mean_ranks import read_tables
from benchmarks.protocols import PIXELS, five_modalities
from commonspace.data import Features


def test_the_halves_and_sums_are_those_of_the_picture() -> None:
    pictures = np.random.default_rng(0).integers(0, 7, (4, *PIXELS))
    digits = cs.Dataset.from_arrays(
        fou=np.eye(4), kar=np.eye(4), pix=pictures.reshape(4, -1), labels=[0, 1, 0, 1]
    )
    parts = {
        name: column.values
        for name, column in five_modalities(digits).columns.items()
        if isinstance(column, Features)
    }
    assert list(parts) == ["fou", "kar", "upper", "lower", "sums"]
    assert (np.hstack([parts["upper"], parts["lower"]]) == pictures.reshape(4, -1)).all()
    assert parts["sums"].shape == (4, sum(PIXELS))
    assert parts["sums"][2, 0] == pictures[2, :, 0].sum()
    assert parts["sums"][2, -1] == pictures[2, -1].sum()


def test_rows_added_later_belong_to_their_data_set(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("method,map average\nx,0.5\ny,\ndscmr-no-j1,0.1\n")
    (tmp_path / "added.csv").write_text("data,method,map average\na,z,0.4\nb,x,0.7\n")
    assert read_tables(tmp_path) == {"a": {"x": 0.5, "z": 0.4}, "b": {"x": 0.7}}
