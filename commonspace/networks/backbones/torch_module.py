"""User-defined torch modules as image backbones."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from commonspace.errors import DataError, SpaceError
from commonspace.networks.backbones.base import PretrainedBackbone, mean_of_views, standardize

__all__ = ["TorchModuleBackbone", "modules_in", "modules_of", "use_modules"]

_PROVIDED: dict[str, Callable[[], nn.Module]] = {}


@contextmanager
def use_modules(modules: Mapping[str, Callable[[], nn.Module]]) -> Iterator[None]:
    """Provide the classes of user-defined modules for the models that are loaded in the block.

    A saved model names the class of its encoder and never runs its file, so the caller passes it.

    Args:
        modules: "FILE.py:Class", without the folder of the file, -> the class, or a function that
            returns an instance.

    Example:
        >>> with use_modules({"mine.py:Net": nn.Flatten}):
        ...     backbone = TorchModuleBackbone("mine.py:Net", 3, (0, 0, 0), (1, 1, 1))
        >>> backbone(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))
        tensor([[1., 1., 1.]])
    """
    before = dict(_PROVIDED)
    _PROVIDED.update(modules)
    try:
        yield
    finally:
        _PROVIDED.clear()
        _PROVIDED.update(before)


def modules_of(classes: Iterable[type[nn.Module]], config: object) -> dict[str, type[nn.Module]]:
    """Return the modules that a config names, found by the names of their classes.

    Args:
        classes: the classes that the caller provides.
        config: JSON with descriptions of backbones anywhere in it.

    Returns:
        "FILE.py:Class" -> class, for ``use_modules``.

    Example:
        >>> config = {"backbones": {"image": {"kind": "torch_module", "module": "a.py:Flatten"}}}
        >>> sorted(modules_of([nn.Flatten], config))
        ['a.py:Flatten']
    """
    by_name = {module.__name__: module for module in classes}
    modules: dict[str, type[nn.Module]] = {}
    parts = [config]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            name = part.get("module")
            if part.get("kind") == "torch_module" and isinstance(name, str):
                module = by_name.get(name.rpartition(":")[2])
                modules |= {name: module} if module else {}
            parts += part.values()
        elif isinstance(part, list | tuple):
            parts += part
    return modules


def modules_in(networks: Iterable[nn.Module]) -> dict[str, Callable[[], nn.Module]]:
    """Return the user-defined modules in networks, for ``use_modules``: each gives its instance."""
    return {
        part.module: lambda part=part: part.model  # type: ignore[misc]
        for network in networks
        for part in network.modules()
        if isinstance(part, TorchModuleBackbone)
    }


class TorchModuleBackbone(PretrainedBackbone):
    """An image network of the user's own: a class of torch modules that needs no arguments.

    The module maps (n, 3, side, side) standardized floats to (n, size) features, or to a feature
    map (n, size, h, w), whose mean is taken. "mean+max" appends the maximum over positions of that
    map, or of the last map that a direct child of the module returns.

    Args:
        module: "FILE.py:Class"; the class comes from ``use_modules``.
        size: Length of a feature vector.
        mean: Mean of each channel in [0, 1].
        std: Standard deviation of each channel.
        pooling: "mean" or "mean+max".
        views: 1, or 2 to average the features of an image and its mirror image.

    Raises:
        SpaceError: If ``use_modules`` does not provide the class.
    """

    def __init__(
        self,
        module: str,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        pooling: str = "mean",
        views: int = 1,
    ) -> None:
        super().__init__()
        build = _PROVIDED.get(module)
        if build is None:
            raise SpaceError(
                f"the model needs the class {module}, which its file names but never runs",
                expected=f"that class: commonspace --network FILE.py:{module.rpartition(':')[2]}"
                " before the command, or encoders={...} in Python",
                found=", ".join(_PROVIDED) or "none",
                advice="name the file and class that the model was trained with",
            )
        self.module = module
        self.size = size
        with torch.device("cpu"):  # a constructor may load weights, which the meta device drops
            self.model = build()
        self._mean, self._std = mean, std
        self._pooling, self._views = pooling, views

    def forward(self, images: Tensor) -> Tensor:
        """Return the features.

        Args:
            images: (n, 3, side, side) uint8 RGB in 0..255.

        Returns:
            (n, size) float32, or the lower precision under autocast.

        Raises:
            DataError: If the output of the module is neither features nor a feature map.
        """
        return mean_of_views(self._embed, standardize(images, self._mean, self._std), self._views)

    def top(self) -> Sequence[nn.Module]:
        """Return the last layer with a matrix of weights, and the layers after it.

        Layers are the direct children of the module, or those of a single sequence.
        """
        layers = list(self.model.children()) or [self.model]
        while len(layers) == 1 and isinstance(layers[0], nn.Sequential) and len(layers[0]):
            layers = list(layers[0])
        weighted = [
            number
            for number, layer in enumerate(layers)
            if any(weight.ndim > 1 for weight in layer.parameters())
        ]
        return layers[weighted[-1] :] if weighted else layers[-1:]

    def _embed(self, images: Tensor) -> Tensor:
        maps: list[Tensor] = []

        def note(_: nn.Module, inputs: object, output: Any) -> None:  # noqa: ANN401
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] > 1:
                maps.append(output)

        children = self.model.children() if self._pooling == "mean+max" else ()
        hooks = [child.register_forward_hook(note) for child in children]
        try:
            output = self.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        if not isinstance(output, Tensor) or output.ndim not in (2, 4):
            raise _wrong_output(output)
        if output.ndim == 4:
            maps.append(output)
            output = output.mean(dim=(2, 3))
        if self._pooling == "mean":
            return output
        if not maps:
            raise _wrong_output(output)
        return torch.cat([output, maps[-1].amax(dim=(2, 3))], dim=1)


def _wrong_output(output: object) -> DataError:
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    return DataError(
        "the output of the module is not supported",
        expected="features (n, d), or a feature map (n, d, h, w); for mean+max a feature map",
        found=str(shape),
        advice="return one of them from forward",
    )
