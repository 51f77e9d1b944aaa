"""Text forms of encoders: each finds its kind, or the error says what it needs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from commonspace.data import Dataset, Images, Texts
from commonspace.encoders import ENCODERS, Source, encoder_from_spec
from commonspace.errors import CommonspaceError, SettingError
from commonspace.networks.backbones.vgg19 import VGG19


def source(modality: str) -> Source:
    pictures = list(np.random.default_rng(0).integers(0, 256, (4, 30, 30, 3), dtype=np.uint8))
    data = Dataset(
        name="few",
        ids=("a", "b", "c", "d"),
        columns={"image": Images(pictures), "text": Texts([("red",), ("blue",)] * 2)},
        labels=np.eye(2, dtype=bool)[[0, 1, 0, 1]],
        class_names=("red", "blue"),
        splits=np.array(["train", "train", "validation", "validation"]),
    )
    return Source(data.split("train"), data.split("validation"), modality)


@pytest.mark.parametrize(
    ("spec", "modality", "message"),
    [
        ("vgg16", "image", "unknown encoder 'vgg16'"),
        ("", "image", "unknown encoder ''"),
        ("vgg19", "sketch", "column 'sketch'"),
        ("hf", "image", "hf:FOLDER_OR_NAME"),
        ("st:", "text", "st:FOLDER_OR_NAME"),
        ("word2vec", "text", "word2vec:FILE"),
        ("textcnn:here", "text", "leave out the colon"),
        ("vgg19", "text", "does not read texts"),
        ("st:any", "image", "does not read images"),
        ("vgg19:/no/such/file", "image", "/no/such/file"),
        ("word2vec:/no/such/file", "text", "/no/such/file"),
    ],
)
def test_what_is_wrong_is_said(spec: str, modality: str, message: str) -> None:
    with pytest.raises(CommonspaceError) as caught:
        encoder_from_spec(spec, source(modality))
    assert message in str(caught.value)


def test_every_kind_is_listed_where_one_is_unknown() -> None:
    with pytest.raises(SettingError) as caught:
        encoder_from_spec("nothing", source("image"))
    assert all(name in caught.value.expected for name in ENCODERS)


def test_files_are_found_behind_the_colon(tmp_path: Path) -> None:
    torch.save(VGG19(width=2, size=8).state_dict(), tmp_path / "odd:name.pth")
    encoder = encoder_from_spec(f"vgg19:{tmp_path / 'odd:name.pth'}", source("image"))
    assert encoder.size == 8
    assert encoder.provenance["spec"] == "vgg19"
    assert "multi_caption" not in encoder.provenance
    (tmp_path / "v.txt").write_text("2 3\nred 1 2 3\nsea 4 5 6\n", "utf-8")
    words = encoder_from_spec(f"word2vec:{tmp_path / 'v.txt'}", source("text"))
    assert words.provenance["name"] == "sentence CNN over v.txt (1 of 2 words)"
    assert words.provenance["fitted_on"] == "train"
    assert str(tmp_path) not in str(words.provenance)
