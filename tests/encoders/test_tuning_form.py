"""Input form of an encoder that is trained: small photos are not enlarged much."""

from pathlib import Path

import numpy as np
import pytest
import torch

from commonspace.data import Dataset, Images
from commonspace.encoders import Photos, Source, encoder_from_spec
from commonspace.encoders.tuning_form import encoder_for_training
from tests.photo_encoders import write_network


@pytest.mark.parametrize(
    ("longer", "wanted", "side"),
    [
        (80, "auto", 112),  # 1.4 x 80
        (20, "auto", 96),  # the smallest
        (500, "auto", 160),  # as the network was trained
        (80, "pad,side=130", 130),
    ],
)
def test_the_side_follows_the_photos(longer: int, wanted: str, side: int, tmp_path: Path) -> None:
    spec = write_network(tmp_path, "nn.Conv2d(3, 4, 3)", 160)
    photos = [np.full((longer, longer // 2, 3), 99, dtype=np.uint8) for _ in range(4)]
    data = Dataset(
        name="photos",
        ids=("a", "b", "c", "d"),
        columns={"image": Images(photos)},
        labels=np.eye(2, dtype=bool)[[0, 1, 0, 1]],
        class_names=("x", "y"),
        splits=np.array(["train"] * 4),
    )
    frozen = encoder_from_spec(
        spec, Source(data, data, "image", input_form="stretch,side=200,pooling=mean+max")
    )
    start = encoder_for_training(frozen, spec, Source(data, data, "image", input_form=wanted))
    assert isinstance(start.input, Photos)
    assert start.input.side == side
    assert start.input.form == ("pad" if wanted != "auto" else "stretch")
    assert start.size == 4  # the mean alone
    with torch.no_grad():
        next(start.backbone.parameters()).add_(1)
    assert not torch.equal(next(start.backbone.parameters()), next(frozen.backbone.parameters()))
