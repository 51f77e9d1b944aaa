"""Posterior matching: what it learns from, what its settings come to, and what its scores mean."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset, Features, Texts, row_blocks
from commonspace.encoders import Vectors
from commonspace.errors import DataError, SettingError
from commonspace.methods import EncoderConfig, PosteriorMatching
from commonspace.methods.base import pseudo_labels
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors
from commonspace.methods.base.search_defaults import (
    INSTANCE_WEIGHTS,
    TEXT_WEIGHTS,
    choose_instance_weight,
)
from commonspace.methods.posterior import posterior_loss, same_items, weigh_posteriors
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.training import Samples

QUIET = cs.RunConfig()
SMALL: dict[str, Any] = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 5}


def drawn(n: int = 600, c: int = 3, seed: int = 0) -> Dataset:
    """Return two modalities around class centres, with what distinguishes pairs beside them."""
    draw = np.random.default_rng(seed)
    classes = np.arange(n) % c
    own = draw.normal(size=(n, 3))
    turn = {"image": draw.normal(size=(3, 8)), "text": draw.normal(size=(3, 9))}
    centres = {name: draw.normal(size=(c, one.shape[1])) for name, one in turn.items()}
    return Dataset(
        name="drawn",
        ids=tuple(map(str, range(n))),
        columns={
            name: Features(
                1.5 * centres[name][classes] + own @ turn[name] + 0.2 * draw.normal(size=(n, size))
            )
            for name, size in (("image", 8), ("text", 9))
        },
        labels=np.eye(c, dtype=bool)[classes],
        class_names=tuple("abcdefgh"[:c]),
        splits=np.repeat(["train", "validation", "test"], [n // 3] * 3),
    )


def fitted(data: Dataset, **options: Any) -> cs.CommonSpace:  # noqa: ANN401
    method = PosteriorMatching(**{**SMALL, **options})
    return method.fit(data.split("train"), data.split("validation"), QUIET)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return drawn()


@pytest.fixture(scope="module")
def space(data: Dataset) -> cs.CommonSpace:
    return fitted(data, hidden_dim=64, epochs=20, embedding_dim=16)


def scores_of(space: cs.CommonSpace, part: Dataset, weight: float) -> np.ndarray[Any, Any]:
    one, other = (each.vectors for each in space.embed_dataset(part).values())
    scores: np.ndarray[Any, Any] = space.as_queries(one, weight) @ other.T
    return scores


def test_the_score_is_the_probability_of_a_shared_class(
    space: cs.CommonSpace, data: Dataset
) -> None:
    """On test, pairs of a score about s share a class in about s of the cases."""
    test = data.split("test")
    scores = scores_of(space, test, 0.0)
    relevant = test.labels.astype(int) @ test.labels.T.astype(int) > 0
    np.testing.assert_allclose(space.relevance(scores), scores, atol=1e-6)
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [
        abs(scores[bins == one].mean() - relevant[bins == one].mean()) * (bins == one).mean()
        for one in np.unique(bins)
    ]
    assert sum(gaps) < 0.04


def test_instance_weight_leads_from_class_to_instance(space: cs.CommonSpace, data: Dataset) -> None:
    test = data.split("test")
    relevant = test.labels.astype(int) @ test.labels.T.astype(int) > 0
    first, kinds = [], []
    for weight in (0.0, 0.05, 1.0):
        best = scores_of(space, test, weight).argmax(axis=1)
        first.append((best == np.arange(len(test))).mean())
        kinds.append(relevant[np.arange(len(test)), best].mean())
    assert first[0] < 0.1 < 0.3 < first[1]
    assert first[1] < first[2]
    assert min(kinds) > 0.9


def test_the_default_of_search_finds_the_pair_and_keeps_the_class(
    space: cs.CommonSpace, data: Dataset, tmp_path: Path
) -> None:
    """The choice equals a plain search over all weights, and is stored in the space."""
    validation = data.split("validation")
    image, text = (one.vectors for one in space.embed_dataset(validation).values())
    relevant = validation.labels.astype(int) @ validation.labels.T.astype(int) > 0
    precision, reciprocal = [], []
    for weight in INSTANCE_WEIGHTS:
        shares, ranks = [], []
        for queries, others in ((image, text), (text, image)):
            asked = space.as_queries(queries, weight)
            across, within = asked @ others.T, asked @ queries.T
            for row in range(len(validation)):
                best = np.argsort(-np.maximum(across, within)[row], kind="stable")[:10]
                shares.append(relevant[row, best].mean())
                ranks.append(1 / (across[row] >= across[row, row]).sum())
        precision.append(np.mean(shares))
        reciprocal.append(np.mean(ranks))
    allowed = np.array(precision) >= precision[0] - 0.01
    weight = INSTANCE_WEIGHTS[int(np.where(allowed, reciprocal, 0).argmax())]
    assert space.default_instance_weight == weight > 0
    space.save(tmp_path / "space")
    assert cs.load(tmp_path / "space").default_instance_weight == weight


def test_the_weight_of_the_text_is_that_of_the_best_precision(
    space: cs.CommonSpace, data: Dataset, tmp_path: Path
) -> None:
    """By a naive average precision, at the default instance weight."""
    validation = data.split("validation")
    labels = validation.labels.argmax(axis=1)
    vectors = {name: one.vectors for name, one in space.embed_dataset(validation).items()}
    units = {name: v / np.linalg.norm(v, axis=1, keepdims=True) for name, v in vectors.items()}
    figures = []
    for weight in TEXT_WEIGHTS:
        mean = weight * units["text"] + (1 - weight) * units["image"]
        asked = space.as_queries(mean, space.default_instance_weight)
        scores = np.maximum(asked @ vectors["text"].T, asked @ vectors["image"].T)
        values = []
        for row, one in enumerate(scores):
            order = np.argsort(-one, kind="stable")
            right = labels[order[order != row]] == labels[row]
            places = np.flatnonzero(right)
            values.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
        figures.append(np.mean(values))
    chosen = figures[TEXT_WEIGHTS.index(space.default_text_weight)]
    assert chosen == pytest.approx(max(figures), abs=1e-6)
    space.save(tmp_path / "space")
    assert cs.load(tmp_path / "space").default_text_weight == space.default_text_weight


def test_the_default_of_search_leaves_scores_and_evaluation_alone(
    space: cs.CommonSpace, data: Dataset
) -> None:
    test = data.split("test")
    vectors = space.embed_dataset(test)["image"].vectors
    np.testing.assert_array_equal(space.as_queries(vectors), vectors)
    before = cs.evaluate(space, test)["average"]["map"]
    old = cs.CommonSpace(
        space.network, space.inputs, space.class_names, {}, calibration=space.calibration
    )
    assert old.default_instance_weight is None
    assert cs.evaluate(old, test)["average"]["map"] == before
    searched = space.search(test, vector=vectors[3], k=5)
    weight = space.default_instance_weight
    assert list(searched) == list(
        space.search(test, vector=vectors[3], k=5, instance_weight=weight)
    )
    plain = old.search(test, vector=vectors[3], k=1)[0].score
    scores = (
        np.concatenate([one.vectors for one in space.embed_dataset(test).values()]) @ vectors[3]
    )
    assert plain == pytest.approx(scores.max(), rel=1e-6)


def test_no_default_of_search_without_pairs_in_validation(data: Dataset) -> None:
    validation = data.split("validation")
    half = np.arange(len(validation)) % 2 == 0
    columns = {
        name: Features(column.values, mask)  # type: ignore[attr-defined]
        for (name, column), mask in zip(validation.columns.items(), (half, ~half), strict=True)
    }
    space = PosteriorMatching(**SMALL).fit(
        data.split("train"), replace(validation, columns=columns), QUIET
    )
    assert space.has_instance_block
    assert space.default_instance_weight is None


def test_the_default_of_search_reads_samples_that_lack_a_modality(
    space: cs.CommonSpace, data: Dataset
) -> None:
    """Samples of one modality cannot be pairs: the choice is that of the others alone."""
    validation = data.split("validation")
    mask = np.arange(len(validation)) % 3 > 0
    column = validation.columns["text"]
    assert isinstance(column, Features)
    lacking = replace(
        validation, columns={**validation.columns, "text": Features(column.values, mask)}
    )
    choices = [
        choose_instance_weight(
            space,
            {name: one.vectors for name, one in space.embed_dataset(part).items()},
            part,
        )
        for part in (lacking, validation.take(np.flatnonzero(mask)))
    ]
    assert choices[0] == choices[1] is not None


def test_wrong_labels_do_little_harm(data: Dataset) -> None:
    """At two of five wrong, in validation too, the loss of mAP is a small part of what it was."""
    draw = np.random.default_rng(1)
    changed = (draw.random(len(data)) < 0.4) & (data.splits != "test")
    random = np.eye(3, dtype=bool)[draw.integers(0, 3, len(data))]
    noisy = replace(data, labels=np.where(changed[:, None], random, data.labels))
    space = fitted(noisy)
    clean = cs.evaluate(fitted(data), data.split("test"))["average"]["map"]
    found = cs.evaluate(space, data.split("test"))["average"]["map"]
    assert space.provenance["posteriors"]["label_noise"] == pytest.approx(0.4, abs=0.12)
    assert found > clean - 0.05


def test_labels_that_are_right_are_taken_as_they_are(data: Dataset) -> None:
    found = fit_kernel_posteriors(data.split("train"), multi_label=False, seed=0)
    assert found.noise == 0
    np.testing.assert_array_equal(found.targets, data.split("train").labels)


def test_one_label_a_class_is_enough_to_begin(data: Dataset) -> None:
    """The others are unlabelled; no share of wrong labels can be told from three."""
    labels = data.labels.copy()
    labels[3:200] = False
    space = fitted(replace(data, labels=labels))
    assert space.provenance["posteriors"]["label_noise"] == 0
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.6


def test_without_pairs_there_is_no_second_block(data: Dataset) -> None:
    here = np.arange(len(data)) % 2 == 0
    free = data.splits != "train"
    columns = {
        name: Features(column.values, mask | free)  # type: ignore[attr-defined]
        for (name, column), mask in zip(data.columns.items(), (here, ~here), strict=True)
    }
    space = fitted(replace(data, columns=columns))
    assert not space.has_instance_block
    assert space.dimension == 3
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.8
    with pytest.raises(SettingError, match="`instance_weight` is not supported"):
        space.as_queries(np.zeros((1, 3)), 0.0)


def test_several_labels_a_sample_are_probabilities_of_their_own(data: Dataset) -> None:
    labels = data.labels.copy()
    labels[::2] |= np.roll(labels[::2], 1, axis=1)
    several = replace(data, labels=labels)
    space = fitted(several)
    p = space.embed("image", several.split("test").columns["image"])[:, :3] / np.sqrt(0.97)
    assert p.sum(axis=1).max() > 1.2
    assert ((p >= 0) & (p <= 1 + 1e-6)).all()
    assert space.calibrated
    np.testing.assert_allclose(
        space.relevance(scores_of(space, several.split("test"), 0.0)).mean(),
        (several.split("test").labels.astype(int) @ several.split("test").labels.T > 0).mean(),
        atol=0.05,
    )


def test_a_resumed_fitting_gives_the_same_bits(data: Dataset, tmp_path: Path, witness: Any) -> None:  # noqa: ANN401
    whole = fitted(data)
    method = PosteriorMatching(**SMALL)
    parts = data.split("train"), data.split("validation")
    with pytest.raises(KeyboardInterrupt):
        method.fit(*parts, cs.RunConfig((witness(dies_in=3),), tmp_path))
    resumed = method.fit(*parts, cs.RunConfig((), tmp_path, resume=True))
    assert resumed.fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture": 0.0}, "mixture"),
        ({"mixture": 1.0}, "mixture"),
        ({"hidden_dim": 0}, "hidden_dim"),
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        PosteriorMatching(**options)
    assert caught.value.advice


def test_raw_columns_without_an_encoder_are_refused(data: Dataset) -> None:
    texts = replace(data, columns={**data.columns, "text": Texts([("some words",)] * len(data))})
    with pytest.raises(DataError, match="posterior needs features") as caught:
        fitted(texts)
    assert "extract" in caught.value.advice


def samples_of(data: Dataset) -> Samples:
    inputs = {name: Vectors(column.size) for name, column in data.columns.items()}  # type: ignore[attr-defined]
    return Samples(data, inputs, torch.device("cpu"))


def test_things_that_are_equal_in_any_modality_are_one(data: Dataset) -> None:
    """0 and 1 share a text, 1 and 2 a picture; what is missing makes nothing equal."""
    part = data.take(np.arange(6))
    image, text = (column.values.copy() for column in part.columns.values())  # type: ignore[attr-defined]
    text[1], image[2], text[5] = text[0], image[1], text[4]
    columns = {"image": Features(image), "text": Features(text, np.arange(6) < 5)}
    found = same_items(samples_of(replace(part, columns=columns)))
    assert found.tolist() == [0, 0, 0, 3, 4, 5]


def test_tables_on_disk_give_the_same_space(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """With labels, some of which are wrong, targets and features in temporary files."""
    draw = np.random.default_rng(1)
    random = np.eye(3, dtype=bool)[draw.integers(0, 3, len(data))]
    changed = draw.random(len(data)) < 0.4
    data = replace(data, labels=np.where(changed[:, None], random, data.labels))
    in_memory = fitted(data)
    monkeypatch.setattr(row_blocks, "ON_DISK", 1)
    monkeypatch.setattr(row_blocks, "BLOCK", 1000)
    columns = {name: Features(c.values.astype(np.float64)) for name, c in data.columns.items()}  # type: ignore[attr-defined]
    on_disk = fitted(replace(data, columns=columns))
    assert on_disk.provenance["posteriors"]["label_noise"] > 0
    for name, column in data.split("test").columns.items():
        np.testing.assert_allclose(
            on_disk.embed(name, column), in_memory.embed(name, column), atol=1e-4
        )


def test_classes_and_things_share_no_weights(data: Dataset, space: cs.CommonSpace) -> None:
    """The gradient of either part of the objective reaches none of the other's layers."""
    part = data.split("train")
    samples = samples_of(part)
    network = PosteriorNetwork.from_config(space.network.to_config())  # type: ignore[operator]
    batch = samples.batch(torch.arange(30))
    targets = torch.from_numpy(part.labels).float()
    losses = posterior_loss(network, batch, targets[:30], same_items(samples)[:30])
    torch.testing.assert_close(losses["loss"], losses["class_loss"] + losses["instance_loss"])
    for term, own in (("class_loss", "networks."), ("instance_loss", ("instances.", "log_scale"))):
        named = dict(network.named_parameters())
        slopes = torch.autograd.grad(
            losses[term], list(named.values()), retain_graph=True, allow_unused=True
        )
        for name, slope in zip(named, slopes, strict=True):
            reached = slope is not None and bool(slope.any())
            assert reached == name.startswith(own), name


def test_the_share_of_the_network_is_the_most_likely_one(
    data: Dataset, space: cs.CommonSpace
) -> None:
    """No other share on a grid makes the labels of validation more likely."""
    network, part = space.network, data.split("validation")
    assert isinstance(network, PosteriorNetwork)
    samples = samples_of(part)
    weigh_posteriors(network, samples)
    for number, name in enumerate(network.modalities):
        with torch.inference_mode():
            x = network.rescale(name, samples.inputs[name])
            kernel, net = (
                p[samples.labels > 0].double() for p in network.expert_posteriors(name, x)
            )
        shares = torch.linspace(0.02, 0.98, 97, dtype=torch.double)
        likely = torch.stack(
            [(s * net + (1 - s) * kernel).log().sum() + s.log() + (1 - s).log() for s in shares]
        )
        assert float(network.shares[number]) == pytest.approx(
            float(shares[likely.argmax()]), abs=0.02
        )


def test_raw_texts_are_read_through_an_encoder(raw_dataset: Dataset, tmp_path: Path) -> None:
    """The space holds the encoder: it embeds sentences, and does so after saving and loading."""
    images = raw_dataset.columns["image"].items  # type: ignore[attr-defined]
    pictures = [np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images]
    data = replace(
        raw_dataset, columns={**raw_dataset.columns, "image": Features(np.stack(pictures))}
    )
    space = fitted(data, encoders=EncoderConfig(specs={"text": "textcnn"}))
    space.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    asked = space.embed("text", ["a red wall", "some blue door"])
    np.testing.assert_array_equal(loaded.embed("text", ["a red wall", "some blue door"]), asked)
    assert loaded.fingerprint == space.fingerprint
    assert loaded.has_instance_block
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.6


def test_every_epoch_is_reported_as_one_whose_last_is_kept(data: Dataset, witness: Any) -> None:  # noqa: ANN401
    log = witness()
    space = PosteriorMatching(**SMALL).fit(data, run=cs.RunConfig((log,)))
    assert all(record.keeps_last for record in log.records)
    assert space.provenance["chosen"]["epoch"] == len(log.records)
    last = log.weights[len(log.records)]
    assert all(
        torch.equal(last[name], value)
        for name, value in space.network.state_dict().items()
        if not name.startswith("in_distribution.")  # set after training
    )


def test_queries_unlike_the_training_data_are_detected(
    space: cs.CommonSpace, data: Dataset, tmp_path: Path
) -> None:
    """Few test samples, and all samples far from the training data; also after saving."""
    space.save(tmp_path / "space")
    for one in (space, cs.load(tmp_path / "space")):
        for name in ("image", "text"):
            column = data.split("test").columns[name]
            assert isinstance(column, Features)
            vectors, inside = one.embed_queries(name, column)
            np.testing.assert_allclose(vectors, one.embed(name, column), atol=1e-5)
            assert inside is not None
            assert np.mean(inside < 0.5) < 0.12
            far = np.random.default_rng(1).normal(size=(50, column.values.shape[1])) * 9
            outside = one.embed_queries(name, Features(far.astype(np.float32)))[1]
            assert outside is not None
            assert np.mean(outside) < np.mean(inside) - 0.2


def test_a_small_validation_split_sets_no_threshold(data: Dataset) -> None:
    train, validation = data.split("train"), data.split("validation").take(np.arange(39))
    space = PosteriorMatching(**SMALL).fit(train, validation, QUIET)
    assert space.embed_queries("image", data.columns["image"].take(np.arange(2)))[1] is None
    assert "references" not in space.network.to_config()  # type: ignore[operator]
    assert space.default_instance_weight == 0.5  # too few samples to choose one


def with_few_labels(data: Dataset, each: int) -> Dataset:
    """Return the data with few labels of each class in train, and those of the other splits."""
    labels = data.labels.copy()
    train = np.flatnonzero(data.splits == "train")
    for number in range(labels.shape[1]):
        rows = train[labels[train, number]]
        labels[rows[each:]] = False
    return replace(data, labels=labels)


def test_samples_without_a_label_teach_the_classes_where_validation_improves(
    data: Dataset,
) -> None:
    few = with_few_labels(data, 2)
    with_pseudo, without = (fitted(few, pseudo_labels=value) for value in (True, False))
    assert with_pseudo.provenance["posteriors"]["pseudo_labels"]
    assert not without.provenance["posteriors"]["pseudo_labels"]
    test = data.split("test")
    assert with_pseudo.evaluate(test).map > without.evaluate(test).map + 0.02


def test_pseudo_labels_that_do_not_help_on_validation_are_not_used(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = with_few_labels(data, 2)
    without = fitted(few, pseudo_labels=False)
    figures = iter([0.5] * 4)  # labels, neighbors in features and pairs, agreement
    monkeypatch.setattr(pseudo_labels, "validation_map", lambda *_: next(figures))
    space = fitted(few)
    assert not space.provenance["posteriors"]["pseudo_labels"]
    for name, part in space.embed_dataset(few).items():
        expected = without.embed_dataset(few)[name].vectors
        np.testing.assert_allclose(part.vectors, expected, atol=1e-6)


def test_exchanged_texts_teach_neither_classes_nor_pairs(data: Dataset) -> None:
    draw = np.random.default_rng(3)
    rows = np.arange(len(data))
    for split in ("train", "validation"):
        own = np.flatnonzero(data.splits == split)
        moved = own[: len(own) // 2]
        rows[moved] = draw.permutation(moved)
    *_, last = data.columns
    wrong = replace(data, columns={**data.columns, last: data.columns[last].take(rows)})
    robust, plain = (fitted(wrong, drop_mismatched=value) for value in (True, False))
    counts = robust.provenance["posteriors"]["mismatched"]
    assert counts[last] > 0.2 * (data.splits == "train").sum()
    assert plain.provenance["posteriors"]["mismatched"] == {}
    test = data.split("test")
    assert robust.evaluate(test).map > plain.evaluate(test).map - 0.005
    assert fitted(data).provenance["posteriors"]["mismatched"] == {}
