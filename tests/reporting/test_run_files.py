"""What a run wrote beside its space is read as it was written, or refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from commonspace.errors import FileFormatError
from commonspace.reporting.run_files import read_learning_curves, read_sensitivity


def write_history(run: Path, lines: list[object]) -> None:
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_course_is_read(tmp_path: Path) -> None:
    assert read_learning_curves(tmp_path, {"epoch": 1}) is None
    write_history(
        tmp_path,
        [
            {"epoch": 1, "losses": {"loss": 2.0, "J1": 1.5}, "validation_score": 0.3},
            {"epoch": 2, "losses": {"loss": 1.0, "J1": 0.5}, "validation_score": 0.6},
        ],
    )
    course = read_learning_curves(tmp_path, {"epoch": 1})
    assert course is not None
    assert (course.chosen, course.steps) == (1, "epoch")
    assert course.validation_score.tolist() == [0.3, 0.6]
    assert {name: values.tolist() for name, values in course.losses.items()} == {
        "loss": [2.0, 1.0],
        "J1": [1.5, 0.5],
    }
    trial = read_learning_curves(tmp_path, {"trial": 2})
    assert trial is not None
    assert (trial.chosen, trial.steps) == (2, "trial")
    unknown = read_learning_curves(tmp_path, {})
    assert unknown is not None
    assert unknown.chosen == 2  # the highest validation mAP


@pytest.mark.parametrize(
    "lines",
    [[], [1], [{"losses": {}}], [{"losses": {}, "validation_score": "high"}]],
)
def test_a_damaged_history_is_refused(tmp_path: Path, lines: list[object]) -> None:
    write_history(tmp_path, lines)
    with pytest.raises(FileFormatError, match=r"history\.jsonl cannot be read"):
        read_learning_curves(tmp_path, {"epoch": 1})


def test_a_choice_beyond_the_history_is_refused(tmp_path: Path) -> None:
    write_history(tmp_path, [{"losses": {}, "validation_score": 0.5}])
    with pytest.raises(FileFormatError, match="cannot be read") as caught:
        read_learning_curves(tmp_path, {"epoch": 7})
    assert "epoch 7 was chosen" in caught.value.found


def test_a_sensitivity_analysis_is_read_in_ascending_order(tmp_path: Path) -> None:
    assert read_sensitivity(tmp_path) is None
    record = {"lambda": [1, 0.1], "eta": [10, 1, 0.1], "split": "validation",
              "map": [[0.1, 0.2, None], [0.4, 0.5, 0.6]]}  # fmt: skip
    (tmp_path / "sensitivity.json").write_text(json.dumps(record))
    surface = read_sensitivity(tmp_path)
    assert surface is not None
    assert surface.lambdas.tolist() == [0.1, 1]
    assert surface.etas.tolist() == [0.1, 1, 10]
    np.testing.assert_array_equal(surface.maps, [[0.6, 0.5, 0.4], [np.nan, 0.2, 0.1]])
    for damage in ({"map": [[1]]}, {"eta": "x"}, {"lambda": [[1], [2]]}):
        (tmp_path / "sensitivity.json").write_text(json.dumps(record | damage))
        with pytest.raises(FileFormatError, match=r"sensitivity\.json cannot be read"):
            read_sensitivity(tmp_path)
    (tmp_path / "sensitivity.json").write_text("[]")
    with pytest.raises(FileFormatError):
        read_sensitivity(tmp_path)
