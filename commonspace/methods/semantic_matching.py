"""Semantic matching and semantic correlation matching: class posteriors as the common space."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import ClassVar, Literal, get_args

import numpy as np

from commonspace.data.dataset import Dataset
from commonspace.errors import invalid_setting
from commonspace.methods.base.closed_form import ClosedFormMethod, values_to_try
from commonspace.methods.base.logistic import LogisticRegression, Posteriors
from commonspace.methods.base.views import (
    features_at,
    labeled_rows,
    paired_views,
    standardize_features,
)
from commonspace.methods.cca import canonical_directions
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.settings import setting

__all__ = ["SemanticMatching", "Similarity"]

Similarity = Literal["correlation", "probability"]

STRENGTH = (1e-3, 1e-2, 1e-1, 1.0)
REGULARIZATION = (0.001, 0.1, 0.9)


class SemanticMatching(ClosedFormMethod):
    """Posteriors of the classes by multinomial logistic regression, compared across modalities.

        SM:   p(class | x) = softmax(W'x + b), for each modality separately
        SCM:  the same on the canonical projections of CCA in place of x

    Source: Rasiwasia, Costa Pereira, Coviello, Doyle, Lanckriet, Levy, Vasconcelos: A New Approach
    to Cross-Modal Multimedia Retrieval, ACM Multimedia 2010. "correlation" is the normalized
    correlation of that paper, p'q / (||p|| ||q||), the cosine of the posteriors; "probability" is
    p'q, which is the probability that both share a class if each has one class and the two are
    drawn from their posteriors. Differences: features, or projections, are scaled to unit variance,
    and the regression has a squared penalty.

    Needs labels; no equal sizes. SM needs no pairs and supports any number of modalities. SCM needs
    two modalities, and pairs, labeled or not, for its CCA. A sample of several classes counts for
    each in equal shares.

    Published mAP of SCM on the shallow Wikipedia features, image->text / text->image: 0.350 / 0.250
    (Data Analysis and Knowledge Discovery 4(5), 2020).
    """

    name: ClassVar[str] = "sm"

    canonical: bool = setting(False, help="Apply CCA first: False is SM, True is SCM.")
    similarity: Similarity = setting(
        "correlation", help="Similarity of two posteriors.", choices=get_args(Similarity)
    )
    C: float | None = setting(
        None,
        help="Weight of the likelihood against the penalty; None: chosen on validation.",
        above=0,
    )
    regularization: float | None = setting(
        None, help="Regularization r of the CCA of SCM; None: chosen on validation.", low=0, high=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.regularization is not None and not self.canonical:
            raise invalid_setting("regularization", self.regularization, "None without CCA")

    @property
    def full_name(self) -> str:
        """Name "sm" or "scm", with "-probability" for that similarity."""
        name = "scm" if self.canonical else "sm"
        return name + ("-probability" if self.similarity == "probability" else "")

    @property
    def exact_modalities(self) -> int | None:
        """2 for SCM, whose CCA is defined for two modalities."""
        return 2 if self.canonical else None

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the standardized features, or what gives the canonical projections."""
        return _Problem(_projections(train) if self.canonical else _features(train))

    def candidates(self, problem: "_Problem") -> Sequence["SemanticMatching"]:
        """Return every regularization with every C, in increasing order of C."""
        shares = values_to_try(self.regularization, REGULARIZATION) if self.canonical else (None,)
        return [
            replace(self, C=strength, regularization=r)
            for r, strength in product(shares, values_to_try(self.C, STRENGTH))
        ]

    def solve(self, problem: "_Problem") -> LinearNetwork:
        """Return the posteriors; the solution for the C before is the initial value."""
        assert self.C is not None
        maps = {}
        for modality, part in problem.inputs(self.regularization).items():
            key = modality, self.regularization
            W, b = part.regression.fit(self.C, problem.solutions.get(key))
            problem.solutions[key] = W, b
            maps[modality] = AffineMap(part.map.shift, part.map.matrix @ W, b)
        return LinearNetwork.from_maps(maps, "softmax", normalized=self.similarity == "correlation")


@dataclass(frozen=True)
class _Problem:
    """Inputs of the regressions for a regularization, and the solutions so far."""

    inputs: Callable[[float | None], dict[str, "_Inputs"]]
    solutions: dict[tuple[str, float | None], Posteriors] = field(default_factory=dict)


@dataclass(frozen=True)
class _Inputs:
    """Regression of one modality, over the labeled samples that have it."""

    map: AffineMap
    """Map from features to values of about unit variance."""
    regression: LogisticRegression
    """Regression of the classes on these values."""


def _features(train: Dataset) -> Callable[[float | None], dict[str, _Inputs]]:
    """Return the standardized features of each modality, for any regularization."""
    inputs = {}
    for name in train.modalities:
        rows = labeled_rows(train, name)
        features = standardize_features(train, name, rows)
        identity = np.eye(len(features.mean))
        regression = LogisticRegression(features.values, train.labels[rows])
        inputs[name] = _Inputs(features.affine_map(identity), regression)
    return lambda _: inputs


def _projections(train: Dataset) -> Callable[[float | None], dict[str, _Inputs]]:
    """Return a function from regularization to canonical projections with unit variance."""
    views = paired_views(train)
    rows = {name: labeled_rows(train, name) for name in views}
    first, second = views.values()

    @cache
    def project(share: float | None) -> dict[str, _Inputs]:
        assert share is not None
        inputs = {}
        *both, _ = canonical_directions(first, second, share)
        for (name, view), directions in zip(views.items(), both, strict=True):
            spread = np.sqrt(np.square(view.values @ directions).mean(axis=0))
            map_ = view.affine_map(directions / spread)
            values = (features_at(train, name, rows[name]) - map_.shift) @ map_.matrix
            inputs[name] = _Inputs(map_, LogisticRegression(values, train.labels[rows[name]]))
        return inputs

    return project
