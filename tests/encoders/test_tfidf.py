"""TF-IDF with a truncated SVD: values against scikit-learn, and what it is fitted on."""

import json

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from commonspace.data import Texts
from commonspace.encoders import input_from_config
from commonspace.encoders.texts import Ngrams
from commonspace.encoders.tfidf import tfidf_encoder
from commonspace.errors import DataError
from commonspace.networks.backbones import backbone_from_config

TEXTS = ["a red kite and a red boat", "the blue boat", "blue kites fly", "a kite, a kite!", "boats"]


def test_features_are_the_projected_vectors_of_scikit_learn() -> None:
    encoder = tfidf_encoder(Texts([(text,) for text in TEXTS]))
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: list(Ngrams.split(text)), min_df=2, sublinear_tf=True
    )
    queries = ["red kites on a boat", "nothing known: xyz", "a a a kite kite", ""]
    vectors = vectorizer.fit(TEXTS).transform(queries).toarray()
    assert isinstance(encoder.input, Ngrams)
    order = [vectorizer.vocabulary_[ngram] for ngram in encoder.input.vocabulary]
    components = encoder.backbone.components.numpy()  # type: ignore[operator]
    np.testing.assert_allclose(encoder(queries), vectors[:, order] @ components, atol=1e-5)
    np.testing.assert_allclose(components.T @ components, np.eye(encoder.size), atol=1e-5)
    assert not encoder(queries)[3].any()


def test_each_text_has_the_same_features_in_any_batch_and_after_saving() -> None:
    encoder = tfidf_encoder(Texts([(text,) for text in TEXTS]), size=3)
    assert encoder.size == 3
    whole = encoder(TEXTS)
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(encoder([text])[0], whole[row])
    backbone = backbone_from_config(json.loads(json.dumps(dict(encoder.backbone_config))))
    backbone.load_state_dict(encoder.backbone.state_dict())
    input_ = input_from_config(json.loads(json.dumps(encoder.input.to_config())))
    torch.testing.assert_close(backbone(input_(TEXTS)), whole)
    again = tfidf_encoder(Texts([(text,) for text in TEXTS]), size=3)
    assert again.provenance == encoder.provenance
    assert encoder.provenance["fitted_on"] == "train"


def test_texts_without_common_ngrams_are_refused() -> None:
    with pytest.raises(DataError, match="no n-grams in common"):
        tfidf_encoder(Texts([("one",), ("two",), ()]))
