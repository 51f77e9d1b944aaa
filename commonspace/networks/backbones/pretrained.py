"""Models of the transformers library as backbones, pooled to one vector.

The architecture is built from the configuration of the model, a JSON object, so that a saved model
needs no other files. Nothing is downloaded, and code that comes with a checkpoint is never run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.modules import activation as activations

from commonspace.errors import SpaceError
from commonspace.extras import optional
from commonspace.networks.backbones.base import PretrainedBackbone, mean_of_views, standardize
from commonspace.networks.backbones.bert import bert_from_config, is_plain_bert
from commonspace.networks.backbones.deferred import DeferredModel, is_deferring

__all__ = [
    "ACTIVATIONS",
    "IMAGE_POOLINGS",
    "NO_TOKEN",
    "TEXT_POOLINGS",
    "PretrainedImages",
    "PretrainedTexts",
    "keep_tower",
    "model_from_config",
]

ACTIVATIONS = {"Identity", *activations.__all__} - {"MultiheadAttention", "Threshold"}
"""Names of activations of torch.nn that need no settings."""

NO_TOKEN = -1
"""Fills a row of token numbers after its last token."""

_OTHER_TOWER = {"image": ("text", "logit"), "text": ("vision", "visual", "logit")}


class _TransformersBackbone(PretrainedBackbone):
    """A backbone around one model, which may be built when it is first used."""

    model: nn.Module

    def built(self) -> nn.Module:
        """Return the model."""
        if isinstance(self.model, DeferredModel):
            self.model = self.model.model()
        return self.model

    def checkpoint_gradients(self) -> None:
        """Store fewer activations during training, if the architecture supports it."""
        _checkpoint(self.built(), super().checkpoint_gradients)


class PretrainedImages(_TransformersBackbone):
    """An image model of the transformers library.

    Args:
        config: Configuration of the model, with its "model_type".
        pooling: A key of ``IMAGE_POOLINGS``.
        size: Length of the pooled vector.
        mean: Mean of each channel, for images of bytes; None: images are already standardized.
        std: Standard deviation of each channel, likewise.
        views: 1, or 2 to average the vectors of an image and its mirror image.

    Raises:
        SpaceError: If the installed version of transformers does not know the architecture.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        pooling: str,
        size: int,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        views: int = 1,
    ) -> None:
        super().__init__()
        self.size = size
        self.model = _model(config, "image")
        self._pool = IMAGE_POOLINGS[pooling]
        self._mean, self._std = mean, std
        self._views = views

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled vectors.

        Args:
            images: (n, 3, h, w) uint8 RGB in 0..255, or standardized floats.

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        if self._mean is not None and self._std is not None:
            images = standardize(images, self._mean, self._std)
        model = self.built()
        return mean_of_views(lambda view: self._pool(model, view), images, self._views)

    def top(self) -> Sequence[nn.Module]:
        """Return the last block and the modules after it."""
        return _last_block(self.built())


class PretrainedTexts(_TransformersBackbone):
    """A text model of the transformers library.

    Args:
        config: Configuration of the model, with its "model_type".
        pooling: A key of ``TEXT_POOLINGS``.
        size: Length of a feature vector.
        padding: Number of the padding token.
        dense: Further linear layers as (in, out, bias, activation), the last being one of
            ``ACTIVATIONS``.
        unit_length: Whether the vectors are scaled to unit length.

    Raises:
        SpaceError: If the installed version of transformers does not know the architecture.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        pooling: str,
        size: int,
        padding: int = 0,
        dense: Sequence[tuple[int, int, bool, str]] = (),
        unit_length: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.model = _model(config, "text")
        self.dense = nn.Sequential(*(_dense(*layer) for layer in dense))
        self._pool = TEXT_POOLINGS[pooling]
        self._padding, self._unit_length = padding, unit_length

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the pooled vectors.

        Args:
            tokens: (n, length) int64 token numbers, ``NO_TOKEN`` after the last.

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        mask = tokens != NO_TOKEN
        vectors = self._pool(self.built(), tokens.masked_fill(~mask, self._padding), mask)
        vectors = self.dense(vectors)
        return normalize(vectors) if self._unit_length else vectors

    def top(self) -> Sequence[nn.Module]:
        """Return the last block and the modules after it."""
        return (*_last_block(self.built()), self.dense)


def _model(config: Mapping[str, Any], tower: str) -> nn.Module:
    """Return a model with fresh weights: in plain torch where that is supported."""
    plain = tower == "text" and is_plain_bert(config)

    def build() -> nn.Module:
        return bert_from_config(config) if plain else model_from_config(config, tower)

    return DeferredModel(build, complete=plain) if is_deferring() else build()


def model_from_config(config: Mapping[str, Any], tower: str) -> nn.Module:
    """Build a model with fresh weights; of a model for images and texts, only one tower.

    Args:
        config: Configuration of the model, with its "model_type".
        tower: "image" or "text".

    Raises:
        MissingExtraError: If transformers is not installed.
        SpaceError: If the installed version does not know the architecture.
    """
    transformers = optional("transformers", "a network of the transformers library")
    try:
        settings = {key: value for key, value in config.items() if key != "auto_map"}
        model = transformers.AutoModel.from_config(
            transformers.AutoConfig.for_model(**settings), trust_remote_code=False
        )
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise SpaceError(
            f"the network {config.get('model_type')!r} cannot be built",
            expected="an architecture of the installed version of transformers",
            found=(str(exc).splitlines() or [type(exc).__name__])[0],
            advice="install the version of transformers that the model was trained with",
        ) from exc
    return keep_tower(model, tower)


def keep_tower(model: nn.Module, tower: str) -> nn.Module:
    """Remove the other tower from a model for images and texts, in place."""
    if hasattr(model, f"get_{tower}_features"):
        for name in [*model._modules, *model._parameters]:
            if name.startswith(_OTHER_TOWER[tower]):
                setattr(model, name, None)
    return model


def _tower_features(output: Any) -> Tensor:  # noqa: ANN401 - a tensor, or an output that holds it
    pooled: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return pooled.flatten(1)


def _image_tower(model: nn.Module, images: Tensor) -> Tensor:
    return _tower_features(model.get_image_features(pixel_values=images))  # type: ignore[operator]


def _image_pooler(model: nn.Module, images: Tensor) -> Tensor:
    pooled: Tensor = model(pixel_values=images).pooler_output
    return pooled.flatten(1)


def _image_mean(model: nn.Module, images: Tensor) -> Tensor:
    return _mean_of_positions(model(pixel_values=images))


def _with_maximum(
    pool: Callable[[Any], Tensor],
) -> Callable[[nn.Module, Tensor], Tensor]:
    def both(model: nn.Module, images: Tensor) -> Tensor:
        output = model(pixel_values=images)
        hidden: Tensor = output.last_hidden_state
        maximum = hidden.amax(dim=(2, 3)) if hidden.ndim == 4 else hidden.amax(dim=1)
        return torch.cat([pool(output), maximum], dim=1)

    return both


def _mean_of_positions(output: Any) -> Tensor:  # noqa: ANN401 - an output of transformers
    hidden: Tensor = output.last_hidden_state
    return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1)


IMAGE_POOLINGS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "image tower": _image_tower,
    "pooler": _image_pooler,
    "mean": _image_mean,
    "pooler+max": _with_maximum(lambda output: output.pooler_output.flatten(1)),
    "mean+max": _with_maximum(_mean_of_positions),
}
"""Poolings of an image model: the projection of its image tower, its own pooler, or the mean over
the positions of its last layer; with "+max" followed by the maximum over these positions."""


def _hidden(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    hidden: Tensor = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    return hidden


def _text_tower(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    embed = model.get_text_features
    return _tower_features(embed(input_ids=tokens, attention_mask=mask.long()))  # type: ignore[operator]


def _text_mean(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    weights = mask[:, :, None].float()
    return (_hidden(model, tokens, mask) * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def _text_max(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    return _hidden(model, tokens, mask).masked_fill(~mask[:, :, None], -torch.inf).amax(1)


def _text_first(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    return _hidden(model, tokens, mask)[:, 0]


def _text_last(model: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    positions = mask.sum(1).clamp(min=1) - 1
    return _hidden(model, tokens, mask)[torch.arange(len(tokens), device=tokens.device), positions]


TEXT_POOLINGS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "text tower": _text_tower,
    "mean": _text_mean,
    "max": _text_max,
    "cls": _text_first,
    "lasttoken": _text_last,
}
"""Poolings of a text model: the projection of its text tower, or the mean, maximum, first or last
vector of its last layer over the tokens without padding."""


def _dense(source: int, target: int, bias: bool, activation: str) -> nn.Module:
    if activation not in ACTIVATIONS:
        raise SpaceError(
            "the activation of a layer is unknown",
            expected="one of torch.nn",
            found=repr(activation)[:80],
            advice="load the space with the version of commonspace that wrote it",
        )
    layers: nn.Module = getattr(nn, activation)()
    return nn.Sequential(nn.Linear(source, target, bias=bias), layers)


def _last_block(model: nn.Module) -> Sequence[nn.Module]:
    """Return the last entry of the longest list of blocks, and the modules after that list."""
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
    ]
    if not lists:
        return (model,)
    name, blocks = max(lists, key=lambda entry: len(entry[1]))
    modules: list[nn.Module] = [blocks[-1]]
    parent = model
    for part in name.split("."):
        names = [child for child, _ in parent.named_children()]
        modules += [parent.get_submodule(later) for later in names[names.index(part) + 1 :]]
        parent = parent.get_submodule(part)
    return modules


def _checkpoint(model: nn.Module, refuse: Callable[[], None]) -> None:
    if not getattr(model, "supports_gradient_checkpointing", False):
        refuse()
    model.activation_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
