"""Weights from a checkpoint file into a network, or an error that says why they do not fit.

Files of torch are read without unpickling code. It knows nothing of what the networks are.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from commonspace.errors import DataError, FileFormatError

__all__ = ["load_weights", "read_weights"]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a ``.safetensors`` file, or from one that torch.save wrote.

    Raises:
        DataError: there is no such file.
        FileFormatError: it is damaged, cut short, or holds anything but named tensors.
    """
    if not path.is_file():
        raise DataError(
            f"there is no checkpoint {path}",
            expected="a .pth or .safetensors file with the weights",
            found="a folder" if path.is_dir() else "no such file",
            advice="check the path",
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as exc:  # a damaged file makes torch raise nearly anything
        raise FileFormatError(
            f"{path} is no usable checkpoint",
            expected="named tensors, as torch.save or safetensors write them",
            found=(str(exc).splitlines() or [type(exc).__name__])[0][:200],
            advice="fetch the file again, or take it from another source",
        ) from exc
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise FileFormatError(
            f"{path} holds something other than weights",
            expected="a dict of name -> tensor",
            found=type(found).__name__,
            advice="save model.state_dict(), not the model",
        )
    return found


def load_weights(
    build: Callable[[], nn.Module],
    weights: Mapping[str, Tensor],
    *,
    path: Path,
    what: str,
    unused: tuple[str, ...] = (),
) -> nn.Module:
    """Build a network and give it weights, without drawing fresh ones first.

    Args:
        build: makes the network.
        weights: name -> tensor; floating-point ones become float32.
        path: where they come from, for messages.
        what: the architecture, for messages.
        unused: build_backbones of names that the network does without.

    Raises:
        FileFormatError: the weights are those of another architecture.
    """
    with torch.device("meta"):
        network = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
        if not name.startswith(unused)
    }
    missing = sorted(set(wanted) - set(given))
    unknown = sorted(set(given) - set(wanted))
    differing = [
        f"{name} of shape {tuple(given[name].shape)} in place of {shape}"
        for name, shape in wanted.items()
        if name in given and tuple(given[name].shape) != shape
    ]
    if missing or unknown or differing:
        parts = [f"without {missing[0]} ({len(missing)} missing)"] if missing else []
        parts += [f"with {unknown[0]} ({len(unknown)} unknown)"] if unknown else []
        parts += differing[:1]
        raise FileFormatError(
            f"{path} is the checkpoint of another architecture",
            expected=what,
            found="; ".join(parts),
            advice="give the file that belongs to this network, or name the network it belongs to",
        )
    network.load_state_dict(given, assign=True)
    return network


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"
