"""Image encoders from torch modules of the user's own: FILE.py:Class."""

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from commonspace.encoders.checkpoints import first_line
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.forms import ImageModel, InputForm
from commonspace.encoders.onnx_file import read_preprocessing
from commonspace.errors import DataError, SettingError
from commonspace.networks.backbones.torch_module import TorchModuleBackbone, use_modules

__all__ = ["is_module_spec", "load_class", "short_name", "torch_model"]


def is_module_spec(spec: str) -> bool:
    """Return whether a text names a class in a Python file.

    Example:
        >>> is_module_spec("nets/mine.py:Net"), is_module_spec("hf:nets/mine.py")
        (True, False)
    """
    file, colon, name = spec.rpartition(":")
    return bool(colon) and file.endswith(".py") and name.isidentifier()


def short_name(spec: str) -> str:
    """Return FILE.py:Class without the folder of the file, as saved spaces name it."""
    file, _, name = spec.rpartition(":")
    return f"{Path(file).name}:{name}"


def load_class(spec: str) -> type[nn.Module]:
    """Run the file that the caller names, and return its class.

    Args:
        spec: FILE.py:Class.

    Raises:
        DataError: If there is no such file or class, the file fails, or it is not a torch module.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file).expanduser().resolve()
    key = f"commonspace_module_{sha256(str(path).encode()).hexdigest()[:12]}"
    found = "no such file"
    if path.is_file():
        try:
            source = importlib.util.spec_from_file_location(key, path)
            assert source is not None
            assert source.loader is not None
            module = importlib.util.module_from_spec(source)
            sys.modules[key] = module  # dataclasses and pickling look their module up
            source.loader.exec_module(module)
            loaded = getattr(module, name, None)
            if isinstance(loaded, type) and issubclass(loaded, nn.Module):
                return loaded
            found = "no such class" if loaded is None else f"{name} is {loaded!r}"
        except Exception as exc:  # whatever the user's file raises
            found = f"{type(exc).__name__}: {first_line(exc)}"
    raise DataError(
        f"the torch module {spec} cannot be loaded",
        expected="a Python file, and the name of a class of torch modules in it",
        found=found,
        advice="write it like --image my/network.py:MyNetwork",
    )


def torch_model(spec: str) -> ImageModel:
    """Load a torch module of the user's own, whose input form is still open.

    Args:
        spec: FILE.py:Class; the class is built without arguments, with its trained weights. Beside
            the file ``preprocessor_config.json`` may name side, mean and deviation.

    Raises:
        DataError: If the class cannot be loaded or built, or its output is not supported.
        FileFormatError: If the pre-processing is malformed.
    """
    module, name = load_class(spec), short_name(spec)
    about = read_preprocessing(Path(spec.rpartition(":")[0]).expanduser().parent, 224)
    try:
        network = module().eval()
    except Exception as exc:  # whatever the user's class raises
        raise DataError(
            f"the torch module {spec} cannot be built",
            expected="a class that needs no arguments",
            found=f"{type(exc).__name__}: {first_line(exc)}",
            advice="give its arguments defaults",
        ) from exc

    def build(form: InputForm) -> Encoder:
        input_ = about.photos(form)
        config: dict[str, Any] = {
            "module": name,
            "size": 0,
            "mean": list(about.mean),
            "std": list(about.std),
            "pooling": form.pooling,
            "views": form.views,
        }
        with use_modules({name: lambda: network}):
            backbone = TorchModuleBackbone(**config).eval()
        try:
            with torch.inference_mode():
                blank = input_([np.zeros((8, 8, 3), dtype=np.uint8)])
                config["size"] = backbone.size = int(backbone(blank).shape[1])
        except Exception as exc:  # whatever the user's network raises
            raise SettingError(
                f"the input form {form} is not supported by {name}",
                expected="a form that the network can read",
                found=f"{type(exc).__name__}: {first_line(exc)}",
                advice="write --input-form auto, which tries what the network supports",
            ) from exc
        return describe(
            input_,
            backbone,
            {"kind": "torch_module", **config},
            spec="module",
            name=f"{name} ({form.pooling})",
            preprocessing=f"{form}, side {input_.side}",
            fitted_on=f"other (as {name} was)",
            more={"input_form": str(form)},
        )

    return ImageModel(name, about.side, build)
