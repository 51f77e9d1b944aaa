"""Semantic matching and semantic correlation matching: class posteriors are the common space."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Literal, get_args

import numpy as np

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import Fitting, to_try
from commonspace.methods.base.logistic import LogisticRegression, Posteriors
from commonspace.methods.base.settings import check_setting
from commonspace.methods.base.views import features_at, labelled_rows, paired_views, standardised
from commonspace.methods.cca import canonical_directions
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["SemanticMatching", "Similarity"]

Similarity = Literal["correlation", "probability"]

STRENGTH = (1e-3, 1e-2, 1e-1, 1.0)
REGULARISATION = (0.001, 0.1, 0.9)


@dataclass(frozen=True)
class SemanticMatching:
    """Posteriors of the classes by multinomial logistic regression, compared across modalities.

        SM:   p(class | x) = softmax(W'x + b) for each modality by itself
        SCM:  the same on the canonical projections of CCA in place of x

    Source: Rasiwasia, Costa Pereira, Coviello, Doyle, Lanckriet, Levy, Vasconcelos: A New Approach
    to Cross-Modal Multimedia Retrieval, ACM Multimedia 2010. "correlation" is the normalised
    correlation of that paper, p'q / (||p|| ||q||), the cosine of the posteriors; "probability" is
    p'q, which is the probability that both share a class where each has one class and the two are
    drawn from their posteriors. Ours are that features, or projections, are brought to unit
    variance, and that the regression has a squared penalty.

    Needs: labels; no equal sizes. SM needs no pairs and takes any number of modalities. SCM needs
    pairs for its CCA, whose labels do not matter, and two modalities. A sample of several classes
    counts for each in equal shares.

    Published mAP of SCM on the shallow Wikipedia features, image->text / text->image: .350 / .250
    (Data Analysis and Knowledge Discovery 4(5), 2020).

    Args:
        canonical: whether CCA comes first: False is SM, True is SCM.
        similarity: "correlation" or "probability".
        C: the weight of the likelihood against the penalty, the same for all modalities; None:
            chosen on validation from ``STRENGTH``.
        regularisation: r of the CCA of SCM, see ``CCA``; None: chosen on validation from
            ``REGULARISATION``.

    Raises:
        SettingError: a value that cannot work.
    """

    canonical: bool = False
    similarity: Similarity = "correlation"
    C: float | None = None
    regularisation: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        names = get_args(Similarity)
        check_setting("sm", "similarity", self.similarity, self.similarity in names, str(names))
        check_setting("sm", "C", self.C, self.C is None or 0 < self.C < np.inf, "above 0")
        r = self.regularisation
        check_setting("sm", "regularisation", r, 0 <= (r or 0) <= 1, "from 0 to 1")
        check_setting("sm", "regularisation", r, self.canonical, "none without canonical=True")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Fit the posteriors on the labelled samples; what is None is chosen on validation.

        Args:
            train: labelled samples with two or more columns of features.
            validation: labelled samples of the same columns.
            run: who is told of the trials.

        Raises:
            DataError: the columns are raw, there are too few samples or pairs, or SCM is given
                other than two modalities.
        """
        name = "scm" if self.canonical else "sm"
        name += "-probability" if self.similarity == "probability" else ""
        fitting = Fitting(name, train, validation, exactly=2 if self.canonical else None)
        fitted: dict[tuple[str, float | None], Posteriors] = {}

        def build(candidate: "SemanticMatching") -> LinearNetwork:
            assert candidate.C is not None
            r = candidate.regularisation
            maps = {}
            for modality, one in inputs(r).items():
                # What was found for the C before is near: the search begins there.
                near = fitted.get((modality, r))
                W, b = one.regression.fit(candidate.C, near)
                fitted[modality, r] = W, b
                maps[modality] = AffineMap(one.map.shift, one.map.matrix @ W, b)
            return LinearNetwork.from_maps(
                maps, "softmax", normalized=self.similarity == "correlation"
            )

        inputs = _projections(train) if self.canonical else _features(train)
        shares = to_try(self.regularisation, REGULARISATION) if self.canonical else (None,)
        candidates = [
            replace(self, C=strength, regularisation=r)
            for r, strength in product(shares, to_try(self.C, STRENGTH))
        ]
        return fitting.choose(self, candidates, build, run)


@dataclass(frozen=True)
class _Inputs:
    """What is regressed in one modality: the labelled samples that have it."""

    map: AffineMap
    """From features to values of about unit variance."""
    regression: LogisticRegression
    """Of the classes on these values."""


def _features(train: Dataset) -> Callable[[float | None], dict[str, _Inputs]]:
    """Return the standardised features of each modality, whatever the regularisation."""
    inputs = {}
    for name in train.modalities:
        rows = labelled_rows(train, name)
        features = standardised(train, name, rows)
        identity = np.eye(len(features.mean))
        regression = LogisticRegression(features.values, train.labels[rows])
        inputs[name] = _Inputs(features.mapped(identity), regression)
    return lambda _: inputs


def _projections(train: Dataset) -> Callable[[float | None], dict[str, _Inputs]]:
    """Return what gives the canonical projections for a regularisation, with unit variance."""
    views = paired_views(train)
    rows = {name: labelled_rows(train, name) for name in views}
    first, second = views.values()

    @cache
    def project(share: float | None) -> dict[str, _Inputs]:
        assert share is not None
        inputs = {}
        *both, _ = canonical_directions(first, second, share)
        for (name, view), directions in zip(views.items(), both, strict=True):
            spread = np.sqrt(np.square(view.values @ directions).mean(axis=0))
            map_ = view.mapped(directions / spread)
            values = (features_at(train, name, rows[name]) - map_.shift) @ map_.matrix
            inputs[name] = _Inputs(map_, LogisticRegression(values, train.labels[rows[name]]))
        return inputs

    return project
