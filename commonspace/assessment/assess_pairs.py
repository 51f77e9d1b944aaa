"""Assessment of a data set without labels: is training on its pairs worth it?"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonspace.assessment.assessment import CHANCE, KEYWORDS, RAW
from commonspace.assessment.learning_curve import (
    FEWEST_VALIDATION,
    SHARES,
    LearningCurve,
    fit_learning_curve,
    pair_subsets,
)
from commonspace.assessment.measure import difference_p
from commonspace.assessment.pair_assessment import AssessedPairMethod, PairAssessment
from commonspace.assessment.pair_figures import MeasuredPairs, PairSplit
from commonspace.assessment.raw_items import matched_texts, raw_split, tuning_note
from commonspace.assessment.suspicious_pairs import PairCheck, check_pairs
from commonspace.assessment.verdict import SIGNIFICANT, decide_pairs
from commonspace.callbacks import Callback, Callbacks
from commonspace.data.columns import Features, Texts
from commonspace.data.dataset import Dataset, check_dataset
from commonspace.encoders.tfidf import tfidf_encoder
from commonspace.errors import CommonspaceError, DataError, SettingError
from commonspace.evaluation import bootstrap_interval, holm
from commonspace.methods import InfoNCE, Method, RawFeatures
from commonspace.progress import ProgressBar
from commonspace.training.loop import RunConfig

__all__ = ["assess_pairs", "default_pair_methods"]

INFONCE, TFIDF = "InfoNCE", "TF-IDF of both texts"
PARTS = ("train", "validation", "test")
FEWEST = 2
"""Pairs of each modality that a split needs."""


def default_pair_methods(seed: int = 0) -> dict[str, Method]:
    """Return the methods of an assessment without labels, by their names in its table.

    Args:
        seed: Random seed of those that are trained.
    """
    return {RAW: RawFeatures(), INFONCE: InfoNCE(seed=seed)}


def assess_pairs(
    data: Dataset,
    *,
    items: Dataset | None = None,
    methods: Mapping[str, Method] | None = None,
    raw_methods: Mapping[str, Method] | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] | None = None,
) -> PairAssessment:
    """Measure whether training on pairs is worth it; labels are not used.

    Every choice is made on validation, the epoch of InfoNCE by the mean of R@1, R@5 and R@10, the
    method by R@10. The test split is used once, for the table. Pairs of train and validation that
    probably do not belong together are listed (``check_pairs``).

    Args:
        data: Features of at least two modalities, with all three splits.
        items: The same samples with their texts, for keyword search and TF-IDF, which need texts
            in two modalities; default: ``data``.
        methods: Name -> method without labels; default: ``default_pair_methods``. "InfoNCE" gives
            the learning curve, if it is among them.
        raw_methods: Name -> method that is fitted on ``items``, such as InfoNCE whose encoders are
            trained; the samples must be those of ``data``, in the same order.
        seed: Random seed of the methods, the subsets and the intervals.
        callbacks: Receive the progress; default: a progress bar.

    Raises:
        DataError: If a column is raw, or a split has too few pairs.
        SettingError: If no method is trained.
        SplitError: If a split is empty.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 8))
        >>> data = Dataset.from_arrays(image=x, text=-x[:, ::-1])
        >>> answer = assess_pairs(data, methods={"InfoNCE": InfoNCE(epochs=20)}, callbacks=())
        >>> answer.verdict.kind in ("train", "more pairs")
        True
    """
    check_dataset(data, "assess_pairs")
    start = time.monotonic()
    chosen = default_pair_methods(seed) if methods is None else dict(methods)
    data, items = _without_labels(data), _without_labels(items or data)
    parts = {name: PairSplit(part) for name, part in _check(data).items()}
    steps = len(chosen) + len(raw_methods or {}) + 2 + len(SHARES)
    bars = (ProgressBar(),) if callbacks is None else callbacks
    with Callbacks(bars).task("assessing", steps) as task:
        return _Assessor(data, parts, items, seed, task).run(chosen, raw_methods or {}, start)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """One line of the table before it is tested."""

    test: MeasuredPairs
    validation: MeasuredPairs
    seconds: float
    trained: bool
    note: str = ""


class _Assessor:
    """The work on one assessment."""

    def __init__(
        self,
        data: Dataset,
        parts: Mapping[str, PairSplit],
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
    ) -> PairAssessment:
        """Fit, measure and decide."""
        test, validation = self._parts["test"], self._parts["validation"]
        self._fitted[CHANCE] = _Fitted(
            test.measure_chance(), validation.measure_chance(), 0.0, trained=False
        )
        self._add_text_search()
        for name, method in methods.items():
            self._fit(name, method)
        for name, method in raw_methods.items():
            self._fit(name, method, self._items)
        best = self._best()
        curve = self._learning_curve(methods.get(INFONCE))
        check = self._check_pairs()
        lines, p = self._table(best)
        return PairAssessment(
            name=self._data.name,
            samples={name: _count_pairs(part.data) for name, part in self._parts.items()},
            methods=lines,
            skipped=self._skipped,
            curve=curve,
            pair_noise=check.pair_noise if check else None,
            suspicious_pairs=check.suspicious_pairs if check else (),
            verdict=decide_pairs(lines, p, curve),
            seconds=time.monotonic() - start,
        )

    def _add_text_search(self) -> None:
        """Add BM25 and TF-IDF between the texts of two modalities."""
        self._task.on_status("text search")
        modalities = self._parts["test"].data.modalities
        names = [
            name
            for name, one in self._items.columns.items()
            if isinstance(one, Texts) and name in modalities
        ]
        if len(names) > 1:
            texts = {
                part: {name: matched_texts(one.data, self._items, name) for name in names}
                for part, one in self._parts.items()
            }
            note = "" if len(names) == len(modalities) else f"between {' and '.join(names)} only"
            self._add_keywords(texts, note)
            self._add_tfidf(texts, note)
        else:
            why = "only one modality has texts" if names else "there are no texts"
            self._skipped[KEYWORDS] = why
        self._task.on_advance()

    def _add_keywords(self, texts: Mapping[str, Mapping[str, Texts]], note: str) -> None:
        began = time.monotonic()
        test, validation = (
            self._parts[part].measure_keywords(texts[part]) for part in ("test", "validation")
        )
        seconds = time.monotonic() - began
        self._fitted[KEYWORDS] = _Fitted(test, validation, seconds, trained=False, note=note)

    def _add_tfidf(self, texts: Mapping[str, Mapping[str, Texts]], note: str) -> None:
        """Add the cosine of TF-IDF vectors, fitted on the training texts of all modalities."""
        began = time.monotonic()
        known = [text for each in texts["train"].values() for text in each.items if text]
        try:
            encoder = tfidf_encoder(Texts(tuple(known)), self._seed)
        except CommonspaceError as error:
            self._skipped[TFIDF] = error.problem
            return
        measured = {}
        for part in ("test", "validation"):
            embedded = {}
            for name, column in texts[part].items():
                rows = np.flatnonzero(column.present)
                embedded[name] = _unit(encoder(column.take(rows)).numpy()), rows
            measured[part] = self._parts[part].measure_vectors(embedded, 4 * encoder.size)
        seconds = time.monotonic() - began
        self._fitted[TFIDF] = _Fitted(**measured, seconds=seconds, trained=False, note=note)

    def _fit(self, name: str, method: Method, items: Dataset | None = None) -> None:
        """Fit and measure a method on features, or on raw items."""
        self._task.on_status(name)
        parts = {
            part: one.data if items is None else raw_split(one.data, items, part)
            for part, one in self._parts.items()
        }
        began = time.monotonic()
        try:
            space = method.fit(parts["train"], parts["validation"], RunConfig())
        except (DataError, SettingError) as error:
            self._skipped[name] = (
                f"{error.problem} ({error.found})" if error.found else error.problem
            )
        else:
            seconds = time.monotonic() - began
            test, validation = (
                self._parts[part].measure_space(space, parts[part])
                for part in ("test", "validation")
            )
            trained = not isinstance(method, RawFeatures)
            note = tuning_note(space)
            self._fitted[name] = _Fitted(test, validation, seconds, trained=trained, note=note)
        self._task.on_advance()

    def _best(self) -> str:
        """Return the name of the trained method that the others are tested against.

        It is the best on validation; InfoNCE on features also if the best is not significantly
        better there.
        """
        trained = [name for name, one in self._fitted.items() if one.trained]
        if not trained:
            raise SettingError(
                "no method of the assessment could be trained on the pairs",
                expected="at least one method that is trained without labels",
                found="; ".join(f"{name}: {why}" for name, why in self._skipped.items()) or "none",
                advice="add one, such as InfoNCE()",
            )
        best = max(trained, key=lambda name: self._fitted[name].validation.recall)
        if best != INFONCE and INFONCE in trained:
            first, second = (self._fitted[name].validation.values for name in (best, INFONCE))
            if difference_p(first, second, np.random.default_rng(self._seed)) >= SIGNIFICANT:
                return INFONCE
        return best

    def _learning_curve(self, method: Method | None) -> LearningCurve | None:
        """Measure R@10 of InfoNCE on parts of the pairs, on validation."""
        train, validation = self._parts["train"].data, self._parts["validation"]
        whole = self._fitted.get(INFONCE)
        if method is None or whole is None or _count_pairs(validation.data) < FEWEST_VALIDATION:
            self._task.on_advance(len(SHARES))
            return None
        sizes: list[int] = []
        rows: list[NDArray[np.float64]] = []
        for share, part in zip(SHARES, pair_subsets(train, SHARES, self._seed), strict=True):
            self._task.on_status(f"InfoNCE on {share:.1%} of the pairs")
            if not sizes or len(part) > sizes[-1]:
                space = method.fit(part, validation.data, RunConfig())
                sizes.append(len(part))
                rows.append(validation.measure_space(space, validation.data).values)
            self._task.on_advance()
        if _count_pairs(train) > sizes[-1]:
            sizes.append(_count_pairs(train))
            rows.append(whole.validation.values)
        return (
            fit_learning_curve(sizes, np.stack(rows), seed=self._seed) if len(sizes) > 1 else None
        )

    def _check_pairs(self) -> PairCheck | None:
        """List pairs of train and validation; corrected test pairs would favor a model."""
        self._task.on_status("looking for pairs that do not belong together")
        kept = np.flatnonzero(self._data.splits != "test")
        try:
            check = check_pairs(self._data.take(kept), seed=self._seed)
        except CommonspaceError as error:
            found = f" ({error.found})" if error.found else ""
            self._skipped["suspicious pairs"] = f"{error.problem}{found}"
            return None
        finally:
            self._task.on_advance()
        listed = tuple(replace(one, row=int(kept[one.row])) for one in check.suspicious_pairs)
        return replace(check, suspicious_pairs=listed)

    def _table(self, best: str) -> tuple[list[AssessedPairMethod], float]:
        """Return the lines, and p of the best trained method against the best without training."""
        draw = np.random.default_rng(self._seed)
        base = self._fitted[best].test
        complete = {
            name: one.test.directions.keys() == base.directions.keys()
            for name, one in self._fitted.items()
        }
        p = {
            name: difference_p(one.test.values, base.values, draw)
            for name, one in self._fitted.items()
            if name != best and complete[name]
        }
        adjusted = dict(zip(p, holm(list(p.values())).tolist(), strict=True))
        lines = [
            AssessedPairMethod(
                name=name,
                trained=one.trained,
                recall=bootstrap_interval(one.test.values, draw, resamples=2000),
                p=adjusted.get(name),
                directions=one.test.directions,
                seconds=one.seconds,
                bytes=one.test.bytes,
                validation=one.validation.recall,
                complete=complete[name],
                chosen=name == best,
                note=one.note,
            )
            for name, one in self._fitted.items()
        ]
        plain = max(
            (one for one in lines if one.complete and not one.trained),
            key=lambda one: one.validation,
        )
        return lines, adjusted[plain.name]


def _check(data: Dataset) -> dict[str, Dataset]:
    """Return the three splits, checked."""
    for name, column in data.columns.items():
        if not isinstance(column, Features):
            raise DataError(
                f"assess_pairs needs features, and {name!r} is raw",
                expected=f"{name!r} as features",
                found=column.kind,
                advice="name an encoder, such as --text tfidf, or extract features first with"
                " commonspace extract",
            )
    if len(data.columns) < 2:
        raise DataError(
            f"{data.name!r} has one modality",
            expected="at least two, such as photos and their texts",
            found=", ".join(map(repr, data.modalities)),
            advice="add a column with another modality",
        )
    parts = {name: data.split(name) for name in PARTS}
    for name, part in parts.items():
        present = np.stack([column.present for column in part.columns.values()])
        counts = (present & (present.sum(axis=0) > 1)).sum(axis=1).tolist()
        for modality, count in zip(part.columns, counts, strict=True):
            if count < FEWEST:
                raise DataError(
                    f"the {name} split of {data.name!r} has too few pairs with {modality!r}",
                    expected=f"at least {FEWEST} samples that have another modality too",
                    found=f"{count} of {len(part)}",
                    advice="add samples that have both, or label the samples",
                )
    return parts


def _without_labels(data: Dataset) -> Dataset:
    return replace(data, labels=np.zeros((len(data), 0), dtype=np.bool_), class_names=())


def _count_pairs(data: Dataset) -> int:
    present = np.stack([column.present for column in data.columns.values()])
    return int((present.sum(axis=0) > 1).sum())


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
