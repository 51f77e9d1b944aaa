"""The methods that ``train`` offers: name -> how the options of the command line make one.

A new method that trains is one more function and one more line in ``METHODS``; one in closed form
is one more line in ``CLOSED_FORM``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from commonspace.cli.encoders import FineTune
from commonspace.cli.options import Classifier, Precision, Variant
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.methods import Method

__all__ = ["CLOSED_FORM", "METHODS", "MethodOptions", "method_named"]


@dataclass(frozen=True)
class MethodOptions:
    """What the command line says about a method; each method takes what concerns it.

    None leaves an option to the method; the others have the method's own defaults, so that
    ``--help`` can show them. ``patience`` is 0 for never stopping early.
    """

    variant: Variant = "paper"
    seed: int = 0
    epochs: int | None = None
    patience: int = 100
    batch_size: int | None = None
    learning_rate: float | None = None
    label_weight: float = 1.0
    lambda_: float | None = None
    eta: float | None = None
    classifier: Classifier | None = None
    hidden: int | None = None
    common: int | None = None
    device: str = "auto"
    precision: Precision = "auto"
    encoders: Mapping[str, str] = field(default_factory=dict)
    several_texts: Literal["mean", "concatenate", "each"] = "concatenate"
    fine_tune: FineTune = "none"
    trunk_learning_rate: float = 1e-5
    checkpoint_gradients: bool = False


def _dscmr(options: MethodOptions) -> "Method":
    from commonspace.methods import DSCMR, FromRaw

    return DSCMR(
        variant=options.variant,
        seed=options.seed,
        label_weight=options.label_weight,
        lambda_=options.lambda_,
        eta=options.eta,
        classifier=options.classifier,
        epochs=options.epochs,
        patience=options.patience or None,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        hidden=options.hidden,
        common=options.common,
        device=options.device,
        precision=options.precision,
        raw=FromRaw(
            encoders=options.encoders,
            several_texts=options.several_texts,
            fine_tune=options.fine_tune,
            trunk_learning_rate=options.trunk_learning_rate,
            checkpoint_gradients=options.checkpoint_gradients,
        ),
    )


CLOSED_FORM: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "raw": ("RawFeatures", {}),
    "probe": ("LinearProbe", {}),
    "cca": ("CCA", {}),
    "rcca": ("CCA", {"regularisation": None}),
    "mcca": ("MCCA", {}),
    "gma": ("GMA", {}),
    "mvda": ("MvDA", {}),
    "mvda-vc": ("MvDA", {"consistency": None}),
    "sm": ("SemanticMatching", {}),
    "scm": ("SemanticMatching", {"canonical": True}),
    "jrl": ("JRL", {}),
}
"""Name -> class in ``commonspace.methods`` and its settings; the rest is chosen on validation."""


def _closed_form(name: str, options: MethodOptions) -> "Method":
    unused = [
        one.name
        for one in fields(MethodOptions)
        if one.name not in ("seed", "device")  # nothing is drawn, and all is done on the CPU
        and getattr(options, one.name) != getattr(MethodOptions(), one.name)
    ]
    if unused:
        raise SettingError(
            f"the method {name} has no such option",
            expected="none of the options of dscmr: its settings are chosen on validation",
            found=", ".join(unused).replace("_", " ").strip(),
            advice="leave them out; raw images and texts are for commonspace extract",
        )
    kind, settings = CLOSED_FORM[name]
    method: Method = getattr(import_module("commonspace.methods"), kind)(**settings)
    return method


METHODS: dict[str, Callable[[MethodOptions], "Method"]] = {
    "dscmr": _dscmr,
    **{name: partial(_closed_form, name) for name in CLOSED_FORM},
}


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
            advice="leave it out to take dscmr",
        )
    return METHODS[name](options)
