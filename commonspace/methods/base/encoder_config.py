"""Encoders of raw columns before a method: frozen, or fine-tuned jointly with the space.

A frozen encoder computes the features of each item once, before training; the space gets both. A
fine-tuned encoder becomes the backbone of its branch.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from itertools import chain
from typing import Any

import torch
from torch import nn

from commonspace.callbacks import Callbacks
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
from commonspace.encoders.cache import default_cache
from commonspace.errors import SettingError
from commonspace.machine import choose_device
from commonspace.networks.backbones.base import FINE_TUNING, FineTuning, PretrainedBackbone
from commonspace.networks.backbones.torch_module import modules_in, use_modules
from commonspace.networks.network import MultiBranchNetwork
from commonspace.settings import Settings, setting
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig

__all__ = ["EncoderConfig", "attach_encoders", "encode_splits", "encoder_modules", "join_encoders"]


class EncoderConfig(Settings):
    """Encoders of raw columns, and how much of them is trained.

    Raw columns without an encoder are read by a small network that is trained from scratch. Text
    CNNs ("word2vec", "textcnn") are trained by a classifier first if ``fine_tune`` is "none", and
    jointly with the space otherwise.

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
        help="Learning rate of fine-tuned encoders; None: 1e-5; with posterior 3e-4 for networks"
        " with batch norm, 3e-5 for others.",
        above=0,
    )
    tuning_epochs: int = setting(
        8, help="Largest number of epochs in which posterior trains encoders.", low=1
    )
    tuning_form: str = setting(
        "auto",
        help='Form of a photo while posterior trains its encoder: "auto" (small photos are not'
        ' enlarged much), or a form as for input_form, such as "pad,side=160".',
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
    """Build the encoders and, if they are frozen, replace raw columns by their features.

    Args:
        config: The encoders.
        train: The training split; encoders that need training are trained on it.
        validation: The validation split, on which their epoch is chosen.
        run: Its callbacks receive the progress.
        seed: Random seed of encoders that are trained.
        device: Where items are encoded: "auto" or a torch device.

    Returns:
        Both splits, and modality -> encoder.

    Raises:
        SettingError: If an encoder spec is wrong, or does not suit its column.
        DataError: If a file, model or text cannot be used.
        MissingExtraError: If an encoder needs an optional package.
    """
    if config.multi_caption == "expand":
        train, validation = one_sample_per_text(train), one_sample_per_text(validation)
    frozen = config.fine_tune == "none"
    callbacks = Callbacks(run.callbacks)
    encoders = {
        modality: encoder_from_spec(
            spec,
            Source(
                train,
                validation,
                modality,
                multi_caption=config.multi_caption,
                seed=seed,
                train_now=frozen,
                input_form=config.input_form,
                callback=callbacks,
            ),
        )
        for modality, spec in config.specs.items()
    }
    if encoders and frozen:
        settings = Extraction(cache=default_cache(), device=str(choose_device(device)))
        with encoder_modules(encoders):
            train = extract(train, encoders, settings, callbacks)
            validation = extract(validation, encoders, settings, callbacks)
    return train, validation, encoders


def encoder_modules(encoders: Mapping[str, Encoder]) -> AbstractContextManager[None]:
    """Return a context in which networks with the modules of these encoders can be built.

    Args:
        encoders: Modality -> encoder.
    """
    if not encoders:
        return nullcontext()
    return use_modules(modules_in(encoder.backbone for encoder in encoders.values()))


def attach_encoders(
    network: nn.Module, encoders: Mapping[str, Encoder], config: EncoderConfig
) -> None:
    """Make the networks of encoders the backbones of a network, ready to be fine-tuned.

    Args:
        network: With initial weights; it is changed in place.
        encoders: Modality -> encoder.
        config: How much of them is trained.

    Raises:
        SettingError: If the network has no backbones to replace.
    """
    for modality, encoder in encoders.items():
        _multi_branch(network).replace_backbone(modality, encoder.backbone)
        for module in encoder.backbone.modules():
            if isinstance(module, PretrainedBackbone):
                module.fine_tune(config.fine_tune)
                if config.checkpoint_gradients:
                    module.checkpoint_gradients()


def join_encoders(space: CommonSpace, encoders: Mapping[str, Encoder]) -> CommonSpace:
    """Return a space that embeds raw items: the encoders, then the space of their features.

    Args:
        space: Fitted on the features of the encoders.
        encoders: Modality -> encoder.

    Raises:
        SettingError: If the network of the space has no backbones to replace.
    """
    fitted = _multi_branch(space.network)
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


def _multi_branch(network: nn.Module) -> MultiBranchNetwork:
    if not isinstance(network, MultiBranchNetwork):
        raise SettingError(
            "encoders are not supported by this network",
            expected="a MultiBranchNetwork, whose backbones can be replaced",
            found=type(network).__name__,
            advice="extract features first with commonspace extract",
        )
    return network
