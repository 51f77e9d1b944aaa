"""The sentence CNN over word vectors: what its table holds, and that it learns from train alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from commonspace.data import Dataset, Texts
from commonspace.encoders import Source, encoder_from_spec
from commonspace.encoders.textcnn import learn_vectors, text_cnn
from commonspace.encoders.texts import PADDING, UNKNOWN, Words
from commonspace.encoders.word2vec import WordVectors
from commonspace.errors import DataError

COLOURS = ("red", "green", "blue")
NOUNS = ("wall", "door", "kite", "boat")


def coloured(n: int = 90, seed: int = 0, *, labelled: bool = True) -> Dataset:
    """Return texts of which one word, among others in any order, is the class."""
    draw = np.random.default_rng(seed)
    classes = np.arange(n) % 3
    texts = []
    for k in classes:
        words = ["a", COLOURS[k], *draw.choice(NOUNS, 3)]
        draw.shuffle(words)
        texts.append((" ".join(words),))
    return Dataset(
        name="colours",
        ids=tuple(map(str, range(n))),
        columns={"text": Texts(texts)},
        labels=np.eye(3, dtype=bool)[classes] & labelled,
        class_names=COLOURS,
        splits=np.repeat(["train", "validation", "test"], n // 3),
    )


def source(data: Dataset, **options: object) -> Source:
    return replace(Source(data.split("train"), data.split("validation"), "text"), **options)  # type: ignore[arg-type]


def test_the_table_holds_the_given_vectors() -> None:
    words = Words(["red", "kite", "boat"])
    given = WordVectors(("boat", "sea", "red"), np.arange(12, dtype=np.float32).reshape(3, 4))
    backbone, config = text_cnn(words, given, seed=0, size=7)
    table = backbone.words.weight.detach()
    assert config == {"kind": "text_cnn", "vocabulary": 5, "size": 7, "word_size": 4}
    assert table[PADDING].tolist() == [0, 0, 0, 0]
    assert table[2].tolist() == [8, 9, 10, 11]  # red
    assert table[4].tolist() == [0, 1, 2, 3]  # boat
    for row in (UNKNOWN, 3):  # unknown words, and "kite", which the vectors lack
        assert 0 < table[row].abs().max() <= 0.25
    again, _ = text_cnn(words, given, seed=0, size=7)
    other, _ = text_cnn(words, given, seed=1, size=7)
    assert torch.equal(again.words.weight, backbone.words.weight)
    assert not torch.equal(other.words.weight[3], backbone.words.weight[3])


def test_vectors_are_deterministic_and_similar_for_words_used_together() -> None:
    texts = Texts([("red warm fire",), ("cold blue ice",)] * 150)
    words = Words.fit(texts)
    found = learn_vectors(texts, words, seed=3, size=16)
    again = learn_vectors(texts, words, seed=3, size=16)
    assert found.words == again.words
    assert np.array_equal(found.vectors, again.vectors)
    vectors = dict(zip(found.words, found.vectors, strict=True))

    def cosine(one: str, other: str) -> float:
        a, b = vectors[one], vectors[other]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine("red", "fire") > cosine("red", "ice") + 0.3


def test_textcnn_separates_classes_of_unseen_texts_and_repeats_to_the_bit() -> None:
    data = coloured()
    encoder = encoder_from_spec("textcnn", source(data))
    features = encoder(data.split("test").columns["text"]).numpy()
    assert features.shape == (30, 300)
    labels = data.split("test").labels.argmax(1)
    seen = encoder(data.split("train").columns["text"]).numpy()
    centres = np.stack([seen[data.split("train").labels[:, k]].mean(0) for k in range(3)])
    nearest = ((features[:, None] - centres) ** 2).sum(2).argmin(1)
    assert (nearest == labels).mean() > 0.9
    assert encoder.provenance["fitted_on"] == "train"
    twin = encoder_from_spec("textcnn", source(data))
    assert twin.provenance["sha256"] == encoder.provenance["sha256"]


def test_the_test_part_is_out_of_reach() -> None:
    data = coloured()
    poisoned = data.split("test").columns["text"].take(np.arange(30))
    items = [*data.columns["text"].items[:60], *(("poison poison",) for _ in poisoned.items)]  # type: ignore[attr-defined]
    other = replace(data, columns={"text": Texts(items)})
    found = [
        encoder_from_spec("textcnn", source(one)).provenance["sha256"] for one in (data, other)
    ]
    assert found[0] == found[1]


def test_untrained_where_it_is_trained_along() -> None:
    data = coloured()
    encoder = encoder_from_spec("textcnn", source(data, train_now=False))
    trained = encoder_from_spec("textcnn", source(data))
    assert encoder.provenance["trained"] == "to be trained with the space"
    assert encoder.provenance["weights_sha256"] != trained.provenance["weights_sha256"]


def test_the_mean_of_several_texts_is_the_mean_of_their_features() -> None:
    data = coloured()
    encoder = encoder_from_spec("textcnn", source(data, multi_caption="mean"))
    one, two, both = encoder(["red wall", "kite", ("red wall", "kite")])
    torch.testing.assert_close(both, (one + two) / 2)
    assert encoder.provenance["multi_caption"] == "mean"


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="no labeled texts"):
        encoder_from_spec("textcnn", source(coloured(labelled=False)))
    silent = replace(coloured(), columns={"text": Texts([("😀",)] * 90)})
    with pytest.raises(DataError, match="no words"):
        encoder_from_spec("textcnn", source(silent))
