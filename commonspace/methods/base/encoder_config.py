"""How a method begins with raw items: through which encoders, and how much of them it trains.

Encoders that are kept as they are see each item once, before training; the method learns from
their features, and the space gets both. Encoders that are trained along become its backbones. This
module knows nothing of objectives.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import nn

from commonspace.callbacks import Callback
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_row_per_text
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
from commonspace.errors import SettingError, check_settings
from commonspace.machine import choose_device
from commonspace.networks.backbones.base import FINE_TUNING, FineTuning, PretrainedBackbone
from commonspace.networks.backbones.torch_module import modules_in, use_modules
from commonspace.networks.multi_branch import MultiBranchNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["EncoderConfig", "Learn", "learn_through", "tuned"]


Learn = Callable[[Dataset, Dataset, Run, Mapping[str, Encoder]], CommonSpace]
"""Learns from a training and a validation part as they come; the encoders are trained along."""

T = TypeVar("T", bound=MultiBranchNetwork)


@dataclass(frozen=True)
class EncoderConfig:
    """What stands between raw items and a method.

    Args:
        specs: modality -> the text form of its encoder, such as "vgg19"; raw columns without
            one are read by small networks that start from nothing.
        multi_caption: what becomes of several texts of one sample: "mean", "concat", "expand".
        input_form: how image encoders see a photo: "auto" chooses on validation; else a form such as
            "crop", "pad", "stretch" or "pad,side=320,pooling=mean+max".
        fine_tune: "none" keeps the encoders as they are, "top" trains their last block along,
            "all" trains them whole. Sentence CNNs of "word2vec" and "textcnn" are trained by a
            classifier before under "none", and along with the space otherwise.
        backbone_learning_rate: of backbones that come with trained weights.
        checkpoint_gradients: whether backbones compute activations twice to save memory.

    Raises:
        SettingError: a value that cannot work.
    """

    specs: Mapping[str, str] = field(default_factory=dict)
    multi_caption: MultiCaption = "concat"
    input_form: str = "auto"
    fine_tune: FineTuning = "none"
    backbone_learning_rate: float = 1e-5
    checkpoint_gradients: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is loaded."""
        checks = (
            ("fine_tune", self.fine_tune in FINE_TUNING, " or ".join(FINE_TUNING)),
            ("multi_caption", self.multi_caption in MULTI_CAPTION, " or ".join(MULTI_CAPTION)),
            (
                "input_form",
                _is_form(self.input_form),
                "auto, or crop, pad or stretch with settings",
            ),
            ("backbone_learning_rate", self.backbone_learning_rate > 0, "above 0"),
        )
        check_settings(self, checks)

    def rows(self, part: Dataset) -> Dataset:
        """Return a part with one sample for each text, where that is the choice.

        Args:
            part: of any split.

        Raises:
            DataError: it has no column of texts, or more than one.
        """
        return one_row_per_text(part) if self.multi_caption == "expand" else part

    def build(
        self, train: Dataset, validation: Dataset, seed: int, callback: Callback | None = None
    ) -> dict[str, Encoder]:
        """Return the encoders, modality by modality.

        Args:
            train: what encoders that are fitted learn from.
            validation: what their epoch is chosen on.
            seed: of whatever is drawn.
            callback: receives the progress.

        Raises:
            SettingError: a text form that is wrong, or does not suit its column.
            DataError: a file, model or the training texts cannot be used.
            MissingExtraError: an encoder needs an optional package.
        """
        return {
            modality: encoder_from_spec(
                spec,
                Source(
                    train,
                    validation,
                    modality,
                    multi_caption=self.multi_caption,
                    seed=seed,
                    train_now=self.fine_tune == "none",
                    input_form=self.input_form,
                    callback=callback,
                ),
            )
            for modality, spec in self.specs.items()
        }


def learn_through(
    config: EncoderConfig,
    learn: Learn,
    train: Dataset,
    validation: Dataset,
    run: Run,
    *,
    seed: int,
    device: str,
) -> CommonSpace:
    """Learn a space that reads the columns as they are given: raw, features, or some of each.

    Args:
        config: the encoders of raw columns, and how much of them is trained.
        learn: the method itself.
        train: the training part.
        validation: the validation part.
        run: who is told, also of items that are encoded before.
        seed: of encoders that are fitted.
        device: on which items are encoded: "auto" or what torch calls it.

    Raises:
        DataError: a file, model or text cannot be used.
        SettingError: a text form of an encoder that is wrong, or does not suit its column.
        MissingExtraError: an encoder needs an optional package.
    """
    rows, held = config.rows(train), config.rows(validation)
    encoders = config.build(rows, held, seed, run.extraction)
    with use_modules(modules_in(encoder.backbone for encoder in encoders.values())):
        if not encoders or config.fine_tune != "none":
            return _recorded(learn(rows, held, run, encoders), train)
        rows, held = (_features_of(one, encoders, device, run.extraction) for one in (rows, held))
        return _recorded(_joined(learn(rows, held, run, {}), encoders), train)


def tuned(network: T, encoders: Mapping[str, Encoder], config: EncoderConfig) -> T:
    """Put the encoders' networks into a fresh network as its backbones, ready to be trained along."""
    for modality, encoder in encoders.items():
        network.replace_backbone(modality, encoder.backbone)
        for module in encoder.backbone.modules():
            if isinstance(module, PretrainedBackbone):
                module.fine_tune(config.fine_tune)
                if config.checkpoint_gradients:
                    module.checkpoint_gradients()
    return network


def _features_of(
    part: Dataset, encoders: Mapping[str, Encoder], device: str, callback: Callback | None
) -> Dataset:
    """Return a part with features in place of its raw items; what was computed before is kept."""
    settings = Extraction(cache=default_cache(), device=str(choose_device(device)))
    return extract(part, encoders, settings, callback)


def _recorded(space: CommonSpace, given: Dataset) -> CommonSpace:
    """Write down which samples were given, where features or single texts of them were learnt from.

    Args:
        space: fitted, with the record of what it was fitted on.
        given: the training part as the caller has it.
    """
    facts = space.provenance["data"]
    if facts["fingerprint"] != given.fingerprint:
        space.provenance["data"] = {**facts, "given_fingerprint": given.fingerprint}
    return space


def _joined(space: CommonSpace, encoders: Mapping[str, Encoder]) -> CommonSpace:
    """Return the space that reads raw items: its encoders, then what was learnt on features.

    Args:
        space: fitted on the features of the encoders.
        encoders: modality -> encoder.
    """
    learnt = space.network
    assert isinstance(learnt, MultiBranchNetwork)
    backbones: dict[str, Any] = {
        **learnt.config.backbones,
        **{modality: dict(encoder.backbone_config) for modality, encoder in encoders.items()},
    }
    device = next(learnt.parameters()).device
    with torch.device("meta"):  # every weight comes from elsewhere
        network = type(learnt)(replace(learnt.config, backbones=backbones))
    for modality in network.modalities:
        encoder = encoders.get(modality)
        backbone: nn.Module = learnt.backbone(modality) if encoder is None else encoder.backbone
        network.replace_backbone(modality, backbone.to(device))
    rest = {
        name: tensor
        for name, tensor in learnt.state_dict().items()
        if not name.startswith("backbones.")
    }
    network.load_state_dict(rest, strict=False, assign=True)
    inputs = {**space.inputs, **{name: encoder.input for name, encoder in encoders.items()}}
    return CommonSpace(network, inputs, space.class_names, space.provenance, space.calibration)


def _is_form(text: str) -> bool:
    try:
        return text == "auto" or bool(InputForm.parse(text))
    except SettingError:
        return False
