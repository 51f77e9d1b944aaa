"""The text encoder of the paper: word vectors, then Kim's sentence CNN, fitted on train alone.

Word vectors come from a file (word2vec), are learnt on the training texts (gensim), or begin at
random. The CNN is trained with a softmax classifier over the classes, which is then taken off; the
epoch is chosen by the loss on the validation part. It never sees the test part.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from commonspace.data.columns import Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders.tokenise import holds_han
from commonspace.encoders.word2vec import WordVectors
from commonspace.encoders.words import UNKNOWN, Words, texts_of
from commonspace.errors import DataError
from commonspace.extras import optional
from commonspace.networks.backbones.text_cnn import TextCNN

__all__ = ["SentenceTraining", "fit_sentence_cnn", "learn_vectors", "sentence_cnn", "words_of"]

WORD_SIZE = 300
UNSEEN_SPREAD = 0.25
"""Words of the training texts that the vectors lack begin uniform in ±0.25, as in Kim's code."""


@dataclass(frozen=True)
class SentenceTraining:
    """How the sentence CNN is trained.

    Args:
        epochs: at most.
        patience: epochs without a lower validation loss after which to stop.
        batch_size: texts in a step.
        learning_rate: of Adam.
        seed: of the initial weights, the batches and the dropout.
    """

    epochs: int = 40
    patience: int = 8
    batch_size: int = 50
    learning_rate: float = 1e-3
    seed: int = 0


def words_of(train: Texts, maximum_length: int = 200) -> Words:
    """Return the vocabulary of training texts; Chinese among them is cut by jieba's dictionary.

    Raises:
        DataError: the texts hold no words.
        MissingExtraError: they hold Chinese, and jieba is not installed.
    """
    chinese = any(holds_han(text) for text in texts_of(train))
    return Words.fit(train, maximum_length=maximum_length, han="words" if chinese else "characters")


def learn_vectors(train: Texts, words: Words, seed: int, size: int = WORD_SIZE) -> WordVectors:
    """Learn word vectors on training texts: word2vec's skip-gram, window 5, 20 epochs.

    Args:
        train: the texts of the training part.
        words: the vocabulary and the way to cut.
        seed: the result is the same each time.
        size: the length of a vector.

    Raises:
        MissingExtraError: gensim is not installed.
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
        workers=1,  # several would make the result depend on chance
    )
    return WordVectors(tuple(model.wv.index_to_key), np.array(model.wv.vectors, np.float32))


def sentence_cnn(
    words: Words, vectors: WordVectors | None, seed: int, size: int = 300
) -> tuple[TextCNN, dict[str, Any]]:
    """Return the sentence CNN with its word vectors, untrained, and its description.

    Padding has the zero vector. Words that the vectors lack, and the one number of all words
    outside the vocabulary, begin uniform in ±0.25.

    Args:
        words: the vocabulary.
        vectors: those of some of its words; None: all begin at random.
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


def fit_sentence_cnn(
    backbone: TextCNN,
    words: Words,
    train: Dataset,
    validation: Dataset,
    modality: str,
    settings: SentenceTraining,
) -> dict[str, float]:
    """Train the sentence CNN in place, with a softmax classifier that is dropped afterwards.

    Args:
        backbone: fresh, with its word vectors, which are trained along.
        words: turns texts into its input.
        train: labelled samples; a sample with several classes counts for each in equal parts.
        validation: labelled samples on which the epoch is chosen.
        modality: the name of the column of texts.
        settings: how to train.

    Returns:
        "epoch", the chosen one, and "validation_loss" and "validation_accuracy" there.

    Raises:
        DataError: a part has no labelled text.
    """
    tokens, targets = _labelled(words, train, modality)
    held_tokens, held_targets = _labelled(words, validation, modality)
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
            loss, accuracy = _held_out(backbone, head, held_tokens, held_targets)
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


def _labelled(words: Words, part: Dataset, modality: str) -> tuple[Tensor, Tensor]:
    column = part.columns[modality]
    rows = np.flatnonzero(column.present & part.labels.any(axis=1))
    if not len(rows) or not isinstance(column, Texts):
        raise DataError(
            f"{modality!r} of {part.name!r} cannot train a sentence CNN",
            expected="texts with labels",
            found=f"{column!r}, {len(rows)} of {len(part)} samples with text and label",
            advice="give labels, or choose a text encoder that is trained already",
        )
    labels: NDArray[np.bool_] = part.labels[rows]
    targets = torch.from_numpy(labels).float()
    return words(column.take(rows)), targets / targets.sum(dim=1, keepdim=True)
