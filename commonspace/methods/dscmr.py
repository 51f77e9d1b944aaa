"""DSCMR: Deep Supervised Cross-modal Retrieval, after the paper and after its released code.

Zhen, Hu, Wang, Peng: Deep Supervised Cross-modal Retrieval, CVPR 2019, pages 10394-10403.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, get_args

from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder
from commonspace.errors import SettingError
from commonspace.losses import ResidualNorm
from commonspace.machine import Precision
from commonspace.methods.base.branches import build_backbones
from commonspace.methods.base.encoder_config import EncoderConfig, learn_through, tuned
from commonspace.methods.base.gradient import Recipe, fit_by_gradient
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.dscmr_objective import DSCMRObjective
from commonspace.networks.backbones.base import PretrainedBackbone
from commonspace.networks.dscmr import Classifier, DSCMRConfig, DSCMRNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run, TrainingSettings

__all__ = ["DSCMR", "PACES", "VARIANTS", "Pace", "Variant"]


@dataclass(frozen=True)
class Variant:
    """Where the paper and the released code differ; each item is an option of ``DSCMR`` too."""

    reduction: ResidualNorm
    """J1 and J3: Frobenius norm over n (paper), or mean of the rows' norms (code)."""
    relu_after_shared: bool
    """Whether a ReLU follows the shared layer (paper) or not (code)."""
    classifier: Classifier
    """"linear" (paper) or "affine", with a bias (code)."""
    lambda_: float
    """The factor of J2."""
    eta: float
    """The factor of J3."""
    betas: tuple[float, float]
    """Of Adam."""
    shuffle: bool
    """Random mini-batches (paper), or batches in the order of the data (code)."""


VARIANTS: Mapping[str, Variant] = {
    # The paper gives neither lambda nor eta; these two are the released code's.
    "paper": Variant("frobenius", True, "linear", 1e-3, 1e-1, (0.9, 0.999), shuffle=True),
    "released": Variant("rows", False, "affine", 1e-3, 1e-1, (0.5, 0.999), shuffle=False),
}


@dataclass(frozen=True)
class Pace:
    """What suits a kind of input; each item is an option of ``DSCMR`` too."""

    epochs: int
    """At most."""
    batch_size: int
    learning_rate: float
    hidden_dim: int
    embedding_dim: int
    eta: float | None = None
    """None leaves it to the variant."""


PACES: Mapping[str, Pace] = {
    "features": Pace(500, 100, 1e-4, 2048, 1024),  # as in the paper
    "encoders": Pace(60, 100, 1e-4, 2048, 1024),
    # Chosen on the validation parts of scenes and of real photos with descriptions: at the paper's
    # size, a strong J3 holds backbones that know nothing yet at one point.
    "nothing": Pace(60, 50, 5e-4, 512, 256, eta=1e-2),
}


@dataclass(frozen=True)
class DSCMR:
    """Deep Supervised Cross-modal Retrieval.

        J = J1 + lambda J2 + eta J3

    J1 is the discrimination loss in the label space (eq. 1), J2 that in the common space (eq. 2),
    J3 the modality-invariance loss (eq. 4). With more than two modalities J1 is summed over all,
    J2 over all pairings, each with itself included, and J3 over all pairs. A sample takes part in
    the terms that it has the modalities and the labels for.

    Options that are None take the value of the variant, or the one that suits the input, see
    ``PACES``: precomputed features are learnt from as in the paper; encoders that are trained
    along, for fewer epochs; backbones that start from nothing, in smaller and quicker steps.

    Args:
        variant: "paper" or "released"; they differ in the items of ``Variant``.
        seed: of the initial weights, the batches and the dropout.
        label_weight: the factor of J1, 1 in the paper; 0 is its ablation "without J1".
        lambda_: the factor of J2; 0 is "without J2".
        eta: the factor of J3; 0 is "without J3".
        classifier: "linear" or "affine", learnt without or with a bias, or "closed_form", which
            the paper describes: see ``closed_form_classifier``.
        reduction: of the residuals in J1 and J3, "frobenius" or "rows".
        relu_after_shared: whether a ReLU follows the shared layer.
        betas: of Adam.
        shuffle: random mini-batches, or batches in the order of the data.
        epochs: at most.
        patience: epochs without a better validation mAP after which to stop; None: never.
        batch_size: samples in a step.
        learning_rate: of Adam.
        hidden_dim: the size of the first fully connected layer of each branch.
        embedding_dim: the size of the common space.
        device: "auto" or what torch calls it.
        precision: of the matrix products: "auto", "float32" or "bfloat16".
        encoders: the encoders of raw columns, and how much of them is trained.

    Raises:
        SettingError: a value that cannot work.
    """

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "lambda_": Between(1e-4, 1e-1),
        "eta": Between(1e-3, 1.0),
    }

    variant: Literal["paper", "released"] = "paper"
    seed: int = 0
    label_weight: float = 1.0
    lambda_: float | None = None
    eta: float | None = None
    classifier: Classifier | None = None
    reduction: ResidualNorm | None = None
    relu_after_shared: bool | None = None
    betas: tuple[float, float] | None = None
    shuffle: bool | None = None
    epochs: int | None = None
    patience: int | None = 100
    batch_size: int | None = None
    learning_rate: float | None = None
    hidden_dim: int | None = None
    embedding_dim: int | None = None
    device: str = "auto"
    precision: Precision = "auto"
    encoders: EncoderConfig = field(default_factory=EncoderConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        if self.variant not in VARIANTS:
            raise _unworkable("variant", " or ".join(map(repr, VARIANTS)), self.variant)
        variant = self._resolved()
        for name, value, names in (
            ("classifier", variant.classifier, get_args(Classifier)),
            ("reduction", variant.reduction, get_args(ResidualNorm)),
        ):
            if value not in names:
                raise _unworkable(name, " or ".join(map(repr, names)), value)
        for name, factor in (
            ("label_weight", self.label_weight),
            ("lambda_", variant.lambda_),
            ("eta", variant.eta),
        ):
            if not 0 <= factor < float("inf"):
                raise _unworkable(name, "0, which leaves the term out, or more", factor)
        for name, size in (("hidden_dim", self.hidden_dim), ("embedding_dim", self.embedding_dim)):
            if size is not None and size < 1:
                raise _unworkable(name, "at least 1", size)
        self._settings(variant, self._paced("features"))  # which refuses values of its own

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn the common space of the training part; the epoch is chosen on validation.

        Args:
            train: labelled samples of two or more modalities.
            validation: labelled samples, of the same columns.
            run: how to report progress and where to keep a checkpoint.

        Raises:
            DataError: the parts lack modalities or labels, or their columns do not match.
            TrainingError: the loss is no longer finite.
            MissingExtraError: an encoder needs an optional package.
        """
        return learn_through(
            self.encoders,
            self._learn,
            train,
            validation,
            run or Run(),
            seed=self.seed,
            device=self.device,
        )

    def _learn(
        self, train: Dataset, validation: Dataset, run: Run, encoders: Mapping[str, Encoder]
    ) -> CommonSpace:
        """Learn from features and raw items as they come; encoders are trained along."""
        input_ = _input_of(train, encoders)
        variant, pace = self._resolved(PACES[input_].eta), self._paced(input_)
        branches = build_backbones(train, encoders)
        config = DSCMRConfig(
            backbones={name: branch.backbone for name, branch in branches.items()},
            classes=len(train.class_names),
            hidden_dim=pace.hidden_dim,
            embedding_dim=pace.embedding_dim,
            relu_after_shared=variant.relu_after_shared,
            classifier=variant.classifier,
        )
        recipe = Recipe(
            name="dscmr",
            options=asdict(self),
            network=lambda: tuned(DSCMRNetwork(config), encoders, self.encoders),
            objective=DSCMRObjective(
                variant.reduction, self.label_weight, variant.lambda_, variant.eta
            ),
            inputs={name: branch.input for name, branch in branches.items()},
            settings=self._settings(variant, pace),
            encoders={name: encoder.provenance for name, encoder in encoders.items()},
        )
        return fit_by_gradient(recipe, train, validation, run)

    def _resolved(self, eta: float | None = None) -> Variant:
        """Return the variant with the options that were given in place of its own."""
        suited = VARIANTS[self.variant] if eta is None else replace(VARIANTS[self.variant], eta=eta)
        return replace(suited, **self._given(Variant))

    def _paced(self, input_: str) -> Pace:
        """Return the pace that suits the input, with the options that were given in its place."""
        return replace(PACES[input_], **self._given(Pace))

    def _given(self, kind: type[Variant] | type[Pace]) -> dict[str, Any]:
        options = {one.name: getattr(self, one.name) for one in fields(kind)}
        return {name: value for name, value in options.items() if value is not None}

    def _settings(self, variant: Variant, pace: Pace) -> TrainingSettings:
        return TrainingSettings(
            epochs=pace.epochs,
            batch_size=pace.batch_size,
            learning_rate=pace.learning_rate,
            betas=variant.betas,
            shuffle=variant.shuffle,
            patience=self.patience,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            backbone_learning_rate=self.encoders.backbone_learning_rate,
        )


def _input_of(train: Dataset, encoders: Mapping[str, Encoder]) -> str:
    """Return what is learnt from, in the words of ``PACES``."""
    raw = [name for name, column in train.columns.items() if column.kind != "features"]
    trained = [
        name
        for name, encoder in encoders.items()
        if any(isinstance(module, PretrainedBackbone) for module in encoder.backbone.modules())
    ]
    if not raw:
        return "features"
    return "encoders" if all(name in trained for name in raw) else "nothing"


def _unworkable(option: str, expected: str, found: object) -> SettingError:
    return SettingError(
        f"the option {option} of DSCMR cannot work",
        expected=expected,
        found=repr(found),
        advice="leave it out to take the default",
    )
