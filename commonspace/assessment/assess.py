"""Assessment of a data set: what each method reaches, and whether training is worth it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonspace.assessment.assessment import (
    CHANCE,
    KEYWORDS,
    RAW,
    AssessedMethod,
    Assessment,
    ClassFigures,
    Confused,
)
from commonspace.assessment.classes import class_confusions, class_figures
from commonspace.assessment.label_check import LabelCheck, check_sample_labels
from commonspace.assessment.learning_curve import (
    FEWEST_VALIDATION,
    SHARES,
    LearningCurve,
    fit_learning_curve,
    subsets,
)
from commonspace.assessment.measure import (
    Measured,
    difference_p,
    mean_of,
    measure_chance,
    measure_keywords,
    measure_space,
)
from commonspace.assessment.raw_items import matched_texts, raw_split, tuning_note
from commonspace.assessment.verdict import SIGNIFICANT, decide
from commonspace.callbacks import Callback, Callbacks
from commonspace.data.columns import Features, Texts
from commonspace.data.dataset import Dataset, check_dataset
from commonspace.errors import CommonspaceError, DataError, SettingError
from commonspace.evaluation import (
    bootstrap_interval,
    holm,
)
from commonspace.methods import (
    DSCMR,
    LinearProbe,
    Method,
    PosteriorMatching,
    RawFeatures,
    SemanticMatching,
    TipAdapter,
)
from commonspace.progress import ProgressBar
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig

__all__ = ["assess", "default_methods"]

ZERO_SHOT, POSTERIOR = "zero-shot", "posterior matching"


def default_methods(seed: int = 0) -> dict[str, Method]:
    """Return the methods of an assessment, by their names in its table.

    Args:
        seed: Random seed of those that are trained by gradient descent.
    """
    return {
        RAW: RawFeatures(),
        "linear probe": LinearProbe(),
        "Tip-Adapter": TipAdapter(seed=seed),
        "Tip-Adapter-F": TipAdapter(trained=True, seed=seed),
        "semantic matching": SemanticMatching(similarity="probability"),
        "DSCMR": DSCMR(seed=seed, epochs=50, patience=10),
        POSTERIOR: PosteriorMatching(seed=seed),
    }


def assess(
    data: Dataset,
    *,
    items: Dataset | None = None,
    methods: Mapping[str, Method] | None = None,
    raw_methods: Mapping[str, Method] | None = None,
    class_vectors: NDArray[np.float32] | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] | None = None,
) -> Assessment:
    """Measure whether training on a data set is worth it, and which labels to look at.

    Every choice is made on validation. The test split is used once, for the table: each method is
    measured on it after it was fitted and chosen.

    Args:
        data: Features with labels and all three splits, as from ``commonspace extract``.
        items: The same samples with their texts, for keyword search; default: ``data``.
        methods: Name -> method; default: ``default_methods``. "posterior matching" gives the
            learning curve, if it is among them.
        raw_methods: Name -> method that is fitted on ``items``, such as posterior matching whose
            encoders are trained. The samples must be those of ``data``, in the same order.
        class_vectors: (c, size) float32, features of texts that name the classes, of the encoder
            of the texts (``class_name_vectors``); adds zero-shot classes, if all features have
            this size.
        seed: Random seed of the methods, the subsets and the intervals.
        callbacks: Receive the progress; default: a progress bar.

    Raises:
        DataError: If a column is raw, or train, validation or test has no labels.
        SettingError: If no method uses labels.
        SplitError: If a split is empty.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> kinds = np.arange(200) % 2
        >>> data = Dataset.from_arrays(
        ...     image=kinds[:, None] + 0.1 * rng.normal(size=(200, 2)),
        ...     text=kinds[:, None] + 0.1 * rng.normal(size=(200, 2)),
        ...     labels=kinds,
        ... )
        >>> chosen = {"linear probe": LinearProbe()}
        >>> assess(data, methods=chosen, callbacks=()).verdict.kind
        'train'
    """
    check_dataset(data, "assess")
    start = time.monotonic()
    chosen = default_methods(seed) if methods is None else dict(methods)
    if class_vectors is not None:
        plain = {name: one for name, one in chosen.items() if name == RAW}
        chosen = {**plain, ZERO_SHOT: _ZeroShot(class_vectors), **chosen}
    raw = raw_methods or {}
    parts = _check(data)
    steps = len(chosen) + len(raw) + 3 + len(SHARES)
    bars = (ProgressBar(),) if callbacks is None else callbacks
    with Callbacks(bars).task("assessing", steps) as task:
        return _Assessor(data, parts, items or data, seed, task).run(chosen, raw, start)


@dataclass(frozen=True, eq=False)
class _ZeroShot:
    """Class posteriors from the names of the classes; a method without labels."""

    class_vectors: NDArray[np.float32]
    supervised: bool = False

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        """Fit the temperature on validation."""
        return RawFeatures(zero_shot=True).fit_features(train, validation, self.class_vectors, run)


@dataclass(eq=False)
class _Fitted:
    """One line of the table before it is tested."""

    test: Measured
    validation: NDArray[np.float64]
    """(n,) contribution of each validation sample to the mAP there."""
    seconds: float
    uses_labels: bool
    note: str = ""
    space: CommonSpace | None = None
    held_out: Dataset | None = None
    """The validation split as the space reads it."""


class _Assessor:
    """The work on one assessment."""

    def __init__(
        self,
        data: Dataset,
        parts: Mapping[str, Dataset],
        items: Dataset,
        seed: int,
        task: Callbacks,
    ) -> None:
        self._data, self._parts, self._items = data, parts, items
        self._seed, self._task = seed, task
        self._fitted: dict[str, _Fitted] = {}
        self._skipped: dict[str, str] = {}

    def run(
        self, methods: Mapping[str, Method], raw_methods: Mapping[str, Method], start: float
    ) -> Assessment:
        """Fit, measure and decide."""
        self._add_baselines()
        for name, method in methods.items():
            self._fit(name, method, self._parts)
        for name, method in raw_methods.items():
            parts = {part: raw_split(one, self._items, part) for part, one in self._parts.items()}
            self._fit(name, method, parts)
        best = self._best()
        curve = self._learning_curve(methods.get(POSTERIOR))
        confused, classes = self._study(best)
        check = self._check_labels()
        lines, p = self._table(best)
        complete = [one for one in lines if one.name != KEYWORDS]
        verdict = decide(complete, p, curve, classes)
        return Assessment(
            name=self._data.name,
            samples={
                name: int(part.labels.any(axis=1).sum()) for name, part in self._parts.items()
            },
            methods=lines,
            skipped=self._skipped,
            curve=curve,
            confused=confused,
            classes=classes,
            noise=check.noise if check else None,
            suspicious=check.suspicious if check else (),
            modality_noise=check.modality_noise if check else {},
            pair_noise=check.pair_noise if check else None,
            mismatched=check.mismatched if check else (),
            verdict=verdict,
            seconds=time.monotonic() - start,
        )

    def _add_baselines(self) -> None:
        self._task.on_status("keyword search")
        test, validation = self._parts["test"], self._parts["validation"]
        chance = measure_chance(validation).values
        self._fitted[CHANCE] = _Fitted(measure_chance(test), chance, 0.0, uses_labels=False)
        texts = [name for name, one in self._items.columns.items() if isinstance(one, Texts)]
        if texts:
            began = time.monotonic()
            parts = {
                part: matched_texts(one, self._items, texts[0]) for part, one in self._parts.items()
            }
            found = {
                part: measure_keywords(self._parts[part], parts[part], texts[0])
                for part in ("validation", "test")
            }
            if found["test"] and found["validation"]:
                note = f"queries of {texts[0]} only, against the {texts[0]}s of the other items"
                seconds = time.monotonic() - began
                value = found["validation"].values
                self._fitted[KEYWORDS] = _Fitted(
                    found["test"], value, seconds, uses_labels=False, note=note
                )
        else:
            self._skipped[KEYWORDS] = "there are no texts beside the features"
        self._task.on_advance()

    def _fit(self, name: str, method: Method, parts: Mapping[str, Dataset]) -> None:
        """Fit and measure a method on the splits, of features or of raw items."""
        self._task.on_status(name)
        began = time.monotonic()
        try:
            space = method.fit(parts["train"], parts["validation"], RunConfig())
        except (DataError, SettingError) as error:
            self._skipped[name] = (
                f"{error.problem} ({error.found})" if error.found else error.problem
            )
        else:
            seconds = time.monotonic() - began
            self._fitted[name] = _Fitted(
                measure_space(space, parts["test"]),
                measure_space(space, parts["validation"], pairs=False).values,
                seconds,
                uses_labels=getattr(method, "supervised", True),
                note=tuning_note(space),
                space=space,
                held_out=parts["validation"],
            )
        self._task.on_advance()

    def _best(self) -> str:
        """Return the name of the method with labels that the others are tested against.

        It is the best on validation; posterior matching also if the best is not significantly
        better there, since few validation samples do not order the methods.
        """
        supervised = [name for name, one in self._fitted.items() if one.uses_labels]
        if not supervised:
            raise SettingError(
                "no method of the assessment could be fitted with labels",
                expected="at least one method that uses labels",
                found="; ".join(f"{name}: {why}" for name, why in self._skipped.items()) or "none",
                advice="add one, such as PosteriorMatching()",
            )
        best = max(supervised, key=lambda name: self._fitted[name].validation.mean())
        if best != POSTERIOR and POSTERIOR in supervised:
            first, second = (self._fitted[name].validation for name in (best, POSTERIOR))
            if difference_p(first, second, np.random.default_rng(self._seed)) >= SIGNIFICANT:
                return POSTERIOR
        return best

    def _study(self, best: str) -> tuple[list[Confused], list[ClassFigures]]:
        """Measure confusions and classes on validation."""
        fitted = self._fitted[best]
        assert fitted.space is not None
        assert fitted.held_out is not None
        confused = class_confusions(fitted.space, fitted.held_out)
        train, validation = self._parts["train"], self._parts["validation"]
        return confused, class_figures(fitted.validation, train, validation)

    def _learning_curve(self, method: Method | None) -> LearningCurve | None:
        """Measure posterior matching on parts of the labels, on validation."""
        train, validation = self._parts["train"], self._parts["validation"]
        whole = self._fitted.get(POSTERIOR)
        enough = int(validation.labels.any(axis=1).sum()) >= FEWEST_VALIDATION
        if method is None or whole is None or not enough:
            self._task.on_advance(len(SHARES) + 1)
            return None
        known = train.take(np.flatnonzero(train.labels.any(axis=1)))
        sizes: list[int] = []
        rows: list[NDArray[np.float64]] = []
        for share, part in zip(SHARES, subsets(known, SHARES, self._seed), strict=True):
            self._task.on_status(f"posterior matching on {share:.1%} of the labels")
            if not sizes or len(part) > sizes[-1]:
                space = method.fit(part, validation, RunConfig())
                sizes.append(len(part))
                rows.append(measure_space(space, validation, pairs=False).values)
            self._task.on_advance()
        if len(known) > sizes[-1]:
            sizes.append(len(known))
            rows.append(whole.validation)
        self._task.on_advance()
        return (
            fit_learning_curve(sizes, np.stack(rows), seed=self._seed) if len(sizes) > 1 else None
        )

    def _check_labels(self) -> LabelCheck | None:
        self._task.on_status("looking for wrong labels")
        kept = np.flatnonzero(self._data.splits != "test")
        try:
            check = check_sample_labels(self._data.take(kept), seed=self._seed)
        except CommonspaceError as error:
            self._skipped["suspicious labels"] = error.problem
            check = None
        self._task.on_advance()
        if check is None:
            return None
        listed = tuple(replace(one, row=int(kept[one.row])) for one in check.suspicious)
        pairs = tuple(replace(one, row=int(kept[one.row])) for one in check.mismatched)
        return replace(check, suspicious=listed, mismatched=pairs)

    def _table(self, best: str) -> tuple[list[AssessedMethod], float]:
        """Return the lines of the table, and p of the best with labels against the best without."""
        draw = np.random.default_rng(self._seed)
        base = self._fitted[best].test
        p = {}
        for name, one in self._fitted.items():
            if name == best:
                continue
            if name == KEYWORDS:
                modality = next(iter(one.test.directions)).partition("->")[0]
                if any(key.startswith(f"{modality}->") for key in base.directions):
                    values = next(iter(one.test.directions.values()))
                    p[name] = difference_p(values, mean_of(base, modality), draw)
            else:
                p[name] = difference_p(one.test.values, base.values, draw)
        adjusted = dict(zip(p, holm(list(p.values())).tolist(), strict=True))
        lines = [
            AssessedMethod(
                name=name,
                uses_labels=one.uses_labels,
                map=bootstrap_interval(one.test.values, draw, resamples=2000),
                p=adjusted.get(name),
                precision=one.test.precision,
                recall=one.test.recall,
                seconds=one.seconds,
                bytes=one.test.bytes,
                validation=float(np.nanmean(one.validation)),
                chosen=name == best,
                note=one.note,
            )
            for name, one in self._fitted.items()
        ]
        plain = {
            name: float(one.validation.mean())
            for name, one in self._fitted.items()
            if not one.uses_labels and name != KEYWORDS
        }
        return lines, adjusted[max(plain, key=plain.__getitem__)]


def _check(data: Dataset) -> dict[str, Dataset]:
    """Return the three splits, checked."""
    for name, column in data.columns.items():
        if not isinstance(column, Features):
            raise DataError(
                f"assess needs features, and {name!r} is raw",
                expected=f"{name!r} as features",
                found=column.kind,
                advice="name an encoder, such as --text tfidf, or extract features first with"
                " commonspace extract",
            )
    parts = {name: data.split(name) for name in ("train", "validation", "test")}
    for name, part in parts.items():
        if not part.labels.any():
            raise DataError(
                f"the {name} split of {data.name!r} has no labels",
                expected="labeled samples in train, validation and test",
                found=f"{len(part)} samples without a label",
                advice="label some samples of each split; or remove all labels, or call"
                " assess_pairs, to assess the pairs",
            )
    return parts
