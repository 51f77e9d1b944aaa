"""Files of a saved space: detection of damage, of other versions and of a full disk."""

import errno
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import commonspace as cs
from commonspace import space_files as module
from commonspace.data import Dataset
from commonspace.errors import OutputError, SpaceError
from commonspace.space_files import CONFIG, WEIGHTS


def train(data: Dataset, seed: int = 0) -> cs.CommonSpace:
    method = cs.DSCMR(hidden_dim=16, embedding_dim=8, epochs=1, seed=seed)
    return method.fit(data.split("train"), data.split("validation"), cs.RunConfig())


@pytest.fixture(scope="module")
def space(raw_dataset: Dataset) -> cs.CommonSpace:
    return train(raw_dataset)


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_a_full_disk_leaves_no_folder_that_looks_complete(
    moment: int, space: cs.CommonSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at each sync in turn: of weights, their folder, the config, its folder."""
    flush, calls = os.fsync, 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == moment:
            full()
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="could not be written"):
        space.save(tmp_path / "run")
    if moment < 4:
        with pytest.raises(SpaceError, match="holds no saved space"):
            cs.load(tmp_path / "run")
    else:
        assert cs.load(tmp_path / "run").modalities == space.modalities
    assert not [file for file in (tmp_path / "run").iterdir() if file.name.startswith(".")]


@pytest.fixture
def saved(space: cs.CommonSpace, tmp_path: Path) -> Path:
    space.save(tmp_path / "run")
    return tmp_path / "run"


@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([CONFIG, WEIGHTS]),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_any_flipped_bit_is_detected(name: str, where: float, bit: int, saved: Path) -> None:
    path = saved / name
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(where * len(content))] ^= 1 << bit
    try:
        path.write_bytes(damaged)
        with pytest.raises(SpaceError) as caught:
            cs.load(saved)
        assert str(path) in caught.value.problem
        assert caught.value.expected
        assert caught.value.advice
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_truncated_file_is_rejected(name: str, share: float, saved: Path) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(SpaceError, match=name):
        cs.load(saved)


def test_a_missing_file_is_named(saved: Path, tmp_path: Path) -> None:
    (saved / WEIGHTS).unlink()
    with pytest.raises(SpaceError, match=WEIGHTS):
        cs.load(saved)
    (saved / CONFIG).unlink()
    with pytest.raises(SpaceError, match=f"no {CONFIG}"):
        cs.load(saved)
    (saved / "checkpoint.safetensors").touch()
    with pytest.raises(SpaceError, match="has not ended") as caught:
        cs.load(saved)
    assert "--resume" in caught.value.advice
    with pytest.raises(SpaceError, match="no such folder"):
        cs.load(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpaceError):
        cs.load(tmp_path / "file")


def test_weights_of_another_space_are_rejected(
    saved: Path, raw_dataset: Dataset, tmp_path: Path
) -> None:
    """Even if they would fit."""
    train(raw_dataset, seed=1).save(tmp_path / "other")
    (saved / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(SpaceError, match="belongs to another space"):
        cs.load(saved)


def rewrite(folder: Path, **changes: Any) -> None:  # noqa: ANN401
    """Write a config with other entries and the right hash for them."""
    config = json.loads((folder / CONFIG).read_text("utf-8")) | changes
    config["config_sha256"] = module._config_sha256(config)
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, "format 3"),
        ({"network": {"kind": "dscmr9", "config": {}}}, "dscmr9"),
        ({"network": {"kind": "dscmr", "config": {"depth": 9}}}, "depth"),
        ({"inputs": {"image": {"kind": "voxels"}}}, "voxels"),
    ],
)
def test_a_space_of_a_newer_version_is_rejected_with_advice(
    changes: dict[str, Any], message: str, saved: Path
) -> None:
    rewrite(saved, **changes)
    with pytest.raises(SpaceError, match=message) as caught:
        cs.load(saved)
    assert "version" in caught.value.advice or "update" in caught.value.advice


def test_a_network_of_another_size_than_its_weights_is_rejected(saved: Path) -> None:
    network = json.loads((saved / CONFIG).read_text("utf-8"))["network"]
    network["config"]["embedding_dim"] = 9
    rewrite(saved, network=network)
    with pytest.raises(SpaceError, match="cannot be built"):
        cs.load(saved)


@pytest.mark.parametrize("text", ["[]", '"format"', "3", "null", "{}", '{"format": 2}', "\xff"])
def test_json_of_another_form_is_rejected(text: str, saved: Path) -> None:
    (saved / CONFIG).write_bytes(text.encode("latin-1"))
    with pytest.raises(SpaceError, match=CONFIG):
        cs.load(saved)


def test_white_space_of_the_config_does_not_matter(saved: Path) -> None:
    config = json.loads((saved / CONFIG).read_text("utf-8"))
    (saved / CONFIG).write_text(json.dumps(config, indent=7, ensure_ascii=True), "utf-8")
    assert cs.load(saved).dimension == 8


def test_a_changed_order_of_modalities_is_detected(saved: Path) -> None:
    """Networks number modalities in order: in another order, weights would change places."""
    config = json.loads((saved / CONFIG).read_text("utf-8"))
    backbones = config["network"]["config"]["backbones"]
    config["network"]["config"]["backbones"] = dict(reversed(backbones.items()))
    (saved / CONFIG).write_text(json.dumps(config), "utf-8")
    with pytest.raises(SpaceError, match="damaged or was changed by hand"):
        cs.load(saved)


def test_a_pickle_in_the_place_of_the_weights_is_not_opened(saved: Path) -> None:
    torch.save({"a": torch.zeros(1)}, saved / WEIGHTS)
    rewrite(saved, weights_sha256=module._sha256(saved / WEIGHTS))
    with pytest.raises(SpaceError, match="cannot be read"):
        cs.load(saved)


def test_weights_that_fit_only_in_part_are_rejected(saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    weights.pop("shared.bias")
    save_file(weights, saved / WEIGHTS)
    rewrite(saved, weights_sha256=module._sha256(saved / WEIGHTS))
    with pytest.raises(SpaceError, match=r"shared\.bias"):
        cs.load(saved)
