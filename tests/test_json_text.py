"""JSON that is nested deeply, has huge numbers, or is none, is a ValueError."""

import json
from pathlib import Path

import numpy as np
import pytest

import commonspace as cs
from commonspace.errors import SpaceError
from commonspace.json_text import parse_json
from commonspace.methods import RawFeatures
from commonspace.space_files import _config_sha256


@pytest.mark.parametrize(
    "text", ["[" * 10**6, '{"a":' * 10**5, "1" * 5000, "", "{", b"\xff", "[1,]"]
)
def test_what_cannot_be_read_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"network": "x"},
        {"network": None},
        {"inputs": []},
        {"inputs": {"image": 5}},
        {"class_names": float("inf")},
        {"calibration": float("nan")},
        {"calibration": {"a": [1]}},
    ],
)
def test_a_config_of_other_types_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Its checksum is right: somebody wrote it like this."""
    data = cs.Dataset(
        name="points",
        ids=tuple(map(str, range(60))),
        columns={"image": cs.Features(np.eye(60, 4)), "text": cs.Features(np.eye(60, 4))},
        labels=np.eye(2, dtype=bool)[np.arange(60) % 2],
        class_names=("a", "b"),
        splits=np.repeat(["train", "validation"], 30),
    )
    space = RawFeatures().fit(data.split("train"), data.split("validation"))
    space.save(tmp_path / "space")
    path = tmp_path / "space" / "config.json"
    config = json.loads(path.read_text("utf-8")) | change
    config["config_sha256"] = _config_sha256(config)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
    with pytest.raises(SpaceError):
        cs.load(tmp_path / "space")
