"""The options that name encoders, shared by the commands that begin with raw items.

Importing this module loads no torch. It knows the options and nothing of what encoders do.
"""

from typing import Annotated, Literal

import typer

from commonspace.errors import SettingError

__all__ = [
    "ENCODERS",
    "EncoderOption",
    "FineTune",
    "ImageOption",
    "MultiCaptionOption",
    "TextOption",
    "encoders_named",
]

ENCODERS = "Encoders of raw images and texts"

FineTune = Literal["none", "top", "all"]

ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="ENCODER",
        help="Of the images: vgg19, vgg19_bn, either with :FILE behind it for local weights,"
        " vgg19-before-relu, or hf:FOLDER_OR_NAME for a model of transformers.",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="ENCODER",
        help="Of the texts: word2vec:FILE or textcnn for the sentence CNN, st:FOLDER_OR_NAME for"
        " sentence-transformers, hf:FOLDER_OR_NAME for transformers.",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
EncoderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        metavar="MODALITY=ENCODER",
        help="The same for a column of another name; can be repeated.",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
MultiCaptionOption = Annotated[
    Literal["mean", "concat", "expand"],
    typer.Option(
        "--multi-caption",
        help="Where a sample has several texts: the mean of their features, all read as one text,"
        " or one sample for each.",
        rich_help_panel=ENCODERS,
    ),
]


def encoders_named(image: str | None, text: str | None, others: list[str] | None) -> dict[str, str]:
    """Return modality -> text form of its encoder.

    Raises:
        SettingError: an option is not of the form MODALITY=ENCODER, or names one modality twice.

    Example:
        >>> encoders_named("vgg19", None, ["sketch=hf:models/dino"])
        {'image': 'vgg19', 'sketch': 'hf:models/dino'}
    """
    named = {name: spec for name, spec in (("image", image), ("text", text)) if spec is not None}
    for one in others or []:
        name, equals, spec = one.partition("=")
        if not (name and equals and spec) or name in named:
            raise SettingError(
                "an encoder is not named for one modality",
                expected="--encoder MODALITY=ENCODER, each modality once",
                found=repr(one),
                advice="write it like --encoder sketch=vgg19",
            )
        named[name] = spec
    return named
