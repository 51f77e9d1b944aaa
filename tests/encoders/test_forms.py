"""Input forms: their text form, and the choice on validation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from commonspace.data import Dataset, Images
from commonspace.encoders import Encoder, InputForm, Photos
from commonspace.encoders.encoder import describe
from commonspace.encoders.forms import ImageModel, choose_form
from commonspace.errors import SettingError
from tests.conftest import Lines


class Means(nn.Module):
    """Mean colors of the left, middle and right third of an image, and their maximum."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.size = 18 if pooling == "mean+max" else 9
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = images.shape[-1] // 3
        thirds = (
            images.float()[..., : 3 * side]
            .reshape(len(images), 3, -1, 3, side)
            .mean((2, 4))
            .flatten(1)
        )
        return torch.cat([thirds, 0 * thirds], 1)[:, : self.size]


def model(*, largest: int = 99) -> ImageModel:
    def build(form: InputForm) -> Encoder:
        if (form.side or 12) > largest:
            raise SettingError("too large", expected="12", found="more", advice="less")
        return describe(
            Photos(14, form.side or 12, form.form),
            Means(form.pooling),
            {"kind": "means", "pooling": form.pooling},
            spec="means",
            name="means",
            preprocessing=str(form),
            fitted_on="nothing",
            more={"input_form": str(form)},
        )

    return ImageModel("means", 12, build)


def strips(n: int, *, labeled: bool = True) -> Dataset:
    """Return long photos whose class shows at their ends alone, which a center crop cuts off."""
    draw = np.random.default_rng(0)
    classes = np.arange(n) % 2
    photos = []
    for k in classes:
        pixels = draw.integers(0, 256, (20, 60, 3), dtype=np.uint8)
        pixels[:, :15] = pixels[:, -15:] = draw.integers(60, 120) + 60 * k
        photos.append(pixels)
    return Dataset(
        name="strips",
        ids=tuple(map(str, range(n))),
        columns={"image": Images(photos)},
        labels=np.eye(2, dtype=bool)[classes] & labeled,
        class_names=("dark", "light"),
        splits=np.array(["train"] * n),
    )


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


def test_the_whole_photo_is_chosen_where_its_ends_matter(lines: Lines) -> None:
    chosen = choose_form(model(), strips(60), strips(40), "image", lines)
    assert InputForm.parse(chosen.provenance["input_form"]).form in ("pad", "stretch")
    (line,) = lines.lines
    assert line.startswith(
        f"input form of means: {chosen.provenance['input_form']} (log loss on 40"
    )
    assert "crop" in line
    again = choose_form(model(), strips(60), strips(40), "image")
    assert again.provenance == chosen.provenance


def test_forms_that_the_network_does_not_support_are_left_out() -> None:
    chosen = choose_form(model(largest=12), strips(60), strips(40), "image")
    assert "side=" not in chosen.provenance["input_form"]
    assert "side=" not in chosen.provenance["input_reason"]


def test_without_labels_the_whole_photo_is_padded(lines: Lines) -> None:
    chosen = choose_form(model(), strips(60, labeled=False), strips(40), "image", lines)
    assert chosen.provenance["input_form"] == "pad"
    assert "too few labeled samples" in lines.lines[0]


@pytest.mark.parametrize("form", [InputForm(), InputForm("pad", 320, "mean+max", 2)])
def test_a_form_is_read_as_it_is_written(form: InputForm) -> None:
    assert InputForm.parse(str(form)) == form


@pytest.mark.parametrize(
    "text", ["", "zoom", "pad,side", "pad,side=x", "pad,side=4", "pad,views=3", "crop,pooling=max"]
)
def test_unknown_forms_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="of an input form") as caught:
        InputForm.parse(text)
    assert "crop, pad or stretch" in caught.value.advice
