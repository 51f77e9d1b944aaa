"""Encoders by name: "vgg19", "hf:FOLDER", "onnx:FILE", "FILE.py:Class", "textcnn + tfidf"."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

from commonspace.callbacks import Callback, Callbacks
from commonspace.data.columns import Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_sample_per_text
from commonspace.encoders.choice import choose_encoders
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.forms import AUTO, ImageModel, InputForm, choose_form
from commonspace.encoders.huggingface import image_model, text_encoder
from commonspace.encoders.inputs import EachText
from commonspace.encoders.joined import join_encoders
from commonspace.encoders.onnx_file import onnx_model
from commonspace.encoders.sentence_transformers import sentence_encoder
from commonspace.encoders.textcnn import text_cnn_encoder
from commonspace.encoders.texts import PADDING, Words
from commonspace.encoders.tfidf import tfidf_encoder
from commonspace.encoders.torch_module import is_module_spec, torch_model
from commonspace.encoders.vgg19 import vgg19_encoder
from commonspace.errors import SettingError
from commonspace.networks.backbones.multi_caption import MeanOfCaptions
from commonspace.networks.backbones.pretrained import NO_TOKEN

__all__ = [
    "ENCODERS",
    "MULTI_CAPTION",
    "MultiCaption",
    "Source",
    "encoder_from_spec",
    "names_code",
    "read_kinds",
    "resolve_spec",
]

MultiCaption = Literal["mean", "concat", "expand"]

MULTI_CAPTION: tuple[MultiCaption, ...] = get_args(MultiCaption)
"""For samples with several texts: the mean of their features, the features of all texts read one
after the other, or one sample for each text (which changes the data set)."""

SEPARATOR = " + "
"""Between the names of several encoders of one modality."""


@dataclass(frozen=True)
class Source:
    """The column that an encoder is built for, and the samples that it may be fitted on.

    Args:
        train: the training split.
        validation: the split on which epochs and input forms are chosen.
        modality: the column.
        multi_caption: one of ``MULTI_CAPTION``.
        seed: of encoders that are fitted.
        train_now: whether a sentence CNN is trained by a classifier, or left to be trained as a
            part of a larger network.
        input_form: how image networks see a photo: "auto" chooses on validation; else a form such
            as "pad" or "pad,side=320".
        callback: receives the progress.
    """

    train: Dataset
    validation: Dataset
    modality: str
    multi_caption: MultiCaption = "concat"
    seed: int = 0
    train_now: bool = True
    input_form: str = AUTO
    callback: Callback | None = None


@dataclass(frozen=True)
class _Kind:
    """A kind of encoder.

    Args:
        reads: the kinds of column that it reads.
        argument: what must follow the colon, for messages; "" for nothing; in brackets if optional.
        build: (argument, source) -> encoder.
        fitted: whether it is fitted on the training samples.
    """

    reads: tuple[type, ...]
    argument: str
    build: Callable[[str, Source], Encoder]
    fitted: bool = False


def encoder_from_spec(spec: str, source: Source) -> Encoder:
    """Return the encoder of a name, for one column of a data set.

    Args:
        spec: a key of ``ENCODERS``, with its argument after a colon; or FILE.py:Class; or several
            of them with " + " between them, whose standardized features are put side by side; or
            "auto", see ``resolve_spec``.
        source: the column, and what to fit on.

    Raises:
        SettingError: If there is no such kind, its argument is missing or superfluous, it does not
            read this column, or the network does not support the input form.
        DataError: If a file, model or the training texts cannot be used.
        MissingExtraError: If it needs an optional package.
    """
    parts = resolve_spec(spec, source).split(SEPARATOR)
    encoders = [_encoder(part, source) for part in parts]
    if len(encoders) == 1:
        return encoders[0]
    joined = join_encoders(encoders, source.train, source.modality, source.callback)
    if not isinstance(source.train.columns[source.modality], Texts):
        return joined
    more = {"multi_caption": source.multi_caption}
    return replace(joined, provenance={**joined.provenance, **more})


def resolve_spec(spec: str, source: Source) -> str:
    """Return a name without "auto": the encoder that validation prefers, or two of them.

    Args:
        spec: "auto" stands for what is installed; "auto + A + B" for the better of A and B.
        source: The column, and the samples that decide.

    Raises:
        SettingError: If there is nothing to choose from, or a name is unknown.
        DataError: If an item cannot be read.
    """
    parts = spec.split(SEPARATOR)
    if AUTO not in parts:
        return spec
    chosen = choose_encoders(
        [part for part in parts if part != AUTO],
        lambda part: _encoder(part, replace(source, callback=None)),
        source.train,
        source.validation,
        source.modality,
        Callbacks([source.callback or Callback()]),
    )
    return SEPARATOR.join(chosen)


def names_code(spec: str) -> bool:
    """Return whether building an encoder runs a Python file: FILE.py:Class among its parts.

    Example:
        >>> names_code("hf:models/vit + nets/mine.py:Net"), names_code("onnx:mine.onnx")
        (True, False)
    """
    return any(map(is_module_spec, spec.split(SEPARATOR)))


def read_kinds(spec: str) -> tuple[tuple[type, ...], bool]:
    """Return which columns an encoder may read, and whether it is fitted on training samples.

    Raises:
        SettingError: If there is no such kind.
    """
    parts = [part for part in spec.split(SEPARATOR) if part != AUTO]
    if not parts:
        return (Images, Texts), True
    kinds = [_kind(part)[0] for part in parts]
    reads = tuple(kind for kind in kinds[0].reads if all(kind in one.reads for one in kinds))
    return reads, len(kinds) > 1 or any(kind.fitted for kind in kinds)


def _encoder(spec: str, source: Source) -> Encoder:
    kind, name, argument = _kind(spec)
    column = source.train.columns.get(source.modality)
    if column is None:
        raise SettingError(
            f"there is no column {source.modality!r} for the encoder {spec!r}",
            expected=f"one of the columns {', '.join(source.train.modalities)}",
            found=repr(source.modality),
            advice="commonspace data DATA lists the columns",
        )
    optional_argument = kind.argument.startswith("[")
    if bool(argument) != bool(kind.argument) and not (optional_argument and not argument):
        raise SettingError(
            f"the name of the encoder {name!r} is incomplete"
            if kind.argument
            else f"the encoder {name!r} takes no argument",
            expected=_form(name),
            found=repr(spec),
            advice="name the file, folder or model after the colon"
            if kind.argument
            else "leave out the colon and what follows it",
        )
    if not isinstance(column, kind.reads):
        raise SettingError(
            f"the encoder {name!r} does not read {column.kind}",
            expected=" or ".join(reads.__name__.lower() for reads in kind.reads),
            found=f"{source.modality!r} of {source.train.name!r}: {column!r}",
            advice="name an encoder for this kind, or leave the column out",
        )
    encoder = kind.build(argument, source)
    if not isinstance(column, Texts):
        return encoder
    averaged = _averaging(encoder) if source.multi_caption == "mean" else encoder
    more = {"multi_caption": source.multi_caption}
    return replace(averaged, provenance={**averaged.provenance, **more})


def _kind(spec: str) -> tuple[_Kind, str, str]:
    """Return the kind that a name without " + " stands for, its name and its argument."""
    if is_module_spec(spec):
        return _MODULE, "FILE.py:Class", spec
    name, _, argument = spec.partition(":")
    if name not in ENCODERS:
        raise SettingError(
            f"unknown encoder {spec!r}",
            expected=", ".join([*map(_form, ENCODERS), "FILE.py:Class"]),
            found=repr(name),
            advice="commonspace extract --help lists them with examples",
        )
    return ENCODERS[name], name, argument


def _form(name: str) -> str:
    argument = ENCODERS[name].argument if name in ENCODERS else ""
    if not argument:
        return name
    return f"{name}[:{argument[1:]}" if argument.startswith("[") else f"{name}:{argument}"


def _averaging(encoder: Encoder) -> Encoder:
    """Return the encoder that gives the mean over the texts of a sample."""
    fill = PADDING if isinstance(encoder.input, Words) else NO_TOKEN
    provenance = encoder.provenance
    return describe(
        EachText(encoder.input, fill),
        MeanOfCaptions(encoder.backbone),
        {"kind": "mean_of_captions", "backbone": dict(encoder.backbone_config)},
        spec=provenance["spec"],
        name=provenance["name"],
        preprocessing=provenance["preprocessing"],
        fitted_on=provenance["fitted_on"],
        more={key: provenance[key] for key in ("trained", "vectors_sha256") if key in provenance},
    )


def _vgg19(file: str, source: Source, *, batch_norm: bool, before_relu: bool) -> Encoder:
    if source.input_form not in (AUTO, "crop"):
        raise SettingError(
            f"the input form {source.input_form} is not supported by VGG-19",
            expected="the center crop of the paper: auto or crop",
            found=source.input_form,
            advice="leave the option out, or choose another encoder",
        )
    return vgg19_encoder(file or None, batch_norm=batch_norm, before_relu=before_relu)


def _hf(name: str, source: Source) -> Encoder:
    images = isinstance(source.train.columns[source.modality], Images)
    return _image(image_model, name, source) if images else text_encoder(name)


def _image(load: Callable[[str], ImageModel], name: str, source: Source) -> Encoder:
    """Return an image network with the input form of the source, or the one chosen for it."""
    form = None if source.input_form == AUTO else InputForm.parse(source.input_form)
    model = load(name)
    if form is not None:
        return model.build(form)
    return choose_form(model, source.train, source.validation, source.modality, source.callback)


def _st(name: str, _: Source) -> Encoder:
    return sentence_encoder(name)


def _text_cnn(file: str, source: Source) -> Encoder:
    train, validation = source.train, source.validation
    if source.multi_caption == "mean" and source.train_now:  # it will read each text on its own
        train, validation = one_sample_per_text(train), one_sample_per_text(validation)
    return text_cnn_encoder(
        train,
        validation,
        source.modality,
        file=file or None,
        seed=source.seed,
        train_now=source.train_now,
    )


def _tfidf(_: str, source: Source) -> Encoder:
    column = source.train.columns[source.modality]
    assert isinstance(column, Texts)
    if source.multi_caption == "mean":
        column = Texts([(text,) for texts in column.items for text in texts])
    return tfidf_encoder(column, source.seed)


_MODULE = _Kind((Images,), "Class", partial(_image, torch_model))

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
    "onnx": _Kind((Images,), "FILE", partial(_image, onnx_model)),
    "st": _Kind((Texts,), "FOLDER_OR_NAME", _st),
    "tfidf": _Kind((Texts,), "", _tfidf, fitted=True),
    "word2vec": _Kind((Texts,), "FILE", _text_cnn, fitted=True),
    "textcnn": _Kind((Texts,), "", _text_cnn, fitted=True),
}
"""Name -> kind of encoder; FILE.py:Class names a torch module of the user's own."""
