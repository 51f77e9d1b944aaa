"""Choice of an encoder on validation: the better one, both, or the only one there is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from commonspace.callbacks import Callbacks
from commonspace.data import Dataset, Images, Texts
from commonspace.encoders import Encoder, Photos, Source, encoder_from_spec, read_kinds
from commonspace.encoders.choice import choose_encoders, installed_encoders
from commonspace.encoders.encoder import describe
from commonspace.encoders.specs import resolve_spec
from commonspace.errors import SettingError
from tests.conftest import Lines


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


class Part(nn.Module):
    """Mean brightness of the left or the right half of a photo, with what does not matter."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.size, self.column = 2, column
        self.weight = nn.Parameter(torch.full((1,), float(column)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        halves = images.float()[:, 0].reshape(len(images), 12, 2, 6).mean((1, 3)) / 255
        return torch.stack([halves[:, self.column], images.float()[:, 1, 0, 0]], dim=1)


def build(name: str) -> Encoder:
    return describe(
        Photos(12, 12, "stretch"),
        Part({"left": 0, "right": 1}[name]),
        {"kind": name},
        spec=name,
        name=name,
        preprocessing="",
        fitted_on="nothing",
    )


def photos(right: float) -> Dataset:
    """Return photos whose class is the brightness of the left half; ``right`` shows it too."""
    draw = np.random.default_rng(0)
    classes = np.arange(120) % 2
    table = draw.integers(0, 256, (120, 12, 12, 3), dtype=np.uint8)
    table[:, :, :6, 0] = (90 + 50 * classes + draw.normal(0, 25, 120))[:, None, None].clip(0, 255)
    level = 90 + right * 50 * classes + draw.normal(0, 25, 120)
    table[:, :, 6:, 0] = level[:, None, None].clip(0, 255)
    return Dataset(
        name="halves",
        ids=tuple(map(str, range(120))),
        columns={
            "image": Images(list(table)),
            "text": Texts([(("dark", "light")[k],) for k in classes]),
        },
        labels=np.eye(2, dtype=bool)[classes],
        class_names=("dark", "light"),
        splits=np.repeat(["train", "validation"], 60),
    )


@pytest.mark.parametrize(("right", "expected"), [(0.0, ["left"]), (1.0, ["left", "right"])])
def test_a_second_encoder_is_added_only_if_it_helps(
    right: float, expected: list[str], lines: Lines
) -> None:
    data = photos(right)
    chosen = choose_encoders(
        ["right", "left"],
        build,
        data.split("train"),
        data.split("validation"),
        "image",
        Callbacks([lines]),
    )
    assert sorted(chosen) == expected
    assert lines.lines[0].startswith(f"encoder of image: {' + '.join(chosen)} (log loss on 60")


def test_one_candidate_is_taken_without_a_comparison() -> None:
    data = photos(0.0)
    parts = data.split("train"), data.split("validation")
    assert choose_encoders(["right"], build, *parts, "image", Callbacks()) == ["right"]
    source = Source(*parts, "text")
    assert resolve_spec("auto + tfidf", source) == "tfidf"
    assert resolve_spec("left + right", source) == "left + right"
    assert encoder_from_spec("auto + tfidf", source).provenance["spec"] == "tfidf"
    assert read_kinds("auto") == ((Images, Texts), True)


def test_models_of_the_hub_and_of_torch_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    assert installed_encoders(images=True) == []
    assert installed_encoders(images=False) == ["tfidf"]
    for name, file in (("a--vit", "preprocessor_config.json"), ("b--minilm", "modules.json")):
        folder = tmp_path / "hf" / "hub" / f"models--{name}" / "snapshots" / "1f"
        folder.mkdir(parents=True)
        (folder / "config.json").touch()
        (folder / file).touch()
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "checkpoints" / "vgg19-dcbb9e9d.pth").touch()
    hub = tmp_path / "hf" / "hub"
    assert installed_encoders(images=True) == [f"hf:{hub}/models--a--vit/snapshots/1f", "vgg19"]
    assert installed_encoders(images=False) == [
        f"st:{hub}/models--b--minilm/snapshots/1f",
        "tfidf",
    ]


def test_nothing_installed_is_an_error_that_names_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    data = photos(0.0)
    with pytest.raises(SettingError, match="no encoder for 'image' is installed") as caught:
        encoder_from_spec("auto", Source(data.split("train"), data.split("validation"), "image"))
    assert "--image auto --image" in caught.value.advice
