"""One text form for every encoder: "vgg19", "hf:FOLDER", "word2vec:FILE", "textcnn" -> an encoder.

What comes before the colon names the kind, what comes behind says which one. It knows nothing of
the command line or of methods.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from commonspace.data.columns import Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_row_per_text
from commonspace.encoders.each_text import EachText
from commonspace.encoders.encoder import Encoder, described
from commonspace.encoders.pretrained import image_encoder, text_encoder
from commonspace.encoders.sentence_models import sentence_encoder
from commonspace.encoders.sentences import (
    SentenceTraining,
    fit_sentence_cnn,
    learn_vectors,
    sentence_cnn,
    words_of,
)
from commonspace.encoders.vgg19 import vgg19_encoder
from commonspace.encoders.word2vec import WordVectors, read_word2vec
from commonspace.encoders.words import PADDING, Words
from commonspace.errors import SettingError
from commonspace.networks.backbones.multi_caption import MeanOfCaptions
from commonspace.networks.backbones.pretrained import NO_TOKEN

__all__ = ["ENCODERS", "MULTI_CAPTION", "MultiCaption", "Source", "encoder_from_spec"]

MultiCaption = Literal["mean", "concat", "expand"]

MULTI_CAPTION: tuple[MultiCaption, ...] = ("mean", "concat", "expand")
"""Where a sample has several texts: the mean of their features, the features of all of them one
after the other, or one sample for each text (which is a change of the data set)."""


@dataclass(frozen=True)
class Source:
    """What an encoder may be fitted on, for those that are.

    Args:
        train: the training part.
        validation: the part on which an epoch is chosen.
        modality: the column that the encoder is for.
        several: what becomes of several texts of one sample.
        seed: of whatever is drawn.
        train_now: whether a sentence CNN is trained here, by a classifier, or left to be trained
            as a part of a larger network.
    """

    train: Dataset
    validation: Dataset
    modality: str
    several: MultiCaption = "concat"
    seed: int = 0
    train_now: bool = True


@dataclass(frozen=True)
class _Kind:
    """A kind of encoder.

    Args:
        reads: the kind of column that it reads.
        argument: what must follow the colon, for messages; "" for nothing; in brackets: may follow.
        build: (what follows the colon, source) -> encoder.
    """

    reads: tuple[type, ...]
    argument: str
    build: Callable[[str, Source], Encoder]


def encoder_from_spec(spec: str, source: Source) -> Encoder:
    """Return the encoder that a text form names, for one column of a data set.

    Args:
        spec: one of ``ENCODERS``, with what it needs behind a colon.
        source: the column, and what to fit on.

    Raises:
        SettingError: no such kind, something is missing behind the colon or too much, or it does
            not read this column.
        DataError: a file, model or the training texts cannot be used.
        MissingExtraError: it needs an optional package.
    """
    name, _, argument = spec.partition(":")
    column = source.train.columns.get(source.modality)
    kind = ENCODERS.get(name)
    if kind is None or column is None:
        raise SettingError(
            f"there is no encoder {spec!r} for {source.modality!r}",
            expected=", ".join(_form(name) for name in ENCODERS)
            if kind is None
            else f"one of the columns {', '.join(source.train.modalities)}",
            found=repr(name) if kind is None else repr(source.modality),
            advice="commonspace extract --help shows them with examples",
        )
    optional_argument = kind.argument.startswith("[")
    if bool(argument) != bool(kind.argument) and not (optional_argument and not argument):
        raise SettingError(
            f"the encoder {name!r} is not fully named",
            expected=_form(name),
            found=repr(spec),
            advice="name the file, folder or model behind the colon"
            if kind.argument
            else "leave out what is behind the colon",
        )
    if not isinstance(column, kind.reads):
        raise SettingError(
            f"the encoder {name!r} does not read {column.kind}",
            expected=" or ".join(reads.__name__.lower() for reads in kind.reads),
            found=f"{source.modality!r} of {source.train.name!r} holds {column!r}",
            advice="name an encoder for this kind, or leave the column out",
        )
    encoder = kind.build(argument, source)
    if not isinstance(column, Texts):
        return encoder
    averaged = _averaging(encoder) if source.several == "mean" else encoder
    return replace(averaged, provenance={**averaged.provenance, "multi_caption": source.several})


def _form(name: str) -> str:
    argument = ENCODERS[name].argument
    if not argument:
        return name
    return f"{name}[:{argument[1:]}" if argument.startswith("[") else f"{name}:{argument}"


def _averaging(encoder: Encoder) -> Encoder:
    """Return the encoder that gives the mean over the texts of a sample."""
    fill = PADDING if isinstance(encoder.input, Words) else NO_TOKEN
    facts = dict(encoder.provenance)
    return described(
        EachText(encoder.input, fill),
        MeanOfCaptions(encoder.backbone),
        {"kind": "mean_of_captions", "backbone": dict(encoder.backbone_config)},
        spec=facts["spec"],
        name=facts["name"],
        preprocessing=facts["preprocessing"],
        fitted_on=facts["fitted_on"],
        more={key: facts[key] for key in ("trained", "vectors_sha256") if key in facts},
    )


def _vgg19(file: str, _: Source, *, batch_norm: bool, before_relu: bool) -> Encoder:
    return vgg19_encoder(file or None, batch_norm=batch_norm, before_relu=before_relu)


def _hf(name: str, source: Source) -> Encoder:
    images = isinstance(source.train.columns[source.modality], Images)
    return (image_encoder if images else text_encoder)(name)


def _st(name: str, _: Source) -> Encoder:
    return sentence_encoder(name)


def _word2vec(file: str, source: Source) -> Encoder:
    words = words_of(_texts(source))
    vectors = read_word2vec(file, words.vocabulary)
    found = f"{len(vectors.words)} of {len(words.vocabulary)} words"
    return _sentences(source, words, vectors, "word2vec", f"{Path(file).name} ({found})")


def _textcnn(_: str, source: Source) -> Encoder:
    words = words_of(_texts(source))
    vectors = learn_vectors(_texts(source), words, source.seed)
    return _sentences(source, words, vectors, "textcnn", "vectors learnt on train")


def _texts(source: Source) -> Texts:
    column = source.train.columns[source.modality]
    assert isinstance(column, Texts)
    return column


def _sentences(source: Source, words: Words, vectors: WordVectors, spec: str, name: str) -> Encoder:
    backbone, config = sentence_cnn(words, vectors, source.seed)
    how = "to be trained along"
    if source.train_now:
        train, validation = source.train, source.validation
        if source.several == "mean":  # it will read each text on its own
            train, validation = one_row_per_text(train), one_row_per_text(validation)
        settings = SentenceTraining(seed=source.seed)
        best = fit_sentence_cnn(backbone, words, train, validation, source.modality, settings)
        how = (
            f"by a softmax classifier, epoch {best['epoch']:.0f} by validation loss"
            f" (accuracy {best['validation_accuracy']:.3f})"
        )
    chinese = ", Chinese by jieba" if words.han == "words" else ""
    more = {"vectors_sha256": vectors.sha256} if vectors.sha256 else {}
    return described(
        words,
        backbone,
        config,
        spec=spec,
        name=f"sentence CNN over {name}",
        preprocessing=f"words in lower case{chinese}, at most {words.maximum_length}",
        fitted_on="train" if source.train_now or not vectors.sha256 else "other (word vectors)",
        more={"trained": how, **more},
    )


ENCODERS: Mapping[str, _Kind] = {
    "vgg19": _Kind((Images,), "[FILE]", partial(_vgg19, batch_norm=False, before_relu=False)),
    "vgg19_bn": _Kind((Images,), "[FILE]", partial(_vgg19, batch_norm=True, before_relu=False)),
    "vgg19-before-relu": _Kind(
        (Images,), "[FILE]", partial(_vgg19, batch_norm=False, before_relu=True)
    ),
    "vgg19_bn-before-relu": _Kind(
        (Images,), "[FILE]", partial(_vgg19, batch_norm=True, before_relu=True)
    ),
    "hf": _Kind((Images, Texts), "FOLDER_OR_NAME", _hf),
    "st": _Kind((Texts,), "FOLDER_OR_NAME", _st),
    "word2vec": _Kind((Texts,), "FILE", _word2vec),
    "textcnn": _Kind((Texts,), "", _textcnn),
}
"""Name -> kind of encoder."""
