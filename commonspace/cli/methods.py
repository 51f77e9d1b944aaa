"""Methods from the command line: their names, and their settings from options and files.

A setting can be given as an option (``--epochs 20``), by ``--set temperature=0.1``, or in a TOML
file with ``--config``; options win over ``--set``, and both over the file. Importing this module
loads no torch.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commonspace.errors import SettingError
from commonspace.registry import METHODS, installed_methods, make_method
from commonspace.settings import (
    Settings,
    convert_setting,
    describe_settings,
    parse_assignment,
    setting_of,
    unknown_setting,
)

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.methods import Method

__all__ = [
    "ConfigOption",
    "SetOption",
    "choose_method",
    "collect_settings",
    "configure_method",
    "list_settings",
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


def configure_method(name: str, settings: Mapping[str, Any]) -> "Method":
    """Return a method with settings.

    Args:
        name: Of a method, or ``FILE.py:Class`` for a class in a file.
        settings: Setting -> value, as TOML has them; "encoders" is a dictionary.

    Raises:
        SettingError: If the method, the file or a setting is unknown, or a value is out of range.
    """
    default: Any = _default_method(name)
    kind = type(default)
    known = {one.name for one in fields(default)}
    values = {}
    for key, value in settings.items():
        if key in IGNORED and key not in known:
            continue
        if key not in known:
            raise unknown_setting(name, key, sorted(known))
        values[key] = (
            _nested(getattr(default, key), value)
            if isinstance(value, Mapping)
            else convert_setting(kind, key, value)
        )
    method: Method = replace(default, **values) if values else default
    return method


def choose_method(data: "Dataset", settings: Mapping[str, Any]) -> str:
    """Return the name of the default method for data and settings.

    Posterior matching if each column is features, or raw with a frozen encoder; DSCMR otherwise,
    which trains on raw items, or if a setting is given that only DSCMR has.

    Args:
        data: The data set.
        settings: As ``collect_settings`` returned them.
    """
    from commonspace.data import Features
    from commonspace.methods import DSCMR, PosteriorMatching

    encoders: Mapping[str, Any] = settings.get("encoders", {})
    frozen = {name for name, spec in encoders.get("specs", {}).items() if spec != "textcnn"}
    raw = {name for name, column in data.columns.items() if not isinstance(column, Features)}
    own = {one.name for one in fields(DSCMR)} - {one.name for one in fields(PosteriorMatching)}
    trains = encoders.get("fine_tune", "none") != "none" or not frozen >= raw
    return "dscmr" if trains or own & set(settings) else "posterior"


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
    if name not in METHODS and name not in installed_methods():
        raise SettingError(
            f"unknown method {name!r}",
            expected=f"one of {', '.join([*METHODS, *installed_methods()])}, or FILE.py:Class",
            found=repr(name),
            advice="omit --method to choose one by the data",
        )
    return make_method(name)  # type: ignore[no-any-return]


def _nested(default: object, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a Settings
    if not isinstance(default, Settings):
        return dict(values)
    kind = type(default)
    converted = {key: convert_setting(kind, key, item) for key, item in values.items()}
    return replace(default, **converted)


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
