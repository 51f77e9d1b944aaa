"""Declared settings: the default, range and help of an option, stated once beside its field.

    class Triplets(Settings):
        margin: float = setting(0.2, help="Distance to keep between classes.", above=0)

A subclass of ``Settings`` is a frozen dataclass without writing the decorator. Its values are
checked when an instance is made, from the declared constraints. The command line and the
documentation are generated from the same declarations.
"""

import difflib
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, dataclass_transform

from commonspace.errors import SettingError, invalid_setting

__all__ = [
    "Precision",
    "Setting",
    "Settings",
    "convert_setting",
    "declared",
    "describe_settings",
    "kind_of",
    "setting",
    "setting_of",
    "unknown_setting",
]

Precision = Literal["auto", "float32", "bfloat16"]
"""Number format of matrix products; "auto" is bfloat16 where the hardware multiplies it."""

SYNONYMS: Mapping[str, str] = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "max_epochs": "epochs",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_iter": "epochs",
    "random_state": "seed",
    "random_seed": "seed",
    "dim": "embedding_dim",
    "latent_dim": "embedding_dim",
    "embed_dim": "embedding_dim",
    "output_dim": "embedding_dim",
    "hidden": "hidden_dim",
    "hidden_size": "hidden_dim",
    "n_components": "dimension",
    "early_stopping": "patience",
    "dtype": "precision",
    "tau": "temperature",
    "lambda_": "lam",
    "reg": "regularization",
    "regularisation": "regularization",
    "neighbours": "neighbors",
}
"""Names that users try -> the name of the setting here."""


@dataclass(frozen=True)
class Setting:
    """Constraints and help of one setting.

    Args:
        help: One sentence that starts with a noun or an imperative.
        low: Smallest value.
        high: Largest value.
        above: Lower bound, itself excluded.
        below: Upper bound, itself excluded.
        choices: The only values.
    """

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[object, ...] = ()

    @property
    def range(self) -> str:
        """The constraint in words, such as ">= 0 and < 1"; empty without one."""
        if self.choices:
            return " or ".join(map(repr, self.choices))
        bounds = ((">=", self.low), (">", self.above), ("<=", self.high), ("<", self.below))
        return " and ".join(
            f"{sign} {_number(bound)}" for sign, bound in bounds if bound is not None
        )

    def problem(self, value: object, kind: str) -> str:
        """Return what a value must be, if it is not that; else an empty string.

        Args:
            value: of the setting.
            kind: annotation of the field, such as "int | None".
        """
        if value is None and "None" in kind:
            return ""
        or_none = " or None" if "None" in kind else ""
        if self.choices:
            return "" if value in self.choices else self.range + or_none
        kind = kind.split(" | ")[0]
        if kind == "tuple[float, float]":
            pair = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
            if any(self.problem(item, "float") for item in pair):
                return f"a tuple of two numbers {self.range}".rstrip() + or_none
            return ""
        if kind == "bool":
            return "" if isinstance(value, bool) else "True or False"
        if kind == "int" and (isinstance(value, bool) or not isinstance(value, Integral)):
            return f"a whole number {self.range}".rstrip() + or_none
        if kind in ("int", "float"):
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not math.isfinite(value):  # type: ignore[arg-type]
                return f"a finite number {self.range}".rstrip() + or_none
            return "" if self._within(value) else self.range + or_none  # type: ignore[arg-type]
        if kind == "str" and not isinstance(value, str):
            return "a string" + or_none
        return ""

    def _within(self, value: float) -> bool:
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def setting(
    default: Any = MISSING,  # noqa: ANN401 - of the type of the field
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[object, ...] = (),
    factory: Callable[[], object] | None = None,
) -> Any:  # noqa: ANN401 - a field of any type
    """Declare a field of a `Settings` class with its default, range and help.

    A subclass that overrides only the default (``epochs: int = 20``) keeps range and help.

    Args:
        default: Value if none is given; without one the setting is required.
        help: One sentence that starts with a noun or an imperative.
        low: Smallest value.
        high: Largest value.
        above: Lower bound, itself excluded.
        below: Upper bound, itself excluded.
        choices: The only values.
        factory: Makes the default, in place of ``default``: for values that can be changed.
    """
    about = Setting(help, low, high, above, below, choices)
    if factory is not None:
        return field(default_factory=factory, metadata={"setting": about})
    if default is MISSING:
        return field(metadata={"setting": about})
    return field(default=default, metadata={"setting": about})


@dataclass_transform(frozen_default=True)
class Settings:
    """Base of classes whose fields are declared settings.

    Raises:
        SettingError: If a value is out of range, or a name is not one of the settings.

    Example:
        >>> class Triplets(Settings):
        ...     margin: float = setting(0.2, help="Distance between classes.", above=0)
        >>> Triplets(margin=0.5)
        Triplets(margin=0.5)
        >>> Triplets(margin=0.0)
        Traceback (most recent call last):
        commonspace.errors.SettingError: `margin` must be > 0, got 0.0
          to do:    omit it to use the default
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    _declared: ClassVar[Mapping[str, Setting]] = {}

    def __init_subclass__(cls) -> None:
        """Make the subclass a frozen dataclass and collect its declarations."""
        super().__init_subclass__()
        own = {
            name: value.metadata["setting"]
            for name, value in vars(cls).items()
            if isinstance(value, Field) and "setting" in value.metadata
        }
        cls._declared = {**cls._declared, **own}
        factories = {
            name: value
            for name, value in vars(cls).items()
            if isinstance(value, Field) and value.default_factory is not MISSING
        }
        dataclass(frozen=True)(cls)
        # A second, explicit @dataclass(frozen=True) finds the class as the first one did.
        del cls.__setattr__, cls.__delattr__
        for name, value in factories.items():
            setattr(cls, name, value)
        _document(cls)

    def __new__(cls, *args: object, **options: object) -> Self:
        """Refuse unknown names with a hint at the right one."""
        names = [one.name for one in fields(cls) if one.init]
        for name in options:
            if name not in names:
                raise unknown_setting(cls.__name__, name, names)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every value against its declaration."""
        for one in fields(self):
            about, value = self._declared.get(one.name), getattr(self, one.name)
            problem = about.problem(value, kind_of(one)) if about else ""
            if problem:
                raise invalid_setting(one.name, value, problem)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings are frozen."""
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        """Refuse: settings are frozen."""
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name, as scikit-learn's estimators do.

        Args:
            deep: Whether to include nested settings, as "encoders__fine_tune".
        """
        params = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, Settings):
                    nested = value.get_params().items()
                    params |= {f"{name}__{key}": inner for key, inner in nested}
        return params

    def set_params(self, **params: Any) -> Self:  # noqa: ANN401 - of the types of the fields
        """Change settings in place, as scikit-learn's estimators do, and return the object.

        Args:
            params: New values; "encoders__fine_tune" changes a nested setting.

        Raises:
            SettingError: If a name is unknown or a value is out of range; nothing is changed then.
        """
        flat = {name: value for name, value in params.items() if "__" not in name}
        nested: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            if name not in flat:
                outer, _, inner = name.partition("__")
                nested.setdefault(outer, {})[inner] = value
        for name, values in nested.items():
            inner_settings = flat.get(name, getattr(self, name, None))
            if not isinstance(inner_settings, Settings):
                raise unknown_setting(type(self).__name__, name, list(self.get_params(deep=False)))
            flat[name] = replace(inner_settings, **values)
        changed = replace(self, **flat)
        for name in flat:
            object.__setattr__(self, name, getattr(changed, name))
        return self


def declared(kind: type[Settings], name: str, default: Any = MISSING) -> Any:  # noqa: ANN401
    """Declare a field with the range and help that it has in another class.

    Args:
        kind: The other class.
        name: Of its field.
        default: Value if none is given; without one, that of the other class.
    """
    about = kind._declared[name]
    if default is MISSING:
        default = next(one.default for one in fields(kind) if one.name == name)
    if default is MISSING:
        return field(metadata={"setting": about})
    return field(default=default, metadata={"setting": about})


def describe_settings(kind: type[Any]) -> list[dict[str, str]]:
    """Return name, type, default, range and help of each setting of a class, as text.

    Example:
        >>> class Triplets(Settings):
        ...     margin: float = setting(0.2, help="Distance between classes.", above=0)
        >>> describe_settings(Triplets)[0]["range"]
        '> 0'
    """
    rows = []
    for one in fields(kind):
        about = getattr(kind, "_declared", {}).get(one.name, Setting(""))
        made = "" if one.default_factory is MISSING else repr(one.default_factory())
        default = "required" if one.default is MISSING else repr(one.default)
        rows.append(
            {
                "name": one.name,
                "type": kind_of(one),
                "default": made.partition("(")[0] + "()" if "(" in made else made or default,
                "range": about.range,
                "help": about.help,
            }
        )
    return rows


def setting_of(kind: type[Settings], name: str) -> Setting:
    """Return the declaration of a setting; an empty one for a plain field."""
    return kind._declared.get(name, Setting(""))


def convert_setting(kind: type[Any], name: str, value: object) -> Any:  # noqa: ANN401
    """Return a value read from a file or the command line in the type of its field.

    Raises:
        SettingError: If the class has no setting of that name.
    """
    known = {one.name: one for one in fields(kind) if one.init}
    if name not in known:
        raise unknown_setting(getattr(kind, "name", "") or kind.__name__, name, list(known))
    text = kind_of(known[name])
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and value.lower() == "none" and "None" in text:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and text.startswith("float"):
        return float(value)
    return value


def unknown_setting(owner: str, name: str, names: list[str]) -> SettingError:
    """Return the error for a setting that does not exist, with the closest name."""
    synonym = SYNONYMS.get(name, "")
    close = [synonym] if synonym in names else difflib.get_close_matches(name, names, 1)
    return SettingError(
        f"{owner} has no setting `{name}`",
        expected=", ".join(names) or "no settings",
        found=repr(name),
        advice=f"use `{close[0]}`" if close else "see the settings in docs/methods.md",
    )


def kind_of(one: Field[Any]) -> str:
    """Return the annotation of a field as text, such as "int | None"."""
    kind: object = one.type
    return kind.__name__ if isinstance(kind, type) else str(kind).removeprefix("typing.")


def _document(kind: type[Settings]) -> None:
    """Add the settings to the docstring of a class, and inherited arguments to its overrides."""
    text = inspect.cleandoc(kind.__doc__ or "")
    if text.startswith(f"{kind.__name__}("):  # that of a dataclass without one
        text = ""
    if "Args:" not in text:
        lines = [
            f"    {row['name']}: {row['help']} Default: {row['default']}."
            + (f" Must be {row['range']}." if row["range"] else "")
            for row in describe_settings(kind)
        ]
        kind.__doc__ = "\n".join([text, "", "Args:", *lines]).strip() if lines else text
    for name, function in vars(kind).items():
        above = getattr(super(kind, kind), name, None)
        inherited = inspect.getdoc(above) if callable(above) else None
        if inspect.isfunction(function) and function.__doc__ and inherited:
            arguments = re.search(r"\n\nArgs:\n(    .*(\n|$))+", inherited)
            if arguments and "Args:" not in function.__doc__:
                own = inspect.cleandoc(function.__doc__)
                function.__doc__ = own + arguments.group(0).rstrip()


def _number(bound: float) -> str:
    return "2**63" if bound == 2**63 else f"{bound:g}"
