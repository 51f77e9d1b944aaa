"""Methods from the command line: their names, and their settings from options and files.

A setting can be given as an option (``--epochs 20``), by ``--set temperature=0.1``, or in a TOML
file with ``--config``; options win over ``--set``, and both over the file. Importing this module
loads no torch.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commonspace.errors import SettingError
from commonspace.registry import apply_settings, make_method, method_names
from commonspace.settings import (
    Settings,
    describe_settings,
    setting_of,
)

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.methods import Method

__all__ = [
    "CompareConfigOption",
    "CompareSetOption",
    "ConfigOption",
    "SetOption",
    "choose_method",
    "collect_settings",
    "configure_method",
    "list_settings",
    "parse_assignment",
    "setting_option",
]

IGNORED = ("seed", "device")
"""Settings that change nothing in a method without them: it has nothing random."""

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set any setting of the method; repeatable. --list-settings lists them.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="Read settings from a TOML file, one NAME = VALUE a line.",
        show_default=False,
    ),
]

CompareSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a setting of every method that has it, or METHOD.NAME=VALUE of one; repeatable."
        " It is not tuned.",
        show_default=False,
    ),
]
CompareConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="Read such settings from a TOML file; a table [METHOD] holds those of one method.",
        show_default=False,
    ),
]


def setting_option(kind: type[Settings], name: str, panel: str, **options: Any) -> Any:  # noqa: ANN401
    """Return the option of a declared setting, with its help and range.

    Args:
        kind: The class that declares it.
        name: Of the field.
        panel: Heading of its group in the help.
        **options: Of ``typer.Option``, in place of the declared ones.
    """
    about = setting_of(kind, name)
    bounds: dict[str, Any] = {"min": about.low} if about.low is not None else {}
    return typer.Option(
        **{
            "help": about.help,
            "rich_help_panel": panel,
            "show_default": False,
            **bounds,
            **options,
        }
    )


def collect_settings(
    options: Mapping[str, Any], assignments: Sequence[str] = (), config: Path | None = None
) -> dict[str, Any]:
    """Return the settings that were given, by name.

    Args:
        options: Values of options; None: not given. A patience of 0 never stops early.
        assignments: "name=value" each, of ``--set``.
        config: A TOML file.

    Raises:
        SettingError: If an assignment or the file cannot be read.

    Example:
        >>> collect_settings({"epochs": 3, "seed": None}, ["encoders.fine_tune=top"])
        {'encoders': {'fine_tune': 'top'}, 'epochs': 3}
    """
    settings = _read_config(config) if config else {}
    for text in assignments:
        name, value = parse_assignment(text)
        *outer, inner = name.split(".")
        target = settings
        for part in outer:
            target = target.setdefault(part, {})
        target[inner] = value
    settings |= {name: value for name, value in options.items() if value is not None}
    if settings.get("patience") == 0:
        settings["patience"] = None
    return settings


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return name and value of a setting written as text, "name=value".

    Numbers, true, false and lists are read as in TOML; all else is a string.

    Args:
        text: "name=value"; "outer.inner=value" for a nested setting.

    Raises:
        SettingError: If there is no name or no "=".

    Example:
        >>> parse_assignment("learning-rate=1e-3"), parse_assignment("preset=official")
        (('learning_rate', 0.001), ('preset', 'official'))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    name = name.replace("-", "_")
    if not equals or not name:
        raise SettingError(
            f"{text!r} is not a setting",
            expected="name=value",
            found=repr(text),
            advice="write for example learning_rate=0.001",
        )
    return name, _parse_value(value)


def configure_method(name: str, settings: Mapping[str, Any]) -> "Method":
    """Return a method with settings.

    Args:
        name: Of a method, or ``FILE.py:Class`` for a class in a file.
        settings: Setting -> value, as TOML has them; "encoders" is a dictionary.

    Raises:
        SettingError: If the method, the file or a setting is unknown, or a value is out of range.
    """
    default: Any = _default_method(name)
    known = {one.name for one in fields(default)}
    settings = {key: value for key, value in settings.items() if key in known or key not in IGNORED}
    method: Method = apply_settings(default, settings, name)
    return method


def choose_method(data: "Dataset", settings: Mapping[str, Any]) -> str:
    """Return the name of the default method for data and settings.

    InfoNCE if no training sample has a label. Otherwise posterior matching if each column is
    features, or raw with an encoder; else DSCMR, which trains on raw items, also if a setting is
    given that only DSCMR has.

    Args:
        data: The data set.
        settings: As ``collect_settings`` returned them.
    """
    from commonspace.data import Features
    from commonspace.methods import DSCMR, PosteriorMatching

    if not data.labels[data.splits == "train"].any():
        return "infonce"
    encoders: Mapping[str, Any] = settings.get("encoders", {})
    frozen = {name for name, spec in encoders.get("specs", {}).items() if spec != "textcnn"}
    raw = {name for name, column in data.columns.items() if not isinstance(column, Features)}
    own = {one.name for one in fields(DSCMR)} - {one.name for one in fields(PosteriorMatching)}
    return "dscmr" if not frozen >= raw or own & set(settings) else "posterior"


def list_settings(name: str) -> str:
    """Return the settings of a method as text: name, default, range and help of each.

    Raises:
        SettingError: If the method is unknown.
    """
    default: Any = _default_method(name)
    kind = type(default)
    lines = [f"Settings of {name} ({kind.__module__}.{kind.__qualname__}):", ""]
    for row in describe_settings(kind):
        value = getattr(default, row["name"])
        if isinstance(value, Settings):
            nested = describe_settings(type(value))
            lines += [_line({**item, "name": f"{row['name']}.{item['name']}"}) for item in nested]
        else:
            lines.append(_line({**row, "default": repr(value)}))
    return "\n".join(lines)


def _line(row: Mapping[str, str]) -> str:
    about = ", ".join(part for part in (f"default: {row['default']}", row["range"]) if part)
    return f"  {row['name']} ({about})\n      {row['help']}".rstrip()


def _default_method(name: str) -> "Method":
    if ".py:" in name:
        from commonspace.comparison.method_file import load_method

        return load_method(name)[0]
    if name not in method_names():
        raise SettingError(
            f"unknown method {name!r}",
            expected=f"one of {', '.join(method_names())}, or FILE.py:Class",
            found=repr(name),
            advice="omit --method to choose one by the data",
        )
    return make_method(name)  # type: ignore[no-any-return]


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingError(
            f"{path} cannot be read",
            expected="a TOML file, such as: epochs = 20",
            found=getattr(exc, "strerror", None) or str(exc),
            advice="see docs/methods.md, Settings",
        ) from exc


def _parse_value(text: str) -> object:
    if re.fullmatch(r"[+-]?\d+e[+-]?\d+", text):  # TOML wants 1.0e-3 or 1e-3 alike
        return float(text)
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
