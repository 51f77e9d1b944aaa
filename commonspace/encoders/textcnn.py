"""The text encoder of the DSCMR paper: word vectors and the sentence CNN of Kim (2014).

Word vectors come from a file (word2vec), or are learned on the training texts (gensim). The CNN is
trained with a softmax classifier, which is then dropped; the epoch is chosen by the loss on the
validation split.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from commonspace.data.columns import Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.texts import UNKNOWN, Words, join_texts
from commonspace.encoders.tokenize import holds_han
from commonspace.encoders.word2vec import WordVectors, read_word2vec
from commonspace.errors import DataError
from commonspace.extras import optional
from commonspace.networks.backbones.text_cnn import TextCNN

__all__ = ["TextCNNTraining", "fit_text_cnn", "learn_vectors", "text_cnn", "text_cnn_encoder"]

WORD_SIZE = 300
UNSEEN_SPREAD = 0.25
"""Vectors of words that the file lacks are drawn uniformly from ±0.25, as in Kim's code."""


@dataclass(frozen=True)
class TextCNNTraining:
    """Settings of the training of the sentence CNN.

    Args:
        epochs: maximum number.
        patience: epochs without a lower validation loss after which the training stops.
        batch_size: texts in a step.
        learning_rate: of Adam.
        seed: of the initial weights, the batches and the dropout.
    """

    epochs: int = 40
    patience: int = 8
    batch_size: int = 50
    learning_rate: float = 1e-3
    seed: int = 0


def text_cnn_encoder(
    train: Dataset,
    validation: Dataset,
    modality: str,
    *,
    file: str | None = None,
    seed: int = 0,
    train_now: bool = True,
) -> Encoder:
    """Return the sentence CNN with its word vectors as an encoder.

    Args:
        train: labeled samples; their texts give the vocabulary.
        validation: labeled samples on which the epoch is chosen.
        modality: the column of texts.
        file: word vectors in the word2vec format; None: learned on the training texts.
        seed: of word vectors, initial weights, batches and dropout.
        train_now: whether the CNN is trained by a classifier; False leaves that to the training of
            a larger network.

    Raises:
        DataError: If the texts have no words or labels, or the file cannot be used.
        MissingExtraError: If gensim or, for Chinese, jieba is not installed.
    """
    column = train.columns[modality]
    assert isinstance(column, Texts)
    chinese = any(map(holds_han, join_texts(column)))
    words = Words.fit(column, han="words" if chinese else "characters")
    if file is None:
        vectors = learn_vectors(column, words, seed)
        name = "vectors learned on train"
    else:
        vectors = read_word2vec(file, words.vocabulary)
        known = f"{len(vectors.words)} of {len(words.vocabulary)} words"
        name = f"{Path(file).name} ({known})"
    backbone, config = text_cnn(words, vectors, seed)
    how = "to be trained with the space"
    if train_now:
        settings = TextCNNTraining(seed=seed)
        best = fit_text_cnn(backbone, words, train, validation, modality, settings)
        how = (
            f"by a softmax classifier, epoch {best['epoch']:.0f} by validation loss"
            f" (accuracy {best['validation_accuracy']:.3f})"
        )
    return describe(
        words,
        backbone,
        config,
        spec="textcnn" if file is None else "word2vec",
        name=f"sentence CNN over {name}",
        preprocessing="words in lower case"
        + (", Chinese by jieba" if chinese else "")
        + f", at most {words.maximum_length}",
        fitted_on="train" if train_now or file is None else "other (word vectors)",
        more={"trained": how} | ({"vectors_sha256": vectors.sha256} if vectors.sha256 else {}),
    )


def learn_vectors(train: Texts, words: Words, seed: int, size: int = WORD_SIZE) -> WordVectors:
    """Learn word vectors on training texts: word2vec's skip-gram, window 5, 20 epochs.

    Args:
        train: the texts of the training part.
        words: the vocabulary and the tokenization.
        seed: of the training; equal seeds give equal vectors.
        size: the length of a vector.

    Raises:
        MissingExtraError: If gensim is not installed.
    """
    gensim = optional("gensim.models", "learning word vectors")
    sentences = [words.words(text) for texts in train.items for text in texts]
    model = gensim.Word2Vec(
        sentences=sentences,
        vector_size=size,
        window=5,
        min_count=1,
        sg=1,
        epochs=20,
        seed=seed,
        workers=1,  # with several the result is random
    )
    return WordVectors(tuple(model.wv.index_to_key), np.array(model.wv.vectors, np.float32))


def text_cnn(
    words: Words, vectors: WordVectors | None, seed: int, size: int = 300
) -> tuple[TextCNN, dict[str, Any]]:
    """Return the sentence CNN with its word vectors, untrained, and its description.

    Padding has the zero vector. Words without a vector, and the number of all words outside the
    vocabulary, are drawn uniformly from ±0.25.

    Args:
        words: the vocabulary.
        vectors: those of some of its words; None: all are drawn.
        seed: of the initial weights.
        size: the length of a feature vector.
    """
    word_size = WORD_SIZE if vectors is None else vectors.vectors.shape[1]
    config: dict[str, Any] = {"vocabulary": words.size, "size": size, "word_size": word_size}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = TextCNN(**config)
        with torch.no_grad():
            table = backbone.words.weight
            table[UNKNOWN:].uniform_(-UNSEEN_SPREAD, UNSEEN_SPREAD)
            if vectors is not None:
                places = {word: row for row, word in enumerate(words.vocabulary, UNKNOWN + 1)}
                known = [row for row, word in enumerate(vectors.words) if word in places]
                rows = torch.tensor([places[vectors.words[row]] for row in known])
                table[rows] = torch.from_numpy(vectors.vectors[known])
    return backbone, {"kind": "text_cnn", **config}


def fit_text_cnn(
    backbone: TextCNN,
    words: Words,
    train: Dataset,
    validation: Dataset,
    modality: str,
    settings: TextCNNTraining,
) -> dict[str, float]:
    """Train the sentence CNN in place, with a softmax classifier that is dropped afterwards.

    Args:
        backbone: untrained, with its word vectors, which are trained too.
        words: turns texts into its input.
        train: labeled samples; a sample with several classes counts for each in equal parts.
        validation: labeled samples on which the epoch is chosen.
        modality: the column of texts.
        settings: of the training.

    Returns:
        The chosen "epoch", and its "validation_loss" and "validation_accuracy".

    Raises:
        DataError: If a split has no labeled text.
    """
    tokens, targets = _labeled(words, train, modality)
    validation_tokens, validation_targets = _labeled(words, validation, modality)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head = nn.Linear(backbone.size, targets.shape[1])
        parameters = [*backbone.parameters(), *head.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
        best = {"epoch": 0.0, "validation_loss": float("inf"), "validation_accuracy": 0.0}
        weights: dict[str, Tensor] = {}
        for epoch in range(1, settings.epochs + 1):
            backbone.train()
            for rows in torch.split(torch.randperm(len(targets)), settings.batch_size):
                optimizer.zero_grad()
                cross_entropy(head(backbone(tokens[rows]).relu()), targets[rows]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            loss, accuracy = _held_out(backbone, head, validation_tokens, validation_targets)
            if loss < best["validation_loss"]:
                best = {
                    "epoch": float(epoch),
                    "validation_loss": loss,
                    "validation_accuracy": accuracy,
                }
                weights = deepcopy(backbone.state_dict())
            elif epoch - best["epoch"] >= settings.patience:
                break
    backbone.load_state_dict(weights)
    backbone.eval()
    return best


@torch.inference_mode()
def _held_out(
    backbone: TextCNN, head: nn.Linear, tokens: Tensor, targets: Tensor
) -> tuple[float, float]:
    backbone.eval()
    scores = torch.cat([head(backbone(part).relu()) for part in torch.split(tokens, 512)])
    right = targets.gather(1, scores.argmax(dim=1, keepdim=True)) > 0
    return float(cross_entropy(scores, targets)), float(right.float().mean())


def _labeled(words: Words, part: Dataset, modality: str) -> tuple[Tensor, Tensor]:
    column = part.columns[modality]
    rows = np.flatnonzero(column.present & part.labels.any(axis=1))
    if not len(rows) or not isinstance(column, Texts):
        raise DataError(
            f"{modality!r} of {part.name!r} has no labeled texts to train a sentence CNN on",
            expected="texts with labels",
            found=f"{column!r}, {len(rows)} of {len(part)} samples with text and label",
            advice="give labels, or choose a pretrained text encoder",
        )
    labels: NDArray[np.bool_] = part.labels[rows]
    targets = torch.from_numpy(labels).float()
    return words(column.take(rows)), targets / targets.sum(dim=1, keepdim=True)
