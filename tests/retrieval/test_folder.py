"""The encoders that the copy of a space names, read without loading it."""

import json
from pathlib import Path

import pytest

from commonspace.retrieval.folder import space_encoders


def test_encoders_are_those_of_the_provenance(tmp_path: Path) -> None:
    folder = tmp_path / "spaces" / "3"
    folder.mkdir(parents=True)
    encoders = {"image": {"name": "MobileNetV2", "spec": "hf"}, "text": {"sha256": "0"}}
    (folder / "config.json").write_text(json.dumps({"provenance": {"encoders": encoders}}))
    assert space_encoders(tmp_path, 3) == {"image": "MobileNetV2"}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"provenance": {"encoders": [1]}}'])
def test_a_damaged_config_names_none(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "spaces" / "1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(content)
    assert space_encoders(tmp_path, 1) == {}
    assert space_encoders(tmp_path, 2) == {}
