"""Evaluation protocol: which samples are queries, which form the gallery, what is relevant.

Every labeled sample is a query in each of its modalities. The gallery of a modality holds all
samples that have it, including the query's own pair, as in the published tables. An item is
relevant when it shares at least one class with the query. Without labels, an item is relevant when
it belongs to the query's sample, see ``commonspace.evaluation.pairs``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Texts
from commonspace.data.content import content_keys
from commonspace.data.dataset import Dataset, check_dataset
from commonspace.data.encoder_check import check_encoder
from commonspace.data.texts import one_sample_per_text
from commonspace.engines import Engine
from commonspace.errors import SettingError
from commonspace.evaluation.average_precision import average_precision
from commonspace.evaluation.oracle import (
    LinearDiscriminant,
    OracleAnalysis,
    analyze_oracle,
    model_posteriors,
)
from commonspace.evaluation.pairs import PairReport, evaluate_pairs
from commonspace.evaluation.ranked_pairs import PairItems
from commonspace.evaluation.report import EvaluationReport, evaluate_retrieval

__all__ = [
    "EmbeddedColumn",
    "EmbeddedData",
    "EmbeddingSpace",
    "analyze",
    "average_precisions",
    "choose_split",
    "embed_for_evaluation",
    "evaluate",
    "measure_pairs",
]


class EmbeddedColumn(Protocol):
    """Embeddings of one modality of a data set."""

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(m, d) embeddings, one for each sample that has the modality."""

    @property
    def rows(self) -> NDArray[np.intp]:
        """(m,) row of the data set of each embedding."""


class EmbeddingSpace(Protocol):
    """What the protocol needs of a model; ``CommonSpace`` has it."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that the model embeds."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Modality -> its input; ``kind`` is "vectors" where the model reads features."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the model was trained: method, data, encoders, versions."""

    def embed_dataset(self, data: Dataset) -> Mapping[str, EmbeddedColumn]:
        """Return the embeddings of every modality of the data set that the model reads."""


class EmbeddedData(NamedTuple):
    """Query and gallery embeddings of a data set, by modality."""

    data: Dataset
    """The samples; one for each text where the model was trained that way."""
    vectors: dict[str, NDArray[np.float32]]
    """Modality -> (m, d), one for each sample that has the modality."""
    labels: dict[str, NDArray[np.bool_]]
    """Modality -> (m, c), their classes."""
    rows: dict[str, NDArray[np.intp]]
    """Modality -> (m,), the row of ``data`` of each embedding."""


def evaluate(
    space: EmbeddingSpace,
    data: Dataset,
    *,
    k: int | Sequence[int] | None = None,
    split: str | None = None,
    oracle: bool = False,
    pairs: bool | None = None,
    queries: int | None = None,
    engine: Engine | None = None,
) -> EvaluationReport:
    """Measure cross-modal retrieval: the mAP of every modality against every other.

    Without labels the figures are Recall@K, median rank and mean reciprocal rank of the pairs.

    Args:
        space: the trained model.
        data: the samples.
        k: additional cut-offs, one or several, such as 50 for mAP@50.
        split: "train", "validation", "test", or "all" for every sample. Default: the test split
            if ``data`` has test samples, otherwise all samples.
        oracle: also measure the class accuracy of each modality, and the mAP that would result if
            its classes were known perfectly; see ``analyze``. It needs the training samples in
            ``data``, unless the model gives class posteriors.
        pairs: also measure the retrieval of pairs; see ``measure_pairs``. Default: only if no
            sample has a label.
        queries: rank only so many labeled queries of each direction for the mAP, drawn by a fixed
            seed, and add the interval; None: all.
        engine: runs shards of the queries, such as ``RayCluster()``; None: threads of this process,
            one for each core. The figures are equal.

    Returns:
        For each direction, such as "image->text", and for their "average", the figures by name. It
        prints as a table; ``map`` is the average mAP, ``pairs`` has the figures of the pairs.

    Raises:
        SettingError: the model and the data have fewer than two modalities in common, ``k`` or
            ``split`` is invalid, or ``queries`` is given and no sample has a label.
        DataError: a column is of another kind or size than in training, or comes from another
            encoder.
    """
    part = choose_split(data, split)
    labeled = bool(part.labels.any())
    if queries is not None and not labeled:
        raise SettingError(
            f"`queries` draws labeled queries, and {data.name!r} has no labels",
            expected="labels, or all queries",
            found=f"{len(part)} samples without a label",
            advice="leave it out: recall of the pairs is measured on all samples",
        )
    report = EvaluationReport()
    if labeled:
        embedded = embed_for_evaluation(space, part)
        report = evaluate_retrieval(
            embedded.vectors, embedded.labels, k=k, queries=queries, engine=engine
        )
    if pairs or (pairs is None and not labeled):
        report.pairs = measure_pairs(space, part, engine)
    names = set(part.splits.tolist())
    report.title = f"{names.pop()} split of {data.name}" if len(names) == 1 else data.name
    if oracle and labeled:
        train = data.splits == "train"
        report.oracle = analyze(space, embedded, data.take(train) if train.any() else None)
    return report


def measure_pairs(space: EmbeddingSpace, data: Dataset, engine: Engine | None = None) -> PairReport:
    """Measure the retrieval of pairs: R@1, R@5, R@10, median rank and mean reciprocal rank.

    Each of several captions of a sample is a query and a gallery item of its own, whatever the
    space was trained on; items of equal content are one item.

    Args:
        space: the trained model.
        data: the samples, all of which are used.
        engine: as for ``evaluate``.

    Raises:
        DataError: no sample has two modalities, or as for ``evaluate``.
        SettingError: as for ``evaluate``.
    """
    _shared_modalities(space, data)
    items = {}
    for numbers, part in _parts(data, _several_texts(space, data)):
        for modality, embedded in space.embed_dataset(part).items():
            keys = content_keys(part.columns[modality].take(embedded.rows))
            items[modality] = PairItems(embedded.vectors, numbers[embedded.rows], keys)
    order = [name for name in space.modalities if name in items]
    return evaluate_pairs({name: items[name] for name in order}, engine=engine)


def analyze(
    space: EmbeddingSpace, embedded: EmbeddedData, train: Dataset | None, *, max_samples: int = 2000
) -> OracleAnalysis | None:
    """Measure class accuracy, and retrieval with the classes of one modality known.

    Class posteriors are those of the model where its embeddings consist of them (posterior
    matching); otherwise those of a linear probe on its embeddings of training samples.

    Args:
        space: the trained model.
        embedded: the samples to evaluate.
        train: training samples for the probe.
        max_samples: maximum number of raw training samples to embed for the probe.

    Returns:
        None where there are no posteriors: the model has none, and there are no training samples of
        the same classes; or where a modality has no labeled sample.
    """
    if not all(marks.any() for marks in embedded.labels.values()):
        return None
    names = embedded.data.class_names
    posteriors = model_posteriors(space, embedded.vectors, names)
    if posteriors is not None:
        return analyze_oracle(posteriors, embedded.labels, "model")
    if train is None or train.class_names != names or not train.labels.any():
        return None
    rows = np.flatnonzero(train.labels.any(axis=1))
    if any(column.kind != "features" for column in train.columns.values()):
        rows = np.random.default_rng(0).permutation(rows)[:max_samples]
    known = embed_for_evaluation(space, train.take(np.sort(rows)))
    if set(known.vectors) < set(embedded.vectors) or not all(map(len, known.vectors.values())):
        return None
    probes = {
        name: LinearDiscriminant(known.vectors[name], known.labels[name])
        for name in embedded.vectors
    }
    posteriors = {name: probes[name](vectors) for name, vectors in embedded.vectors.items()}
    return analyze_oracle(posteriors, embedded.labels, "probe")


def average_precisions(space: EmbeddingSpace, data: Dataset) -> dict[str, NDArray[np.float64]]:
    """Return the average precision of every query, by the protocol of ``evaluate``.

    Args:
        space: the trained model.
        data: the samples, all of which are used.

    Returns:
        Direction, such as "image->text" -> (n,) values for the n samples: NaN where a sample lacks
        the query modality or a label. Where the model was trained on one sample for each text, n
        is the number of texts.

    Raises:
        SettingError, DataError: as for ``evaluate``.
    """
    embedded = embed_for_evaluation(space, data)
    directions = {}
    for source, target in permutations(embedded.vectors, 2):
        values = np.full(len(embedded.data), np.nan)
        values[embedded.rows[source]] = average_precision(
            embedded.vectors[source],
            embedded.vectors[target],
            embedded.labels[source],
            embedded.labels[target],
        )
        directions[f"{source}->{target}"] = values
    return directions


def embed_for_evaluation(space: EmbeddingSpace, data: Dataset) -> EmbeddedData:
    """Return query and gallery embeddings, for figures that ``evaluate`` does not compute.

    Args:
        space: the trained model.
        data: the samples, all of which are used.

    Raises:
        SettingError, DataError: as for ``evaluate``.
    """
    _shared_modalities(space, data)
    if _multi_caption(space) == "expand":
        data = _expand_texts(data)
    embedded = space.embed_dataset(data)
    return EmbeddedData(
        data,
        {name: part.vectors for name, part in embedded.items()},
        {name: data.labels[part.rows] for name, part in embedded.items()},
        {name: part.rows for name, part in embedded.items()},
    )


def choose_split(data: Dataset, split: str | None) -> Dataset:
    """Return one split of a data set.

    Args:
        data: the samples.
        split: "train", "validation", "test", or "all" for every sample. Default: the test split
            if there is one, otherwise all samples.

    Raises:
        SettingError: the data set has no such split.
    """
    check_dataset(data, "evaluate")
    names = set(data.splits.tolist())
    if split is None:
        split = "test" if "test" in names else "all"
    if split == "all":
        return data
    if split not in names:
        raise SettingError(
            f"{data.name!r} has no {split} split",
            expected=" or ".join([*sorted(names), "all"]),
            found=repr(split),
            advice="leave `split` out to evaluate the test split",
        )
    return data.split(split)


def _multi_caption(space: EmbeddingSpace) -> str:
    options = space.provenance.get("method", {}).get("options", {})
    return str(options.get("encoders", {}).get("multi_caption", ""))


def _shared_modalities(space: EmbeddingSpace, data: Dataset) -> None:
    """Check that at least two modalities are shared, and come from the encoders of training."""
    shared = [name for name in space.modalities if name in data.columns]
    if len(shared) < 2:
        raise SettingError(
            f"the space and {data.name!r} have no two modalities in common",
            expected=f"at least two of {', '.join(map(repr, space.modalities))}",
            found=", ".join(map(repr, data.modalities)),
            advice="rename the columns of the data, or use the data it was trained on",
        )
    for name in shared:
        reads_features = space.inputs[name].kind == "vectors"
        check_encoder(space.provenance, data, name, reads_features=reads_features)


def _expand_texts(data: Dataset) -> Dataset:
    """Return one sample for each text, as in training."""
    several = any(
        len(texts) > 1
        for column in data.columns.values()
        if isinstance(column, Texts)
        for texts in column.items
    )
    return one_sample_per_text(data) if several else data


def _several_texts(space: EmbeddingSpace, data: Dataset) -> str | None:
    """Return the column of texts if it is the only one that is read and a sample has several."""
    texts = [(name, one) for name, one in data.columns.items() if isinstance(one, Texts)]
    if (
        len(texts) == 1
        and texts[0][0] in space.modalities
        and any(len(one) > 1 for one in texts[0][1].items)
    ):
        return texts[0][0]
    return None


def _parts(data: Dataset, several: str | None) -> list[tuple[NDArray[np.intp], Dataset]]:
    """Return the data to embed, with the sample of each row; one row for each of several texts."""
    numbers = np.arange(len(data))
    texts = data.columns[several] if several is not None else None
    if several is None or not isinstance(texts, Texts):
        return [(numbers, data)]
    rows = np.repeat(numbers, [max(len(one), 1) for one in texts.items])
    single = one_sample_per_text(data)
    others = [name for name in data.columns if name != several]
    return [_only(data, numbers, others), _only(single, rows, [several])]


def _only(
    data: Dataset, numbers: NDArray[np.intp], names: Sequence[str]
) -> tuple[NDArray[np.intp], Dataset]:
    """Return some columns of the samples that have one of them."""
    rows = np.flatnonzero(np.any([data.columns[name].present for name in names], axis=0))
    part = data.take(rows)
    columns = {name: part.columns[name] for name in names}
    return numbers[rows], replace(part, columns=columns)
