"""The methods that ``train`` offers: name -> how the options of the command line make one.

A new method is one more line: in ``BY_DESCENT`` if it trains a plain network of branches, in
``CLOSED_FORM`` if it is solved in closed form. One with options of its own on the command line is
one more function, as for dscmr.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from commonspace.cli.encoders import FineTune
from commonspace.cli.options import Classifier, Precision, Variant
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.methods import EncoderConfig, Method

__all__ = ["BY_DESCENT", "CLOSED_FORM", "METHODS", "MethodOptions", "method_for", "method_named"]


@dataclass(frozen=True)
class MethodOptions:
    """What the command line says about a method; each method takes what concerns it.

    None leaves an option to the method; the others have the method's own defaults, so that
    ``--help`` can show them. A ``patience`` of 0 never stops early.
    """

    variant: Variant = "paper"
    seed: int = 0
    epochs: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    label_weight: float = 1.0
    lambda_: float | None = None
    eta: float | None = None
    classifier: Classifier | None = None
    hidden_dim: int | None = None
    embedding_dim: int | None = None
    device: str = "auto"
    precision: Precision = "auto"
    encoders: Mapping[str, str] = field(default_factory=dict)
    multi_caption: Literal["mean", "concat", "expand"] = "concat"
    fine_tune: FineTune = "none"
    backbone_learning_rate: float = 1e-5
    checkpoint_gradients: bool = False


def _dscmr(options: MethodOptions) -> "Method":
    from commonspace.methods import DSCMR

    return DSCMR(
        variant=options.variant,
        seed=options.seed,
        label_weight=options.label_weight,
        lambda_=options.lambda_,
        eta=options.eta,
        classifier=options.classifier,
        epochs=options.epochs,
        patience=_patience(options, DSCMR.patience),
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        hidden_dim=options.hidden_dim,
        embedding_dim=options.embedding_dim,
        device=options.device,
        precision=options.precision,
        encoders=_encoder_config(options),
    )


def _patience(options: MethodOptions, standing: int | None) -> int | None:
    """Return the patience that was given, None for never stopping; or that of the method."""
    return standing if options.patience is None else options.patience or None


def _encoder_config(options: MethodOptions) -> "EncoderConfig":
    from commonspace.methods import EncoderConfig

    return EncoderConfig(
        specs=options.encoders,
        multi_caption=options.multi_caption,
        fine_tune=options.fine_tune,
        backbone_learning_rate=options.backbone_learning_rate,
        checkpoint_gradients=options.checkpoint_gradients,
    )


BY_DESCENT: Mapping[str, str] = {
    "posterior": "PosteriorMatching",
    "infonce": "InfoNCE",
    "supcon": "SupervisedContrastive",
    "acmr": "ACMR",
    "dcca": "DCCA",
    "sdml": "SDML",
}
"""Name -> class in ``commonspace.methods``, a ``Descent``."""

OF_DSCMR = ("variant", "label_weight", "lambda_", "eta", "classifier")
"""The options that no other method has."""


def _by_descent(name: str, options: MethodOptions) -> "Method":
    _refuse(name, options, OF_DSCMR, "none of the options of dscmr alone", "leave them out")
    sizes = {
        option: getattr(options, option)
        for option in ("epochs", "batch_size", "learning_rate", "hidden_dim", "embedding_dim")
        if getattr(options, option) is not None
    }
    kind = getattr(import_module("commonspace.methods"), BY_DESCENT[name])
    method: Method = kind(
        seed=options.seed,
        device=options.device,
        precision=options.precision,
        encoders=_encoder_config(options),
        patience=_patience(options, kind.patience),
        **sizes,
    )
    return method


def _refuse(
    name: str, options: MethodOptions, unknown: Iterable[str], expected: str, advice: str
) -> None:
    """Refuse options that were given and that the method does not know."""
    given = _given(options, unknown)
    if given:
        raise SettingError(
            f"the method {name} has no such option",
            expected=expected,
            found=", ".join(one.replace("_", " ").strip() for one in given),
            advice=advice,
        )


def _given(options: MethodOptions, names: Iterable[str]) -> list[str]:
    """Return which of these options are not as they stand by themselves."""
    standing = MethodOptions()
    return [one for one in names if getattr(options, one) != getattr(standing, one)]


CLOSED_FORM: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "raw": ("RawFeatures", {}),
    "linear-probe": ("LinearProbe", {}),
    "cca": ("CCA", {}),
    "rcca": ("CCA", {"regularisation": None}),
    "mcca": ("MCCA", {}),
    "gma": ("GMA", {}),
    "mvda": ("MvDA", {}),
    "mvda-vc": ("MvDA", {"consistency": None}),
    "sm": ("SemanticMatching", {}),
    "sm-probability": ("SemanticMatching", {"similarity": "probability"}),
    "scm": ("SemanticMatching", {"canonical": True}),
    "jrl": ("JRL", {}),
}
"""Name -> class in ``commonspace.methods`` and its settings; the rest is chosen on validation."""


def _closed_form(name: str, options: MethodOptions) -> "Method":
    everything = [one.name for one in fields(MethodOptions)]
    unknown = [one for one in everything if one not in ("seed", "device")]  # which change nothing
    _refuse(
        name,
        options,
        unknown,
        "none of the options of training: its settings are chosen on validation",
        "leave them out; raw images and texts are for commonspace extract",
    )
    kind, settings = CLOSED_FORM[name]
    method: Method = getattr(import_module("commonspace.methods"), kind)(**settings)
    return method


METHODS: dict[str, Callable[[MethodOptions], "Method"]] = {
    "dscmr": _dscmr,
    **{name: partial(_by_descent, name) for name in BY_DESCENT},
    **{name: partial(_closed_form, name) for name in CLOSED_FORM},
}


def method_for(data: "Dataset", options: MethodOptions) -> str:
    """Return the name of the method that suits, where none is named.

    Posterior matching wherever it can be: where each column is features, or read by an encoder
    that is kept as it is. DSCMR learns from raw items themselves, and has options of its own.

    Args:
        data: what to learn from.
        options: what else the command line says.
    """
    from commonspace.data import Features

    kept = {name for name, encoder in options.encoders.items() if encoder != "textcnn"}
    raw = [name for name, column in data.columns.items() if not isinstance(column, Features)]
    learns = options.fine_tune != "none" or not kept.issuperset(raw)
    return "dscmr" if learns or _given(options, OF_DSCMR) else "posterior"


def method_named(name: str, options: MethodOptions) -> "Method":
    """Return the method of that name with these options.

    Raises:
        SettingError: there is no such method, or an option has a value that cannot work.
    """
    if name not in METHODS:
        raise SettingError(
            "there is no such method",
            expected=f"--method {' or '.join(METHODS)}",
            found=repr(name),
            advice="leave it out to take what suits the data",
        )
    return METHODS[name](options)
