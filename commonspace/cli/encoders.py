"""Options that name encoders, shared by the commands that read raw items."""

from collections.abc import Callable, Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = [
    "ENCODERS",
    "EncoderOption",
    "FineTune",
    "ImageOption",
    "InputFormOption",
    "MultiCaptionOption",
    "TextOption",
    "choose_encoders",
    "encoders_named",
]

ENCODERS = "Encoders of raw images and texts"

FineTune = Literal["none", "top", "all", "lora", "auto"]

ImageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="ENCODER",
        help="Encoder of the images: hf:FOLDER_OR_NAME for a model of transformers, onnx:FILE,"
        " FILE.py:Class for a torch module, vgg19 or vgg19_bn (with :FILE for local weights),"
        " vgg19-before-relu. Repeat it to put the features of several side by side; auto takes the"
        " best of the others, or of what is installed, by validation.",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
TextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="ENCODER",
        help="Encoder of the texts: st:FOLDER_OR_NAME for sentence-transformers, hf:FOLDER_OR_NAME"
        " for transformers, tfidf, word2vec:FILE or textcnn for the sentence CNN. Repeat it to put"
        " the features of several side by side; auto takes the best of the others, or of what is"
        " installed, by validation.",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
EncoderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        metavar="MODALITY=ENCODER",
        help="Encoder of a column with another name; can be repeated.",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
InputFormOption = Annotated[
    str,
    typer.Option(
        "--input-form",
        metavar="FORM",
        help="How image encoders see a photo: crop, pad or stretch, optionally with"
        " ,side=N ,pooling=mean+max ,views=2; or auto, which chooses on validation (default:"
        " auto; VGG-19: the crop of its paper).",
        show_default=False,
        rich_help_panel=ENCODERS,
    ),
]
MultiCaptionOption = Annotated[
    Literal["mean", "concat", "expand"],
    typer.Option(
        "--multi-caption",
        help="For samples with several texts: the mean of their features, all read as one text, or"
        " one sample for each.",
        rich_help_panel=ENCODERS,
    ),
]


def encoders_named(
    image: Sequence[str] | None, text: Sequence[str] | None, others: Sequence[str] | None = None
) -> dict[str, str]:
    """Return modality -> name of its encoder, or of several with " + " between them.

    Raises:
        SettingError: If an option is not of the form MODALITY=ENCODER.

    Example:
        >>> encoders_named(["vgg19"], ["st:minilm", "tfidf"], ["sketch=hf:models/dino"])
        {'image': 'vgg19', 'text': 'st:minilm + tfidf', 'sketch': 'hf:models/dino'}
    """
    named = {name: list(specs) for name, specs in (("image", image), ("text", text)) if specs}
    given = set(named)
    for option in others or []:
        name, equals, spec = option.partition("=")
        if not (name and equals and spec) or name in given:
            raise SettingError(
                f"`--encoder` has the form MODALITY=ENCODER, got {option!r}",
                expected="--encoder MODALITY=ENCODER, for modalities without an option",
                found=repr(option),
                advice="write it like --encoder sketch=vgg19",
            )
        named.setdefault(name, []).append(spec)
    return {name: " + ".join(specs) for name, specs in named.items()}


def choose_encoders(
    data: "Dataset", named: Mapping[str, str], shown: str, say: Callable[[str, str], None]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the encoders of raw columns, and those of the features; print the choice.

    Args:
        data: the data set.
        named: modality -> encoder, as given.
        shown: the data argument, for the example.
        say: prints a line: (heading, text).
    """
    from importlib.util import find_spec

    from commonspace.data import Features, Images
    from commonspace.encoders.installed import SUGGESTED, find_encoders

    raw = {name: one for name, one in data.columns.items() if not isinstance(one, Features)}
    of_features = {name: spec for name, spec in named.items() if name not in raw}
    installed = find_encoders() if raw.keys() - named.keys() else None
    chosen: dict[str, str] = {}
    lines, missing = [], []
    for name, column in raw.items():
        kind = "image" if isinstance(column, Images) else "text"
        found = (
            () if installed is None else installed.images if kind == "image" else installed.texts
        )
        if name in named:
            chosen[name] = named[name]
            lines.append(f"{name}: {named[name]}")
        elif found:
            chosen[name] = found[0]
            lines.append(f"{name}: {found[0]}, which is on this machine")
        else:
            missing.append((name, kind))
    pretrained_images = any(isinstance(raw[name], Images) for name in chosen)
    for name, kind in missing:
        if kind == "text" and pretrained_images and find_spec("sklearn") is not None:
            chosen[name] = "tfidf"
            lines.append(f"{name}: tfidf, built in")
        else:
            lines.append(f"{name}: a small network, trained from scratch")
    for number, line in enumerate(lines or ["none: the data has features"]):
        say("" if number else "encoders", line)
    if missing:
        options = " ".join(f"--{kind} {SUGGESTED[kind]}" for _, kind in missing)
        install = "" if find_spec("transformers") else 'pip install "commonspace[encoders]", then '
        say("", "Pretrained encoders find better, and need less data. They are downloaded once:")
        say("", f"{install}commonspace start {quote(shown)} {options}")
    return chosen, of_features
