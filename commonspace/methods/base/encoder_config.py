"""Encoders of raw columns before a method: frozen, or fine-tuned jointly with the space.

A frozen encoder computes the features of each item once, before training; the space gets both. A
fine-tuned encoder becomes the backbone of its branch.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from commonspace.cache_folder import default_cache
from commonspace.callbacks import Callbacks
from commonspace.data.columns import Images
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_sample_per_text
from commonspace.encoders import (
    MULTI_CAPTION,
    Encoder,
    Extraction,
    InputForm,
    MultiCaption,
    Source,
    encoder_from_spec,
    extract,
)
from commonspace.encoders.inputs import Joined
from commonspace.encoders.specs import resolve_spec
from commonspace.encoders.tuning_form import encoder_for_training
from commonspace.errors import SettingError
from commonspace.machine import choose_device
from commonspace.networks.backbones.base import FINE_TUNING, FineTuning, PretrainedBackbone
from commonspace.networks.backbones.text_cnn import TextCNN
from commonspace.networks.backbones.torch_module import modules_in, use_modules
from commonspace.networks.network import MultiBranchNetwork
from commonspace.settings import Settings, setting
from commonspace.space import CommonSpace
from commonspace.training.augmentation import augment
from commonspace.training.loop import RunConfig

__all__ = [
    "EncoderConfig",
    "backbone_rate",
    "encode_splits",
    "encoder_modules",
    "has_weights_to_train",
    "join_encoders",
    "multi_branch",
    "nothing_to_train",
    "photo_changes",
    "train_backbones",
]

CONVOLUTION_RATE, TRANSFORMER_RATE = 3e-4, 3e-5
"""Learning rates of encoders with and without batch norm."""


class EncoderConfig(Settings):
    """Encoders of raw columns, and how much of them is trained.

    Raw columns without an encoder are read by a small network that is trained from scratch. Text
    CNNs ("word2vec", "textcnn") are trained by a classifier first where there are labels.

    Raises:
        SettingError: If a value is out of range.
    """

    specs: Mapping[str, str] = field(default_factory=dict)
    multi_caption: MultiCaption = setting(
        "concat",
        help='Use of several captions of a sample: "mean" of their features, "concat" to one text,'
        ' or "expand" to one sample each.',
        choices=MULTI_CAPTION,
    )
    input_form: str = setting(
        "auto",
        help='Form of a photo for image encoders: "auto" (chosen on validation), or "crop", "pad",'
        ' "stretch", optionally with settings, as in "pad,side=320,pooling=mean+max".',
    )
    fine_tune: FineTuning = setting(
        "none",
        help='Part of the encoders that is trained: "none", "top" (the last block), "all", "lora"'
        ' (updates of low rank to linear layers), or "auto" (all, where validation prefers it).',
        choices=FINE_TUNING,
    )
    backbone_learning_rate: float | None = setting(
        None,
        help="Learning rate of fine-tuned encoders; None: 3e-4 for networks with batch norm, 3e-5"
        " for others.",
        above=0,
    )
    tuning_epochs: int = setting(
        8, help="Largest number of epochs in which encoders are trained.", low=1
    )
    tuning_form: str = setting(
        "auto",
        help='Form of a photo while its encoder is trained: "auto" (small photos are not enlarged'
        ' much), or a form as for input_form, such as "pad,side=160".',
    )
    checkpoint_gradients: bool = setting(
        False, help="Fine-tune with less memory and more time: compute activations twice."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for form in (self.input_form, self.tuning_form):
            if form != "auto":
                InputForm.parse(form)


def encode_splits(
    config: EncoderConfig,
    train: Dataset,
    validation: Dataset,
    run: RunConfig,
    *,
    seed: int,
    device: str,
) -> tuple[Dataset, Dataset, dict[str, Encoder]]:
    """Build the encoders and replace raw columns by the features of those that stay frozen.

    Args:
        config: The encoders.
        train: The training split; encoders that need training are trained on it.
        validation: The validation split, on which their epoch is chosen.
        run: Its callbacks receive the progress.
        seed: Random seed of encoders that are trained.
        device: Where items are encoded: "auto" or a torch device.

    Returns:
        Both splits, and modality -> encoder; photos of encoders to be trained have the form of
        training.

    Raises:
        SettingError: If an encoder spec is wrong, does not suit its column, or none can be trained.
        DataError: If a file, model or text cannot be used.
        MissingExtraError: If an encoder needs an optional package.
    """
    if config.multi_caption == "expand":
        train, validation = one_sample_per_text(train), one_sample_per_text(validation)
    frozen = config.fine_tune == "none"
    callbacks = Callbacks(run.callbacks)
    encoders, tuned = {}, {}
    for modality, name in config.specs.items():
        source = Source(
            train,
            validation,
            modality,
            multi_caption=config.multi_caption,
            seed=seed,
            train_now=frozen or bool(train.labels.any()),
            input_form=config.input_form,
            callback=callbacks,
        )
        spec = name if frozen else resolve_spec(name, source)
        encoders[modality] = encoder_from_spec(spec, source)
        if has_weights_to_train(encoders[modality], config):
            form = replace(source, input_form=config.tuning_form)
            encoders[modality] = tuned[modality] = encoder_for_training(
                encoders[modality], spec, form
            )
    if not (frozen or tuned):
        raise nothing_to_train(config)
    settings = Extraction(cache=default_cache(), device=str(choose_device(device)))
    kept = {name: encoder for name, encoder in encoders.items() if name not in tuned}
    if kept:
        with encoder_modules(kept):
            train = extract(train, kept, settings, callbacks)
            validation = extract(validation, kept, settings, callbacks)
    return train, validation, encoders


def has_weights_to_train(encoder: Encoder, config: EncoderConfig) -> bool:
    """Return whether an encoder has weights that are trained; for LoRA, in linear layers.

    Args:
        encoder: Of any kind.
        config: With what is trained.
    """
    lora = config.fine_tune == "lora"
    if config.fine_tune == "none":
        return False
    for part in encoder.backbone.modules():
        if isinstance(part, PretrainedBackbone):
            if not lora or any(isinstance(one, nn.Linear) for one in part.modules()):
                return True
        elif isinstance(part, TextCNN) and not lora:
            return True
    return False


def nothing_to_train(config: EncoderConfig) -> SettingError:
    """Return the error for a configuration whose encoders all stay frozen."""
    return SettingError(
        f"`fine_tune` {config.fine_tune!r} has no encoder to train",
        expected="an encoder with trainable weights, such as hf:, st:, FILE.py:Class",
        found=", ".join(config.specs.values()) or "no encoder",
        advice="choose another encoder, or omit the option to keep it frozen",
    )


def encoder_modules(encoders: Mapping[str, Encoder]) -> AbstractContextManager[None]:
    """Return a context in which networks with the modules of these encoders can be built.

    Args:
        encoders: Modality -> encoder.
    """
    if not encoders:
        return nullcontext()
    return use_modules(modules_in(encoder.backbone for encoder in encoders.values()))


def train_backbones(
    network: MultiBranchNetwork, modalities: Iterable[str], config: EncoderConfig
) -> None:
    """Mark the weights of encoders that are trained.

    Args:
        network: With encoders as its backbones; it is changed in place.
        modalities: Those whose encoder is trained.
        config: How much of them is trained.

    Raises:
        SettingError: If an encoder does not support it.
    """
    part = "all" if config.fine_tune == "auto" else config.fine_tune
    for modality in modalities:
        for module in network.backbone(modality).modules():
            if isinstance(module, PretrainedBackbone):
                module.fine_tune(part)
                if config.checkpoint_gradients:
                    module.checkpoint_gradients()


def backbone_rate(config: EncoderConfig, backbones: Iterable[nn.Module]) -> float:
    """Return the learning rate of encoders that are trained.

    Args:
        config: With the rate, or None for the default.
        backbones: Networks of the encoders.
    """
    convolutions = any(
        isinstance(module, _BatchNorm) for backbone in backbones for module in backbone.modules()
    )
    default = CONVOLUTION_RATE if convolutions else TRANSFORMER_RATE
    return config.backbone_learning_rate or default


def photo_changes(
    train: Dataset, encoders: Mapping[str, Encoder]
) -> dict[str, Callable[..., Tensor]]:
    """Return the random changes of network input in training: photos are augmented.

    Args:
        train: With the raw items.
        encoders: Modality -> encoder that is trained.
    """
    return {
        name: augment
        for name, encoder in encoders.items()
        if isinstance(train.columns[name], Images) and not isinstance(encoder.input, Joined)
    }


def join_encoders(space: CommonSpace, encoders: Mapping[str, Encoder]) -> CommonSpace:
    """Return a space that embeds raw items: the encoders, then the space of their features.

    Args:
        space: Fitted on the features of the encoders.
        encoders: Modality -> encoder.

    Raises:
        SettingError: If the network of the space has no backbones to replace.
    """
    fitted = multi_branch(space.network)
    backbones: dict[str, Any] = {
        **fitted.config.backbones,
        **{modality: dict(encoder.backbone_config) for modality, encoder in encoders.items()},
    }
    device = next(chain(fitted.parameters(), fitted.buffers())).device
    with torch.device("meta"):  # every weight is replaced below
        network = type(fitted)(replace(fitted.config, backbones=backbones))
    for modality in network.modalities:
        encoder = encoders.get(modality)
        backbone: nn.Module = fitted.backbone(modality) if encoder is None else encoder.backbone
        network.replace_backbone(modality, backbone.to(device))
    rest = {
        name: tensor
        for name, tensor in fitted.state_dict().items()
        if not name.startswith("backbones.")
    }
    network.load_state_dict(rest, strict=False, assign=True)
    inputs = {**space.inputs, **{name: encoder.input for name, encoder in encoders.items()}}
    return CommonSpace(network, inputs, space.class_names, space.provenance, space.calibration)


def multi_branch(network: nn.Module) -> MultiBranchNetwork:
    """Return a network as one whose backbones can be replaced.

    Raises:
        SettingError: If it is another.
    """
    if not isinstance(network, MultiBranchNetwork):
        raise SettingError(
            "encoders are not supported by this network",
            expected="a MultiBranchNetwork, whose backbones can be replaced",
            found=type(network).__name__,
            advice="extract features first with commonspace extract",
        )
    return network
