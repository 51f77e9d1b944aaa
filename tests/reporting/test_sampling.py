"""What is drawn: the share of each class, unit vectors, features as they came or of the encoder."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.encoders import Source, encoder_from_spec
from commonspace.evaluation.protocol import embed_for_evaluation
from commonspace.reporting.sampling import sample_points
from commonspace.space import CommonSpace

MakeSpace = Callable[[Dataset], CommonSpace]


def test_few_of_many_are_drawn_the_same_for_each_modality(
    feature_dataset: Dataset, space_of: MakeSpace
) -> None:
    found = embed_for_evaluation(space_of(feature_dataset), feature_dataset.split("train"))
    drawn = sample_points(space_of(feature_dataset), found, max_points=8, seed=0)
    assert drawn.counts == {"image": (8, 40), "text": (8, 40)}
    assert drawn.unit
    image, text = drawn.modalities
    assert np.bincount(image.classes).tolist() == [2, 2, 2, 2]
    np.testing.assert_array_equal(image.classes, text.classes)
    rows = [
        int(np.flatnonzero((found.vectors["image"] == v).all(axis=1))[0]) for v in image.vectors
    ]
    column = feature_dataset.split("train").columns["image"]
    assert isinstance(column, Features)
    np.testing.assert_array_equal(image.features, column.values[rows])


def test_unlabelled_samples_and_absent_modalities(
    feature_dataset: Dataset, space_of: MakeSpace
) -> None:
    part = feature_dataset.split("test")
    bare = replace(
        part,
        labels=np.zeros_like(part.labels),
        columns={**part.columns, "text": Features(np.zeros((16, 5)), np.zeros(16))},
    )
    drawn = sample_points(
        space_of(feature_dataset),
        embed_for_evaluation(space_of(feature_dataset), bare),
        max_points=99,
        seed=0,
    )
    assert [one.modality for one in drawn.modalities] == ["image"]
    assert (drawn.modalities[0].classes == -1).all()


def test_a_space_with_an_encoder_shows_its_features(raw_dataset: Dataset) -> None:
    """Columns trained from scratch have no panel of its own; an encoder has."""
    from commonspace.methods import DSCMR, EncoderConfig

    raw = EncoderConfig(specs={"text": "textcnn"})
    method = DSCMR(epochs=1, hidden_dim=16, embedding_dim=8, device="cpu", encoders=raw)
    train, validation = raw_dataset.split("train"), raw_dataset.split("validation")
    space = method.fit(train, validation, cs.RunConfig())
    drawn = sample_points(
        space, embed_for_evaluation(space, raw_dataset.split("test")), max_points=99, seed=0
    )
    image, text = drawn.modalities
    assert image.features is None
    assert drawn.feature_titles == {"text": "features of the encoder"}
    source = Source(train, validation, "text", multi_caption="concat", seed=0, train_now=True)
    encoder = encoder_from_spec("textcnn", source)
    expected = encoder(raw_dataset.split("test").columns["text"]).numpy()
    assert text.features is not None
    np.testing.assert_allclose(text.features, expected, rtol=1e-4, atol=1e-5)
