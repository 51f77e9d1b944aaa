"""Input form of an image encoder during its training: no larger than the photos need."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
from PIL import Image

from commonspace.data.columns import Images
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.forms import AUTO, InputForm
from commonspace.encoders.images import Photos
from commonspace.encoders.specs import SEPARATOR, Source, encoder_from_spec
from commonspace.errors import SettingError

__all__ = ["encoder_for_training"]

ENLARGED = 1.4
"""Largest ratio of the side of the network input to that of the photos."""
SMALLEST = 96
STEP = 16
PHOTOS = 100
"""Photos whose sizes are looked at."""


def encoder_for_training(encoder: Encoder, spec: str, source: Source) -> Encoder:
    """Return a copy of an encoder whose weights are trained, with the input form for that.

    Training costs three times what features cost, in each epoch. So photos are seen at the side
    that the network was trained at, or at 1.4 times the median of their own longer side if that is
    less, and features are the mean over the last map.

    Args:
        encoder: Frozen; it is not changed.
        spec: Its name.
        source: The column; its ``input_form`` is that for training, or "auto".

    Raises:
        SettingError: If the network does not support the form.
    """
    column = source.train.columns[source.modality]
    if (
        not isinstance(column, Images)
        or SEPARATOR in spec
        or "input_form" not in encoder.provenance
    ):
        return _copy(encoder)
    if source.input_form != AUTO:
        return encoder_from_spec(spec, source)
    form = replace(
        InputForm.parse(encoder.provenance["input_form"]), side=None, pooling="mean", views=1
    )
    if form.form == "crop":
        return _copy(encoder)
    built = encoder_from_spec(spec, replace(source, input_form=str(form)))
    assert isinstance(built.input, Photos)
    side = max(SMALLEST, STEP * round(ENLARGED * _longer_side(column) / STEP))
    if side >= built.input.side:
        return built
    try:
        return encoder_from_spec(spec, replace(source, input_form=str(replace(form, side=side))))
    except SettingError:  # a network for one side alone
        return built


def _copy(encoder: Encoder) -> Encoder:
    return replace(encoder, backbone=deepcopy(encoder.backbone))


def _longer_side(column: Images) -> float:
    """Return the median longer side of some photos, in pixels."""
    rows = np.flatnonzero(column.present)
    some = rows[np.unique(np.linspace(0, len(rows) - 1, PHOTOS).round().astype(int))]
    return float(np.median([max(_size(column.items[row])) for row in some]))


def _size(picture: object) -> tuple[int, int]:
    if isinstance(picture, Image.Image):
        return picture.size
    if isinstance(picture, np.ndarray):
        return picture.shape[0], picture.shape[1]
    with Image.open(str(picture)) as image:
        return image.size
