"""Input form of an image encoder: how it sees a photo, and the choice of a form on validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from commonspace.callbacks import Callback, Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders.cache import default_cache
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.extract import Extraction, extract
from commonspace.encoders.images import FORMS, Form
from commonspace.errors import SettingError

__all__ = ["AUTO", "ImageModel", "InputForm", "Pooling", "choose_form"]

AUTO = "auto"
"""The input form that is chosen on validation."""

Pooling = Literal["mean", "mean+max"]

TRAIN_PART, VALIDATION_PART = 400, 250
"""Samples on which the candidates are compared, at most."""

LARGER = 10 / 7
"""Ratio of the larger side that is tried to the side a network was trained at: 320 for 224."""

WORTH = 0.01
"""Part of the log loss that a form of higher cost must save to be chosen."""

_PENALTIES = (1e-3, 1e-2, 1e-1)


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
    rows = _rows(train, modality, TRAIN_PART), _rows(validation, modality, VALIDATION_PART)
    classes = int((train.labels[rows[0]].any(0) & validation.labels[rows[1]].any(0)).sum())
    if classes < 2 or min(map(len, rows)) < 2 * classes:
        chosen, reason = InputForm("pad"), "too few labeled samples to compare: the whole photo"
        return _finish(model, chosen, reason, callback)
    parts = train.take(rows[0]), validation.take(rows[1])
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


def _rows(data: Dataset, modality: str, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` rows of labeled samples with an image, drawn with a fixed seed."""
    rows = np.flatnonzero(data.columns[modality].present & data.labels.any(axis=1))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    return rows


def _losses(
    encoder: Encoder,
    form: InputForm,
    parts: tuple[Dataset, Dataset],
    modality: str,
) -> Iterator[tuple[InputForm, float]]:
    """Yield the log loss of a form, and that of its mean pooling if it has both poolings."""
    settings = Extraction(cache=default_cache())
    features, targets = [], []
    for part in parts:
        column = extract(part, {modality: encoder}, settings).columns[modality]
        assert isinstance(column, Features)
        features.append(torch.from_numpy(column.values).double())
        labels = torch.from_numpy(part.labels).double()
        targets.append(labels / labels.sum(dim=1, keepdim=True))
    if form.pooling == "mean+max":
        half = encoder.size // 2
        own = [values[:, :half] for values in features]
        yield replace(form, pooling="mean"), _log_loss(own, targets)
    yield form, _log_loss(features, targets)


def _log_loss(features: list[Tensor], targets: list[Tensor]) -> float:
    """Return the log loss on the second part of a logistic regression fitted on the first.

    Args:
        features: (n, d) and (m, d) float64.
        targets: (n, c) and (m, c), class shares of each sample.

    The smallest loss over a few penalties.
    """
    mean, scale = features[0].mean(0), features[0].std(0) + 1e-6
    known, held = ((values - mean) / scale for values in features)
    weights = torch.zeros(known.shape[1], targets[0].shape[1], dtype=torch.float64)
    bias = torch.zeros(targets[0].shape[1], dtype=torch.float64)
    weights.requires_grad_()
    bias.requires_grad_()
    losses = []
    for penalty in sorted(_PENALTIES, reverse=True):  # each starts from the smoother one before
        solver = torch.optim.LBFGS([weights, bias], max_iter=40, line_search_fn="strong_wolfe")

        def objective(penalty: float = penalty, solver: torch.optim.LBFGS = solver) -> Tensor:
            solver.zero_grad()
            loss = cross_entropy(known @ weights + bias, targets[0])
            loss = loss + penalty / 2 * (weights**2).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        with torch.enable_grad():
            solver.step(objective)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            losses.append(float(cross_entropy(held @ weights + bias, targets[1])))
    return min(losses)


def _unknown(name: str, value: object, expected: str) -> SettingError:
    return SettingError(
        f"unknown {name} of an input form: {value!r}",
        expected=expected,
        found=repr(value),
        advice="write auto, crop, pad or stretch, or more exactly pad,side=320,pooling=mean+max",
    )
