"""Text encoder without pretrained weights: TF-IDF of words and characters, reduced by an SVD."""

from typing import Any

import numpy as np
import torch

from commonspace.data.columns import Texts
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.texts import Ngrams, join_texts
from commonspace.encoders.tokenize import Han, holds_han
from commonspace.errors import DataError
from commonspace.extras import optional
from commonspace.machine import one_thread
from commonspace.networks.backbones.tfidf import TfidfBackbone

__all__ = ["tfidf_encoder"]

LARGEST_VOCABULARY = 50_000


def tfidf_encoder(train: Texts, seed: int = 0, size: int = 300) -> Encoder:
    """Return the TF-IDF of words, word pairs and character n-grams, fitted on training texts.

    N-grams of at least two texts are known, at most the 50,000 most frequent ones. A truncated
    SVD reduces the vectors.

    Args:
        train: the texts of the training split.
        seed: of the randomized SVD.
        size: number of components; fewer if there are fewer texts or n-grams.

    Raises:
        DataError: If no n-gram occurs in two texts.
        MissingExtraError: If scikit-learn is not installed, or jieba for Chinese texts.
    """
    text = optional("sklearn.feature_extraction.text", "the encoder tfidf")
    decomposition = optional("sklearn.decomposition", "the encoder tfidf")
    texts = [one for one, present in zip(join_texts(train), train.present, strict=True) if present]
    han: Han = "words" if any(map(holds_han, texts)) else "characters"
    vectorizer = text.TfidfVectorizer(
        analyzer=lambda one: list(Ngrams.split(one, han)),
        min_df=2,
        max_features=LARGEST_VOCABULARY,
        sublinear_tf=True,
        dtype=np.float64,
    )
    try:
        table = vectorizer.fit_transform(texts)
    except ValueError as exc:
        raise DataError(
            "the training texts have no n-grams in common",
            expected="words or character sequences that occur in at least two texts",
            found=f"{len(texts)} texts",
            advice="check the text column, or choose a pretrained text encoder",
        ) from exc
    size = max(1, min(size, table.shape[0] - 1, table.shape[1] - 1))
    with one_thread():  # the same numbers on any number of cores
        svd = decomposition.TruncatedSVD(size, random_state=seed).fit(table)
    vocabulary = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    config: dict[str, Any] = {"vocabulary": len(vocabulary), "size": size}
    backbone = TfidfBackbone(**config)
    backbone.load_state_dict(
        {
            "idf": torch.from_numpy(vectorizer.idf_).float(),
            "components": torch.from_numpy(svd.components_.T.copy()).float(),
        }
    )
    return describe(
        Ngrams(vocabulary, han),
        backbone,
        {"kind": "tfidf", **config},
        spec="tfidf",
        name=f"TF-IDF of {len(vocabulary)} n-grams",
        preprocessing="words, pairs of words, and 3 to 5 characters of a word, in lower case"
        + (", Chinese by jieba" if han == "words" else ""),
        fitted_on="train",
    )
