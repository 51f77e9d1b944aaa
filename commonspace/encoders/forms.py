"""Input form of an image encoder: how it sees a photo, and the choice of a form on validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

from commonspace.callbacks import Callback, Callbacks
from commonspace.data.dataset import Dataset
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.images import FORMS, Form
from commonspace.encoders.probe import WORTH, probe_features, probe_loss, probe_parts
from commonspace.errors import SettingError

__all__ = ["AUTO", "ImageModel", "InputForm", "Pooling", "choose_form"]

AUTO = "auto"
"""The input form that is chosen on validation."""

Pooling = Literal["mean", "mean+max"]

LARGER = 10 / 7
"""Ratio of the larger side that is tried to the side a network was trained at: 320 for 224."""


@dataclass(frozen=True)
class InputForm:
    """How an image network sees a photo.

    Args:
        form: "crop" is the network's own pre-processing, usually the center of the photo; "pad"
            shows the whole photo with white at its sides; "stretch" the whole photo, scaled to a
            square.
        side: height and width of the network input in pixels; None: as the network was trained.
        pooling: "mean" is the network's own feature vector; "mean+max" appends the maximum of the
            last feature map over its positions.
        views: 1, or 2 to average the features of the photo and its mirror image.

    Raises:
        SettingError: If a value is out of range.

    Example:
        >>> form = InputForm.parse("pad,side=320,pooling=mean+max")
        >>> form.side, str(form)
        (320, 'pad,side=320,pooling=mean+max')
    """

    form: Form = "crop"
    side: int | None = None
    pooling: Pooling = "mean"
    views: int = 1

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise _unknown("form", self.form, " or ".join(FORMS))
        if self.side is not None and not 8 <= self.side <= 4096:
            raise _unknown("side", self.side, "a number of pixels from 8 to 4096")
        if self.pooling not in get_args(Pooling):
            raise _unknown("pooling", self.pooling, " or ".join(get_args(Pooling)))
        if self.views not in (1, 2):
            raise _unknown("views", self.views, "1 or 2")

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        parts: list[str] = [self.form]
        parts += [f"side={self.side}"] if self.side is not None else []
        parts += [f"pooling={self.pooling}"] if self.pooling != "mean" else []
        parts += [f"views={self.views}"] if self.views != 1 else []
        return ",".join(parts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a form such as "pad" or "pad,side=320,pooling=mean+max,views=2".

        Raises:
            SettingError: If a part is unknown or out of range.
        """
        form, *parts = text.split(",")
        settings: dict[str, Any] = {"form": form}
        for part in parts:
            name, _, value = part.partition("=")
            if name not in ("side", "pooling", "views") or not value:
                raise _unknown("part of an input form", part, "side=, pooling= or views=")
            if name != "pooling" and not value.isdigit():
                raise _unknown(name, value, "a whole number")
            settings[name] = value if name == "pooling" else int(value)
        return cls(**settings)


@dataclass(frozen=True)
class ImageModel:
    """A loaded image network whose input form is still open.

    Args:
        name: for messages.
        side: the side that it was trained at, in pixels.
        build: input form -> encoder.

    ``build`` raises SettingError for a form that the network does not support.
    """

    name: str
    side: int
    build: Callable[[InputForm], Encoder]


def choose_form(
    model: ImageModel,
    train: Dataset,
    validation: Dataset,
    modality: str,
    callback: Callback | None = None,
) -> Encoder:
    """Return the encoder with the input form whose features classify validation samples best.

    A logistic regression on the features of at most 400 training samples is measured by its log
    loss on at most 250 validation samples. First the three forms are compared at the network's own
    side, then the best whole-photo form at a larger one; each also with maximum pooling. A form of
    higher cost (larger side, longer features) is chosen if it lowers the log loss by 1 %. Without
    labeled samples of two classes in both parts the form is "pad".

    Args:
        model: the network.
        train: samples on which the classifiers are trained.
        validation: samples on which they are compared.
        modality: the column of images.
        callback: receives the progress, and one line that states the choice and its reason.

    Returns:
        The encoder; its provenance has the form as "input_form" and the reason as "input_reason".

    Raises:
        DataError: If an image cannot be read.
    """
    parts = probe_parts(train, validation, modality)
    if parts is None:
        chosen, reason = InputForm("pad"), "too few labeled samples to compare: the whole photo"
        return _finish(model, chosen, reason, callback)
    losses: dict[InputForm, float] = {}

    def measure(form: InputForm) -> None:
        both = replace(form, pooling="mean+max")
        try:
            encoder = model.build(both)
        except SettingError:  # no feature map: its own vector alone
            both = form
            try:
                encoder = model.build(form)
            except SettingError:
                return
        losses.update(_losses(encoder, both, parts, modality))

    steps = Callbacks([callback or Callback()])
    with steps.task(f"comparing input forms of {model.name}", len(FORMS) + 1):
        for name in FORMS:
            measure(InputForm(name))
            steps.on_advance()
        best = min(losses, key=losses.__getitem__)
        if best.form != "crop":
            measure(InputForm(best.form, side=round(model.side * LARGER / 32) * 32))
        steps.on_advance()
    ordered = sorted(losses, key=lambda form: (form.side or 0, form.pooling != "mean"))
    chosen = min(ordered[: len(FORMS)], key=losses.__getitem__)
    for form in ordered:
        if losses[form] < (1 - WORTH) * losses[chosen]:
            chosen = form
    shown = ", ".join(f"{form} {loss:.3f}" for form, loss in losses.items())
    reason = f"log loss on {len(parts[1])} validation samples: {shown}"
    return _finish(model, chosen, reason, callback)


def _finish(model: ImageModel, form: InputForm, reason: str, callback: Callback | None) -> Encoder:
    if callback:
        callback.on_message(f"input form of {model.name}: {form} ({reason})")
    encoder = model.build(form)
    return replace(encoder, provenance={**encoder.provenance, "input_reason": reason})


def _losses(
    encoder: Encoder,
    form: InputForm,
    parts: tuple[Dataset, Dataset],
    modality: str,
) -> Iterator[tuple[InputForm, float]]:
    """Yield the log loss of a form, and that of its mean pooling if it has both poolings."""
    features = probe_features(encoder, parts, modality)
    if form.pooling == "mean+max":
        half = encoder.size // 2
        yield replace(form, pooling="mean"), probe_loss([one[:, :half] for one in features], parts)
    yield form, probe_loss(features, parts)


def _unknown(name: str, value: object, expected: str) -> SettingError:
    return SettingError(
        f"unknown {name} of an input form: {value!r}",
        expected=expected,
        found=repr(value),
        advice="write auto, crop, pad or stretch, or more exactly pad,side=320,pooling=mean+max",
    )
