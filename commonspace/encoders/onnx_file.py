"""Image encoders from ONNX files, with the pre-processing that lies beside them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from commonspace.encoders.checkpoints import first_line
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.forms import ImageModel, InputForm
from commonspace.encoders.images import Photos
from commonspace.errors import DataError, FileFormatError, SettingError
from commonspace.json_text import parse_json
from commonspace.networks.backbones.onnx import OnnxBackbone
from commonspace.networks.backbones.vgg19 import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Preprocessing", "onnx_model", "read_preprocessing"]

CONFIG = "preprocessor_config.json"


class Preprocessing(NamedTuple):
    """What a network was trained to see."""

    side: int
    """Height and width of its input, in pixels."""
    resize: int
    """Shorter side before a center crop, in pixels."""
    mean: tuple[float, ...]
    """Mean of each channel in [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel."""

    def photos(self, form: InputForm) -> Photos:
        """Return the network input for a form."""
        side = form.side or self.side
        return Photos(round(self.resize * side / self.side), side, form.form)


def onnx_model(file: str) -> ImageModel:
    """Load an image network from an ONNX file whose input form is still open.

    Its first input is (n, 3, h, w); its first output (n, d), or has positions to be pooled.

    Args:
        file: the path; ``preprocessor_config.json`` beside it names side, mean and deviation.

    Raises:
        DataError: If there is no such file, or the network is not one of images.
        FileFormatError: If it is damaged, has custom operators, or weights in other files.
        MissingExtraError: If onnxruntime is not installed.
    """
    path = Path(file)
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise DataError(
            f"there is no ONNX file {path}",
            expected="a network in the ONNX format",
            found=exc.strerror or str(exc),
            advice="check the path",
        ) from exc
    weights = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())
    # The length of the features is known after a first run.
    plain = OnnxBackbone(0, 0, IMAGENET_MEAN, IMAGENET_STD)
    plain.file = weights
    source = plain.session().get_inputs()[0]
    if len(source.shape) != 4 or source.shape[1] not in (3, "channels"):
        raise DataError(
            f"{path.name} is not an image network",
            expected="an input of shape (n, 3, height, width)",
            found=f"{source.name} of shape {source.shape}",
            advice="export the network with channels first",
        )
    height, width = source.shape[2:]
    fixed = height if isinstance(height, int) else None
    about = read_preprocessing(path.parent, fixed or 224)
    flat = len(plain.session().get_outputs()[0].shape) == 2

    def build(form: InputForm) -> Encoder:
        input_ = about.photos(form)
        if fixed is not None and (input_.side != fixed or height != width):
            raise _unsupported(path.name, form, f"a fixed input of {height} x {width} pixels")
        if form.pooling == "mean+max" and flat:
            raise _unsupported(path.name, form, "an output that is pooled already")
        config: dict[str, Any] = {
            "length": len(content),
            "size": 0,
            "mean": list(about.mean),
            "std": list(about.std),
            "pooling": form.pooling,
            "views": form.views,
        }
        backbone = OnnxBackbone(**config)
        backbone.file = weights
        try:
            config["size"] = backbone.size = int(
                backbone(input_([np.zeros((8, 8, 3), dtype=np.uint8)])).shape[1]
            )
        except (DataError, FileFormatError):
            raise
        except Exception as exc:  # onnxruntime's own exceptions derive from Exception
            raise _unsupported(path.name, form, first_line(exc)) from exc
        return describe(
            input_,
            backbone,
            {"kind": "onnx", **config},
            spec="onnx",
            name=f"{path.name} (ONNX, {form.pooling})",
            preprocessing=f"{form}, side {input_.side}",
            fitted_on=f"other (as {path.name} was)",
            more={"input_form": str(form)},
        )

    return ImageModel(path.name, about.side, build)


def read_preprocessing(folder: Path, side: int) -> Preprocessing:
    """Read the ``preprocessor_config.json`` of a folder, as transformers writes it.

    Args:
        folder: where it lies.
        side: of the network input, if there is no such file.

    Raises:
        FileFormatError: If it is malformed.
    """
    path = folder / CONFIG
    if not path.is_file():
        return Preprocessing(side, round(side * 8 / 7), IMAGENET_MEAN, IMAGENET_STD)
    try:
        config = parse_json(path.read_text("utf-8"))
        size, crop = config.get("size", {}), config.get("crop_size", {})
        size = {"height": size} if isinstance(size, int) else size
        crop = {"height": crop} if isinstance(crop, int) else crop
        target = int(crop.get("height") or size.get("height") or size["shortest_edge"])
        resize = int(size.get("shortest_edge") or round(target * 8 / 7))
        mean = tuple(map(float, config.get("image_mean", IMAGENET_MEAN)))
        std = tuple(map(float, config.get("image_std", IMAGENET_STD)))
        if target < 1 or resize < target or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError("a value is out of range")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise FileFormatError(
            f"{path} cannot be read",
            expected="JSON with size or crop_size, image_mean and image_std",
            found=first_line(exc),
            advice="correct it, or remove it to take 224 pixels and the values of ImageNet",
        ) from exc
    return Preprocessing(target, resize, mean, std)


def _unsupported(name: str, form: InputForm, reason: str) -> SettingError:
    return SettingError(
        f"the input form {form} is not supported by {name}",
        expected="a form that the network can read",
        found=reason,
        advice="write --input-form auto, which tries what the network supports",
    )
