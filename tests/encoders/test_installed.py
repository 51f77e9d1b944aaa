"""Encoders on this machine: found in the caches by their files, without reading weights."""

import json
from pathlib import Path

import pytest

from commonspace.encoders import installed
from commonspace.encoders.installed import InstalledEncoders, find_encoders


def add_model(hub: Path, name: str, size: int = 10, **files: object) -> None:
    """Write the files of a cached model; its weights have ``size`` bytes."""
    snapshot = hub / f"models--{name.replace('/', '--')}" / "snapshots" / "1a2b"
    snapshot.mkdir(parents=True)
    for file, content in {"config": {}, **files}.items():
        (snapshot / f"{file}.json").write_text(json.dumps(content))
    with (snapshot / "model.safetensors").open("wb") as weights:
        weights.truncate(size)


def test_models_are_told_by_their_files_and_known_ones_come_first(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    add_model(hub, "a/words", modules=[])
    add_model(hub, "sentence-transformers/all-MiniLM-L6-v2", modules=[])
    add_model(hub, "b/photos", preprocessor_config={"image_mean": [0, 0, 0]})
    add_model(hub, "c/speech", preprocessor_config={"sampling_rate": 16000})
    add_model(hub, "d/chat")
    assert find_encoders(hub, tmp_path) == InstalledEncoders(
        images=("hf:b/photos",),
        texts=("st:sentence-transformers/all-MiniLM-L6-v2", "st:a/words"),
    )


def test_models_without_weights_and_large_ones_are_left_out(tmp_path: Path) -> None:
    add_model(tmp_path / "hub", "a/empty", size=0, modules=[])
    add_model(tmp_path / "hub", "a/huge", size=installed.LARGEST + 1, modules=[])
    assert find_encoders(tmp_path / "hub", tmp_path) == InstalledEncoders()


def test_downloaded_vgg19_is_found(tmp_path: Path) -> None:
    file = tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert find_encoders(tmp_path / "models", tmp_path).images == ("vgg19",)


def test_the_environment_names_the_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(tmp_path / "home" / "hub", "a/words", modules=[])
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert find_encoders().texts == ("st:a/words",)
